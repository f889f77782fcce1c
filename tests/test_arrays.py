"""Rows read in blocks, from memory or from a memory-mapped file, give what the whole arrays give, in little memory."""

import json
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from samples import embedding_set

from helpers import EmbeddingSet
from helpers.arrays import MappedRows, blocks, choose
from helpers.cones import cone_table
from helpers.files import sha256
from helpers.probing.protocol import PROTOCOLS
from helpers.probing.sweep import sweep
from helpers.separation import relative_modality_gap
from helpers.store.disk import write_record
from helpers.tasks import UNLABELLED, Task


@pytest.fixture(params=["float32", "float16"])
def stored(request, tmp_path):
    groups = [f"patient-{i // 3}" for i in range(300)]
    folder = embedding_set(n=300, d=12, repeat=2, groups=groups).save(tmp_path / "set", dtype=request.param)
    return EmbeddingSet.load(folder), EmbeddingSet.load(folder, in_memory=0)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr("helpers.arrays.BLOCK", 250)
    monkeypatch.setattr("helpers.probing.views.ROWS", 17)


def test_mapped_vectors_are_those_in_memory(stored, small_blocks):
    whole, mapped = stored
    assert mapped.fingerprint == whole.fingerprint and len(list(blocks(mapped.image))) > 5
    for modality in ("image", "text"):
        np.testing.assert_array_equal(np.asarray(getattr(mapped, modality)), getattr(whole, modality))
        np.testing.assert_array_equal(np.asarray(mapped.paired(modality)), whole.paired(modality))
    np.testing.assert_array_equal(mapped.image_of([5, 0, 5]), whole.image_of([5, 0, 5]))


def test_geometry_and_separation_in_blocks_are_those_of_whole_arrays(stored, monkeypatch):
    expected, gap = cone_table(stored[0], n_boot=100), relative_modality_gap(stored[0].image_of(), stored[0].text_of())
    monkeypatch.setattr("helpers.arrays.BLOCK", 250)
    for embeddings in stored:
        pd.testing.assert_frame_equal(cone_table(embeddings, n_boot=100), expected, rtol=1e-9, atol=1e-9)
        assert relative_modality_gap(embeddings.paired("image"), embeddings.paired("text")) == pytest.approx(gap, rel=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_probes_on_mapped_vectors_are_the_same_to_the_bit_or_to_their_tolerance(stored, small_blocks):
    def run(embeddings, protocol):
        return sweep(embeddings, lambdas=(0, 1), seeds=(42,), protocol=protocol, features=("joint", "image"), progress=False)

    whole, mapped = (run(embeddings, PROTOCOLS["paper"].replace(max_epochs=3, batch_size=64)) for embeddings in stored)
    np.testing.assert_array_equal(mapped.scores, whole.scores)
    pd.testing.assert_frame_equal(mapped.table, whole.table)
    whole, mapped = (run(embeddings, "converged") for embeddings in stored)
    assert (mapped.runs["optimality"] <= PROTOCOLS["converged"].tolerance).all()
    np.testing.assert_allclose(mapped.runs["strength"], whole.runs["strength"], rtol=1e-4)
    np.testing.assert_allclose(mapped.scores, whole.scores, atol=1e-3)


def test_geometry_of_a_mapped_set_holds_a_few_blocks_in_memory(tmp_path, monkeypatch):
    n, d, block = 20_000, 512, 2**19  # 4 MB in float64; the two matrices are 82 MB in float32
    monkeypatch.setattr("helpers.arrays.BLOCK", block)
    vectors = {m: np.memmap(tmp_path / m, dtype=np.float16, mode="w+", shape=(n, d)) for m in ("image", "text")}
    for length, matrix in zip((1, 3), vectors.values(), strict=True):
        matrix[:] = np.random.default_rng(length).standard_normal((n, d), dtype=np.float32) + length
    pairs = pd.DataFrame(dict.fromkeys(("pair_id", "image", "text"), range(n))).assign(split="train", group=np.arange(n) // 100)
    embeddings = EmbeddingSet(**vectors, pairs=pairs, task=Task(UNLABELLED))
    tracemalloc.start()
    cone_table(embeddings, n_boot=50)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 8 * block


def test_an_import_holds_at_most_twice_the_set_in_memory(tmp_path, monkeypatch):
    n, d = 16_000, 256  # the set is 33 MB
    monkeypatch.setattr("helpers.arrays.BLOCK", 2**20)
    for seed, name in enumerate(("image.npy", "text.npy")):
        np.save(tmp_path / name, np.random.default_rng(seed).standard_normal((n, d), dtype=np.float32))
    tracemalloc.start()
    EmbeddingSet.from_csv(tmp_path / "image.npy", text=tmp_path / "text.npy").save(tmp_path / "set")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.2 * 2 * 4 * n * d  # the file and the set, and a few blocks


def test_a_set_stays_on_disk_where_memory_is_short_and_says_so(tmp_path, monkeypatch):
    folder = embedding_set(n=60, d=8).save(tmp_path / "set")
    assert isinstance(EmbeddingSet.load(folder).image, np.ndarray)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=128 * 100))
    mapped = EmbeddingSet.load(folder)
    assert isinstance(mapped.image, MappedRows) and "rows read from disk block by block" in repr(mapped)


FAULTS = {
    "flipped": (lambda data: data[:-3] + bytes([data[-3] ^ 4]) + data[-2:], "image.safetensors"),
    "cut": (lambda data: data[:-16], "image.safetensors"),
    "not finite": (lambda data: data[:-32] + np.full(8, np.nan, np.float16).tobytes() + data[-16:], "row 58"),
    "no direction": (lambda data: data[:-32] + bytes(16) + data[-16:], "row 58"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_mapped_file_is_named_also_behind_a_right_checksum(tmp_path, fault):
    folder = embedding_set(n=60, d=8).save(tmp_path / "set", dtype="float16")
    path, (change, where) = folder / "image.safetensors", FAULTS[fault]
    path.write_bytes(change(path.read_bytes()))
    if fault != "flipped":
        record = json.loads((folder / "provenance.json").read_text())
        del record["record_sha256"]
        record["files"]["image"]["sha256"] = sha256(path)
        write_record(folder / "provenance.json", record)
    with pytest.raises(ValueError, match=where):
        EmbeddingSet.load(folder, in_memory=0)


def test_an_unknown_name_is_refused_with_the_nearest_and_each_valid_one_once():
    with pytest.raises(ValueError, match="^unknown data set 'brest'; did you mean 'brset'\\? valid: brset, ham10000$"):
        choose("brest", ["brset", "ham10000", "ham10000"], "data set")
