"""Rows read in blocks, from memory or from a memory-mapped file, give what the whole arrays give, in little memory."""

import json
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save
from samples import embedding_set

from helpers import EmbeddingSet
from helpers.arrays import blocks
from helpers.cones import cone_table
from helpers.files import sha256
from helpers.probing.protocol import PROTOCOLS
from helpers.probing.sweep import sweep
from helpers.separation import relative_modality_gap
from helpers.store.disk import write_record
from helpers.tasks import Unlabelled

GROUPS = [f"patient-{i // 3}" for i in range(300)]


@pytest.fixture(params=["float32", "float16"])
def stored(request, tmp_path):
    """Return one stored set twice: in memory, and memory-mapped."""
    made = embedding_set(n=300, d=12, repeat=2, groups=GROUPS)
    folder = made.save(tmp_path / "set", dtype=request.param)
    return EmbeddingSet.load(folder), EmbeddingSet.load(folder, in_memory=0)


@pytest.fixture
def small_blocks(monkeypatch):
    """Make blocks so small that these sets have many."""
    monkeypatch.setattr("helpers.arrays.BLOCK", 250)
    monkeypatch.setattr("helpers.probing.views.ROWS", 17)


def test_mapped_vectors_are_those_in_memory_bit_for_bit(stored, small_blocks):
    whole, mapped = stored
    assert mapped.fingerprint == whole.fingerprint and len(list(blocks(mapped.image))) > 5
    for modality in ("image", "text"):
        np.testing.assert_array_equal(np.asarray(getattr(mapped, modality)), getattr(whole, modality))
        np.testing.assert_array_equal(np.asarray(mapped.paired(modality)), whole.paired(modality))
    np.testing.assert_array_equal(mapped.image_of([5, 0, 5]), whole.image_of([5, 0, 5]))


def test_geometry_and_separation_in_blocks_are_those_of_whole_arrays(stored, monkeypatch):
    whole, mapped = stored
    expected = cone_table(whole, n_boot=100)
    gap = relative_modality_gap(whole.image_of(), whole.text_of())
    monkeypatch.setattr("helpers.arrays.BLOCK", 250)
    for embeddings in stored:
        found = cone_table(embeddings, n_boot=100)
        pd.testing.assert_frame_equal(found, expected, rtol=1e-9, atol=1e-9)
        assert relative_modality_gap(embeddings.paired("image"), embeddings.paired("text")) == pytest.approx(gap, rel=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_probes_on_mapped_vectors_are_the_same_to_the_bit_or_to_their_tolerance(stored, small_blocks):
    for protocol in ("paper", "authors-code"):
        whole, mapped = (run(embeddings, PROTOCOLS[protocol].replace(max_epochs=3, batch_size=64)) for embeddings in stored)
        np.testing.assert_array_equal(mapped.scores, whole.scores)
        pd.testing.assert_frame_equal(mapped.table, whole.table)
    whole, mapped = (run(embeddings, "converged") for embeddings in stored)
    assert (mapped.runs["optimality"] <= PROTOCOLS["converged"].tolerance).all()
    np.testing.assert_allclose(mapped.runs["strength"], whole.runs["strength"], rtol=1e-4)
    np.testing.assert_allclose(mapped.scores, whole.scores, atol=1e-3)


def run(embeddings, protocol):
    return sweep(embeddings, lambdas=(0, 0.5, 1), seeds=(42,), protocol=protocol, features=("joint", "image"), progress=False)


def test_geometry_of_a_mapped_set_holds_a_few_blocks_in_memory(tmp_path, monkeypatch):
    """A block is 4 MB in float64 here, and the two matrices are 82 MB in float32."""
    n, d, block = 20_000, 512, 2**19
    monkeypatch.setattr("helpers.arrays.BLOCK", block)
    rng, vectors = np.random.default_rng(0), {}
    for modality, length in (("image", 1.0), ("text", 3.0)):
        vectors[modality] = np.memmap(tmp_path / modality, dtype=np.float16, mode="w+", shape=(n, d))
        vectors[modality][:] = rng.standard_normal((n, d), dtype=np.float32) + length
    numbers = np.arange(n)
    pairs = pd.DataFrame({"pair_id": numbers, "split": "train", "group": numbers // 100, "image": numbers, "text": numbers})
    embeddings = EmbeddingSet(**vectors, pairs=pairs, task=Unlabelled())
    tracemalloc.start()
    cone_table(embeddings, n_boot=50)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 8 * block


@pytest.mark.parametrize("fault", ["flipped", "cut", "header", "other tensor", "not finite", "no direction"])
def test_a_fault_of_a_mapped_file_is_named(tmp_path, fault):
    """Faults behind a right checksum are those of a program that wrote the set, or of an attacker."""
    folder = embedding_set(n=60, d=8).save(tmp_path / "set", dtype="float16")
    path = folder / "image.safetensors"
    data = path.read_bytes()
    flipped = data[:-3] + bytes([data[-3] ^ 4]) + data[-2:]
    path.write_bytes(
        {
            "flipped": flipped,
            "cut": data[:-16],
            "header": (2**60).to_bytes(8, "little") + data[8:],
            "other tensor": save({"vectors": np.ones((60, 8), np.float16)}),
            "not finite": data[:-32] + np.full(8, np.nan, np.float16).tobytes() + data[-16:],
            "no direction": data[:-32] + bytes(16) + data[-16:],
        }[fault]
    )
    if fault != "flipped":
        record = json.loads((folder / "provenance.json").read_text())
        del record["record_sha256"]
        record["files"]["image"]["sha256"] = sha256(path)
        write_record(folder / "provenance.json", record)
    where = "row 58" if fault in ("not finite", "no direction") else "image.safetensors"
    with pytest.raises(ValueError, match=where):
        EmbeddingSet.load(folder, in_memory=0)
