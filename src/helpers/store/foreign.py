"""Share code between the readers of foreign embeddings: a table of rows, its columns, and the arguments of a set.

No error prints a cell of a table, which may be a patient's. Errors print column names only if all look like names.
"""

import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..arrays import choose_column
from ..files import sha256

SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t"}
OTHER_SEPARATORS = {
    ";": ("semicolons", "save it with commas between the columns"),
    "\t": ("tabs", "let its name end in .tsv"),
    ",": ("commas", "let its name end in .csv"),
}
TABLES = (*SEPARATORS, ".parquet")
NAME = re.compile(r"[^\W\d][\w.-]{0,39}")
CELL = re.compile(r"\d{4}|^(train|val|valid|validation|test|dev)$", re.IGNORECASE)  # a person's number, or a split
SHOWN = 12
CUT_SHORT = (EOFError, zlib.error, zipfile.BadZipFile, OSError)


def existing(path) -> Path:
    """Return ``path`` if it exists.

    Raises:
        FileNotFoundError: it does not exist.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist; give the file of the embeddings, or of their table")
    return Path(path)


@contextmanager
def naming(path, *others) -> Iterator[None]:
    """Put the name of a file before an error about its content that gives neither it nor the name of one of ``others``."""
    try:
        yield
    except ValueError as error:
        if any(str(name) in str(error) for name in (path, *others)):
            raise
        raise ValueError(f"{path}: {error}") from None


def ending(path: Path) -> str:
    """Return the ending that names the format, without ``.gz``."""
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()


def read_header(path: Path) -> list[str]:
    """Return the column names of a CSV, TSV or Parquet table.

    Raises:
        ValueError: as :func:`read_rows`.
    """
    if ending(path) == ".parquet":
        return list(_parquet(path, header_only=True))
    header = [str(name) for name in _delimited(path, nrows=0).columns]
    for mark, (name, remedy) in OTHER_SEPARATORS.items():
        if len(header) == 1 and mark in header[0]:
            raise ValueError(f"{path} is separated by {name}; {remedy}")
    return header


def read_rows(path: Path, numeric: Iterable[str] = ()) -> pd.DataFrame:
    """Read a CSV, TSV or Parquet table, the columns ``numeric`` as float32.

    Raises:
        ValueError: an empty, cut or undecodable file, or a coordinate that is not a number; names the file.
    """
    numeric = list(numeric)
    try:
        if ending(path) == ".parquet":
            return _parquet(path).astype(dict.fromkeys(numeric, np.float32))
        return _delimited(path, dtype=dict.fromkeys(numeric, np.float32), low_memory=False)
    except UnreadableTable:
        raise
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"{path}: {_not_a_number(path, numeric)} is not a number; export the embeddings again") from None


def _not_a_number(path: Path, numeric: list[str]) -> str:
    """Return the column and row of the first coordinate that is not a number, without its value."""
    table = _parquet(path) if ending(path) == ".parquet" else _delimited(path, dtype=str, usecols=numeric)
    for name in numeric:
        bad = table[name].notna() & pd.to_numeric(table[name], errors="coerce").isna()
        if bad.any():
            return f"{name} in row {bad.to_numpy().argmax()}"
    return "a coordinate"


class UnreadableTable(ValueError):
    """Error for a table that is damaged as a whole; it says what to do."""


def _delimited(path: Path, **options) -> pd.DataFrame:
    separator = SEPARATORS.get(ending(path), ",")
    try:
        return pd.read_csv(path, sep=separator, encoding="utf-8-sig", **options)
    except UnicodeDecodeError as error:
        raise UnreadableTable(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except pd.errors.EmptyDataError:
        raise UnreadableTable(f"{path} is empty; export the embeddings again") from None
    except pd.errors.ParserError:
        raise UnreadableTable(f"{path} has rows of different length or an open quote; export the embeddings again") from None
    except CUT_SHORT as error:
        raise UnreadableTable(f"{path} cannot be read ({type(error).__name__}); it is damaged or cut short") from None


def _parquet(path: Path, header_only: bool = False):
    try:
        if header_only:
            return pq.read_schema(path).names
        table = pq.read_table(path)
        table.validate(full=True)
        return table.to_pandas(ignore_metadata=True)
    except (pa.ArrowException, ValueError, OSError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise UnreadableTable(f"{path} is not a whole Parquet table ({type(error).__name__}); export it again") from None


def find_columns(header: list[str], wanted: Iterable[str], path: Path) -> None:
    """Raise unless the table has every wanted column; see :func:`helpers.arrays.choose_column`."""
    for name in wanted:
        choose_column(name, header, path)


def choose_columns(header: list[str], path: Path, label, split, group, ids) -> tuple[list[str] | str | None, str | None]:
    """Return the label column or columns and the split column: those named, else ``label`` and ``split`` if they exist."""
    label = label if label is not None else ("label" if "label" in header else None)
    split = split if split is not None else ("split" if "split" in header else None)
    labels = [] if label is None else [label] if isinstance(label, str) else list(label)
    find_columns(header, filter(None, [*labels, split, group, ids]), path)
    return label if label is None or isinstance(label, str) else labels, split


def set_arguments(about: pd.DataFrame, image, text, path: Path, label, split, group, ids, kind, classes, provenance) -> dict:
    """Return the arguments of ``EmbeddingSet.from_arrays``; ``label`` and ``split`` may be None."""
    several = label is not None and not isinstance(label, str)
    if several and classes is None:
        classes = [name.removeprefix("label_") for name in label]
    for what, name in (("split", split), ("group", group), ("id", ids)):
        if name is not None and about[name].isna().any():
            row = int(np.flatnonzero(about[name].isna())[0])
            raise ValueError(f"{path}: {what} column {name!r} has missing values, first at row {row}; fill them in")
    known = {"dataset": path.name.split(".")[0], "variant": "imported", "backbone": "unknown", **provenance}
    return {
        "image": image,
        "text": text,
        "labels": None if label is None else about[list(label)].to_numpy() if several else about[label].to_numpy(),
        "split": None if split is None else about[split].to_numpy(),
        "kind": kind,
        "groups": about[group].to_numpy() if group else None,
        "ids": about[ids].to_numpy() if ids else None,
        "classes": classes,
        **known,
        "imported_from": {"file": path.name} | ({"sha256": sha256(path)} if path.is_file() else {}),
    }
