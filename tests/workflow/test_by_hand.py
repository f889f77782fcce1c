"""A notebook run by hand, shown by nbconvert with the configuration of the project, looks as in the book; no script is fetched."""

import re
import shutil
import subprocess
import sys
import warnings

import by_hand
import nbformat
import pytest
from bs4 import BeautifulSoup
from conftest import ROOT
from nbconvert import HTMLExporter
from traitlets.config.loader import PyFileConfigLoader

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
GLUED = "application/papermill.record/text/plain"
TEXT = """# The page

At $\\lambda = 1$, as in {eq}`eq-align` and {doc}`04_discussion`; see {ref}`this recipe <own-encoder>`,
{doc}`the theory </book/theory>` and {cite}`liang2022mind`, or {cite:t}`liang2022mind` in 95 %,
on {term}`cell` and {term}`heads <head>`."""


@pytest.fixture
def notebook():
    """Return a page with a method cell, a folded cell that shows a sentence, and a figure."""
    outputs = [nbformat.v4.new_output("stream", name="stderr", text="probes: 5 of 9"), said("A **finding** of 5 %.")]
    outputs.append(nbformat.v4.new_output("display_data", {GLUED: "12.5"}, metadata={"scrapbook": {"name": "value"}}))
    figure = {"figure": {"caption": "Where $\\lambda$ goes, {doc}`04_discussion`.", "name": "fig-a"}, "image": {"alt": 'a "plot"'}}
    cells = [
        nbformat.v4.new_markdown_cell(TEXT),
        nbformat.v4.new_code_cell("fit = 1", execution_count=1, metadata={"tags": ["remove-stderr"]}, outputs=outputs),
        nbformat.v4.new_code_cell("plot = 2", execution_count=2, metadata={"tags": ["hide-input"], "mystnb": figure},
                                  outputs=[nbformat.v4.new_output("display_data", {"image/png": PIXEL})]),
    ]  # fmt: skip
    return nbformat.v4.new_notebook(cells=cells)


def said(text: str):
    return nbformat.v4.new_output("display_data", {"text/markdown": text, "text/plain": "<Markdown object>"})


def shown(notebook) -> str:
    config = PyFileConfigLoader("nbconvert_config.py", str(ROOT / "workflow")).load_config()
    return HTMLExporter(config=config).from_notebook_node(notebook)[0]


def test_sentences_captions_and_words_of_roles_are_shown_and_hidden_code_is_folded(notebook):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # nbconvert's, of an output that it cannot show
        html = shown(notebook)
    assert (
        "A <strong>finding</strong> of 5\N{NO-BREAK SPACE}%." in html and "5 of 9" not in html and "<title>The page</title>" in html
    )
    assert "<em>Discussion: the claims, one by one</em>; see this recipe,\nthe theory" in html and "Eq. 5 and" in html
    assert (
        "(Liang et al., 2022), or Liang et al. (2022) in 95\N{NO-BREAK SPACE}%,\non cell and heads." in html
        and "{doc}" not in html
        and "{cite}" not in html
    )
    (image,) = BeautifulSoup(html, "html.parser").find_all("img")
    assert image["alt"] == 'a "plot"' and image["src"] == f"data:image/png;base64,{PIXEL}"
    assert image.find_next("figcaption").get_text() == "Where $\\lambda$ goes, Discussion: the claims, one by one."
    folded = re.findall(r"<details><summary>Show code</summary>.*?</details>", html, re.DOTALL)
    assert len(folded) == 1 and "plot" in folded[0] and "fit" in html.replace(folded[0], "")


def test_no_script_style_or_picture_comes_from_another_host(notebook):
    html = shown(notebook)
    elements = BeautifulSoup(html, "html.parser").find_all(["script", "img", "iframe", "link"])
    addresses = [element.get(name) for element in elements for name in ("src", "href") if element.get(name)]
    assert len(elements) >= 3 and [address for address in addresses if not address.startswith("data:")] == []
    assert "cdnjs" not in html and re.findall(r"\bimport\b[^;\n]*https?:", html) == [] and "MathJax" in html


def test_every_role_of_the_pages_becomes_words():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"]
        words = by_hand.ROLE.sub(by_hand._words, "\n".join(cells))
        assert re.findall(r"\{(?:doc|cite|cite:\w+|eq|numref|ref|term|glue\S*)\}`", words) == [], path
        assert re.findall(r"\*[\w/-]+_[\w-]+\*|eq-\w+|\(\w+\d{4}\w+,", words) == [], path  # a target that has no title


def test_a_notebook_that_has_not_been_run_is_refused_by_the_command(tmp_path):
    shutil.copy(ROOT / "notebooks/02_r_table.ipynb", tmp_path)
    words = ["nbconvert", "--config", ROOT / "workflow/nbconvert_config.py", "02_r_table.ipynb"]
    done = subprocess.run([sys.executable, "-m", *map(str, words)], capture_output=True, text=True, cwd=tmp_path)
    assert (
        done.returncode == 1
        and done.stderr.strip().endswith("and give the notebook that it writes")
        and "Traceback" not in done.stderr
    )
    assert [path.name for path in tmp_path.iterdir()] == ["02_r_table.ipynb"]


@pytest.mark.heavy
def test_formulas_are_drawn_in_a_browser(notebook, tmp_path):
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no chromium on this machine")
    (tmp_path / "page.html").write_text(shown(notebook), "utf-8")
    words = [
        chromium,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--virtual-time-budget=8000",
    ]
    done = subprocess.run([*words, "--dump-dom", f"file://{tmp_path}/page.html"], capture_output=True, text=True, timeout=120)
    assert done.stdout.count("<mjx-container") == 2
