"""Read tables and arrays from every kind of file that people keep them in, within the limit of memory; nothing is unpickled."""

import difflib
import gzip
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
import pyarrow as pa

from ..arrays import as_array, unequal
from ..files import check_file, check_memory, parse_json, read_json, unreadable
from ..tasks import as_text
from .disk import PER_COLUMN, PER_VALUE, length_of, read_intact, read_parquet, to_pandas

DELIMITED, JSON, ARROW = (".csv", ".tsv", ".tab", ".txt"), (".jsonl", ".ndjson", ".json"), (".arrow", ".feather")
TABLES = (*DELIMITED, ".parquet", *ARROW, *JSON)
ARRAYS = (".npz", ".npy", ".safetensors", ".pt", ".pth")
PER_CELL = 70  # bytes of memory that a cell takes while a table is read as text
COPIES = 4  # of vectors in half precision while a set is made of them, and while rows without a label are dropped
COMPRESSED = (0x184D2204, 0xFD2FB528)  # first bytes of what LZ4 and Zstandard wrote
OBJECTS = "holds Python objects; save strings as a fixed-width array, for example labels.astype('U')"


def ends_in(path, endings: tuple[str, ...]) -> bool:
    """Tell whether a file has one of the endings, perhaps gzipped."""
    return str(path).lower().removesuffix(".gz").endswith(endings)


def is_table(path: Path) -> bool:
    """Tell whether a path names a table of a kind that is read, or a folder of a Hugging Face dataset; a workbook is refused."""
    if ends_in(path, (".xlsx", ".xls", ".ods")):
        raise ValueError(f"{path} is a workbook, which is not read; save its sheet as CSV (UTF-8)")
    return bool(_shards(path)) if path.is_dir() else ends_in(path, TABLES)


def read_rows(path, remedy: str, raw: str = "(?!)") -> pd.DataFrame:
    """Read a table as text, but columns whose names match ``raw`` as they are; an empty cell is missing, a word is none."""
    if not is_table(path := Path(path)):
        raise ValueError(f"{path} is no table; it must end in {', '.join(TABLES)}")
    if not ends_in(path, DELIMITED):
        table = read_records(path, remedy)
        if not table.columns.is_unique:
            raise ValueError(f"{path} has two columns of one name; rename one of them")
        texts = {name: table[name].map(lambda cell: as_text(cell) or None) for name in table if not re.fullmatch(raw, name)}
        return table.assign(**texts)
    return read_delimited(path, remedy, raw)


def read_delimited(path, remedy: str, raw: str = "(?!)", na_words: bool = False) -> pd.DataFrame:
    """Read a UTF-8 file that fits into memory, as :func:`read_rows` does; with ``na_words`` also NA, nan ... are missing."""
    read = partial(pd.read_csv, path, encoding="utf-8-sig", index_col=False, low_memory=False)
    with _one_sentence(path, remedy), warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
        _check_text(path, b",;\t\n", PER_COLUMN)
        line = read(sep="\t", header=None, nrows=1, dtype=str).iloc[0].astype(str)
        separator = "\t" if len(line) > 1 else ";" if ";" in line[0] and "," not in line[0] else ","
        header = read(sep=separator, header=None, nrows=1, dtype=str).iloc[0]
        names = [f"unnamed {i}" if pd.isna(name) else name.strip() for i, name in enumerate(header)]
        if len(twice := np.flatnonzero(pd.Index(names).duplicated())):
            pair = f"columns {names.index(names[twice[0]]) + 1} and {twice[0] + 1}"
            raise ValueError(f"{path}: {pair} have the same name; rename one of them")
        text = {name: str for name in names if not re.fullmatch(raw, name)}
        return read(sep=separator, names=names, header=0, dtype=text, keep_default_na=na_words, na_values=[""])


def _opened(path) -> IO[bytes]:
    return gzip.open(path) if str(path).lower().endswith(".gz") else open(path, "rb")  # type: ignore[return-value]


def _check_text(path, marks: bytes, per_column: int = 0) -> None:
    """Refuse a text file, perhaps gzipped, that is beyond the limit of memory; one of ``marks`` stands before each cell."""
    needed = 0
    with _opened(path) as stream:
        while block := stream.read(2**24):
            header = block.partition(b"\n")[0] if not needed else b""
            columns, cells = (sum(part.count(mark) for mark in marks) for part in (header, block))
            check_memory(str(path), needed := needed + len(block) + per_column * columns + PER_CELL * cells)


@contextmanager
def _one_sentence(path, remedy: str) -> Iterator[None]:
    """Say in one sentence what is wrong with a delimited file."""
    check_file(path)
    try:
        yield
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} is empty; {remedy}") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning, EOFError, zlib.error, OSError, MemoryError) as error:
        fault = "rows of different length, an open quote, or cut short"
        raise unreadable(error, path, f"{path} cannot be read ({type(error).__name__}): {fault}; {remedy}") from None


def read_records(path: Path, remedy: str) -> pd.DataFrame:
    """Return the table of a Parquet, Arrow or JSON file, or of a Hugging Face dataset's folder, with its cells as stored."""
    if path.is_dir():
        parts = {shard: read_records(shard, remedy) for shard in _shards(path)}
        check_memory(str(path), sum(part.memory_usage().sum() for part in parts.values()))
        for shard, part in parts.items():
            if shard.parent != path:
                part["split"] = part.get("split", shard.parent.name)
        return pd.concat(parts.values(), ignore_index=True)
    if ends_in(path, (".parquet",)):
        return read_parquet(path, remedy)
    table = read_intact(path, _arrow if ends_in(path, ARROW) else _json, remedy)
    return table.set_axis(table.columns.map(str), axis=1).reset_index(drop=True)


def _json(path: Path) -> pd.DataFrame:
    """Return the table of a JSON array of records, or of records in lines, or of an object of columns."""
    _check_text(path, b",[{:")
    with _opened(path) as stream:
        found = parse_json(stream.read()) if ends_in(path, (".json",)) else [parse_json(line) for line in stream if line.strip()]
    rows = found if isinstance(found, list) else list(found.values())
    check_memory(str(path), PER_CELL * len(rows) * len({key for row in rows if isinstance(row, dict) for key in row}))
    return pd.DataFrame(found)


def _arrow(path: Path) -> pd.DataFrame:
    """Return the table of an Arrow file; its batches are read in order, as from a stream, because these are measured first."""
    with pa.memory_map(str(path)) as source:  # a damaged length then takes no memory
        start = 8 if source.read(6) == b"ARROW1" else 0
        source.seek(start)
        _check_batches(path, source)
        source.seek(start)
        table = pa.ipc.open_stream(source).read_all()
    table.validate(full=True)
    parts = [part for column in table.columns for part in column.chunks]
    check_memory(str(path), sum(2 * length_of(part) + PER_VALUE * len(part) for part in parts))
    return to_pandas(table)


def _check_batches(path: Path, source) -> None:
    """Refuse an Arrow stream beyond the limit of memory, unread: a compressed buffer begins with the length of its content."""
    needed = 0
    for body in (message.body for message in pa.ipc.MessageReader.open_stream(source) if message.body):
        words = np.frombuffer(body, "<i8", len(body) // 8)
        frames = np.isin(words[1:] & 0xFFFFFFFF, COMPRESSED)
        packed = len(frames) and (frames[0] or words[0] == -1)  # otherwise such a number is one of the data
        needed += len(body) + (sum(map(int, words[:-1][frames])) if packed else 0)
        check_memory(str(path), needed)


def _shards(folder: Path) -> list[Path]:
    """Return the files that a folder of Hugging Face's ``save_to_disk`` lists, of all splits if it has several."""
    splits, state = folder / "dataset_dict.json", "state.json"
    if not splits.is_file() and not (folder / state).is_file():
        return []
    try:
        parts = [folder / Path(name).name for name in read_json(splits)["splits"]] if splits.is_file() else [folder]
        files = [part / Path(each["filename"]).name for part in parts for each in read_json(part / state)["_data_files"]]
        shards = [file for file in files if file.stat()]  # of a missing one, an OSError
    except (KeyError, TypeError, AttributeError, OSError) as error:
        raise ValueError(f"{folder} is not all that save_to_disk wrote ({type(error).__name__}: {error}); copy it whole") from None
    if not shards:
        raise ValueError(f"{folder} has no rows; write it again with save_to_disk")
    return shards


def read_arrays(path: Path, keys: dict[str, str], others: list[str], needed: tuple = ()) -> np.ndarray | dict:
    """Read one array, or those of ``keys`` (argument: name in the file) and ``others``, others as None; tell all faults at once."""
    wanted = {*keys.values(), *others}
    stored = _stored(path, wanted)
    if not hasattr(stored, "keys"):
        return as_array(stored, str(path))
    named, arrays, faults = {str(key): key for key in stored}, dict[str, np.ndarray | None](), []
    for name, key in named.items():
        role = next((argument for argument, own in keys.items() if own == name), f"other_{name}" if name in keys else name)
        try:
            arrays[role] = as_array(stored[key], name) if name in wanted else None
        except Exception as error:  # whatever numpy and the decompressors raise on damaged bytes
            if "Object arrays" not in str(error):
                fault = f"{path} cannot be read ({type(error).__name__}); it is damaged or cut short"
                raise unreadable(error, path, fault) from None
            faults.append(f"array {name[:40]!r} {OBJECTS}")
    absent, spare = wanted - {*named}, {*named} - wanted
    near = {name: close[0] for name in sorted(spare) if (close := difflib.get_close_matches(name, absent, n=1, cutoff=0.8))}
    faults += [f"array {name[:40]!r} is unknown; did you mean {close!r}?" for name, close in near.items()]
    if missing := sorted({keys[what] for what in needed} & absent - {*near.values()}):
        held = ", ".join(repr(name[:40]) for name in sorted(spare - {*near})[:6]) or "no other"
        how = "name arrays with image_prefix, text_prefix (--image-prefix, --text-prefix)"
        faults.append(f"array {' or '.join(map(repr, missing))} is missing; it holds {held}: {how}")
    faults += unequal(arrays)
    if faults:
        raise ValueError(f"{path}: {'; '.join(faults)}; known are {', '.join((*keys.values(), *others))}")
    return arrays


def _stored(path: Path, wanted: set[str]):
    """Return what an array file holds: an array or tensor, or a mapping of them, read without unpickling."""
    check_file(path)
    try:
        check_memory(str(path), COPIES * path.stat().st_size)
        if zipfile.is_zipfile(path):
            parts = zipfile.ZipFile(path).infolist()
            one = not ends_in(path, (".npz",))
            check_memory(str(path), COPIES * sum(p.file_size for p in parts if one or p.filename.removesuffix(".npy") in wanted))
        if ends_in(path, (".npz", ".npy")):
            return np.load(path, allow_pickle=False)
        if ends_in(path, (".safetensors",)):
            from safetensors.torch import load_file  # torch, because numpy has no bfloat16

            found = load_file(path)
        else:
            from torch import load  # the one reader of pickles that holds to tensors and plain containers

            found = load(path, map_location="cpu", weights_only=True)
        every = list(found.values()) if isinstance(found, dict) else [found]
        check_memory(str(path), COPIES * sum(getattr(x, "nbytes", 0) for x in every))  # a tensor may repeat what is stored once
        return every[0] if len(every) == 1 else found
    except Exception as error:  # whatever the library of the format raises on malformed bytes
        fault = f"cannot be read ({type(error).__name__}); it is no {path.suffix[1:].upper()} file, damaged or cut short"
        if "Object arrays" in str(error):
            fault = OBJECTS
        elif re.search("Unsupported (global|class)", str(error)):
            fault = "holds pickled objects other than tensors, which are not read; save tensors alone, for example as safetensors"
        elif "sparse tensor" in str(error):
            fault = "holds a sparse tensor; save it with .to_dense()"
        raise unreadable(error, path, f"{path} {fault}") from None
