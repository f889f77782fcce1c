"""The attacks on readers of stored files, used by the tests and by ``tests/verification/faults.py``.

Each function of ``TARGETS`` damages a file and reads it: the reader gives a result or one sentence, nothing else. ``flip_is_found``
flips one bit of a file of ``STORED``.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import resealed
import torch
from damage import SWEEP, damaged, edits, flipped, for_sweep, one_sentence, small
from hypothesis import strategies as st
from safetensors.torch import save_file

from helpers import EmbeddingSet, GapAlignment
from helpers.alignment.registry import load_alignment, make_alignment
from helpers.backbones.lit import IMAGE_WIDTH, TEXT_WIDTH, read_heads
from helpers.contributed import load_report, make_report
from helpers.extraction.encoding import intact, read_note
from helpers.files import read_arrays, sha256, write_arrays
from helpers.page import Page, text
from helpers.probing.cache import load_cached, run_sweep, sweep_folder
from helpers.store.catalogue import Identity
from helpers.store.disk import PROVENANCE, write_record
from helpers.tower_features import TowerFeatures

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "studies"))
from heads import save_features  # noqa: E402
from prompts import prompts_of  # noqa: E402

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from(("../../x", "/etc/hostname")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def read(reader: Callable, path: Path) -> bool:
    """Tell whether ``reader`` reads ``path``; if not, one sentence must name the file or folder, and show no cell."""
    try:
        reader(path)
    except (ValueError, FileNotFoundError) as error:
        one_sentence(error, path.stem)
        assert "secret" not in str(error)
        return False
    return True


# What is attacked: each function returns a whole stored thing, made once and copied afresh for every attack.


@cache
def pristine(make: Callable[[Path], Path]) -> tuple[Path, dict[Path, bytes]]:
    """Return what ``make`` makes, and the bytes of all its files."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
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
    place = sweep_folder(Identity("d", "v", "b"), "converged", "lambda", folder)
    run_sweep(for_sweep(), "converged", SWEEP, place, workers=1)
    return place


def an_alignment(folder: Path, name: str = "lambda") -> Path:
    alignment = GapAlignment(0.5) if name == "lambda" else make_alignment(name)
    return alignment.fit(small().image_of(), small().text_of()).save(folder / f"{name}.safetensors")


def bare_heads(folder: Path) -> Path:
    """Heads without a record, as of weights from elsewhere."""
    save_file(
        {"image": torch.ones(2, IMAGE_WIDTH).half(), "text": torch.ones(2, TEXT_WIDTH).half()}, folder / "lit-small.safetensors"
    )
    return folder / "lit-small.safetensors"


def heads(folder: Path) -> Path:
    path = bare_heads(folder)
    write_record(path.with_suffix(".json"), {"name": "lit-small", "rate": 0.0003, "sha256": sha256(path)})
    return path


CAPTIONS = ["variant", "pair_id", "caption", "image", "text", "split"]


def features(folder: Path) -> Path:
    captions = pd.DataFrame([["common", f"p{i}", 0, i, i, "train"] for i in range(6)], columns=CAPTIONS)
    image, text = (np.random.default_rng(0).normal(size=(6, width)) for width in (IMAGE_WIDTH, TEXT_WIDTH))
    return save_features(TowerFeatures(image, text, captions, {"dataset": "d", "counts": {"images": 6}}), folder / "features")


def a_report(folder: Path) -> Path:
    return make_report(for_sweep(), [load_cached(fresh(a_sweep))], "A. Reader", "By hand.", n_boot=20).save(folder / "report.json")


def a_result(folder: Path) -> Path:
    page = Page("any", {"results": str(folder)}, {"results": text()})
    page.save_table(load_cached(fresh(a_sweep)).table.assign(route="extracted"), "lambda_sweep")
    return folder / "lambda_sweep.parquet"


def a_prompt(folder: Path) -> Path:
    vectors = np.eye(3, 4, dtype=np.float32)
    about = {
        "prompts": json.dumps({c: f"a photo of {c}" for c in "abc"}),
        "fingerprint": "{}",
        "command": "python studies/prompts.py",
    }
    return write_arrays(folder / "d/b.safetensors", {"prompts": vectors}, about)


def prompts_under(path: Path) -> np.ndarray | None:
    made = small()
    return prompts_of(replace(made, provenance=made.provenance | {"encoder": {}}), path.parents[1])


CHUNK = "image-000000.safetensors"
VECTORS = np.arange(12, dtype=np.float32).reshape(3, 4)
FAILED = {"failed": "{}"}
INSPECTIONS = {"images/a.jpg": ["0" * 64, ["mode L"], [12, 34]]}


def work_folder(folder: Path) -> Path:
    write_arrays(folder / CHUNK, {"embeddings": VECTORS}, FAILED)
    write_record(folder / "files.json", INSPECTIONS)
    return folder


def reads_work(folder: Path) -> bool:
    chunk, listed = intact(read_arrays, folder / CHUNK), intact(read_note, folder / "files.json")
    assert chunk is None or (np.array_equal(chunk[0]["embeddings"], VECTORS) and chunk[1] == FAILED)
    assert listed in (None, INSPECTIONS)
    return chunk is not None and listed is not None


def imported(name: str, folder: Path) -> Path:
    """Write vectors, labels and secret names in one of the forms that ``import`` reads."""
    made, path = small(), folder / name
    about = {"label": made.pairs["label"].to_numpy("U"), "split": ["train"] * 9}
    rows = pd.DataFrame({"who": [f"secret{i}" for i in range(9)], **about})
    for prefix, vectors in (("img_emb_", made.image_of()), ("text_emb_", made.text_of())):
        rows = rows.join(pd.DataFrame(vectors).add_prefix(prefix))
    if name == "e.npz":
        np.savez_compressed(path, image=made.image_of(), text=made.text_of(), labels=about["label"], split=about["split"])
    elif name == "e.npy":
        np.save(path, np.stack([made.image_of(), made.text_of()]))
    elif name in ("e.pt", "e.safetensors"):
        vectors = {"image": torch.tensor(made.image_of()), "text": torch.tensor(made.text_of())}
        save_file(vectors, path) if name == "e.safetensors" else torch.save(vectors | {"labels": about["label"].tolist()}, path)
    elif name in ("lists.csv", "e.jsonl", "e.json", "e.arrow", "e.feather", "saved"):
        vectors = {"img_emb_": made.image_of().tolist(), "text_emb_": made.text_of().tolist()}
        write_records(rows[["who", "label", "split"]].assign(**vectors), path)
    else:
        rows.to_parquet(path) if name == "e.parquet" else rows.to_csv(path, index=False)
    return path


def write_records(rows: pd.DataFrame, path: Path) -> None:
    """Write a table whose vectors are lists in cells, by the ending; without one, as a folder of a Hugging Face dataset."""
    if path.suffix == ".csv":
        rows.to_csv(path, index=False)
    elif path.suffix.startswith(".json"):
        rows.to_json(path, orient="records", lines=path.suffix == ".jsonl")
    else:
        if not path.suffix:
            path.mkdir()
            (path / "state.json").write_text('{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}')
        codes, names = pd.factorize(rows["label"])
        features = {"label": {"names": list(names), "_type": "ClassLabel"}}
        found = pa.Table.from_pandas(rows.assign(label=codes), preserve_index=False)
        found = found.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        file = path if path.suffix else path / "data-00000-of-00001.arrow"
        with (
            pa.OSFile(str(file), "wb") as sink,
            (pa.ipc.new_file if path.suffix == ".feather" else pa.ipc.new_stream)(sink, found.schema) as writer,
        ):
            writer.write_table(found)


STORED: dict[str, tuple[Callable, Callable[[Path], bool]]] = {  # checksummed: what makes it, and what tells whether it is read
    "embedding set": (a_set, partial(read, EmbeddingSet.load)),
    "work folder": (work_folder, reads_work),
    "cached sweep": (a_sweep, partial(read, load_cached)),
    "gap alignment": (an_alignment, partial(read, load_alignment)),
    "affine alignment": (partial(an_alignment, name="centring"), partial(read, load_alignment)),
    "heads": (heads, partial(read, read_heads)),
    "tower features": (features, partial(read, TowerFeatures.load)),
    "contributed report": (a_report, partial(read, load_report)),
    "prompts": (a_prompt, partial(read, prompts_under)),
}
GIVEN: dict[str, tuple[Callable, Callable[[Path], bool]]] = {  # by others, without a checksum
    "head file": (bare_heads, partial(read, read_heads)),
    "imported NPZ": (partial(imported, "e.npz"), partial(read, EmbeddingSet.from_npz)),
    "imported NPY": (partial(imported, "e.npy"), partial(read, EmbeddingSet.from_npz)),
    "imported CSV": (partial(imported, "e.csv"), partial(read, EmbeddingSet.from_csv)),
    "imported CSV, gzipped": (partial(imported, "e.csv.gz"), partial(read, EmbeddingSet.from_csv)),
    "imported Parquet": (partial(imported, "e.parquet"), partial(read, EmbeddingSet.from_csv)),
    "imported CSV of lists": (partial(imported, "lists.csv"), partial(read, EmbeddingSet.from_csv)),
    "imported JSON": (partial(imported, "e.json"), partial(read, EmbeddingSet.from_csv)),
    "imported JSON lines": (partial(imported, "e.jsonl"), partial(read, EmbeddingSet.from_csv)),
    "imported Arrow": (partial(imported, "e.arrow"), partial(read, EmbeddingSet.from_csv)),
    "imported Feather": (partial(imported, "e.feather"), partial(read, EmbeddingSet.from_csv)),
    "imported Hugging Face folder": (partial(imported, "saved"), partial(read, EmbeddingSet.from_csv)),
    "imported safetensors": (partial(imported, "e.safetensors"), partial(read, EmbeddingSet.from_npz)),
    "imported torch.save": (partial(imported, "e.pt"), partial(read, EmbeddingSet.from_npz)),
}


# Damage and fuzzing.


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
        write_record(folder / PROVENANCE, record)
    except ValueError:
        (folder / PROVENANCE).write_text(json.dumps(record), encoding="utf-8", errors="surrogatepass")
    read(EmbeddingSet.load, folder)


def content_with_its_checksum(name: str, changes) -> None:
    """A file is changed and its checksum in the record with it, as an attacker would."""
    folder = fresh(a_set)
    record = record_of(folder)
    path = folder / record["files"][name]["path"]
    path.write_bytes(damaged(path.read_bytes(), changes))
    record["files"][name]["sha256"] = sha256(path)
    write_record(folder / PROVENANCE, record)
    read(EmbeddingSet.load, folder)


def change(what: str, file: int, changed: Callable[[bytes], bytes]) -> bool:
    """Change the bytes of one file of a thing, and tell whether it is read."""
    make, reads = (STORED | GIVEN)[what]
    made, files = pristine(make)
    path = list(files)[file % len(files)]
    fresh(make)
    path.write_bytes(changed(files[path]))
    return reads(made)


def edited(what: str, file: int, changes) -> None:
    change(what, file, lambda data: damaged(data, changes))


FILE, SEED = st.integers(0, 60), st.integers(0, 2**32)
BOTH_RECORDS, OWN_RECORD = ("provenance.json", "settings.json"), ("provenance.json",)
SEALED: dict[str, tuple] = {  # reader, change and new seal, oracle, maker
    "cached sweep": (load_cached, partial(resealed.change_folder, records=BOTH_RECORDS), resealed.sweep_is_possible, a_sweep),
    "tower features": (
        TowerFeatures.load,
        partial(resealed.change_folder, records=OWN_RECORD),
        resealed.features_are_possible,
        features,
    ),
    "heads": (read_heads, resealed.change_heads, resealed.heads_are_possible, heads),
    "contributed report": (load_report, resealed.change_report, resealed.report_is_possible, a_report),
    "published tables": (
        resealed.read_published,
        resealed.change_published,
        resealed.published_is_possible,
        resealed.published_copy,
    ),
    "result table": (resealed.read_result, resealed.change_result, resealed.result_is_possible, a_result),
    "prompts": (prompts_under, resealed.change_prompts, resealed.prompts_are_possible, a_prompt),
}


def sealed_anew(what: str, seed: int) -> None:
    """A stored thing is changed as ``seed`` says, and its checksums with it."""
    reads, change, oracle, make = SEALED[what]
    resealed.attack(reads, change, oracle, partial(fresh, make), seed)


TARGETS: dict[str, tuple] = {
    **{f"{what}, sealed anew": (partial(sealed_anew, what), SEED) for what in SEALED},
    "record of a set, values": (provenance_values, FILE, JSON),
    "pairs": (partial(content_with_its_checksum, "pairs"), edits()),
    "vectors": (partial(content_with_its_checksum, "image"), edits()),
    **{what: (partial(edited, what), FILE, edits()) for what in (*STORED, *GIVEN)},
}


def flip_is_found(what: str, file: int, bit: int) -> bool:
    """Flip one bit of one file of a stored thing, and tell whether reading finds it."""
    return not change(what, file, lambda data: flipped(data, bit))


def is_read_whole(what: str) -> bool:
    make, reads = STORED[what]
    return reads(fresh(make))
