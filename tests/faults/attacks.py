"""The attacks on readers of stored files, used by the tests and by ``tests/verification/faults.py``.

Each function of ``TARGETS`` damages a file and reads it: the reader gives a result or one sentence, nothing else. ``flip_is_found``
flips one bit of a file of ``STORED``.
"""

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from damage import SWEEP, damaged, edits, flipped, for_sweep, one_sentence, small
from hypothesis import strategies as st
from safetensors.torch import save_file

from helpers import EmbeddingSet, GapAlignment
from helpers.alignment.registry import load_alignment, make_alignment
from helpers.backbones.lit import read_heads
from helpers.extraction.encoding import intact
from helpers.files import checksummed, read_arrays, read_record, sha256, write_arrays, write_json, write_record
from helpers.heads import COLUMNS, TowerFeatures
from helpers.probing.cache import load_cached, run_sweep, sweep_folder
from helpers.store.disk import PROVENANCE

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "studies"))
from heads import save_features  # noqa: E402

ROOM = Path(tempfile.mkdtemp(prefix="faults-"))
ONE_SENTENCE = (ValueError, FileNotFoundError)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from(("../../x", "/etc/hostname")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def read(reader: Callable, path: Path) -> bool:
    """Tell whether ``reader`` reads ``path``; if it does not, it must say so in one sentence that names the file or folder."""
    try:
        reader(path)
    except ONE_SENTENCE as error:
        one_sentence(error, path.stem)
        return False
    return True


# What is attacked: each function returns a whole stored thing, made once and copied afresh for every attack.


@cache
def pristine(make: Callable[[Path], Path]) -> tuple[Path, dict[Path, bytes]]:
    """Return what ``make`` makes, and the bytes of all its files."""
    folder = ROOM / make.__name__
    folder.mkdir()
    made = make(folder)
    return made, {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def fresh(make: Callable[[Path], Path]) -> Path:
    """Return what ``make`` makes, whole again after an earlier attack."""
    made, files = pristine(make)
    for path, data in files.items():
        path.write_bytes(data)
    return made


def a_set(folder: Path) -> Path:
    return small().save(folder / "set")


def a_sweep(folder: Path) -> Path:
    place = sweep_folder("d", "v", "b", "converged", "lambda", folder)
    run_sweep(for_sweep(), "converged", SWEEP, place, workers=1)
    return place


def an_alignment(folder: Path) -> Path:
    return GapAlignment(0.5).fit(small().image_of(), small().text_of()).save(folder / "gap.safetensors")


def a_centring(folder: Path) -> Path:
    return make_alignment("centring").fit(small().image_of(), small().text_of()).save(folder / "centring.safetensors")


def heads(folder: Path) -> Path:
    path = folder / "lit-small.safetensors"
    save_file({"image": torch.ones(4, 12).half(), "text": torch.ones(4, 9).half()}, path)
    write_json(path.with_suffix(".json"), checksummed({"name": "lit-small", "rate": 0.0003, "sha256": sha256(path)}))
    return path


def features(folder: Path) -> Path:
    captions = pd.DataFrame([["common", f"p{i}", 0, i, i, "train"] for i in range(6)], columns=COLUMNS)
    image, text = np.random.default_rng(0).normal(size=(2, 6, 8)).astype(np.float32)
    return save_features(TowerFeatures(image, text, captions, {"dataset": "d", "counts": {"images": 6}}), folder / "features")


CHUNK = "image-000000.safetensors"
VECTORS = np.arange(12, dtype=np.float32).reshape(3, 4)
FAILED = {"failed": "{}"}
INSPECTIONS = {"images/a.jpg": ["0" * 64, ["mode L"], [12, 34]]}


def work_folder(folder: Path) -> Path:
    write_arrays(folder / CHUNK, {"embeddings": VECTORS}, FAILED)
    write_record(folder / "files.json", INSPECTIONS)
    return folder


# Damage and fuzzing.


def with_record(folder: Path, record: dict) -> None:
    (folder / PROVENANCE).write_text(json.dumps(record), encoding="utf-8", errors="surrogatepass")


def record_of(folder: Path) -> dict:
    record = json.loads((folder / PROVENANCE).read_text())
    record.pop("record_sha256")
    return record


def provenance_values(where: int, value) -> None:
    """A value of the record is replaced, and the checksum made to fit where one can be."""
    folder = fresh(a_set)
    record = record_of(folder)
    places = [(record, key) for key in record] + [(record["files"], key) for key in record["files"]]
    places += [(entry, key) for entry in record["files"].values() for key in entry] + [(record["task"], k) for k in record["task"]]
    holder, key = places[where % len(places)]
    holder[key] = value
    try:
        with_record(folder, checksummed(record))
    except ValueError:
        with_record(folder, record)
    read(EmbeddingSet.load, folder)


def edited(path: Path, changes) -> None:
    path.write_bytes(damaged(path.read_bytes(), changes))


def provenance_bytes(changes) -> None:
    folder = fresh(a_set)
    edited(folder / PROVENANCE, changes)
    read(EmbeddingSet.load, folder)


def content_with_its_checksum(name: str, changes) -> None:
    """A file is changed and its checksum in the record with it, as an attacker would."""
    folder = fresh(a_set)
    record = record_of(folder)
    path = folder / record["files"][name]["path"]
    edited(path, changes)
    record["files"][name]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    with_record(folder, checksummed(record))
    read(EmbeddingSet.load, folder)


def chunk_bytes(changes) -> None:
    folder = fresh(work_folder)
    edited(folder / CHUNK, changes)
    found = intact(read_arrays, folder / CHUNK)
    assert found is None or (np.array_equal(found[0]["embeddings"], VECTORS) and found[1] == FAILED)


def work_file_bytes(changes) -> None:
    path = fresh(work_folder) / "files.json"
    edited(path, changes)
    assert intact(read_record, path) in (None, INSPECTIONS)


def sweep_bytes(where: int, changes) -> None:
    folder = fresh(a_sweep)
    names = sorted(path.name for path in folder.iterdir())
    edited(folder / names[where % len(names)], changes)
    read(load_cached, folder)


def alignment_bytes(make: Callable, changes) -> None:
    path = fresh(make)
    edited(path, changes)
    read(load_alignment, path)


def head_bytes(changes) -> None:
    path = fresh(heads)
    path.with_suffix(".json").unlink()  # as of weights from elsewhere
    edited(path, changes)
    read(read_heads, path)


def feature_bytes(where: int, changes) -> None:
    folder = fresh(features)
    names = sorted(path.name for path in folder.iterdir())
    edited(folder / names[where % len(names)], changes)
    read(TowerFeatures.load, folder)


def importing(reader: Callable, path: Path) -> None:
    try:
        assert isinstance(reader(path), EmbeddingSet)
    except ONE_SENTENCE as error:
        sentence = str(error)
        assert "\n" not in sentence and "secret" not in sentence, sentence


def npz(folder: Path) -> Path:
    made = small()
    arrays = {"image": made.image_of(), "text": made.text_of(), "labels": made.labels.astype("U"), "split": ["train"] * len(made)}
    np.savez_compressed(folder / "e.npz", **arrays)
    return folder / "e.npz"


def npy(folder: Path) -> Path:
    np.save(folder / "e.npy", np.stack([small().image_of(), small().text_of()]))
    return folder / "e.npy"


def table() -> pd.DataFrame:
    made = small()
    columns = {f"{m}_emb_{i}": x[:, i] for m, x in (("img", made.image_of()), ("text", made.text_of())) for i in range(4)}
    return pd.DataFrame({"who": [f"secret{i}" for i in range(len(made))], "label": made.labels, "split": "train", **columns})


def csv(folder: Path) -> Path:
    table().to_csv(folder / "e.csv", index=False)
    return folder / "e.csv"


def zipped_csv(folder: Path) -> Path:
    table().to_csv(folder / "e.csv.gz", index=False)
    return folder / "e.csv.gz"


def parquet(folder: Path) -> Path:
    table().to_parquet(folder / "e.parquet")
    return folder / "e.parquet"


def imported(make: Callable, reader: Callable, changes) -> None:
    path = fresh(make)
    edited(path, changes)
    importing(reader, path)


PLACES = st.integers(0, 60)
TARGETS: dict[str, tuple] = {
    "record of a set, values": (provenance_values, PLACES, JSON),
    "record of a set, bytes": (provenance_bytes, edits()),
    "pairs": (partial(content_with_its_checksum, "pairs"), edits()),
    "vectors": (partial(content_with_its_checksum, "image"), edits()),
    "chunk of a work folder": (chunk_bytes, edits()),
    "list of a work folder": (work_file_bytes, edits()),
    "cached sweep": (sweep_bytes, PLACES, edits()),
    "gap alignment": (partial(alignment_bytes, an_alignment), edits()),
    "affine alignment": (partial(alignment_bytes, a_centring), edits()),
    "head file": (head_bytes, edits()),
    "tower features": (feature_bytes, PLACES, edits()),
    "imported NPZ": (partial(imported, npz, EmbeddingSet.from_npz), edits()),
    "imported NPY": (partial(imported, npy, EmbeddingSet.from_npz), edits()),
    "imported CSV": (partial(imported, csv, EmbeddingSet.from_csv), edits()),
    "imported CSV, gzipped": (partial(imported, zipped_csv, EmbeddingSet.from_csv), edits()),
    "imported Parquet": (partial(imported, parquet, EmbeddingSet.from_csv), edits()),
}


# Single flipped bits, of any file of a stored thing: what makes it, and what tells whether it is read.


def reads_work(folder: Path) -> bool:
    return intact(read_arrays, folder / CHUNK) is not None and intact(read_record, folder / "files.json") is not None


STORED: dict[str, tuple[Callable, Callable[[Path], bool]]] = {
    "embedding set": (a_set, partial(read, EmbeddingSet.load)),
    "work folder": (work_folder, reads_work),
    "cached sweep": (a_sweep, partial(read, load_cached)),
    "gap alignment": (an_alignment, partial(read, load_alignment)),
    "affine alignment": (a_centring, partial(read, load_alignment)),
    "heads": (heads, partial(read, read_heads)),
    "tower features": (features, partial(read, TowerFeatures.load)),
}


def flip_is_found(what: str, file: int, bit: int) -> bool:
    """Flip one bit of one file of a stored thing, and tell whether reading finds it; whole, the thing is read."""
    make, reads = STORED[what]
    made, files = pristine(make)
    path = list(files)[file % len(files)]
    fresh(make)
    path.write_bytes(flipped(files[path], bit))
    return not reads(made)


def is_read_whole(what: str) -> bool:
    make, reads = STORED[what]
    return reads(fresh(make))
