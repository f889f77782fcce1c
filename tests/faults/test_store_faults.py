"""Stored files under attack: a result or one sentence, whatever the bytes; a kill loses nothing; names are names."""

import json
import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import resealed
from attacks import FILE, STORED, TARGETS, a_sweep, flip_is_found, fresh, is_read_whole, record_of
from damage import few, many, one_sentence, small
from hypothesis import given
from hypothesis import strategies as st
from kills import KILLED

from helpers import EmbeddingSet
from helpers.cli import main
from helpers.extraction.find import embeddings_for
from helpers.files import LOCK, UNFINISHED, sha256
from helpers.probing.cache import load_cached
from helpers.schemas import UnusableRecord
from helpers.store import folder_name, stored
from helpers.store.disk import PROVENANCE, write_record

HOSTILE = ["a b", "a'b", "$(touch X)", "`touch X`", "<script>", "{x}", "a\nb", "..", ".hidden", "-x", "x" * 255, "é", "", "a\\b"]
SIZES = [pytest.param(few, id="few"), pytest.param(many, id="many", marks=pytest.mark.heavy)]
KILLS = {"a save": 5, "an extraction": 13, "a sweep": 9}  # which changes of the file system a quick run is killed before


@pytest.mark.parametrize("step", [pytest.param(None, id="some"), pytest.param(1, id="every", marks=pytest.mark.heavy)])
@pytest.mark.parametrize("work", KILLED)
def test_after_a_kill_the_old_or_the_new_is_there_and_a_second_run_ends_with_the_same_bytes(work, step, tmp_path):
    assert KILLED[work](tmp_path, step or KILLS[work]) >= 2 * KILLS[work]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("target", TARGETS)
def test_damaged_files_are_named(target, size):
    attack, *arguments = TARGETS[target]
    size(given(st.tuples(*arguments))(lambda values: attack(*values)))()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("what", STORED)
def test_a_flipped_bit_of_a_stored_file_is_found(what, size):
    assert is_read_whole(what)

    @size
    @given(FILE, st.integers(0, 10**6))
    def attack(file, bit):
        assert flip_is_found(what, file, bit)

    attack()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("image", "../../../../x/image.safetensors"),
        ("image", "/x/image.safetensors"),
        ("image", "../a/../../../../image.safetensors"),
        ("image", "x"),
        ("text", "../a/image.safetensors"),  # only images are shared between sets
        *(("two\nlines", ""), ("a\x85b\u2028c", ""), ("k" * 5000, ""), ("", "")),
    ],
)
def test_a_record_cannot_name_other_files_or_files_outside_its_store(name, path, tmp_path):
    folder = small().save(tmp_path / "d" / "v" / "b")
    record = record_of(folder)
    record["files"].setdefault(name, {})["path"] = path
    write_record(folder / PROVENANCE, record)
    with pytest.raises(ValueError, match=f"path of {name} leaves the set" if path else "files must be image, text, pairs") as error:
        EmbeddingSet.load(folder)
    one_sentence(error.value, str(folder))


@pytest.mark.parametrize(
    ("column", "value", "must"),
    [
        ("image", 0.0, "integer"),
        ("text", None, "integer"),
        ("group", 1.5, "string"),
        ("split", None, "string"),
    ],
)
def test_a_column_of_another_type_or_with_a_missing_value_is_named(column, value, must, tmp_path):
    folder = small().save(tmp_path / "d" / "v" / "b")
    pairs = pd.read_parquet(folder / "pairs.parquet")
    pairs[column] = pairs[column].where(pairs.index > 0) if value is None else value
    pairs.to_parquet(folder / "pairs.parquet")
    record = record_of(folder)
    record["files"]["pairs"]["sha256"] = sha256(folder / "pairs.parquet")
    write_record(folder / PROVENANCE, record)
    with pytest.raises(ValueError, match=f"column '{column}', row 0: Input should be a valid {must}"):
        EmbeddingSet.load(folder)


CONTRADICTIONS = {
    "a test AUC that the scores do not give": ("table.parquet", lambda t: t.assign(value=0.999), "are not those of its scores"),
    "a missing column": ("table.parquet", lambda t: t.drop(columns="metric"), "table.parquet: its columns must be"),
    "a share above 1 on validation": (
        "table.parquet",
        lambda t: t.assign(value=t["value"].mask((t["split"] == "val") & (t["metric"] == "auc"), 1.5)),
        "outside the range of its metric",
    ),
    "a lambda out of range": ("runs.parquet", lambda t: t.assign(lambda_text=1e20), "column 'lambda_text', row 0"),
    "another encoder": ("runs.parquet", lambda t: t.assign(backbone="other"), "names of its runs are not those of its record"),
    "a run twice": ("runs.parquet", lambda t: pd.concat([t, t]), "tells of the same thing as an earlier one"),
    "fewer test rows": ("test_rows.parquet", lambda t: t.iloc[1:], "its groups are not the numbers of 10 test rows"),
    "a patient beside the groups": ("test_rows.parquet", lambda t: t.assign(patient="x"), "neither their group nor a subgroup"),
    "lists as subgroups": ("test_rows.parquet", lambda t: t.assign(subgroup_x=[[1]] * len(t)), "a subgroup_. of plain values"),
    "test rows without groups": ("test_rows.parquet", lambda t: t.rename(columns={"group": "x"}), "its groups are not the numbers"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_cached_sweep_that_contradicts_itself_is_refused_although_its_checksums_fit(name):
    file, change, why = CONTRADICTIONS[name]
    folder = fresh(a_sweep)
    change(pd.read_parquet(folder / file)).to_parquet(folder / file, index=False)
    for record in ("provenance.json", "settings.json"):
        resealed.seal(folder / record, json.loads((folder / record).read_text()))
    with pytest.raises(UnusableRecord, match=f"{why}.*; make it anew with `python -m helpers sweep d b --variant v`"):
        load_cached(folder)


OF_A_RECORD = {
    "no fit rows": {"rows": {"fit": 0, "val": 10, "test": 10}},
    "rows of no split": {"rows": {"fit": 9, "test": 10, "x": 1}},
}
OF_A_RECORD |= {"a caution of a million letters": {"few_validation": "x" * 10**6}, "no fingerprint": {"embeddings": "zzz"}}


@pytest.mark.parametrize("change", OF_A_RECORD.values(), ids=OF_A_RECORD)
def test_an_impossible_record_of_a_sweep_is_refused_although_its_checksums_fit(change):
    folder = fresh(a_sweep)
    for record, own in (("provenance.json", change), ("settings.json", {})):
        resealed.seal(folder / record, json.loads((folder / record).read_text()) | own)
    with pytest.raises(UnusableRecord, match=f"provenance.json: {next(iter(change))}") as error:
        load_cached(folder)
    one_sentence(error.value, str(folder))


@pytest.mark.parametrize("record", ["provenance.json", "settings.json"])
def test_a_record_of_a_sweep_that_lists_no_files_is_refused(record):
    folder = fresh(a_sweep)
    content = {key: value for key, value in json.loads((folder / record).read_text()).items() if key != "files"}
    resealed.seal(folder / record, content)
    if record == "provenance.json":
        resealed.seal(folder / "settings.json", json.loads((folder / "settings.json").read_text()))
    with pytest.raises(UnusableRecord, match="is damaged or missing"):
        load_cached(folder)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="cannot name a folder"):
        folder_name(name)
    if name not in ("", "..", ".hidden") and len(name) < 255:
        small().save(tmp_path / "d" / "v" / name)
        with pytest.warns(UserWarning, match="excluded: .* cannot name a folder"):
            assert stored(tmp_path).empty
    small(dataset=name).save(tmp_path / "other" / "d" / "v" / "b")
    with pytest.raises(ValueError, match=r"records the dataset .* but lies in a folder 'd'"):
        embeddings_for("d", "b", "v", tmp_path / "other")
    with pytest.raises(ValueError, match="cannot name a folder"):
        small(dataset=name).identity.folder  # noqa: B018


def test_what_a_killed_writer_left_is_no_set_and_goes(tmp_path):
    folder = small().save(tmp_path / "d" / "v" / "b")
    ghost = folder.parent / f".b.abcdefgh{UNFINISHED}"
    shutil.copytree(folder, ghost)
    (ghost / LOCK).touch()
    shutil.copytree(folder, folder.parent / ".b.older")  # as an earlier version named them
    assert stored(tmp_path)["backbone"].tolist() == ["b"]
    small().save(folder)
    assert not ghost.exists()


def test_saving_and_importing_replace_nothing_but_a_set(tmp_path):
    np.save(tmp_path / "e.npy", np.random.default_rng(0).normal(size=(2, 9, 4)))
    store = tmp_path / "store"
    folder = small().save(store / "d" / "v" / "b")
    with pytest.raises(FileExistsError, match="not an embedding set"):
        small(1).save(store / "d")
    names = ["import", str(tmp_path / "e.npy"), "--dataset", "d", "--backbone", "b"]
    assert main([*names, "--out", str(store), "--overwrite"]) == 2
    assert main([*names, "--out", str(folder)]) == 2
    assert EmbeddingSet.load(folder).fingerprint == small().fingerprint
    assert main([*names, "--out", str(folder), "--overwrite"]) == 0
    assert not EmbeddingSet.load(folder).labelled
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not an embedding set"):
        small(1).save(folder)


def writing(folder: Path, seed: int, times: int) -> None:
    for _ in range(times):
        small(seed).save(folder)


def test_two_writers_and_a_reader(tmp_path):
    folder = small().save(tmp_path / "set")
    known = {small(seed).fingerprint for seed in (0, 1, 2)}
    writers = [multiprocessing.get_context("fork").Process(target=writing, args=(folder, seed, 40)) for seed in (1, 2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert EmbeddingSet.load(folder).fingerprint in known
    for writer in writers:
        writer.join()
    assert EmbeddingSet.load(folder).fingerprint in known - {small(0).fingerprint}
    assert [w.exitcode for w in writers] == [0, 0] and [p.name for p in tmp_path.iterdir()] == ["set"]
