"""A page writes and reads result tables, and says which sets it shows and how to run it again."""

import json

import pandas as pd
import pytest
from conftest import ROOT

from helpers import page as page_module
from helpers.page import NOT_SHOWN, Page, number, optional, papermill_command, parameters_fingerprint, text

SPEC = {"lam": number(), **dict.fromkeys(("store", "made_with", "results"), optional(text()))}
GIVEN = {"lam": 0.5, "store": None, "made_with": None, "results": None}


def page(name: str, results, **values) -> Page:
    return Page(name, GIVEN | {"results": str(results)} | values, SPEC)


@pytest.fixture
def said(monkeypatch) -> list[str]:
    """Return what pages show, as it grows."""
    shown: list[str] = []
    monkeypatch.setattr(page_module, "display", lambda content: shown.append(getattr(content, "data", "")))
    return shown


def test_a_table_made_with_other_parameters_than_the_books_is_refused(tmp_path):
    table = pd.DataFrame({"x": [1.5]})
    wanted = json.dumps({"maker": parameters_fingerprint(GIVEN | {"lam": "1e-05", "results": "elsewhere"})})
    reader = page("reader", tmp_path, made_with=wanted)
    page("maker", tmp_path, lam="1e-05").save_table(table, "t")  # as YAML passes it on
    pd.testing.assert_frame_equal(reader.read_table("t", "maker"), table)
    page("maker", tmp_path, lam=0.7).save_table(table, "t")
    with pytest.raises(ValueError, match="other parameters than the book's"):
        reader.read_table("t", "maker")
    assert len(page("reader", tmp_path).read_table("t", "maker")) == 1


def test_a_missing_or_damaged_table_names_the_notebook_to_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="t.parquet is missing; run notebooks/maker.ipynb"):
        page("reader", tmp_path).read_table("t", "maker")
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="is damaged; run notebooks/maker.ipynb"):
        page("reader", tmp_path).read_table("t", "maker")


def test_a_page_of_the_book_writes_only_the_tables_that_it_declares(tmp_path):
    with pytest.raises(ValueError, match="does not declare that 01_cone_effect writes the table 'other'"):
        page("01_cone_effect", tmp_path).save_table(pd.DataFrame(), "other")
    page("01_cone_effect", tmp_path).save_table(pd.DataFrame({"x": [1]}), "cone_effect")


def test_a_run_by_hand_writes_into_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Page("maker", dict(GIVEN), SPEC).results.resolve() == tmp_path / "results"


def test_a_page_says_which_sets_are_not_part_of_the_run(tmp_path, said):
    (tmp_path / NOT_SHOWN).write_text(json.dumps({"brset/clean/clip": "no folder brset", "brset/authors/clip": "no folder brset"}))
    page("any", tmp_path, store=str(tmp_path)).describe_sets([])
    assert any("brset/authors/clip, brset/clean/clip: no folder brset" in line for line in said)
    assert any("No embeddings of HAM10000 (clean) under" in line for line in said)


def test_the_footer_repeats_the_page_with_what_differs_from_its_defaults(tmp_path, said):
    page("09_data", tmp_path, lam=2).show_footer()
    assert "papermill notebooks/09_data.ipynb out.ipynb -p lam 2" in said[-1] and "results" not in said[-1].split("```")[1]
    assert "commit" in said[-1] and "Run time" in said[-1] and (ROOT / "notebooks/09_data.ipynb").is_file()


def test_a_command_quotes_what_a_shell_would_take_apart():
    command = papermill_command("p", {"a": ["x y"], "b": "$(touch X)", "c": 1}, {"c": 1})
    assert command == """papermill notebooks/p.ipynb out.ipynb -p a '["x y"]' -p b '$(touch X)'"""
