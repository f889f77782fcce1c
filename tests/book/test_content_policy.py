"""The policy of a page allows the scripts of the theme and no script of the article."""

import base64
import hashlib
import re

import pytest

from helpers.book.content_policy import content_policy, with_policy
from helpers.book.sphinx_hooks import link_figures

PAGE = """<html><head><meta charset="utf-8" /><script>let a = 1;</script><script src="x.js"></script></head>
<button onclick="show(&quot;a&quot;)">b</button><article><p>text</p>{content}</article><script>let b = 2;</script></html>"""


def source(code: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


def script_sources(page: str) -> list[str]:
    return re.search(r"script-src ([^;]+)", content_policy(page))[1].split()


def test_scripts_and_handlers_of_the_theme_are_allowed_by_their_hashes():
    expected = {"'self'", "'unsafe-hashes'", source("let a = 1;"), source("let b = 2;"), source('show("a")')}
    assert set(script_sources(PAGE.format(content=""))) == expected


@pytest.mark.parametrize(
    "content",
    ["<script>run()</script>", "<img src=x onerror=run()>", '<b onclick="run()">x</b>', "</article><script>run()</script>"],
)
def test_what_stands_in_the_article_is_not_allowed(content):
    assert script_sources(PAGE.format(content=content)) == script_sources(PAGE.format(content=""))


def test_writing_the_policy_twice_changes_nothing():
    once = with_policy(PAGE.format(content=""))
    assert with_policy(once) == once and once.index("Content-Security-Policy") < once.index("<script")


def test_a_page_without_a_character_set_is_refused():
    with pytest.raises(ValueError, match="character set"):
        with_policy("<html></html>")


def test_figures_become_links_and_linked_or_other_images_stay():
    figure = '<img alt="a" src="../_images/a.png" />'
    assert link_figures(f"<p>{figure}</p>") == f'<p><a class="figure-link" href="../_images/a.png">{figure}</a></p>'
    for untouched in (f'<a href="x">{figure}</a>', '<img src="../_static/logo.svg">'):
        assert link_figures(untouched) == untouched
