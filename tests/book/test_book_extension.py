"""What the book asks of Sphinx: known settings, its own mathematics, template buttons, and a policy that no article can widen."""

import base64
import hashlib
import re
from types import SimpleNamespace

import book_extension
import pytest
import yaml
from book_extension import content_policy, link_figures, with_policy
from conftest import ROOT
from sphinx.errors import ConfigError, ExtensionError

PAGE = """<html><head><meta charset="utf-8" /><script>let a = 1;</script><script src="x.js"></script></head>
<button onclick="show(&quot;a&quot;)">b</button><article><p>text</p>{content}</article><script>let b = 2;</script></html>"""


def source(code: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


def script_sources(page: str) -> list[str]:
    return re.search(r"script-src ([^;]+)", content_policy(page))[1].split()


def test_scripts_and_handlers_of_the_theme_are_allowed_by_their_hashes():
    expected = {"'self'", "'unsafe-hashes'", source("let a = 1;"), source("let b = 2;"), source('show("a")')}
    assert set(script_sources(PAGE.format(content=""))) == expected


def test_what_stands_in_the_article_is_not_allowed_and_the_policy_is_written_once():
    plain = PAGE.format(content="")
    attacks = [
        "<script>run()</script>",
        "<img src=x onerror=run()>",
        '<b onclick="run()">x</b>',
        "</article><script>run()</script>",
    ]
    assert all(script_sources(PAGE.format(content=attack)) == script_sources(plain) for attack in attacks)
    once = with_policy(plain)
    assert with_policy(once) == once and once.index("Content-Security-Policy") < once.index("<script")


def test_figures_become_links_and_linked_or_other_images_stay():
    figure = '<img alt="a" src="../_images/a.png" />'
    assert link_figures(f"<p>{figure}</p>") == f'<p><a class="figure-link" href="../_images/a.png">{figure}</a></p>'
    for untouched in (f'<a href="x">{figure}</a>', '<img src="../_static/logo.svg">'):
        assert link_figures(untouched) == untouched


def test_configuration_has_known_keys_only(tmp_path):
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    assert book_extension.unknown_settings(config) == []
    config["html"] |= {"favcon": "x"}
    assert book_extension.unknown_settings(config | {"titel": "x"}) == ["titel", "html.favcon"]
    (tmp_path / "_config.yml").write_text("titel: x")
    with pytest.raises(ConfigError, match="sets titel, which Jupyter Book does not know"):
        book_extension._refuse_unknown_settings(SimpleNamespace(srcdir=tmp_path), None)


def test_launch_buttons_open_the_template_and_scripts_of_another_host_are_left_out():
    buttons = [
        {"url": "https://mybinder.org/v2/gh/o/r/main?urlpath=lab/tree/book/executed/a.ipynb"},
        {"buttons": ["../../_sources/book/executed/a.ipynb"]},
    ]
    announced = SimpleNamespace(attributes={"body": 'const THEBE_JS_URL = "https://unpkg.com/x"'})
    context = {"header_buttons": buttons, "script_files": ["_static/sphinx-thebe.js", announced, "_static/book.js"]}
    book_extension._change_page(None, "book/executed/a", "page.html", context, None)
    assert context["header_buttons"][0]["url"].endswith("lab/tree/notebooks/a.ipynb")
    assert context["header_buttons"][1] == {"buttons": ["../../_sources/book/executed/a.ipynb"]}
    assert context["script_files"] == ["_static/book.js"]


def test_a_page_of_the_contents_that_was_not_built_is_named(tmp_path):
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: intro\nchapters:\n- file: absent")
    (tmp_path / "intro.html").write_text("")
    app = SimpleNamespace(srcdir=tmp_path, outdir=tmp_path, builder=SimpleNamespace(format="html"))
    with pytest.raises(ExtensionError, match="^absent is in _toc.yml but was not built"):
        book_extension._finish(app, None)
