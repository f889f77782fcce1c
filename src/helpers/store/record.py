"""Read and check the record and the files of a stored set, with one-sentence errors that name the file."""

import hashlib
import re
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ..arrays import place
from ..files import UNFINISHED, is_sealed, read_json, refuse_other_content
from ..tasks import UNLABELLED, Task, Unlabelled

PROVENANCE = "provenance.json"
FILES = {"image": "image.safetensors", "text": "text.safetensors", "pairs": "pairs.parquet"}
FORMAT = 2  # format 1, of the first shipped sets, has no checksum of the record itself; it stays readable
ATTEMPTS, PAUSE = 40, 0.05  # number of reads while another process replaces the set, and seconds between them
SHARED_IMAGE = re.compile(r"(\.\./){1,3}(?!\.\.?/)[^/\\\0]+(/(?!\.\.?/)[^/\\\0]+){0,2}/image\.safetensors")
DAMAGE = "restore it, or make the set again with --overwrite"
Result = TypeVar("Result")


class FileEntry(BaseModel):
    """Path and checksum of one file of a set."""

    model_config = ConfigDict(extra="forbid", strict=True)
    path: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _known_paths(files: dict[str, FileEntry]) -> dict[str, FileEntry]:
    if set(files) != set(FILES):
        raise ValueError(f"files must be {', '.join(FILES)}")
    for name, entry in files.items():
        shared = name == "image" and SHARED_IMAGE.fullmatch(entry.path)
        if entry.path != FILES[name] and not shared:
            raise ValueError(f"path of {name} leaves the set; expected {FILES[name]}")
    return files


class TaskRecord(BaseModel):
    """Meaning of the labels; the kind ``unlabelled`` has no classes."""

    model_config = ConfigDict(extra="forbid", strict=True)
    kind: Literal["binary", "multiclass", "multilabel", "unlabelled"]
    classes: list[str]

    def task(self) -> Task:
        """Return the task.

        Raises:
            ValueError: the classes do not fit the kind.
        """
        return Unlabelled() if self.kind == UNLABELLED else Task(self.kind, tuple(self.classes))


class SetRecord(BaseModel):
    """Fields of ``provenance.json`` that the loader needs; further fields pass through unchanged."""

    model_config = ConfigDict(extra="allow", strict=True)
    format: Literal[1, 2]
    dtype: Literal["float16", "float32"]
    files: Annotated[dict[str, FileEntry], AfterValidator(_known_paths)]
    task: TaskRecord
    dataset: str = "own"
    variant: str = "own"
    backbone: str = "own"
    data_report: dict | None = None
    encoder: dict | None = None


def read_record(directory: Path) -> tuple[dict, SetRecord]:
    """Read ``provenance.json`` of a set; return it raw and validated.

    Raises:
        FileNotFoundError: the folder has no record.
        ValueError: the record is damaged, has an unknown format, or names files outside the store.
    """
    path = Path(directory) / PROVENANCE
    if not path.is_file():
        raise FileNotFoundError(
            f"no embeddings in {directory} ({PROVENANCE} is missing); run `python -m helpers extract` or give another folder"
        )
    try:
        found = read_json(path)
    except ValueError as error:
        raise ValueError(f"{str(error).rpartition(';')[0]}; {DAMAGE}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} is not the record of an embedding set; {DAMAGE}")
    number = found.get("format")
    if number not in (1, FORMAT) or isinstance(number, bool):
        raise ValueError(
            f"{path} has format {number!r:.40}, this version reads 1 and {FORMAT}; extract again, or update this project"
        )
    if number == FORMAT and not is_sealed(found):
        raise ValueError(f"{path} does not match its own checksum; {DAMAGE}")
    try:
        return found, SetRecord.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{path}: {place(first['loc'])}: {first['msg']}; {DAMAGE}") from None


def read_bytes(directory: Path, record: SetRecord, name: str, in_memory: float = inf) -> tuple[Path, bytes | np.ndarray]:
    """Read one file of a set and check its bytes against the checksum in the record.

    A file of more than ``in_memory`` bytes is memory-mapped, as an array of bytes.

    Raises:
        FileNotFoundError, ValueError: the file is missing or changed.
    """
    entry = record.files[name]
    path = Path(directory) / entry.path
    try:
        data: Any = np.memmap(path, mode="r") if path.stat().st_size > in_memory else path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        record_path = Path(directory) / PROVENANCE
        raise FileNotFoundError(f"{path} is missing though {record_path} names it; {DAMAGE}") from None
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise ValueError(f"{path} does not match the checksum in {Path(directory) / PROVENANCE}; {DAMAGE}")
    return path, data


def parse_pairs(data, path: Path, task: Task) -> pd.DataFrame:
    """Return the table of pairs, once its columns are checked to have the names and types that a set needs.

    Raises:
        ValueError: a damaged table, a missing column, a column of another type, or missing values; names the file but no cell.
    """
    try:
        table = pq.read_table(pa.BufferReader(data))
        table.validate(full=True)
        pairs = table.to_pandas(ignore_metadata=True)
    except (pa.ArrowException, ValueError, OSError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise ValueError(f"{path} is not a whole Parquet table ({type(error).__name__}); {DAMAGE}") from None
    if pairs.columns.duplicated().any():
        raise ValueError(f"{path} has a column twice; {DAMAGE}")
    for name in ("pair_id", "split", "group", "image", "text", *task.columns):
        if name not in pairs:
            raise ValueError(f"{path} has no column {name!r}; {DAMAGE}")
        whole = pd.api.types.is_integer_dtype(pairs[name])
        fits = whole if name in ("image", "text") else whole or pd.api.types.is_string_dtype(pairs[name]) or name in task.columns
        if not fits or pairs[name].isna().any():
            raise ValueError(
                f"{path}: column {name!r} must hold {'whole numbers' if name in FILES else 'texts'} in every row; {DAMAGE}"
            )
    return pairs


def settled(read: Callable[[], Result], directory: Path) -> Result:
    """Return ``read()``, and try again while another process replaces the set."""
    directory = Path(directory)
    for attempt in range(ATTEMPTS):
        before = _stamp(directory)
        try:
            return read()
        except (OSError, ValueError):
            unchanged = before == _stamp(directory)
            replaced = before is None and any(directory.parent.glob(f".{directory.name[:100]}.*{UNFINISHED}/moved--*"))
            if attempt == ATTEMPTS - 1 or unchanged and not replaced:
                raise
            time.sleep(PAUSE * replaced)
    raise AssertionError("not reached")


def _stamp(directory: Path) -> tuple | None:
    """Return what changes when a set is replaced: numbers of its folder and record; None if one is absent."""
    try:
        folder, record = directory.stat(), (directory / PROVENANCE).stat()
    except OSError:
        return None
    return folder.st_dev, folder.st_ino, record.st_ino, record.st_mtime_ns


def check_replaceable(directory: Path) -> None:
    """Raise a FileExistsError unless ``directory`` is absent, empty, or holds a set alone, damaged or not."""
    refuse_other_content(directory, PROVENANCE, FILES.values(), "an embedding set")
