"""Read and write stored results: checksummed records, and the matrices and the table of an embedding set beside its record."""

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors

from ..arrays import blocks, place
from ..files import UNFINISHED, checksummed, is_checksummed, refuse_other_content, sha256, write_json
from ..tasks import Task

FORMAT = 2
PROVENANCE = "provenance.json"
FILES = {"image": "image.safetensors", "text": "text.safetensors", "pairs": "pairs.parquet"}
SHARED_IMAGE = re.compile(r"(\.\./){1,3}(?!\.\.?/)[^/\\\0]+(/(?!\.\.?/)[^/\\\0]+){0,2}/image\.safetensors")
IN_MEMORY = 2**25  # numbers of a matrix above which its rows stay in the file; a converged sweep of so many takes 4 GB
TENSOR = "embeddings"
DTYPES = {"F16": "float16", "F32": "float32"}
ATTEMPTS, PAUSE = 40, 0.05  # number of reads while another process replaces the set, and seconds between them
DAMAGE = "restore it, or make the set again with --overwrite"
MALFORMED: tuple[type[Exception], ...] = (  # what the libraries of the formats raise on malformed files
    *(pa.ArrowException, SafetensorError, ValueError, OSError, KeyError, TypeError, AttributeError),
    *(OverflowError, MemoryError, RecursionError),
)
Model = TypeVar("Model", bound=BaseModel)
Result = TypeVar("Result")


class UnusableRecord(ValueError):
    """Error for a stored result that is damaged or has another format; names the file and how to make it again."""


class Record(BaseModel):
    """Fields common to the records of stored sweeps; ``files`` maps names of files beside it to their SHA-256."""

    model_config = ConfigDict(extra="forbid", strict=True)
    format: int = FORMAT
    files: dict[str, str] = {}


def write_record(path: Path, record: Record, files: Iterable[str] = ()) -> None:
    """Write a record with the SHA-256 of the named files in its folder and of itself."""
    path = Path(path)
    write_json(path, checksummed(record.model_dump() | {"files": {name: sha256(path.parent / name) for name in files}}))


def read_record(path: Path, model: type[Model], remake: str) -> Model:
    """Read a record of :func:`write_record`, and check it and its files; ``remake`` says how to make the result again."""
    path = Path(path)
    content, record = _read_checked(path, model, remake)
    for name, expected in content["files"].items():
        file = path.parent / name
        if not file.is_file() or sha256(file) != expected:
            fault = "damaged (its checksum does not match its content)" if file.is_file() else "missing"
            raise UnusableRecord(f"{file} is {fault}; {remake}")
    return record


def _read_checked(path: Path, model: type[Model], remake: str) -> tuple[dict, Model]:
    """Return a record of this format that matches its own checksum, raw without the checksum, and as ``model``."""
    content = read_intact(path, lambda file: json.loads(file.read_bytes()), remake)
    if isinstance(content, dict) and content.get("format") != FORMAT:
        known = f"has format {content['format']!r:.40}, this version reads {FORMAT}" if "format" in content else None
        raise UnusableRecord(f"{path} {known or 'was stored in an older format'}; {remake}")
    if not is_checksummed(content):
        raise UnusableRecord(f"{path} is damaged (its checksum does not match its content); {remake}")
    del content["record_sha256"]
    try:
        return content, model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UnusableRecord(f"{path}: {place(first['loc'])}: {first['msg']}; {remake}") from None


def read_intact(file: Path, read: Callable[[Path], Result], remake: str) -> Result:
    """Return ``read(file)``, and turn any error of a format's library on a malformed file into one sentence."""
    try:
        return read(file)
    except FileNotFoundError:
        raise
    except MALFORMED as error:
        raise UnusableRecord(f"{file} is damaged ({type(error).__name__}); {remake}") from None


class FileEntry(BaseModel):
    """Path and checksum of one file of a set."""

    model_config = ConfigDict(extra="forbid", strict=True)
    path: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _known_paths(files: dict[str, FileEntry]) -> dict[str, FileEntry]:
    """Refuse files outside the set; the image matrix of another set of the same store may be shared."""
    if set(files) != set(FILES):
        raise ValueError(f"files must be {', '.join(FILES)}")
    for name, entry in files.items():
        if entry.path != FILES[name] and not (name == "image" and SHARED_IMAGE.fullmatch(entry.path)):
            raise ValueError(f"path of {name} leaves the set; expected {FILES[name]}")
    return files


class TaskRecord(BaseModel):
    """Meaning of the labels; the kind ``unlabelled`` has no classes."""

    model_config = ConfigDict(extra="forbid", strict=True)
    kind: Literal["binary", "multiclass", "multilabel", "unlabelled"]
    classes: list[str]

    def task(self) -> Task:
        return Task(self.kind, tuple(self.classes))


class SetRecord(BaseModel):
    """Fields of ``provenance.json`` that the loader needs; further fields pass through unchanged."""

    model_config = ConfigDict(extra="allow", strict=True)
    dtype: Literal["float16", "float32"]
    files: Annotated[dict[str, FileEntry], AfterValidator(_known_paths)]
    task: TaskRecord
    dataset: str = "own"
    variant: str = "own"
    backbone: str = "own"
    data_report: dict | None = None
    encoder: dict | None = None


def read_set_record(directory: Path) -> tuple[dict, SetRecord]:
    """Read ``provenance.json`` of a set, raw and validated; a FileNotFoundError or an UnusableRecord says what is wrong."""
    path = Path(directory) / PROVENANCE
    if not path.is_file():
        raise FileNotFoundError(
            f"no embeddings in {directory} ({PROVENANCE} is missing); run `python -m helpers extract` or give another folder"
        )
    return _read_checked(path, SetRecord, DAMAGE)


def read_bytes(directory: Path, record: SetRecord, name: str, in_memory: float = inf) -> tuple[Path, bytes | np.ndarray]:
    """Read one file of a set, checked against its checksum; one of more than ``in_memory`` bytes is memory-mapped."""
    entry = record.files[name]
    path, told = Path(directory) / entry.path, Path(directory) / PROVENANCE
    try:
        data: Any = np.memmap(path, mode="r") if path.stat().st_size > in_memory else path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise FileNotFoundError(f"{path} is missing though {told} names it; {DAMAGE}") from None
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise ValueError(f"{path} does not match the checksum in {told}; {DAMAGE}")
    return path, data


def write_matrix(path: Path, matrix, dtype: str) -> None:
    """Write a matrix (n, d) block by block, with the bytes that the safetensors library would write from memory."""
    n, d = matrix.shape
    code = next(code for code, known in DTYPES.items() if known == dtype)
    about = {TENSOR: {"dtype": code, "shape": [n, d], "data_offsets": [0, n * d * np.dtype(dtype).itemsize]}}
    header = json.dumps(about, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        for block in blocks(matrix):
            stream.write(np.ascontiguousarray(block, dtype=dtype).data)


def parse_matrix(data, path: Path) -> np.ndarray:
    """Return the tensor ``embeddings`` (n, d), float16 or float32, of a safetensors file; memory-mapped if its bytes are."""
    try:
        tensors = {TENSOR: _mapped(data)} if isinstance(data, np.ndarray) else load_safetensors(data)
    except MALFORMED as error:
        raise ValueError(f"{path} is not a whole safetensors file ({type(error).__name__}); {DAMAGE}") from None
    matrix = tensors.get(TENSOR)
    if matrix is None or len(tensors) != 1 or matrix.ndim != 2 or matrix.dtype not in (np.float16, np.float32):
        raise ValueError(f"{path} must hold one tensor {TENSOR!r} (n, d) of float16 or float32; {DAMAGE}")
    return matrix


def _mapped(data: np.ndarray) -> np.ndarray:
    """Return the only tensor of a memory-mapped safetensors file, whose bytes are not read yet."""
    start = 8 + int.from_bytes(data[:8].tobytes(), "little")
    header = json.loads(data[8:start].tobytes())
    about = header[TENSOR]
    matrix = data[start:].view(DTYPES[about["dtype"]]).reshape(about["shape"])
    if about["data_offsets"] != [0, matrix.nbytes] or set(header) - {TENSOR, "__metadata__"}:
        raise ValueError("the header and the length of the file disagree")
    return matrix


def read_parquet(path: Path, remedy: str, data=None) -> pd.DataFrame:
    """Return the table of a Parquet file, or of its bytes ``data``."""
    try:
        table = pq.read_table(path if data is None else pa.BufferReader(data))
        table.validate(full=True)
        return table.to_pandas(ignore_metadata=True)
    except MALFORMED as error:
        raise ValueError(f"{path} is not a whole Parquet table ({type(error).__name__}); {remedy}") from None


def parse_pairs(data, path: Path, task: Task) -> pd.DataFrame:
    """Return the table of pairs; an error names the file and the column but no cell."""
    pairs = read_parquet(path, DAMAGE, data)
    if pairs.columns.duplicated().any():
        raise ValueError(f"{path} has a column twice; {DAMAGE}")
    for name in ("pair_id", "split", "group", "image", "text", *task.columns):
        if name not in pairs:
            raise ValueError(f"{path} has no column {name!r}; {DAMAGE}")
        whole = pd.api.types.is_integer_dtype(pairs[name])
        fits = whole if name in ("image", "text") else whole or pd.api.types.is_string_dtype(pairs[name]) or name in task.columns
        if not fits or pairs[name].isna().any():
            must = "whole numbers" if name in FILES else "texts"
            raise ValueError(f"{path}: column {name!r} must hold {must} in every row; {DAMAGE}")
    return pairs


def settled(read: Callable[[], Result], directory: Path) -> Result:
    """Return ``read()``, and try again while another process replaces the set."""
    for _ in range(ATTEMPTS):
        before = _stamp(directory)
        try:
            return read()
        except (OSError, ValueError):
            replaced = before is None and any(directory.parent.glob(f".{directory.name[:100]}.*{UNFINISHED}/moved--*"))
            if before == _stamp(directory) and not replaced:
                raise
            time.sleep(PAUSE * replaced)
    return read()


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
