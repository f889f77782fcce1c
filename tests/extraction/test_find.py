"""Embedding sets are found and chosen by name, and an error explains a missing one."""

import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from helpers.extraction.find import embeddings_for, in_both_variants, select
from helpers.store.catalogue import SHIPPED_SETS, shipped_but_not_stored, stored


def test_stored_sets_are_found_by_name_whatever_the_working_directory_natural_data_first(store, tmp_path, monkeypatch):
    found = stored(store)
    assert set(found[["dataset", "variant", "backbone"]].itertuples(index=False, name=None)) == set(SHIPPED_SETS)
    monkeypatch.chdir(tmp_path)
    embeddings = embeddings_for("ham10000", "lit-derm", "authors", store)
    assert embeddings.provenance["variant"] == "authors" and embeddings.provenance["backbone"] == "lit-derm"
    assert embeddings_for("flickr8k", "lit-derm", "clean", store).provenance["variant"] == "common"  # its only one
    names = [f"{s.provenance['dataset']} {s.provenance['backbone']}" for s in select(store=store)]
    assert names == ["flickr8k lit-natural", "flickr8k lit-derm", "ham10000 lit-natural", "ham10000 lit-derm"]
    assert {s.provenance["dataset"] for s in select(backbones=["lit-derm"], store=store)} == {"flickr8k", "ham10000"}


@pytest.mark.parametrize(
    ("find", "error", "message"),
    [
        (partial(embeddings_for, "ham1000", "lit-derm"), ValueError, "did you mean 'ham10000'"),
        (partial(embeddings_for, "ham10000", "lit-derm", "cleaned"), ValueError, "did you mean 'clean'"),
        (partial(embeddings_for, "ham10000", "clip"), FileNotFoundError, r"clean/lit-derm.*extract ham10000 --backbone clip"),
        (partial(embeddings_for, "ham10000", "clip", data_root="nowhere"), FileNotFoundError, "data root nowhere does not exist"),
        (partial(select, ["ham1000"]), ValueError, "did you mean 'ham10000'"),
        (partial(select, ["brset"]), FileNotFoundError, "nothing stored.*extract brset --backbone ENCODER"),
        (partial(select, backbones=["lit-dermm"]), ValueError, "did you mean 'lit-derm'"),
    ],
)
def test_a_missing_set_is_explained(store, tmp_path, find, error, message):
    with pytest.raises(error, match=message):
        find(store=store)
    with pytest.raises(FileNotFoundError, match="no embeddings of variant 'clean'.*python -m helpers extract"):
        select(store=tmp_path)


def test_a_selection_does_without_pairs_of_which_there_are_results(store, tmp_path):
    def named(*arguments, at=store, **excluded):
        return [f"{s.provenance['dataset']} {s.provenance['backbone']}" for s in select(*arguments, store=at, **excluded)]

    results = {"excluded": [("ham10000", "openai/clip"), ("brset", "clip"), ("mine", "clip")]}
    assert named(["ham10000"], ["openai/clip", "lit-derm"], **results) == ["ham10000 lit-derm"]
    assert named(["brset", "mine", "ham10000"], **results) == ["ham10000 lit-natural", "ham10000 lit-derm"]
    assert named(["brset"], ["clip"], **results) == named(at=tmp_path, **results) == named([], ["openai/clip"], **results) == []
    with pytest.raises(FileNotFoundError, match="extract brset --backbone lit-derm"):
        named(["brset"], ["clip", "lit-derm"], **results)


def test_own_data_set_that_the_registry_does_not_know(store, tmp_path):
    own = replace(embeddings_for("ham10000", "lit-derm", "clean", store), provenance={"backbone": "my/encoder"})
    own.save(tmp_path / "mine" / "v1" / "my--encoder")
    found = embeddings_for("mine", "my/encoder", "clean", tmp_path)
    assert found.identity.columns == {"dataset": "mine", "variant": "v1", "backbone": "my/encoder"}
    assert len(found) == 240 and len(select(store=tmp_path)) == 1


def test_pairs_of_variants_need_both(store, tmp_path, monkeypatch):
    assert [[s.identity.variant for s in pair] for pair in in_both_variants(store=store)] == [["authors", "clean"]] * 2
    assert [a.identity.backbone for a, _ in in_both_variants([], ["lit-derm"], store)] == ["lit-derm"]
    shutil.copytree(store / "ham10000/clean", tmp_path / "ham10000/clean")
    assert in_both_variants(store=tmp_path) == [] == shipped_but_not_stored("authors", store)
    assert set(shipped_but_not_stored("authors", tmp_path)) == {s for s in SHIPPED_SETS if s[1] != "clean"}
    with pytest.raises(ValueError, match="none of flickr8k is stored in the variants"):
        in_both_variants(["flickr8k"], store=store)
    monkeypatch.setattr("helpers.extraction.find.embeddings_for", lambda d, b, v, **_: f"{d} {b} {v}")
    extracted = in_both_variants(["ham10000", "flickr8k"], ["openai/clip"], store, data_root="raw")  # flickr8k has one variant
    assert extracted == [("ham10000 openai/clip authors", "ham10000 openai/clip clean")]


@pytest.mark.parametrize("fault", ["name", "cut", "record", "pipe", "folder", "link to itself"])
def test_a_faulty_set_that_nobody_named_is_excluded_with_a_warning_and_one_that_is_named_stops(store, tmp_path, fault):
    for variant in ("authors", "clean"):
        shutil.copytree(store / "ham10000" / variant, tmp_path / "ham10000" / variant)
        folder = tmp_path / "mine" / variant / ("bad name" if fault == "name" else "other")
        shutil.copytree(store / "ham10000" / variant / "lit-derm", folder)
        made = replace(embeddings_for("ham10000", "lit-derm", variant, store), provenance={}).save(folder)
        damaged = made / {"cut": "text.safetensors", "record": "provenance.json"}.get(fault, "pairs.parquet")
        if fault in ("cut", "record"):
            damaged.write_bytes(damaged.read_bytes()[:-9])
        elif fault != "name":
            damaged.unlink()
            {"pipe": os.mkfifo, "folder": Path.mkdir}.get(fault, lambda path: path.symlink_to(path))(damaged)
    for find in (select, in_both_variants):
        with pytest.warns(UserWarning, match="excluded: .*mine"):
            assert len(find(store=tmp_path)) == 2
        with pytest.raises((ValueError, OSError), match="mine"):
            find(["mine"], store=tmp_path)
