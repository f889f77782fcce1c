"""Read tables of others with one-sentence errors, which name the file and the row and print no cell: it may be a patient's."""

import warnings
import zipfile
import zlib
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .record import MALFORMED

SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t"}
OTHER_SEPARATORS = {
    ";": ("semicolons", "save it with commas between the columns"),
    "\t": ("tabs", "let its name end in .tsv"),
    ",": ("commas", "let its name end in .csv"),
}
TABLES = (*SEPARATORS, ".parquet")
CUT_SHORT = (EOFError, zlib.error, zipfile.BadZipFile, OSError)


def existing(path) -> Path:
    """Return ``path`` if it exists."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist; give the file of the embeddings, or of their table")
    return Path(path)


def ending(path: Path) -> str:
    """Return the ending that names the format, without ``.gz``."""
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()


def read_rows(path: Path, remedy: str = "export the embeddings again") -> pd.DataFrame:
    """Read a CSV or TSV table, UTF-8 and perhaps gzipped, or a Parquet table, as the ending of its name says."""
    if ending(path) == ".parquet":
        return read_parquet(path, remedy)
    table = read_delimited(path, SEPARATORS.get(ending(path), ","), remedy, low_memory=False)
    for mark, (name, instead) in OTHER_SEPARATORS.items():
        if len(table.columns) == 1 and mark in str(table.columns[0]):
            raise ValueError(f"{path} is separated by {name}; {instead}")
    return table


def read_delimited(path: Path, separator: str, remedy: str, **options) -> pd.DataFrame:
    """Return ``pandas.read_csv`` of a UTF-8 file, with or without a byte order mark; ``remedy`` is advice on a damaged one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            return pd.read_csv(path, sep=separator, encoding="utf-8-sig", index_col=False, **options)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} is empty; {remedy}") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning):
        raise ValueError(f"{path} has rows of different length or an open quote; {remedy}") from None
    except CUT_SHORT as error:
        raise ValueError(f"{path} cannot be read ({type(error).__name__}): it is damaged or cut short; {remedy}") from None


def read_parquet(path: Path, remedy: str, data=None) -> pd.DataFrame:
    """Return the table of a Parquet file, or of its bytes ``data``."""
    try:
        table = pq.read_table(path if data is None else pa.BufferReader(data))
        table.validate(full=True)
        return table.to_pandas(ignore_metadata=True)
    except MALFORMED as error:
        raise ValueError(f"{path} is not a whole Parquet table ({type(error).__name__}); {remedy}") from None
