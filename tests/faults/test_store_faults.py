"""The store under attack: nothing but sets is replaced, names are names, and a set is there at every moment."""

import multiprocessing
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from damage import few, flipped, many, small
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from helpers import EmbeddingSet
from helpers.cli import main
from helpers.extraction.find import embeddings_for
from helpers.files import UNFINISHED
from helpers.store import folder_name, stored

HOSTILE = ["a b", "a'b", "$(touch X)", "`touch X`", "<script>", "{x}", "a\nb", "..", ".hidden", "-x", "x" * 255, "é", "", "a\\b"]


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
    @rule(data=st.data(), bit=st.none() | st.integers(0, 10**6))
    def damage_or_delete(self, data, bit):
        name = data.draw(st.sampled_from(sorted(self.model)))
        if bit is None:
            shutil.rmtree(self.root / "d" / "v" / name)
            del self.model[name]
        else:
            path = data.draw(st.sampled_from(sorted((self.root / "d" / "v" / name).iterdir())))
            path.write_bytes(flipped(path.read_bytes(), bit))
            self.model[name] = None

    @invariant()
    def catalogue_and_loader_agree(self):
        assert set(stored(self.root)["backbone"]) == set(self.model)
        for name, fingerprint in self.model.items():
            if fingerprint is not None:
                assert EmbeddingSet.load(self.root / "d" / "v" / name).fingerprint == fingerprint
        assert not any(UNFINISHED in name for _, folders, files in os.walk(self.root) for name in (*folders, *files))


@pytest.mark.parametrize("size", [pytest.param(few, id="few"), pytest.param(many, id="many", marks=pytest.mark.heavy)])
def test_the_store_tells_the_truth(size):
    run_state_machine_as_test(Store, settings=size)
