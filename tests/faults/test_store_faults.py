"""The store under attack: nothing but sets is replaced, names are names, and a set is there at every moment."""

import multiprocessing
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from damage import few, flipped, many, small
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from helpers import EmbeddingSet
from helpers.cli import main
from helpers.extraction.find import embeddings_for
from helpers.files import UNFINISHED
from helpers.store import folder_name
from helpers.store.catalogue import stored

HOSTILE = ["a b", "a'b", "$(touch X)", "`touch X`", "<script>", "{x}", "a\nb", "..", ".hidden", "-x", "x" * 255, "é", "", "a\\b"]


def test_saving_replaces_nothing_but_a_set(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "report.txt").write_text("irreplaceable")
    store = tmp_path / "store"
    small().save(store / "d" / "v" / "b")
    for folder in (data, store, store / "d", data / "report.txt"):
        with pytest.raises(FileExistsError, match="not an embedding set"):
            small(1).save(folder)
    (store / "d" / "v" / "b" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError):
        small(1).save(store / "d" / "v" / "b")
    assert (data / "report.txt").read_text() == "irreplaceable" and EmbeddingSet.load(store / "d" / "v" / "b")
    (tmp_path / "empty").mkdir()
    assert EmbeddingSet.load(small().save(tmp_path / "empty"))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="cannot name a folder"):
        folder_name(name)
    if name not in ("", "..", ".hidden") and len(name) < 255:
        small().save(tmp_path / "d" / "v" / name)
        with pytest.raises(ValueError, match="cannot name a folder"):
            stored(tmp_path)
    with pytest.raises(ValueError, match="cannot name a folder"):
        small(dataset=name).identity.folder  # noqa: B018


def test_a_record_of_another_set_is_named(tmp_path):
    small(dataset="../../../escaped").save(tmp_path / "d" / "v" / "b")
    with pytest.raises(ValueError, match="records the dataset '../../../escaped' but lies in a folder 'd'"):
        embeddings_for("d", "b", "v", tmp_path)


def test_what_a_killed_writer_left_is_no_set_and_goes(tmp_path):
    folder = small().save(tmp_path / "d" / "v" / "b")
    ghost = folder.parent / f".b.abcdefgh{UNFINISHED}"
    shutil.copytree(folder, ghost)
    shutil.copytree(folder, folder.parent / ".b.older")  # as an earlier version named them
    assert stored(tmp_path)["backbone"].tolist() == ["b"]
    small().save(folder)
    assert not ghost.exists()


def test_import_keeps_what_is_there(tmp_path, capsys):
    import numpy as np

    np.save(tmp_path / "e.npy", np.random.default_rng(0).normal(size=(2, 9, 4)))
    small().save(tmp_path / "store" / "d" / "v" / "b")
    names = ["import", str(tmp_path / "e.npy"), "--dataset", "d", "--backbone", "b"]
    assert main([*names, "--out", str(tmp_path / "store"), "--overwrite"]) == 2
    assert main([*names, "--out", str(tmp_path / "store" / "d" / "v" / "b")]) == 2
    assert EmbeddingSet.load(tmp_path / "store" / "d" / "v" / "b").fingerprint == small().fingerprint
    assert main([*names, "--out", str(tmp_path / "store" / "d" / "v" / "b"), "--overwrite"]) == 0
    assert not EmbeddingSet.load(tmp_path / "store" / "d" / "v" / "b").labelled


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


class Store(RuleBasedStateMachine):
    """Sets are saved, replaced, damaged, deleted, and saves fail; the catalogue and the loader always tell the truth."""

    def __init__(self):
        super().__init__()
        self.root, self.model = Path(tempfile.mkdtemp(prefix="store-")), {}

    def teardown(self):
        shutil.rmtree(self.root)

    @rule(name=st.sampled_from("abc"), seed=st.integers(0, 5))
    def save(self, name, seed):
        made = small(seed, backbone=name)
        made.save(self.root / "d" / "v" / name)
        self.model[name] = made.fingerprint

    @rule(name=st.sampled_from("abc"), seed=st.integers(0, 5))
    def fail_to_save(self, name, seed):
        made = small(seed, backbone=name)
        made.provenance["unwritable"] = float("nan")
        with pytest.raises(ValueError):
            made.save(self.root / "d" / "v" / name)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), bit=st.integers(0, 10**6))
    def damage(self, data, bit):
        name = data.draw(st.sampled_from(sorted(self.model)))
        path = data.draw(st.sampled_from(sorted((self.root / "d" / "v" / name).iterdir())))
        path.write_bytes(flipped(path.read_bytes(), bit))
        self.model[name] = None

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete(self, data):
        name = data.draw(st.sampled_from(sorted(self.model)))
        shutil.rmtree(self.root / "d" / "v" / name)
        del self.model[name]

    @invariant()
    def catalogue_and_loader_agree(self):
        assert set(stored(self.root)["backbone"]) == set(self.model)
        for name, fingerprint in self.model.items():
            if fingerprint is not None:
                assert EmbeddingSet.load(self.root / "d" / "v" / name).fingerprint == fingerprint
        assert not any(UNFINISHED in name for _, folders, files in os.walk(self.root) for name in (*folders, *files))


def test_the_store_tells_the_truth():
    run_state_machine_as_test(Store, settings=few)


@pytest.mark.heavy
def test_the_store_tells_the_truth_for_long():
    run_state_machine_as_test(Store, settings=many)
