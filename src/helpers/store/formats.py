"""Read tables and arrays from every kind of file that people keep them in; nothing is unpickled.

Each reader opens its file after :func:`helpers.files.check_file`, and makes a sentence of what a library raises on malformed bytes.
"""

import difflib
import re
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from safetensors import safe_open

from ..arrays import as_array, unequal
from ..files import check_file
from ..tasks import as_text
from .disk import read_parquet

DELIMITED, JSON, ARROW = (".csv", ".tsv", ".tab", ".txt"), (".jsonl", ".ndjson", ".json"), (".arrow", ".feather")
TABLES = (*DELIMITED, ".parquet", *ARROW, *JSON)
ARRAYS = (".npz", ".npy", ".safetensors", ".pt", ".pth")
SHARDS = {"dataset_dict.json": "*/data-*-of-*.arrow", "state.json": "data-*-of-*.arrow"}  # mark of a saved data set: its files
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
    text = {name: str for name in read_delimited(path, remedy, nrows=0) if not re.fullmatch(raw, str(name))}
    return read_delimited(path, remedy, dtype=text, keep_default_na=False, na_values=[""], low_memory=False)


def read_delimited(path, remedy: str, separator: str | None = None, **options) -> pd.DataFrame:
    """Return ``pandas.read_csv`` of a UTF-8 file; its header shows what separates columns: a tab, a semicolon or a comma."""
    check_file(path)
    if separator is None:
        header = read_delimited(path, remedy, "\t", header=None, nrows=1, dtype=str).iloc[0].astype(str)
        separator = "\t" if len(header) > 1 else ";" if ";" in header[0] and "," not in header[0] else ","
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            return pd.read_csv(path, sep=separator, encoding="utf-8-sig", index_col=False, **options)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} is empty; {remedy}") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning, EOFError, zlib.error, zipfile.BadZipFile, OSError) as error:
        fault = "rows of different length, an open quote, or cut short"
        raise ValueError(f"{path} cannot be read ({type(error).__name__}): {fault}; {remedy}") from None


def read_records(path: Path, remedy: str) -> pd.DataFrame:
    """Return the table of a Parquet, Arrow or JSON file, or of a Hugging Face dataset's folder, with its cells as stored."""
    if path.is_dir():
        parts = {shard: read_records(shard, remedy) for shard in _shards(path)}
        for shard, part in parts.items():
            if shard.parent != path:
                part["split"] = part.get("split", shard.parent.name)
        return pd.concat(parts.values(), ignore_index=True)
    kind = "Parquet" if ends_in(path, (".parquet",)) else "Arrow" if ends_in(path, ARROW) else "JSON"
    if kind == "Parquet":
        return read_parquet(path, remedy)
    as_stored = {"lines": not ends_in(path, (".json",)), "dtype": False, "convert_axes": False}
    check_file(path)
    try:
        table = _arrow(path) if kind == "Arrow" else pd.read_json(path, **as_stored)
    except Exception as error:  # whatever the library of the format raises on malformed bytes
        raise ValueError(f"{path} cannot be read as {kind} ({type(error).__name__}); {remedy}") from None
    return table.set_axis(table.columns.map(str), axis=1).reset_index(drop=True)


def _arrow(path: Path) -> pd.DataFrame:
    with pa.OSFile(str(path)) as source:
        is_file = source.read(6) == b"ARROW1"
        source.seek(0)
        table = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(source).read_all()
    table.validate(full=True)
    return table.to_pandas(ignore_metadata=True)


def _shards(folder: Path) -> list[Path]:
    """Return the files of a folder that Hugging Face's ``save_to_disk`` wrote, of all splits if it has several."""
    patterns = [pattern for mark, pattern in SHARDS.items() if (folder / mark).is_file()]
    shards = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    for path in shards:
        if f"{len(list(path.parent.glob('data-*-of-*.arrow'))):05d}" != path.stem[-5:]:
            raise ValueError(f"{path.parent} does not hold {path.stem[-5:]} files data-*.arrow; copy all of them")
    return shards


def read_arrays(path: Path, keys: dict[str, str], others: list[str], needed: tuple = ()) -> np.ndarray | dict:
    """Read one array, or of several those of ``keys`` (argument: name in the file) and ``others``; the rest is None.

    Every fault of names, contents and lengths is told at once.
    """
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
                raise ValueError(f"{path} cannot be read ({type(error).__name__}); it is damaged or cut short") from None
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
        if ends_in(path, (".npz", ".npy")):
            return np.load(path, allow_pickle=False)
        if ends_in(path, (".safetensors",)):
            with safe_open(path, framework="pt") as stream:  # torch, because numpy has no bfloat16
                names = list(stream.keys())
                found = {name: stream.get_tensor(name) if name in wanted or len(names) == 1 else None for name in names}
        else:
            from torch import load  # the one reader of pickles that holds to tensors and plain containers

            found = load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the library of the format raises on malformed bytes
        fault = f"cannot be read ({type(error).__name__}); it is no {path.suffix[1:].upper()} file, damaged or cut short"
        if "Object arrays" in str(error):
            fault = OBJECTS
        elif re.search("Unsupported (global|class)", str(error)):
            fault = "holds pickled objects other than tensors, which are not read; save tensors alone, for example as safetensors"
        raise ValueError(f"{path} {fault}") from None
    if not isinstance(found, dict):
        return found
    return next(iter(found.values())) if len(found) == 1 else found
