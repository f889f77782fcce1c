"""What the book asks of Sphinx: known settings, its own mathematics, template buttons, and a policy that no article can widen."""

import base64
import hashlib
import re
from pathlib import Path
from types import SimpleNamespace

import book_extension
import jupyter_book
import pytest
import yaml
from book_extension import content_policy, link_figures, with_policy
from conftest import ROOT
from docutils import nodes
from pybtex.database import parse_file
from sphinx.errors import ExtensionError

PAGE = """<html><head><meta charset="utf-8" /><script>let a = 1;</script><script src="x.js"></script></head>
<button onclick="show(&quot;a&quot;)">b</button><article><p>text</p>{content}</article><script>let b = 2;</script></html>"""
ATTACKS = ["<script>run()</script>", "<img src=x onerror=run()>", '<b onclick="run()">x</b>', "</article><script>run()</script>"]


def script_sources(content: str) -> list[str]:
    return re.search(r"script-src ([^;]+)", content_policy(PAGE.format(content=content)))[1].split()


def test_scripts_and_handlers_of_the_theme_are_allowed_by_their_hashes_and_nothing_in_the_article():
    hashed = [base64.b64encode(hashlib.sha256(code).digest()).decode() for code in (b"let a = 1;", b"let b = 2;", b'show("a")')]
    assert set(script_sources("")) == {"'self'", "'unsafe-hashes'", *(f"'sha256-{h}'" for h in hashed)}
    assert all(script_sources(attack) == script_sources("") for attack in ATTACKS)
    once = with_policy(PAGE.format(content=""))
    assert with_policy(once) == once and once.index("Content-Security-Policy") < once.index("<script")


def test_figures_become_links_and_linked_or_other_images_stay():
    figure = '<img alt="a" src="../_images/a.png" />'
    assert link_figures(f"<p>{figure}</p>") == f'<p><a class="figure-link" href="../_images/a.png">{figure}</a></p>'
    for untouched in (f'<a href="x">{figure}</a>', '<img src="../_static/logo.svg">'):
        assert link_figures(untouched) == untouched


def test_no_line_ends_between_a_number_and_its_percent_sign_and_code_stays():
    assert (
        book_extension.PERCENT.sub(lambda m: m[1] or "_%", "<p>95 %, <code>9 % 2</code> 5 %</p>")
        == "<p>95_%, <code>9 % 2</code> 5_%</p>"
    )


def test_tables_have_letters_in_place_of_numbers():
    prose, output = '<caption><span class="caption-number">Table 3 </span>a</caption>', '<caption id="b">b</caption>'
    assert book_extension.letter_tables(prose + output) == (
        '<caption><i>Table A.</i> a</caption><caption id="b"><i>Table B.</i> b</caption>'
    )


def test_configuration_has_keys_alone_that_jupyter_book_knows():
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    known = yaml.safe_load((Path(jupyter_book.__file__).parent / "default_config.yml").read_text("utf-8"))
    assert set(config) <= {*known, "bibtex_bibfiles"}
    assert all(set(section) <= set(known[name]) for name, section in config.items() if isinstance(section, dict))


def test_pages_offer_to_start_alone_where_the_package_is_installed():
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    assert set(config["launch_buttons"]) == {"notebook_interface", "binderhub_url"}
    assert "pip install" in (ROOT / ".binder/postBuild").read_text("utf-8")


def test_launch_buttons_open_the_template_and_scripts_of_another_host_are_left_out():
    source = {"buttons": ["../../_sources/book/executed/a.ipynb"]}
    buttons = [{"url": "https://mybinder.org/v2/gh/o/r/main?urlpath=lab/tree/book/executed/a.ipynb"}, source]
    announced = SimpleNamespace(attributes={"body": 'const THEBE_JS_URL = "https://unpkg.com/x"'})
    context = {"header_buttons": buttons, "script_files": ["_static/sphinx-thebe.js", announced, "_static/book.js"]}
    book_extension._change_page(None, "book/executed/a", "page.html", context, None)
    assert context["header_buttons"][0]["url"].endswith("lab/tree/notebooks/a.ipynb")
    assert context["header_buttons"][1] == source and context["script_files"] == ["_static/book.js"]


def test_a_page_of_the_contents_that_was_not_built_is_named(tmp_path):
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: intro\nchapters:\n- file: absent")
    (tmp_path / "intro.html").write_text("")
    app = SimpleNamespace(srcdir=tmp_path, outdir=tmp_path, builder=SimpleNamespace(format="html"))
    with pytest.raises(ExtensionError, match="^absent is in _toc.yml but was not built"):
        book_extension._finish(app, None)


def test_declared_and_injected_parameters_stand_under_one_line():
    document, fold = nodes.section(), ["cell", "tag_parameters"]
    cells = [
        nodes.container("", nodes.literal_block("", code), classes=c)
        for code, c in (("a", fold), ("b", ["cell", "tag_injected-parameters"]))
    ]
    document += [nodes.paragraph("", "before"), *cells, nodes.paragraph("", "after")]
    book_extension._fold_parameters(SimpleNamespace(builder=SimpleNamespace(format="html")), document, "page")
    assert [child.astext() for child in document if child.tagname == "paragraph"] == ["before", "after"]
    opening, *inside, closing = document[1].children
    assert "<summary>" in opening.astext() and closing.astext() == "</details>" and inside == cells


def test_a_figure_gets_its_line_and_its_cell_an_address():
    document, figure = nodes.section(), nodes.figure("", nodes.caption("", "c"), ids=["fig-a"])
    document += nodes.container("", figure, nb_element="cell_code", cell_metadata={"tables": ["effects"]})
    env = SimpleNamespace(
        toc_fignumbers={"book/executed/a": {"figure": {"fig-a": (7,)}}}, titles={"book/executed/a": nodes.title("", "A")}
    )
    book_extension._serve_figures(SimpleNamespace(builder=SimpleNamespace(format="html"), env=env), document, "book/executed/a")
    assert document[0]["ids"] == ["source-fig-a"] and document[0][0] is figure
    assert 'href="../../downloads/tables/effects.csv"' in document[0][1].astext() and "Fig. 7" in document[0][1].astext()


def test_references_are_labelled_as_pages_cite_them():
    entries = parse_file(str(ROOT / "book/references.bib")).entries.values()
    labels = book_extension.AuthorYear().format_labels(list(entries))
    assert len(set(labels)) == len(labels) and {"Bolaños et al., 2017", "Nadeau and Bengio, 2003", "Zhou, 2019"} <= set(labels)
    assert [label for label in labels if label.startswith("Nakayama")] == ["Nakayama et al., 2024a", "Nakayama et al., 2024b"]
