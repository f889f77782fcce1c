"""Small files that would fill the memory, and outputs that cannot be written, each end in one sentence that names the file."""

import errno
import gzip
import json
import os
import struct
import warnings
import zipfile
import zlib
from contextlib import suppress
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
import resealed
import torch
from attacks import a_sweep, fresh
from damage import SWEEP, for_sweep, one_sentence, small
from PIL import Image

from helpers import EmbeddingSet, files, load_dataset
from helpers.cli import main
from helpers.extraction.encoding import inspect
from helpers.images import decode, inspect_image
from helpers.probing import cache
from helpers.store import disk, formats

ONE = {"img_emb_0": 1.0, "text_emb_0": 2.0}
TEXTS = pa.DictionaryArray.from_arrays(np.zeros(300, dtype=np.int32), ["x" * 1_000_000])  # the file holds the text once


def parquet(path, **columns):
    pq.write_table(pa.table(columns), path, compression="zstd", store_schema=False)
    return path


def arrow(path, **columns):
    feather.write_feather(pa.table(columns), path, compression="zstd")
    return path


def ragged(path):
    path.write_text("".join(f'{{"c{i}": 1}}\n' for i in range(3000)))
    return path


def tensors(path, x):
    torch.save({"image": x, "text": x}, path)
    return path


def deflated(path, x):
    with zipfile.ZipFile(tensors(path, x)) as stored:
        parts = {part.filename: stored.read(part) for part in stored.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stream:
        for name, part in parts.items():
            stream.writestr(name, part)
    return path


def packed(path, text: bytes, times: int, header: bytes = b"img_emb_0,text_emb_0,label\n"):
    with gzip.open(path, "wb", 9) as stream:
        stream.write(header)
        for _ in range(times):
            stream.write(text)
    return path


def zeros(path, rows: int, name: str = "image"):
    np.savez_compressed(path, **{name: np.zeros((rows, 10), dtype=np.float32), "text": np.zeros((2, 10), dtype=np.float32)})
    return path


BOMBS = {
    "CSV of many rows": lambda folder: packed(folder / "b.csv.gz", b"1,1,a\n" * 10_000, 100),
    "CSV of one long line": lambda folder: packed(folder / "b.csv.gz", b"," * 10_000, 200),
    "table of many columns": lambda folder: packed(folder / "b.csv.gz", b"1,1,a\n", 2).with_name("c.csv"),
    "Parquet of many rows": lambda folder: parquet(folder / "b.parquet", **dict.fromkeys(ONE, np.ones(3_000_000))),
    "Parquet of one text": lambda folder: parquet(folder / "b.parquet", **dict.fromkeys(ONE, np.ones(300)), label=TEXTS),
    "Parquet of lists": lambda folder: parquet(folder / "b.parquet", **dict.fromkeys(ONE, np.ones(2)), tags=[[1] * 1_500_000] * 2),
    "NPZ": lambda folder: zeros(folder / "b.npz", 1_000_000),
    "JSON lines": lambda folder: packed(folder / "b.jsonl.gz", b'{"text": [0]}\n' * 10_000, 100, b""),
    "JSON of many columns": lambda folder: ragged(folder / "b.jsonl"),
    "Arrow of equal rows": lambda folder: arrow(folder / "b.arrow", **dict.fromkeys(ONE, np.ones(2_000_000))),
    "Arrow of nothing": lambda folder: arrow(folder / "b.feather", **dict.fromkeys(ONE, pa.nulls(2_000_000))),
    "Arrow of one text": lambda folder: arrow(folder / "b.arrow", **dict.fromkeys(ONE, np.ones(300)), label=TEXTS),
    "deflated tensors": lambda folder: deflated(folder / "b.pt", torch.zeros(2, 4_000_000)),
    "repeated tensors": lambda folder: tensors(folder / "b.pt", torch.zeros(2, 1).expand(2, 400_000_000)),
}


@pytest.fixture
def tenth(monkeypatch):
    """A limit of 0.1 GB, so that small bombs are beyond it."""
    monkeypatch.setenv(files.MEMORY, "0.1")


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_would_fill_the_memory_is_refused_before_it_is_read(name, tmp_path, tenth, monkeypatch):
    path = BOMBS[name](tmp_path)
    if not path.exists():
        path.write_text(",".join(["label", *ONE, *(f"c{i}" for i in range(2000))]) + "\na,1,2\n")
    assert path.stat().st_size < 2_000_000

    def never(*_, **__):
        raise AssertionError("the file was read")

    for module, reader in ((pd, "read_csv"), (pq, "read_table")):
        monkeypatch.setattr(module, reader, never)
    with pytest.raises(files.TooLarge, match="GB of memory, and the limit is 0.1 GB; .* --memory") as refused:
        EmbeddingSet.from_csv(path)
    one_sentence(refused.value, str(path))


def test_the_limit_is_raised_by_one_option_and_a_bad_one_is_refused(tmp_path, monkeypatch, capsys):
    path = zeros(tmp_path / "b.npz", 600)
    monkeypatch.setenv(files.MEMORY, "0.00001")
    words = ["import", str(path), "--dataset", "d", "--backbone", "b", "--out", str(tmp_path / "o")]
    assert main(words) == 2 and "would take at least 0.0 GB" in capsys.readouterr().err
    assert main(["--memory", "1", *words]) == 2 and "text has 2 rows and image has 600" in capsys.readouterr().err
    for value in ("-1", "nan", "much", ""):
        monkeypatch.setenv(files.MEMORY, value)
        for read in (
            files.memory_limit,
            partial(EmbeddingSet.from_npz, path),
            partial(EmbeddingSet.load, small().save(tmp_path / "s")),
        ):
            with pytest.raises(ValueError, match="(^|: )HELPERS_MEMORY is .*; give the limit of memory in GB"):  # no damage
                read()
    for value in ("nan", "-1", "0"):
        assert main(["--memory", value, "cone", "d", "b"]) == 2 and "give the limit of memory in GB" in capsys.readouterr().err


def test_ordinary_tables_are_read_as_before_and_a_text_in_many_rows_counts_as_often(tmp_path, monkeypatch):
    vectors = pd.DataFrame(
        np.random.default_rng(0).normal(size=(9, 4)), columns=[f"{m}_emb_{i}" for m in ("img", "text") for i in "01"]
    )
    rows = vectors.assign(label=list("abc") * 3, tags=[["x", None]] * 9)
    rows.to_parquet(tmp_path / "e.parquet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert len(EmbeddingSet.from_csv(tmp_path / "e.parquet")) == 9
    nested = pa.array([[{"a": "x" * 2_000_000}]] * 300)
    monkeypatch.setenv(files.MEMORY, "0.1")
    assert 5e8 < disk.parquet_memory(parquet(tmp_path / "n.parquet", nested=nested)) < 2e9
    assert disk.parquet_memory(parquet(tmp_path / "t.parquet", label=TEXTS)) < 1e9 < 4e9  # 300 times a megabyte, and again


def test_the_table_of_a_stored_set_is_measured_too(tmp_path, tenth):
    folder = small().save(tmp_path / "d/v/b")
    many = pa.DictionaryArray.from_arrays(np.zeros(400_000, dtype=np.int32), ["p"])
    numbers = dict.fromkeys(("image", "text"), np.zeros(400_000, dtype=np.int64))
    parquet(folder / "pairs.parquet", **dict.fromkeys(("pair_id", "split", "group", "label"), many), **numbers)
    record = json.loads((folder / "provenance.json").read_text()) | {"record_sha256": None}
    record.pop("record_sha256")
    record["files"]["pairs"]["sha256"] = files.sha256(folder / "pairs.parquet")
    disk.write_record(folder / "provenance.json", record)
    with pytest.raises(files.TooLarge, match=r"pairs.parquet would take"):
        EmbeddingSet.load(folder)


@pytest.mark.parametrize("name", ["table.parquet", "runs.parquet", "test_rows.parquet"])
def test_the_tables_of_a_cached_sweep_and_of_a_page_are_measured_too(name, tmp_path, tenth):
    folder, many = fresh(a_sweep), pa.DictionaryArray.from_arrays(np.zeros(3_000_000, dtype=np.int32), ["x"])
    parquet(folder / name, **dict.fromkeys(pd.read_parquet(folder / name), many))
    for record in ("provenance.json", "settings.json"):
        resealed.seal(folder / record, json.loads((folder / record).read_text()))
    with pytest.raises(files.TooLarge, match=f"{name} would take"):
        cache.load_cached(folder)
    (folder / name).rename(tmp_path / "lambda_sweep.parquet")
    with pytest.raises(files.TooLarge, match="lambda_sweep.parquet would take"):
        resealed.read_result(tmp_path / "lambda_sweep.parquet")


@pytest.mark.parametrize(("name", "size"), [("x.webp", (1400, 1400)), ("x.png", (1, 60_000)), ("x.gif", (30_000, 3))])
def test_an_image_that_decoding_or_an_encoder_makes_large_is_refused_by_its_header(tmp_path, tenth, name, size):
    Image.new("RGB", size).save(tmp_path / name)
    assert f"{size[0]} x {size[1]} pixels" in inspect_image(tmp_path, name).error
    with pytest.raises(ValueError, match="GB of memory, and the limit is 0.1 GB"):
        decode(tmp_path / name)


@pytest.mark.parametrize("edge", [5000, 30_000])
def test_a_frame_that_is_larger_than_its_header_says_is_refused(edge, tmp_path, tenth):
    Image.new("P", (10, 10)).save(tmp_path / "x.gif")
    data = bytearray((tmp_path / "x.gif").read_bytes())
    frame = data.index(b",") + 5
    data[frame : frame + 4] = struct.pack("<HH", edge, edge)
    (tmp_path / "x.gif").write_bytes(data)
    assert "--memory" in inspect_image(tmp_path, "x.gif", pixels=True).error
    with pytest.raises(ValueError, match="--memory"):
        decode(tmp_path / "x.gif")


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_a_note_of_an_image_that_unpacks_to_more_than_a_megabyte_is_refused(kind, tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "x.png")
    data, note = (tmp_path / "x.png").read_bytes(), kind + b"a\0\0" + zlib.compress(bytes(50_000_000), 9)
    chunk = struct.pack(">I", len(note) - 4) + note + struct.pack(">I", zlib.crc32(note))
    (tmp_path / "x.png").write_bytes(data[:33] + chunk + data[33:])
    assert "too large" in inspect_image(tmp_path, "x.png", pixels=True).error


def test_an_ordinary_long_image_is_read_and_a_raised_limit_admits_what_pillow_would_refuse(tmp_path, monkeypatch):
    Image.new("RGB", (4000, 200)).save(tmp_path / "wide.png")
    assert inspect_image(tmp_path, "wide.png", pixels=True).error is None
    Image.new("1", (20_000, 19_000)).save(tmp_path / "large.png")
    assert "380000000 pixels" in (told := inspect_image(tmp_path, "large.png").error) and "--memory" in told
    monkeypatch.setenv(files.MEMORY, "20")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    assert inspect_image(tmp_path, "large.png").error is None


def test_the_directories_of_a_tiff_are_not_counted(tmp_path):
    tags = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8), (278, 3, 1, 1)]
    out = bytearray(b"II*\0" + struct.pack("<I", 8))
    for _ in range(20_000):
        entries = b"".join(struct.pack("<HHII", *tag) for tag in [*tags, (279, 4, 1, 1)])
        out += struct.pack("<H", 8) + entries + struct.pack("<I", len(out) + 2 + len(entries) + 4)
    (tmp_path / "x.tif").write_bytes(out)
    with Image.open(tmp_path / "x.tif") as image:
        seeks, seek = [], type(image)._seek
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(image), "_seek", lambda self, frame: seeks.append(frame) or seek(self, frame))
        assert inspect_image(tmp_path, "x.tif").notes == ("first frame of several used",)
    assert len(seeks) < 5


def test_two_columns_of_one_name_among_many_are_found_in_one_pass(tmp_path):
    names = [f"c{i}" for i in range(3000)]
    (tmp_path / "manifest.csv").write_text(",".join([*names, "c7"]) + "\n")
    with pytest.raises(ValueError, match="columns 8 and 3001 have the same name"):
        load_dataset("manifest", tmp_path)


# Memory that runs out, disks that are full, folders that are read-only.


def exhausted(*_, **__):
    raise MemoryError


@pytest.mark.parametrize(("module", "reader"), [(pq, "read_table"), (np, "load"), (pd, "read_csv"), (disk.np, "fromfile")])
def test_memory_that_runs_out_is_no_damage_and_names_the_file(tmp_path, monkeypatch, module, reader):
    path = {"load": zeros(tmp_path / "b.npz", 2), "read_csv": tmp_path / "b.csv"}.get(reader, tmp_path / "b.parquet")
    pd.DataFrame([ONE]).to_csv(tmp_path / "b.csv", index=False)
    pd.DataFrame([ONE]).to_parquet(tmp_path / "b.parquet")
    stored = small().save(tmp_path / "d/v/b")
    monkeypatch.setattr(module, reader, exhausted)
    with pytest.raises(MemoryError, match="does not fit into the free memory") as ended:
        EmbeddingSet.load(stored) if reader == "fromfile" else EmbeddingSet.from_csv(path)
    one_sentence(ended.value, str(stored if reader == "fromfile" else path))


def test_memory_that_runs_out_while_images_are_inspected_excludes_no_row(tmp_path, monkeypatch):
    from photographs import synthetic_photographs

    dataset = synthetic_photographs(tmp_path, n=2)
    monkeypatch.setattr(Image, "open", exhausted)
    with pytest.raises(MemoryError):
        inspect(dataset)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_disk_and_a_read_only_folder_end_in_one_sentence_with_the_file(tmp_path, monkeypatch, number):
    def full(*_, **__):
        raise OSError(number, os.strerror(number))

    for folder, write in ((tmp_path / "a", lambda path: files.write_json(path / "x.json", 1)), (tmp_path / "s", small().save)):
        with monkeypatch.context() as patch:
            patch.setattr(files, "_flush", full)
            with pytest.raises(files.Unwritable, match="cannot be written .*; make room or give another output") as ended:
                write(folder)
        one_sentence(ended.value, str(folder))
        assert not list(folder.glob("*"))


def test_a_read_only_results_folder_is_found_before_a_probe_is_trained(tmp_path, monkeypatch):
    def read_only(**_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    embeddings, folder = for_sweep(), tmp_path / "sweeps/d/v/b/authors-code/lambda"
    with suppress(UserWarning), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cache.run_sweep(embeddings, "authors-code", SWEEP, folder)
    monkeypatch.setattr(files.tempfile, "TemporaryFile", read_only)
    monkeypatch.setattr(cache, "sweep", lambda *_, **__: pytest.fail("a probe was trained"))
    with pytest.raises(files.Unwritable, match="other.* cannot be written .Read-only file system"):
        cache.run_sweep(embeddings, "authors-code", SWEEP, tmp_path / "other")
    assert main(["cone", "flickr8k", "lit-natural", "--n-boot", "2", "--out", str(tmp_path / "t.csv")]) == 2


def test_cells_and_copies_that_are_counted_are_no_fewer_than_those_of_the_reader(tmp_path):
    """The estimate of a table is at least what pandas holds of it."""
    path = packed(tmp_path / "b.csv.gz", b"1,1,a\n" * 1000, 2)
    table = formats.read_delimited(path, "")
    assert table.memory_usage(deep=True).sum() < formats.PER_CELL * table.size
