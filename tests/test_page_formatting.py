"""Sentences and tables of the book format and escape their values, and a name only appears."""

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from helpers.page import code, fill, format_table

HOSTILE = [
    "a b", "it's", 'say "x"', "$(touch X)", "`touch X`", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "{0}",
    "{name.__class__}",
    "{{ x }}", "{eq}`x`", "two\nlines", "../up", "Zoë ✓", "| a | b |",
    "$x$", "[a](javascript:alert(1))", "\\", "# head", "*", "x" * 255,
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("sentence", ["{name} has {n:,} pairs.", "`{name}` has {n:,} pairs.", "{name}"])
def test_a_name_in_a_sentence_is_shown_and_does_nothing(name, sentence):
    html = MarkdownIt("commonmark", {"html": True}).render(fill(sentence, name=name, n=1200))
    assert not any(tag in html for tag in ("<script", "<img", "<a ", "<h1", "<hr"))
    assert html.count("<p>") == 1
    if "`" not in sentence:
        inline = MarkdownIt().parse(fill(sentence, name=name, n=1200))[1]
        assert "".join(token.content for token in inline.children).startswith(" ".join(name.split()))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_value_shown_as_code_is_code_and_nothing_else(name):
    inline = MarkdownIt().parse(f"Parameters: {code(name)}; more")[1].children
    assert [token.type for token in inline] == ["text", "code_inline", "text"]
    assert inline[1].content == " ".join(name.split())


def test_numbers_are_formatted():
    assert fill("{x:+.3f} of {n:,} ({share:.0%})", x=0.12345, n=1200, share=0.5) == "+0.123 of 1,200 (50%)"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_in_a_table_is_shown_and_does_nothing(name):
    html = format_table(pd.DataFrame({"dataset": [name], "x": [0.1234], name: [1]}), x="{:.1f}").to_html()
    assert "<script" not in html and "<img" not in html and ">0.1<" in html


def test_a_printed_table_has_headings_in_words_and_dashes():
    html = format_table(pd.DataFrame({"dataset": ["ham10000"], "p_value": [None], "rows": [1200]}), thousands=",").to_html()
    assert all(f">{cell}<" in html for cell in ("data set", "HAM10000", "p", "–", "1,200"))


def test_the_ends_of_an_interval_share_a_column():
    table = pd.DataFrame({"difference": [0.1, 0.2], "low": [-0.05, None], "high": [0.25, None], "rows": [3, 4]})
    html = format_table(table, precision=2).to_html()
    assert ">-0.05 to 0.25<" in html and ">95 % interval<" in html and ">low<" not in html and ">–<" in html


def test_a_markdown_table_has_a_cell_per_value_and_escapes_bars():
    lines = markdown_table(pd.DataFrame({"a": ["x|y", None], "b": [0.12345, 2.0]}), {"b": ".2f"}).splitlines()
    rows = [[cell.strip() for cell in line.replace("\\|", "¦").strip("|").split("|")] for line in lines]
    assert [rows[0], *rows[2:]] == [["a", "b"], ["x¦y", "0.12"], ["", "2.00"]]
