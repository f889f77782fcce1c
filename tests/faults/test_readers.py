"""Every reader of a stored format gives a result or one sentence, whatever the bytes; a flipped bit is found."""

import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from damage import damaged, edits, few, flipped, many, one_sentence, small
from hypothesis import given
from hypothesis import strategies as st

from helpers import EmbeddingSet
from helpers.extraction.chunks import plan, read_chunk, read_work_file, write_chunk
from helpers.extraction.inspection import INSPECTED
from helpers.files import write_checked_json
from helpers.store.record import PROVENANCE, sealed

ROOM = Path(tempfile.mkdtemp(prefix="faults-"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from(("../../x", "/etc/hostname")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def a_set() -> Path:
    return small().save(ROOM / "set")


def reading(folder: Path) -> None:
    try:
        assert isinstance(EmbeddingSet.load(folder), EmbeddingSet)
    except (ValueError, FileNotFoundError) as error:
        one_sentence(error, folder.name)


def with_record(folder: Path, record: dict) -> None:
    (folder / PROVENANCE).write_text(json.dumps(record), encoding="utf-8", errors="surrogatepass")


def provenance_values(where: int, value) -> None:
    """A value of the record is replaced, and the checksum made to fit where one can be."""
    folder = a_set()
    record = json.loads((folder / PROVENANCE).read_text())
    record.pop("record_sha256")
    places = [(record, key) for key in record] + [(record["files"], key) for key in record["files"]]
    places += [(entry, key) for entry in record["files"].values() for key in entry] + [(record["task"], k) for k in record["task"]]
    holder, key = places[where % len(places)]
    holder[key] = value
    try:
        with_record(folder, sealed(record))
    except ValueError:
        with_record(folder, record)
    reading(folder)


def provenance_bytes(changes) -> None:
    folder = a_set()
    (folder / PROVENANCE).write_bytes(damaged((folder / PROVENANCE).read_bytes(), changes))
    reading(folder)


def content_with_its_checksum(name: str, changes) -> None:
    """A file is changed and its checksum in the record with it, as an attacker would."""
    folder = a_set()
    record = json.loads((folder / PROVENANCE).read_text())
    record.pop("record_sha256")
    path = folder / record["files"][name]["path"]
    path.write_bytes(damaged(path.read_bytes(), changes))
    record["files"][name]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    with_record(folder, sealed(record))
    reading(folder)


def a_chunk() -> tuple:
    (chunk,) = plan("image", ["x", "y", "z"], 3, "settings")
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4)
    write_chunk(ROOM, chunk, vectors, {1: "file is damaged"})
    return chunk, vectors


def chunk_bytes(changes) -> None:
    chunk, vectors = a_chunk()
    (ROOM / chunk.name).write_bytes(damaged((ROOM / chunk.name).read_bytes(), changes))
    found = read_chunk(ROOM, chunk)
    assert found is None or (np.array_equal(found[0], vectors) and found[1] == {1: "file is damaged"})


def work_file_bytes(changes) -> None:
    value = {"images/a.jpg": ("0" * 64, ("mode L",), (12, 34))}
    write_checked_json(ROOM / "files.json", value)
    (ROOM / "files.json").write_bytes(damaged((ROOM / "files.json").read_bytes(), changes))
    assert read_work_file(ROOM / "files.json", INSPECTED) in (None, value)


def importing(read, path: Path) -> None:
    try:
        assert isinstance(read(path), EmbeddingSet)
    except (ValueError, FileNotFoundError) as error:
        told = str(error)
        assert "\n" not in told and "secret" not in told, told


def npz_bytes(changes) -> None:
    made = small()
    arrays = {"image": made.image_of(), "text": made.text_of(), "labels": made.labels.astype("U"), "split": ["train"] * len(made)}
    np.savez_compressed(ROOM / "e.npz", **arrays)
    (ROOM / "e.npz").write_bytes(damaged((ROOM / "e.npz").read_bytes(), changes))
    importing(EmbeddingSet.from_npz, ROOM / "e.npz")


def npy_bytes(changes) -> None:
    made = small()
    np.save(ROOM / "e.npy", np.stack([made.image_of(), made.text_of()]))
    (ROOM / "e.npy").write_bytes(damaged((ROOM / "e.npy").read_bytes(), changes))
    importing(EmbeddingSet.from_npz, ROOM / "e.npy")


def table(ending: str, changes) -> None:
    made, path = small(), ROOM / f"e.{ending}"
    columns = {f"{m}_emb_{i}": x[:, i] for m, x in (("img", made.image_of()), ("text", made.text_of())) for i in range(4)}
    about = pd.DataFrame({"who": [f"secret{i}" for i in range(len(made))], "label": made.labels, "split": "train", **columns})
    about.to_parquet(path) if ending == "parquet" else about.to_csv(path, index=False)
    path.write_bytes(damaged(path.read_bytes(), changes))
    importing(EmbeddingSet.from_csv, path)


TARGETS = {
    "provenance, values": (provenance_values, st.integers(0, 60), JSON),
    "provenance, bytes": (provenance_bytes, edits()),
    "pairs": (lambda changes: content_with_its_checksum("pairs", changes), edits()),
    "safetensors": (lambda changes: content_with_its_checksum("image", changes), edits()),
    "chunk": (chunk_bytes, edits()),
    "work file": (work_file_bytes, edits()),
    "NPZ": (npz_bytes, edits()),
    "NPY": (npy_bytes, edits()),
    "CSV": (lambda changes: table("csv", changes), edits()),
    "gzipped CSV": (lambda changes: table("csv.gz", changes), edits()),
    "Parquet": (lambda changes: table("parquet", changes), edits()),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", TARGETS)
def test_a_few_damaged_files_are_named(target):
    attack, *arguments = TARGETS[target]
    few(given(*arguments)(attack))()


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", TARGETS)
def test_many_damaged_files_are_named(target):
    attack, *arguments = TARGETS[target]
    many(given(*arguments)(attack))()


def flip(name: str, bit: int) -> None:
    folder = a_set()
    (folder / name).write_bytes(flipped((folder / name).read_bytes(), bit))
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        EmbeddingSet.load(folder)
    one_sentence(caught.value, folder.name)


NAMES = (PROVENANCE, "image.safetensors", "text.safetensors", "pairs.parquet")


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_of_a_stored_file_is_found(name):
    few(given(st.integers(0, 10**6))(lambda bit: flip(name, bit)))()


@pytest.mark.heavy
@pytest.mark.parametrize("name", NAMES)
def test_every_flipped_bit_of_many_is_found(name):
    many(given(st.integers(0, 10**6))(lambda bit: flip(name, bit)))()


@pytest.mark.parametrize(
    "path", ["../../../../x/image.safetensors", "/x/image.safetensors", "../a/../../../../image.safetensors", "x"]
)
def test_a_record_cannot_name_files_outside_its_store(path, tmp_path):
    folder = small().save(tmp_path / "d" / "v" / "b")
    record = json.loads((folder / PROVENANCE).read_text())
    record.pop("record_sha256")
    record["files"]["image"]["path"] = path
    with_record(folder, sealed(record))
    with pytest.raises(ValueError, match="path of image leaves the set"):
        EmbeddingSet.load(folder)


def test_a_set_of_the_first_format_is_read(tmp_path):
    folder = small().save(tmp_path / "set")
    record = json.loads((folder / PROVENANCE).read_text())
    record.pop("record_sha256")
    with_record(folder, record | {"format": 1})
    assert EmbeddingSet.load(folder).fingerprint == small().fingerprint
