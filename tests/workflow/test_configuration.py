"""What the workflow decides before any step: its configuration, the sets it shows, and what it makes again."""

import json
import shutil

import configuration
import declarations as declared
import pandas as pd
import pytest
import yaml
from conftest import ROOT

from helpers.page import NOT_SHOWN
from helpers.store.disk import write_record

DEMO = yaml.safe_load((ROOT / "config/demo.yml").read_text())
SETTABLE = {name: page.settable for name, page in declared.read_pages(ROOT / "notebooks").items()}


def read(change: dict) -> configuration.Configuration:
    return configuration.read_configuration(DEMO | change, SETTABLE)


@pytest.mark.parametrize("name", ["demo", "paper"])
def test_the_configurations_are_accepted_and_have_every_key_once(name):
    path = ROOT / f"config/{name}.yml"
    assert configuration.read_configuration(yaml.safe_load(path.read_text()), SETTABLE)
    configuration.refuse_duplicate_keys([path])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stor": "x"}, "did you mean 'store'"),
        ({"datasets": ["ham1000"]}, "did you mean 'ham10000'"),
        ({"notebooks": {"01_cone": {}}}, "did you mean '01_cone_effect'"),
        ({"notebooks": {"01_cone_effect": {"n_bot": 1}}}, "did you mean 'n_boot'"),
        ({"shards": 0}, "configuration 'shards"),
        ({"variants": ["all"]}, "configuration 'variants"),
        ({"store": "a{b}"}, "configuration 'store"),
        ({"backbones": ["$(touch X)"]}, "configuration 'backbones"),
        ({"datasets": "ham10000"}, "configuration 'datasets"),
        ({"sweep": {"threads": -3}}, "configuration 'sweep.threads': got -3"),
        ({"sweep": {"threads": "$(x)"}}, "configuration 'sweep.threads'"),
        ({"sweep": {"variant": "all"}}, "configuration .sweep.variant"),
        ({"sweep": {"lamdas": [1]}}, "did you mean 'lambdas'"),
        ({"sweep": {"seeds": [-1]}}, "setting 'seeds': -1"),
        ({"notebooks": {"01_cone_effect": {"n_boot": "$(x)"}}}, r"notebooks.01_cone_effect.n_boot': got '\$\(x\)', expected"),
        ({"notebooks": {"03_lambda_sweep": {"lambdas": [0, "a"]}}}, "notebooks.03_lambda_sweep.lambdas"),
        ({"notebooks": {"01_cone_effect": {"n_boot": True}}}, "notebooks.01_cone_effect.n_boot': got 'True'"),
        ({"notebooks": {"01_cone_effect": {"data_root": {"a": 1}}}}, "notebooks.01_cone_effect.data_root"),
        ({"notebooks": {"08_adapt": {"table": {}}}}, "notebooks.08_adapt.table"),
        ({"shards": True}, "configuration 'shards': got True"),
        ({"strict": "no"}, "configuration 'strict': got 'no'"),
    ],
)
def test_an_unknown_name_and_a_bad_value_in_the_configuration_are_refused_in_one_sentence(change, said):
    with pytest.raises(ValueError, match=said) as refused:
        read(change)
    assert "\n" not in str(refused.value)


def test_values_that_a_page_takes_are_accepted():
    lambdas = {"03_lambda_sweep": {"lambdas": "0,0.5,1", "seeds": [1]}, "01_cone_effect": {"n_boot": "200", "data_root": None}}
    assert read({"notebooks": lambdas, "sweep": {"threads": 2, "variant": "authors", "seeds": [42]}}).sweep.threads == 2


@pytest.mark.parametrize(
    ("text", "line"), [("a: 1\nb: 2\na: 3\n", 3), ("b:\n  a: [1]\n  a: [2]\n", 3), ("x: {a: 1, a: 2}\n", 1), ("a: 1\n'a': 2\n", 2)]
)
def test_a_key_that_stands_twice_is_refused_with_its_line(tmp_path, text, line):
    (tmp_path / "c.yml").write_text(text)
    with pytest.raises(ValueError, match=rf"c.yml: the key 'a' stands twice \(line {line}\)"):
        configuration.refuse_duplicate_keys([tmp_path / "c.yml"])
    (tmp_path / "c.yml").write_text("~: 1\nnull: 2\n")  # two spellings of one key
    with pytest.raises(ValueError, match="the key 'None' stands twice"):
        configuration.refuse_duplicate_keys([tmp_path / "c.yml"])


def test_a_name_that_could_be_more_than_a_name_is_refused_and_ordinary_ones_are_not():
    for name in ("", "..", ".hidden", "a b", "a'b", "$(touch X)", "`x`", "<b>", "{x}", "a\nb", "a/b", "x" * 255, "-rf"):
        with pytest.raises(ValueError, match="is not accepted"):
            configuration.check_name(name)
    for name in ("ham10000", "lit-natural", "openai--clip", "Zoë", "v1.0+x", "_own"):
        assert configuration.check_name(name) == name


def test_a_faulty_set_is_named_and_excluded_and_the_others_are_shown(store, tmp_path):
    shutil.copytree(store, tmp_path / "store")
    shutil.copytree(tmp_path / "store/ham10000/clean/lit-derm", tmp_path / "store/ham10000/clean/$(touch X)")
    shutil.copytree(tmp_path / "store/ham10000/clean/lit-derm", tmp_path / "store/ham10000/clean/other")
    pairs = tmp_path / "store/ham10000/authors/lit-derm/pairs.parquet"
    pd.read_parquet(pairs).assign(split="train").to_parquet(pairs)
    shown, excluded = configuration.shown_sets(read({"store": str(tmp_path / "store")}))
    assert set(excluded) == {"ham10000/clean/$(touch X)", "ham10000/clean/other", "ham10000/authors/lit-derm"}
    assert "no test rows" in excluded["ham10000/authors/lit-derm"]
    links, source = tmp_path / "links", str(tmp_path / "store")
    assert configuration.shown_store(source, shown, excluded, True, links) == str(links)
    assert {p.relative_to(links).parts for p in links.glob("*/*/*")} == set(shown) and len(shown) == 5
    assert json.loads((links / NOT_SHOWN).read_text()) == excluded
    assert configuration.shown_store(source, shown, {}, True, links) == source
    assert configuration.shown_store(source, [], excluded, False, links) == str(links) and len([*links.glob("*/*/*")]) == 5
    assert configuration.shown_store(source, shown[:2], excluded, True, links) == str(links) and len([*links.glob("*/*/*")]) == 2
    assert len(configuration.shown_sets(read({"store": source}))[0]) == 5  # what the links led to is untouched


@pytest.mark.parametrize("mine", ["ham10000/notes.txt", "ham10000/clean/own/thesis.txt", NOT_SHOWN + ".bak", "."])
def test_a_folder_of_links_that_holds_something_else_is_left_and_named(mine, tmp_path):
    links, elsewhere = tmp_path / "links", tmp_path / "elsewhere"
    if mine == ".":
        elsewhere.mkdir()
        links.symlink_to(elsewhere)
        (elsewhere / "thesis.txt").write_text("irreplaceable")
    else:
        (links / mine).parent.mkdir(parents=True)
        (links / mine).write_text("irreplaceable")
    with pytest.raises(ValueError, match="is none of the links that the workflow keeps there"):
        configuration.shown_store(str(tmp_path), [], {"a/b/c": "why"}, True, links)
    assert [p.read_text() for p in tmp_path.rglob("*.*") if p.is_file()] == ["irreplaceable"]


def test_the_files_of_a_set_include_a_matrix_that_it_shares(monkeypatch):
    monkeypatch.chdir(ROOT)
    files = configuration.set_files("data/embeddings", "ham10000", "clean", "lit-derm")
    assert "data/embeddings/ham10000/authors/lit-derm/image.safetensors" in files and len(files) == 4
    assert configuration.set_files("nowhere", "a", "clean", "b/c") == ["nowhere/a/clean/b--c/provenance.json"]


def test_what_cannot_be_made_here_is_named_with_its_reason(tmp_path, monkeypatch):
    (tmp_path / "ham10000").mkdir()
    asked = {"store": str(tmp_path / "store"), "data_root": str(tmp_path), "datasets": ["ham10000", "brset", "easy_vqa"]}
    asked = read(asked | {"variants": ["clean"], "backbones": ["lit-natural", "clip"]})
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    skipped = configuration.unreachable(asked)
    assert set(skipped) == {"brset/clean/lit-natural", "brset/clean/clip"} and all("physionet" in why for why in skipped.values())
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(configuration, "try_to_load_from_cache", lambda *_: None)
    assert {"ham10000/clean/clip", "easy_vqa/common/clip"} <= set(configuration.unreachable(asked))
    with pytest.raises(ValueError, match="strict: 4 sets cannot be made"):
        configuration.unreachable(asked.model_copy(update={"strict": True}))
    with pytest.raises(ValueError, match="none of the 2 sets"):
        configuration.unreachable(asked.model_copy(update={"datasets": ["brset"]}))


def test_damaged_results_are_named_and_left_where_they_are(tmp_path):
    whole = '{"cells": [{"cell_type": "code", "execution_count": 1, "outputs": []}]}'
    notebooks = {"whole": whole, "cut": whole[:-5], "unfinished": whole.replace("1", "null")}
    notebooks["failed"] = whole.replace("[]", '[{"output_type": "error"}]')
    for name, content in notebooks.items():
        (tmp_path / f"{name}.ipynb").write_text(content)
    records = {}
    for name in ("sound", "old", "broken", "table-gone", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "table").write_text("1")
        record = tmp_path / name / "settings.json"
        write_record(record, {"format": 2, "settings": {"seeds": [1 + (name == "other")]}}, ["table"])
        records[str(record)] = {"seeds": [1]}
    (tmp_path / "old/settings.json").write_text('{"format": 1}')
    (tmp_path / "broken/settings.json").write_text('{"format": 2')
    (tmp_path / "table-gone/table").unlink()
    records[str(tmp_path / "absent/settings.json")] = {}
    found = configuration.damaged(tmp_path.glob("*.ipynb"), records)
    assert {path.stem for path in found if path.suffix == ".ipynb"} == {"cut", "failed", "unfinished"}
    assert {path.parent.name for path in found if path.suffix == ".json"} == {"old", "broken", "table-gone"}
    assert configuration.of_other_settings(records) == [str(tmp_path / "other/settings.json")]
    assert all(path.is_file() for path in found)
