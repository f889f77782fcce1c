"""A cached sweep is used while it is intact and its embeddings, settings and engine are the same."""

import os
import shutil

import pandas as pd
import pytest
from samples import embedding_set

from helpers.probing import cache
from helpers.probing.cache import (
    cached_or_new,
    cached_sweeps,
    is_up_to_date,
    load_cached,
    run_once,
    run_sweep,
    stored_or_run,
    sweep_folder,
)
from helpers.probing.protocol import Grid
from helpers.probing.result import Caution
from helpers.probing.sweep import sweep
from helpers.store.catalogue import Identity

ARGUMENTS = Grid(lambdas=[0, 1], seeds=[1], features=["joint"]).arguments("lambda")
EMBEDDINGS = embedding_set()
OWN = Identity("sample", "common", "normal")


@pytest.fixture
def cached(tmp_path):
    folder = sweep_folder(OWN, "converged", "lambda", tmp_path)
    run_sweep(EMBEDDINGS, "converged", ARGUMENTS, folder)
    return folder


def test_an_intact_sweep_is_up_to_date_and_touched_for_the_workflow(cached, tmp_path):
    again = cached_or_new(EMBEDDINGS, "converged", "lambda", ARGUMENTS, tmp_path)
    pd.testing.assert_frame_equal(again.table, load_cached(cached).table)
    record, content = cached / "settings.json", (cached / "settings.json").read_bytes()
    os.utime(record, (0, 0))
    _, done = stored_or_run(EMBEDDINGS, "converged", "lambda", ARGUMENTS, tmp_path)
    assert done == f"up to date: {cached}" and record.stat().st_mtime > 0 and record.read_bytes() == content
    with pytest.raises(ValueError, match="is stale: made from embeddings"):
        stored_or_run(embedding_set(seed=1), "converged", "lambda", ARGUMENTS, tmp_path)


def test_other_settings_are_run_and_stored_and_all_protocols_are_found(cached, tmp_path):
    other = ARGUMENTS | {"lambdas": [0.0, 0.5]}
    for protocol in ("converged", "paper"):
        folder = sweep_folder(OWN, protocol, "lambda", tmp_path)
        replaced = ", in place of another" if protocol == "converged" else ""
        assert stored_or_run(EMBEDDINGS, protocol, "lambda", other, tmp_path, 1)[1] == f"stored: {folder}{replaced}"
    found = cached_sweeps(EMBEDDINGS.identity, tmp_path)
    assert [result.provenance["protocol"] for result in found] == ["paper", "converged"]
    assert all(result.runs["lambda_image"].max() == 0.5 for result in found)


def test_a_run_by_hand_trains_once_and_keeps_sweeps_of_other_settings_and_embeddings(tmp_path, monkeypatch):
    trained: list[str] = []

    def counted(embeddings, **given):
        trained.append(embeddings.fingerprint)
        return sweep(embeddings, **given)

    monkeypatch.setattr(cache, "sweep", counted)
    other, shifted = embedding_set(seed=1), ARGUMENTS | {"lambdas": [0.0, 0.5]}
    for embeddings, arguments in ((EMBEDDINGS, ARGUMENTS), (EMBEDDINGS, shifted), (other, ARGUMENTS)):
        first = run_once(embeddings, "converged", "lambda", arguments, tmp_path)
        pd.testing.assert_frame_equal(run_once(embeddings, "converged", "lambda", arguments, tmp_path).table, first.table)
    assert trained == [EMBEDDINGS.fingerprint, EMBEDDINGS.fingerprint, other.fingerprint]
    cached_or_new(EMBEDDINGS, "converged", "lambda", ARGUMENTS, tmp_path / "none", tmp_path)
    assert len(trained) == len(list(tmp_path.glob("*/sample/common/normal/converged/lambda/settings.json"))) == 3
    run_once(EMBEDDINGS, "converged", "lambda", ARGUMENTS, None)
    assert len(trained) == 4


@pytest.mark.parametrize("text", [None, "", "[]", '{"format": 2}', "[" * 100_000])
def test_a_damaged_sweep_is_made_again_by_the_command_and_refused_by_readers(cached, tmp_path, text):
    if text is None:
        pd.read_parquet(cached / "table.parquet").assign(value=0.999).to_parquet(cached / "table.parquet", index=False)
    else:
        (cached / "settings.json").write_text(text)
    assert not is_up_to_date(cached, EMBEDDINGS, ARGUMENTS)
    for read in (lambda: load_cached(cached), lambda: cached_or_new(EMBEDDINGS, "converged", "lambda", ARGUMENTS, tmp_path)):
        with pytest.raises(ValueError, match=r"(is damaged|was stored in an older) .* `python -m helpers sweep sample normal"):
            read()


def test_a_sweep_under_another_name_is_refused_and_so_are_names_that_leave_the_folder(cached, tmp_path):
    other = sweep_folder(Identity("sample", "common", "other"), "converged", "lambda", tmp_path)
    shutil.copytree(cached, other)
    with pytest.raises(ValueError, match="holds the sweep of sample/common/normal/converged/lambda"):
        load_cached(other)
    with pytest.raises(ValueError, match="cannot name a folder"):
        sweep_folder(Identity("../../escaped", "common", "normal"), "converged", "lambda")


def test_a_cached_sweep_warns_again(tmp_path):
    few = embedding_set(n=40)
    for done in ("stored", "up to date"):
        with pytest.warns(Caution, match="classes have fewer than 5 validation rows"):
            assert stored_or_run(few, "paper", "lambda", ARGUMENTS, tmp_path)[1].startswith(done)
