"""Print the built book as one PDF with the system's Chromium: ``python workflow/pdf.py``.

The articles of all pages but the API become one document in the order of the table of contents, after a title and the contents.
Links between pages become links within it, folded code is left to the notebooks, and the slider is replaced by a still picture.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag
from downloads import FOLDER, PDF, SITE, make_downloads
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from sphinx_external_toc.parsing import parse_toc_yaml

from helpers.files import project_root, replacing

ROOT = project_root()
TEMPLATES = Environment(loader=FileSystemLoader(ROOT / "book/_static"), autoescape=True)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--enable-unsafe-swiftshader")
FROM_DISK = "--allow-file-access-from-files"
SECONDS = 900
LEFT_OUT = (
    "script, .headerlink, details.hide, details.parameters, .figure-line, .lambda-turn, .copybtn, .toctree-wrapper, "
    ".thebe-launch-button, nav"
)
ONLINE = ("book/api",)  # pages that nobody prints
INTERACTIVE = ".lambda-view"
NO_BUTTONS = "<style>.lambda-turn { display: none }</style>"


def find_browser() -> str:
    found = next(filter(None, map(shutil.which, (os.environ.get("CHROMIUM", ""), *BROWSERS))), None)
    if found is None:
        raise FileNotFoundError("no Chromium on this machine; install the package chromium, or set CHROMIUM to its path")
    return found


def run_browser(*arguments: str) -> None:
    """Run Chromium with a profile of its own, which is removed."""
    with tempfile.TemporaryDirectory() as profile:
        command = [find_browser(), *QUIET, f"--user-data-dir={profile}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    if done.returncode != 0:
        raise RuntimeError(f"Chromium ended with {done.returncode}: {(done.stderr.splitlines() or ['no message'])[-1]}")


def published_address(config: dict) -> str:
    """Return where the book is published: the setting ``html.baseurl``, or the pages of its repository."""
    owner, name = urlsplit(config["repository"]["url"]).path.strip("/").split("/")[:2]
    return config["html"].get("baseurl", f"https://{owner}.github.io/{name}").rstrip("/")


def article_of(site: Path, page: str) -> Tag:
    """Return the article of one built page."""
    path = site / f"{page}.html"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not built; run `make book` first")
    article = BeautifulSoup(path.read_text("utf-8"), "html.parser").find("article")
    assert isinstance(article, Tag)
    return article


def one_document(site: Path, pages: list[str], address: str, still: str = "") -> Tag:
    """Return the articles of built pages as one element, with every id, link and image made to work there.

    Links to what a PDF cannot hold lead to ``address``; the picture at ``still`` replaces an interactive view.
    """
    document = BeautifulSoup("", "html.parser").new_tag("main")
    numbers = {page: number for number, page in enumerate(pages)}
    for page, number in numbers.items():
        article = article_of(site, page)
        for element in article.select(LEFT_OUT):
            element.decompose()
        for evidence in article.select("details"):
            evidence["open"] = ""
        article["id"] = f"p{number}"
        for element in article.select("[id]"):
            element["id"] = f"p{number}-{element['id']}"
        for link in article.select("a[href]"):
            link["href"] = _target(str(link["href"]), page, numbers, address)
        for image in article.select("img[src]"):
            image.attrs.pop("loading", None)
            if not urlsplit(str(image["src"])).scheme:
                image["src"] = f"{site.as_uri()}/{_resolved(page, str(image['src']))}"
        for view in article.select(INTERACTIVE):
            link = f"{address}/{page}.html"
            picture = f'<img src="{still}" alt="Still picture of the interactive view">' if still else ""
            caption = f'<figcaption>Interactive on the web: <a href="{link}">{link}</a></figcaption>'
            view.replace_with(BeautifulSoup(f'<figure class="still">{picture}{caption}</figure>', "html.parser"))
        document.append(article)
    return document


def _resolved(page: str, href: str) -> str:
    """Return a relative address of a page as one below the site's root."""
    return os.path.normpath(PurePosixPath(page).parent / unquote(href)).replace(os.sep, "/")


def _target(href: str, page: str, numbers: dict[str, int], address: str) -> str:
    parts = urlsplit(href)
    if parts.scheme or parts.netloc:
        return href
    path = _resolved(page, parts.path) if parts.path else f"{page}.html"
    number = numbers.get(path.removesuffix(".html"))
    if number is None:
        return f"{address}/{path}"
    return f"#p{number}" + (f"-{parts.fragment}" if parts.fragment else "")


def take_still(site: Path, pages: list[str], work: Path) -> str:
    """Write a picture of the interactive view into ``work`` and return its address; empty where no page has one."""
    page = next((name for name in pages if article_of(site, name).select_one(INTERACTIVE)), None)
    if page is None:
        return ""
    article = article_of(site, page)
    parts = [part for selector in ("link[rel=stylesheet]", INTERACTIVE, "script[src]") for part in article.select(selector)]
    for part in parts:
        for attribute in {"href", "src"} & set(part.attrs):
            part[attribute] = f"{site.as_uri()}/{_resolved(page, str(part[attribute]))}"
    body = Markup("".join(map(str, parts)) + NO_BUTTONS)
    (work / "still.html").write_text(TEMPLATES.get_template("lambda-page.html").render(body=body), "utf-8")
    size = ("--window-size=1000,760", "--virtual-time-budget=20000", "--hide-scrollbars")
    run_browser(*size, FROM_DISK, f"--screenshot={work / 'still.png'}", (work / "still.html").as_uri())
    return (work / "still.png").as_uri()


def print_book(site: Path, out: Path) -> Path:
    """Print the built book in ``site`` as one PDF and return its path."""
    site = Path(site).resolve()
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    pages = [page for page in parse_toc_yaml(ROOT / "_toc.yml") if page not in ONLINE]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        document = one_document(site, pages, published_address(config), take_still(site, pages, work))
        contents = [(f"#{a['id']}", a.h1.get_text(" ", strip=True).rstrip("#").strip()) for a in document.select("article") if a.h1]
        given = {"title": config["title"], "author": config["author"], "contents": contents, "site": site.as_uri()}
        html = TEMPLATES.get_template("print.html").render(body=Markup(str(document)), **given)
        (work / "book.html").write_text(html, "utf-8")
        with replacing(out) as temporary:
            options = ("--no-pdf-header-footer", "--generate-pdf-document-outline", "--virtual-time-budget=120000")
            run_browser(*options, FROM_DISK, f"--print-to-pdf={temporary}", (work / "book.html").as_uri())
            if not temporary.read_bytes()[-1024:].rstrip().endswith(b"%%EOF"):
                raise RuntimeError("Chromium left no whole PDF; free memory and disk, and try again")
    return out


if __name__ == "__main__":
    try:
        print(print_book(SITE, SITE / FOLDER / PDF))
    except (FileNotFoundError, RuntimeError, subprocess.TimeoutExpired) as error:
        sys.exit(f"error: {error}")
    make_downloads()
