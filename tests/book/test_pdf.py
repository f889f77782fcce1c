"""The book as one document: every id is one of a kind, every link leads somewhere, and nothing interactive is left."""

import os

import pdf
import pytest
from conftest import ROOT

PAGES = {
    "book/one": """<h1 id="top">One<a class="headerlink" href="#top">#</a></h1><p><a href="executed/two.html#there">two</a>
        <a href="executed/two.html">all of two</a> <a href="#top">up</a>
        <a href="https://x.org/y">out</a> <a href="../_static/a.txt">file</a></p>
        <script>alert(1)</script>""",
    "book/executed/two": """<h1 id="top">Two</h1><img src="../../_images/a.svg" alt="a"><a href="../one.html#top">back</a>
        <details class="admonition hide above-input"><pre>code</pre></details><p id="there">here</p>
        <div class="lambda-view"><script type="application/json">{}</script></div>""",
}


@pytest.fixture
def site(tmp_path):
    for name, body in PAGES.items():
        path = tmp_path / f"{name}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<html><body><nav>menu</nav><article>{body}</article></body></html>")
    return tmp_path


def test_ids_are_one_of_a_kind_links_lead_somewhere_and_only_what_can_be_printed_is_left(site):
    document = pdf.one_document(site, list(PAGES), "https://book.org", "still.png")
    ids = [element["id"] for element in document.select("[id]")]
    inner = [a["href"][1:] for a in document.select("a[href^='#']")]
    assert len(ids) == len(set(ids)) and len(inner) == 4 and set(inner) <= set(ids)
    outer = [a["href"] for a in document.select("a[href^=http]")]
    assert "https://x.org/y" in outer and "https://book.org/_static/a.txt" in outer
    assert not document.select("script, nav, details, .headerlink, .lambda-view")
    (figure,) = document.select("figure.still")
    assert figure.img["src"] == "still.png" and figure.a["href"] == "https://book.org/book/executed/two.html"
    assert document.select_one("img[alt=a]")["src"] == f"{site.as_uri()}/_images/a.svg"


def test_a_missing_page_is_named(site):
    with pytest.raises(FileNotFoundError, match="three.html"):
        pdf.one_document(site, ["book/three"], "https://book.org")


@pytest.mark.heavy
def test_the_built_book_prints_whole(tmp_path):
    book = ROOT / os.environ.get("BOOK", "_build/html")
    if not (book / "index.html").is_file():
        pytest.skip("the book is not built; run `make book`")
    data = pdf.print_book(book, tmp_path / "book.pdf").read_bytes()
    pages = data.count(b"/Type /Page\n") + data.count(b"/Type /Page/") + data.count(b"/Type /Page ")
    assert data.startswith(b"%PDF") and pages >= 40
