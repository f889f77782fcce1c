"""What the workflow knows: its configuration, the sets it shows, and the tables that notebooks write and read."""

import json
import shutil

import pandas as pd
import pytest
import yaml
from conftest import ROOT

from helpers.book import workflow
from helpers.page import NOT_SHOWN, Page, number, optional, text

DEMO = yaml.safe_load((ROOT / "config/demo.yml").read_text())


def notebook(path, *cells):
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]}))
    return path


@pytest.mark.parametrize("name", ["demo", "paper"])
def test_the_configurations_are_accepted(name):
    config = yaml.safe_load((ROOT / f"config/{name}.yml").read_text())
    assert workflow.read_configuration(config, ROOT / "notebooks").store == config["store"]


@pytest.mark.parametrize(
    ("change", "nearest"),
    [
        ({"stor": "x"}, "store"),
        ({"datasets": ["ham1000"]}, "ham10000"),
        ({"notebooks": {"01_cone": {}}}, "01_cone_effect"),
        ({"notebooks": {"01_cone_effect": {"n_bot": 1}}}, "n_boot"),
    ],
)
def test_an_unknown_name_in_the_configuration_is_refused_with_the_nearest(change, nearest):
    with pytest.raises(ValueError, match=f"did you mean '{nearest}'"):
        workflow.read_configuration(DEMO | change, ROOT / "notebooks")


@pytest.mark.parametrize(
    "change", [{"shards": 0}, {"variants": ["all"]}, {"store": "a{b}"}, {"backbones": ["$(touch X)"]}, {"datasets": "ham10000"}]
)
def test_a_bad_value_in_the_configuration_is_refused_in_one_sentence(change):
    with pytest.raises(ValueError, match=f"configuration '{next(iter(change))}") as refused:
        workflow.read_configuration(DEMO | change, ROOT / "notebooks")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["", "..", ".hidden", "a b", "a'b", 'a"b', "$(touch X)", "`x`", "<b>", "{x}", "a\nb", "a/b", "x" * 255, "-rf"]
)
def test_a_name_that_could_be_more_than_a_name_is_refused(name):
    with pytest.raises(ValueError, match="is not accepted"):
        workflow.check_name(name)


@pytest.mark.parametrize("name", ["ham10000", "lit-natural", "openai--clip", "Zoë", "v1.0+x", "_own"])
def test_ordinary_names_are_accepted(name):
    assert workflow.check_name(name) == name


def test_tables_are_those_that_the_code_writes_and_reads(tmp_path):
    path = notebook(
        tmp_path / "n.ipynb",
        'a = page.save_table(f(x), "one")\n',
        'page.save_table(\n    b,\n    "two",\n); page.read_table("three", "m")',
    )
    assert workflow.tables_written(path) == ["one", "two"] and workflow.tables_read(path) == ["three"]
    with pytest.raises(ValueError, match="computed name"):
        workflow.tables_written(notebook(tmp_path / "n.ipynb", 'page.save_table(a, f"{x}")'))


def test_no_table_is_written_by_two_notebooks_and_every_table_read_is_written():
    names = [workflow.tables_written(path) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    flat = [name for tables in names for name in tables]
    assert len(flat) == len(set(flat)) > 20 and {"narrow_subsets", "lambda_summary", "worth_it_channels"} <= set(flat)
    assert {n for path in (ROOT / "notebooks").glob("*.ipynb") for n in workflow.tables_read(path)} <= set(flat)


def test_a_faulty_set_is_named_and_excluded_and_the_others_are_shown(store, tmp_path):
    shutil.copytree(store, tmp_path / "store")
    shutil.copytree(tmp_path / "store/ham10000/clean/lit-derm", tmp_path / "store/ham10000/clean/$(touch X)")
    shutil.copytree(tmp_path / "store/ham10000/clean/lit-derm", tmp_path / "store/ham10000/clean/other")
    pairs = tmp_path / "store/ham10000/authors/lit-derm/pairs.parquet"
    pd.read_parquet(pairs).assign(split="train").to_parquet(pairs)
    configuration = workflow.read_configuration(DEMO | {"store": str(tmp_path / "store")}, ROOT / "notebooks")
    shown, excluded = workflow.shown_sets(configuration)
    assert set(excluded) == {"ham10000/clean/$(touch X)", "ham10000/clean/other", "ham10000/authors/lit-derm"}
    assert "no test rows" in excluded["ham10000/authors/lit-derm"]
    assert "cannot name a folder" in excluded["ham10000/clean/$(touch X)"]
    links = tmp_path / "links"
    assert workflow.shown_store(configuration, shown, excluded, links) == str(links)
    assert {p.relative_to(links).parts for p in links.glob("*/*/*")} == set(shown) and len(shown) == 5
    assert json.loads((links / NOT_SHOWN).read_text()) == excluded
    assert workflow.shown_store(configuration, shown, {}, links) == str(tmp_path / "store")
    before = links.stat().st_mtime_ns
    assert workflow.shown_store(configuration, [], excluded, links, write=False) == str(links)
    assert links.stat().st_mtime_ns == before


def test_a_page_says_which_sets_are_not_part_of_the_run(tmp_path, monkeypatch):
    (tmp_path / NOT_SHOWN).write_text(json.dumps({"brset/clean/clip": "no folder brset", "brset/authors/clip": "no folder brset"}))
    shown = []
    monkeypatch.setattr(Page, "show_text", lambda self, sentence, /, **values: shown.append(sentence.format(**values)))
    cells = ["store = None\nresults = None", f"store = {str(tmp_path)!r}\nresults = {str(tmp_path)!r}"]
    values: dict = {}
    for cell in cells:
        exec(cell, values)
    Page("page", {**values, "In": ["", *cells]}, {"store": optional(text()), "results": optional(text())}).describe_sets([])
    assert any("brset/authors/clip, brset/clean/clip: no folder brset" in line for line in shown)


def test_what_cannot_be_made_here_is_named_with_its_reason(tmp_path, monkeypatch):
    (tmp_path / "ham10000").mkdir()
    asked = {"store": str(tmp_path / "store"), "data_root": str(tmp_path), "datasets": ["ham10000", "brset", "easy_vqa"]}
    asked |= {"variants": ["clean"], "backbones": ["lit-natural", "clip"], "sweep": {}}
    configuration = workflow.read_configuration(asked, ROOT / "notebooks")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    skipped = workflow.unreachable(configuration)
    assert set(skipped) == {"brset/clean/lit-natural", "brset/clean/clip"} and all("physionet" in why for why in skipped.values())
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(workflow, "try_to_load_from_cache", lambda *_: None)
    assert {"ham10000/clean/clip", "easy_vqa/common/clip"} <= set(workflow.unreachable(configuration))
    with pytest.raises(ValueError, match="strict: 4 sets cannot be made"):
        workflow.unreachable(configuration.model_copy(update={"strict": True}))
    with pytest.raises(ValueError, match="none of the 1 sets"):
        workflow.without_skipped([("a", "b", "c")], {"a/b/c": "no folder"})


def executed(count=1, outputs=()):
    return json.dumps({"cells": [{"cell_type": "code", "execution_count": count, "outputs": list(outputs)}]})


def test_a_damaged_executed_notebook_is_removed_and_a_whole_one_stays(tmp_path):
    whole, cut, unfinished, failed = (tmp_path / f"{name}.ipynb" for name in ("whole", "cut", "unfinished", "failed"))
    whole.write_text(executed())
    cut.write_text(executed()[:-5])
    unfinished.write_text(executed(None))
    failed.write_text(executed(1, [{"output_type": "error"}]))
    assert workflow.remove_damaged(tmp_path) == ["cut.ipynb", "failed.ipynb", "unfinished.ipynb"]
    assert [p.name for p in tmp_path.iterdir()] == ["whole.ipynb"]


CELL = "lam = 0.5\nmade_with = None\nresults = None"
SPEC = {"lam": number(), "made_with": optional(text()), "results": optional(text())}


def page(name, results, **injected):
    cells = [CELL, "# Parameters\n" + "\n".join(f"{k} = {v!r}" for k, v in ({"results": str(results)} | injected).items())]
    values: dict = {}
    for cell in cells:
        exec(cell, values)
    return Page(name, {**values, "In": ["", *cells]}, SPEC)


def test_a_table_made_with_other_parameters_than_the_books_is_refused(tmp_path):
    table = pd.DataFrame({"x": [1.5]})
    maker = notebook(tmp_path / "maker.ipynb", CELL)
    wanted = json.dumps({"maker": workflow.run_fingerprint(maker, {"lam": 1e-05, "results": "elsewhere"})})
    reader = page("reader", tmp_path, made_with=wanted)
    page("maker", tmp_path, lam="1e-05").save_table(table, "t")  # as YAML passes it on
    pd.testing.assert_frame_equal(reader.read_table("t", "maker"), table)
    page("maker", tmp_path, lam=0.7).save_table(table, "t")
    with pytest.raises(ValueError, match="other parameters than the book's"):
        reader.read_table("t", "maker")
    assert len(page("reader", tmp_path).read_table("t", "maker")) == 1
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="is damaged"):
        reader.read_table("t", "maker")


def test_a_run_by_hand_writes_into_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert page("maker", "results").results.resolve() == tmp_path / "results" != (ROOT / workflow.TABLES)
