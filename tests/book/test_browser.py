"""The built book in a real browser: every page, light and dark, as a reader and a screen reader meet it.

Needs Chromium and a built book (``make book``); skipped without, unless ``BOOK`` names the book, as continuous integration does.
"""

import functools
import http.server
import json
import os
import re
import shutil
import threading

import numpy as np
import pytest
from conftest import ROOT
from sphinx_external_toc.parsing import parse_toc_yaml

BOOK = ROOT / os.environ.get("BOOK", "_build/html")
PAGES = list(parse_toc_yaml(ROOT / "_toc.yml"))
pytestmark = pytest.mark.heavy
SLIDER = "book/executed/01_cone_effect"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--enable-unsafe-swiftshader"]


def needed(there, what: str) -> None:
    if not there:
        (pytest.fail if "BOOK" in os.environ else pytest.skip)(what)


@pytest.fixture(scope="module")
def address():
    needed(BOOK.is_dir(), f"{BOOK} is not built; run `make book`")
    absent = [page for page in PAGES if not (BOOK / f"{page}.html").is_file()]
    needed(not absent, f"{BOOK} is out of date, it lacks {', '.join(absent)}; run `make book`")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(BOOK)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def browser(address):
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    needed(chromium, "no chromium on this machine; install it to test the book in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def tab(browser, request):
    """Return a page of the browser in the theme of ``theme`` (light by default), with its console messages and requests."""
    theme = request.node.callspec.params.get("theme", "light") if hasattr(request.node, "callspec") else "light"
    context = browser.new_context(color_scheme=theme, viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.complaints, page.fetched = [], []
    page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("response", lambda r: page.complaints.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    page.on("request", lambda r: page.fetched.append(r.url))
    yield page
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_page_is_whole_light_and_reachable_by_everyone(tab, address, name, theme):
    sizes = []
    tab.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    tab.goto(f"{address}/{name}.html")
    tab.wait_for_function("() => !window.MathJax || !MathJax.startup || MathJax.startup.promise.then(() => true)")
    least, most = (1e6, 6e6) if name == SLIDER else (1e4, 5e6)  # the slider's script has 1.8 MB
    assert least < sum(sizes) < most, f"{sum(sizes):,} bytes"
    assert tab.evaluate("document.documentElement.dataset.theme") == theme
    policy = tab.locator('meta[http-equiv="Content-Security-Policy"]').get_attribute("content")
    scripts = re.search(r"script-src ([^;]+)", policy)[1]
    assert "unsafe-inline" not in scripts and "unsafe-eval" not in scripts
    decode = "i.loading = 'eager'; await i.decode().catch(() => {}); return [i.src, i.naturalWidth, i.alt]"
    images = tab.evaluate(f"Promise.all([...document.images].map(async (i) => {{ {decode} }}))")
    assert [src for src, width, _ in images if width == 0] == [], "images not decoded"
    assert [src for src, _, alt in images if "_images" in src and len(alt) < 20] == [], "figures without alternative text"
    assert tab.complaints == []
    assert [url for url in tab.fetched if not url.startswith((address, "data:", "blob:"))] == []
    assert violations(tab) == []
    for width in (390, 1300):
        tab.set_viewport_size({"width": width, "height": 900})
        assert tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, width


def violations(page) -> list[str]:
    """Return the serious and critical findings of axe-core, as rule and elements."""
    from axe_playwright_python.sync_playwright import Axe

    found = [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
    return [f"{v['id']}: {n['html'][:160]} ({(n['failureSummary'] or '')[-160:]})" for v in found for n in v["nodes"]]


def test_pages_say_what_they_were_rendered_from_and_every_link_within_the_book_leads_somewhere(address):
    html = {(BOOK / f"{name}.html").resolve(): (BOOK / f"{name}.html").read_text("utf-8") for name in PAGES}
    rendered = r"Rendered from commit <code>\w.*</code> with jupyter-book [\d.]+.*, sphinx \d.* and Python 3\."
    assert [file for file, text in html.items() if not re.search(rendered, text.split("<footer", 1)[1])] == []
    dead, numbered = [], 0
    for file, text in html.items():
        article = text[text.index("<article") : text.index("</article>")]
        numbered += article.count('class="std std-numref"')
        for href in re.findall(r'<a [^>]*class="[^"]*reference internal[^"]*"[^>]*href="([^"]+)"', article):
            path, _, anchor = href.partition("#")
            target = (file.parent / path).resolve() if path else file
            there = html.get(target, "") or (target.is_file() and target.read_text("utf-8"))
            if not there or (anchor and f'id="{anchor}"' not in there):
                dead.append(f"{file.name}: {href}")
    assert dead == [] and numbered > 0


def test_every_table_of_a_page_has_a_caption_with_a_letter(address):
    bare = []
    for name in PAGES:
        if name == "book/api":  # its tables are of docstrings
            continue
        tables = (BOOK / f"{name}.html").read_text("utf-8").split("<article", 1)[1].split("<table")[1:]
        bare += [
            f"{name}: {table[:300]}" for table in tables if not re.search(r"<caption[^>]*><i>Table [A-Z]\.</i> \S", table[:1000])
        ]
    assert bare == []


def points(page) -> list:
    return page.evaluate("document.querySelector('.lambda-sphere').data.slice(1, 3).map((t) => [t.x, t.y, t.z])")


def test_no_figure_prints_mathematics_as_its_source(address):
    figures = list((BOOK / "_images").glob("*.svg"))
    printed = [f.name for f in figures if re.search(r"mathdefault|>[^<]*\$[^<]*<", f.read_text("utf-8"))]
    assert figures and printed == []


def test_a_wide_equation_opens_at_its_left_end_on_a_phone(tab, address):
    tab.set_viewport_size({"width": 390, "height": 800})
    tab.goto(f"{address}/book/methods.html")
    tab.wait_for_selector("div.math mjx-container")
    order = "div => [div.querySelector('mjx-container').getBoundingClientRect().left, div.getBoundingClientRect().left]"
    for equation in tab.locator("div.math:has(.eqno)").all():
        left, box = equation.evaluate(order)
        assert left >= box - 1


@pytest.mark.parametrize(
    ("word", "page"), [("cone", "The cone effect"), ("sweep", "The lambda sweep"), ("leakage", "Leakage audit")]
)
def test_search_finds_the_page_of_a_word_first(tab, address, word, page):
    tab.goto(f"{address}/search.html?q={word}")
    first = tab.locator("ul.search li > a").first
    first.wait_for()
    tab.wait_for_function("() => document.querySelector('#search-results h2')?.innerText !== 'Searching'")
    assert first.inner_text() == page


def test_the_slider_moves_points_and_text_by_keyboard(tab, address):
    tab.goto(f"{address}/{SLIDER}.html")
    tab.wait_for_function("() => document.querySelector('.lambda-sphere')?.data?.length === 4")
    data = json.loads(tab.locator(".lambda-data").text_content())
    tab.select_option(".lambda-set", index=len(data["views"]) - 1)
    view, before, said = data["views"][-1], points(tab), tab.locator(".lambda-text").inner_text()
    tab.locator(".lambda-slider").focus()
    for _ in range(3):
        tab.keyboard.press("ArrowRight")
    after = points(tab)
    for sign, modality, old, new in zip((-1, 1), ("image", "text"), before, after, strict=True):
        coordinates = np.array(view[modality]) + sign * view["lambdas"][3] / 2 * np.array(view["gap"])[:, None]
        np.testing.assert_allclose(new, coordinates / np.linalg.norm(coordinates, axis=0), atol=1e-9)
        assert np.abs(np.subtract(new, old)).max() > 1e-3
    now = tab.locator(".lambda-text").inner_text()
    assert now != said and f"{view['lambdas'][3]:.2f}" in now and f"{view['residual'][3]:.3f}" in now
    marker = tab.evaluate("document.querySelector('.lambda-lines').data.slice(3).map((t) => [t.x[0], t.y[0]])")
    assert marker == [[view["lambdas"][3], view[key][3]] for key in ("residual", "r_image", "r_text")]
    assert tab.locator(".lambda-slider").get_attribute("aria-valuetext") == f"{view['lambdas'][3]:.2f}"


@pytest.mark.parametrize("attack", ["<script>{}</script>", '<img src="x" onerror="{}">', '<svg onload="{}"></svg>'])
@pytest.mark.parametrize("policy", [True, False])
def test_a_script_in_the_content_of_a_page_does_not_run(tab, address, attack, policy):
    page = (BOOK / "book/executed/01_cone_effect.html").read_text("utf-8")
    page = page.replace("</article>", attack.format("window.attacked = 1") + "</article>")
    page = page if policy else re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    tab.route("**/attacked.html", lambda route: route.fulfill(body=page, content_type="text/html; charset=utf-8"))
    tab.goto(f"{address}/book/executed/attacked.html")
    if policy:
        tab.wait_for_timeout(200)
        assert tab.evaluate("window.attacked !== 1")
    else:  # the same attack runs where nothing forbids it
        tab.wait_for_function("() => window.attacked === 1")


def test_buttons_code_and_figures_open_under_the_policy(tab, address):
    tab.goto(f"{address}/book/executed/01_cone_effect.html")
    before = tab.evaluate("document.documentElement.dataset.mode")
    tab.locator(".theme-switch-button").first.click()
    assert tab.evaluate("document.documentElement.dataset.mode") != before
    tab.locator(".btn-fullscreen-button").click()
    tab.wait_for_function("() => document.fullscreenElement !== null")
    tab.evaluate("document.exitFullscreen()")
    assert tab.complaints == []
    code, parameters = tab.locator("details.above-input .highlight").first, tab.locator("details.parameters .highlight").first
    assert (
        not code.is_visible() and not parameters.is_visible() and not tab.locator("details.above-input summary").first.is_visible()
    )
    tab.locator("details.parameters summary").click()
    assert "n_boot" in parameters.inner_text()
    tab.locator(".code-switch").click()
    assert code.is_visible() and "import" in code.inner_text()
    tab.reload()  # the choice is remembered
    assert code.is_visible()
    tab.locator(".code-switch").click()
    assert not code.is_visible()
    for link in (line := tab.locator(".figure-line").first).locator("a.source, summary").all():
        link.press("Enter")  # the cell of one figure alone, and the sentence to cite it
    assert "Fig. " in line.inner_text() and "version" in line.inner_text()
    shown = tab.locator("details.above-input .highlight:visible")
    assert shown.count() == 1 and "figure" in shown.inner_text() and tab.url.endswith("#source-fig-sphere")
    tab.locator("a.figure-link").first.press("Enter")
    tab.wait_for_url("**/_images/*")
