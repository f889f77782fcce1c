"""Read and write stored results: checksummed records, and the matrices and the table of an embedding set beside its record."""

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError

from .. import files
from ..arrays import place
from ..files import RECORD as PROVENANCE
from ..files import check_file, checksum_of, matches_checksum, parse_json, remove_stale, replacing, sha256, unreadable, write_json
from ..schemas import PAIRS, UnusableRecord, check_table, usable

FORMAT = 2
FILES = {"image": "image.safetensors", "text": "text.safetensors", "pairs": "pairs.parquet"}
SHARED_IMAGE = re.compile(r"(\.\./){1,3}(?!\.\.?/)[^/\\\0]+(/(?!\.\.?/)[^/\\\0]+){0,2}/image\.safetensors")
BYTES_A_NUMBER = 128  # of a matrix, that a converged sweep takes at its peak: 4 GB for 2**25 numbers
TENSOR = "embeddings"
DTYPES = {"F16": "float16", "F32": "float32"}
PER_VALUE, PER_COLUMN = 40, 100_000  # bytes of memory while a table is read and used
ATTEMPTS, PAUSE = 40, 0.05  # number of reads while another process replaces the set, and seconds to wait for an absent one
DAMAGE = "restore it, or make the set again with --overwrite"


class Record(BaseModel):
    """Fields common to the records of stored sweeps; ``files`` maps names of files beside it to their SHA-256."""

    model_config = ConfigDict(extra="forbid", strict=True)
    format: int = FORMAT
    files: dict[str, str] = {}


def write_record(path: Path, record: Record | dict, files: Iterable[str] = ()) -> None:
    """Write a record with the SHA-256 of the named files in its folder, if any, and of itself."""
    content = record.model_dump() if isinstance(record, Record) else record
    if hashes := {name: sha256(Path(path).parent / name) for name in files}:
        content = content | {"files": hashes}
    write_json(path, {**content, "record_sha256": checksum_of(content)}, part_of_result=True)


def read_record(path: Path, model: Any, remake: str, files: Iterable[str] = ()) -> Any:
    """Read a record of :func:`write_record` as ``model``, and check it and its files, among them ``files``."""
    path = Path(path)
    if not path.parent.exists():
        remove_stale(path.parent.parent)  # puts it back if a killed writer had moved it aside
    content = read_intact(path, lambda file: parse_json(file.read_bytes()), remake)
    if isinstance(content, dict) and model is not dict and content.get("format") != FORMAT:
        known = f"has format {content['format']!r:.40}, this version reads {FORMAT}" if "format" in content else None
        raise UnusableRecord(f"{path} {known or 'was stored in an older format'}; {remake}")
    if not matches_checksum(content, "record_sha256"):
        raise UnusableRecord(f"{path} is damaged (its checksum does not match its content); {remake}")
    try:
        record = TypeAdapter(model).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UnusableRecord(f"{path}: {place(first['loc'])}: {first['msg']}; {remake}") from None
    hashes = record.files if isinstance(record, Record) else {}
    for name in {*hashes, *files}:
        file = path.parent / name
        if not file.is_file() or sha256(file) != hashes.get(name):
            raise UnusableRecord(f"{file} is damaged or missing (its checksum does not match its content); {remake}")
    return record


def read_intact(file: Path, read: Callable[[Path], Any], remake: str) -> Any:
    """Return ``read(file)``, and turn any error of a format's library on a malformed file into one sentence."""
    try:
        return read(check_file(file))
    except Exception as error:  # whatever the library of the format raises on malformed bytes
        raise unreadable(error, file, f"{file} is damaged ({type(error).__name__}); {remake}", UnusableRecord) from None


def _known_files(files: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Refuse files outside the set; the image matrix of another set of the same store may be shared."""
    if {name: set(entry) for name, entry in files.items()} != dict.fromkeys(FILES, {"path", "sha256"}):
        raise ValueError(f"files must be {', '.join(FILES)}, each with path and sha256")
    for name, entry in files.items():
        if entry["path"] != FILES[name] and not (name == "image" and SHARED_IMAGE.fullmatch(entry["path"])):
            raise ValueError(f"path of {name} leaves the set; expected {FILES[name]}")
    return files


class SetRecord(BaseModel):
    """Fields of ``provenance.json`` that the loader needs; further fields pass through unchanged."""

    model_config = ConfigDict(extra="allow", strict=True)
    dtype: Literal["float16", "float32"]
    files: Annotated[dict[str, dict[str, str]], AfterValidator(_known_files)]
    task: dict[Literal["kind", "classes"], str | list[str]]
    data_report: dict | None = None
    encoder: dict | None = None


def read_set_record(directory: Path) -> dict:
    """Return the checked ``provenance.json`` of a set; a FileNotFoundError or an UnusableRecord says what is wrong."""
    try:
        return read_record(Path(directory) / PROVENANCE, SetRecord, DAMAGE).model_dump(exclude_unset=True)
    except (FileNotFoundError, NotADirectoryError):
        how = "run `python -m helpers extract` or give another folder"
        raise FileNotFoundError(f"no embeddings in {directory} ({PROVENANCE} is missing); {how}") from None


def read_set(directory: Path, in_memory: float) -> tuple[dict, dict[str, Any]]:
    """Return the record, and image, text and pairs, of a set; a matrix of more than ``in_memory`` numbers is memory-mapped."""
    record, found, told = read_set_record(directory), dict[str, Any](), directory / PROVENANCE
    for name, entry in record["files"].items():
        path = check_file(directory / entry["path"])
        try:
            mapped = name != "pairs" and path.stat().st_size > in_memory * np.dtype(record["dtype"]).itemsize
            data: Any = np.memmap(path, mode="r") if mapped else np.fromfile(path, dtype=np.uint8)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise FileNotFoundError(f"{path} is missing though {told} names it; {DAMAGE}") from None
        except MemoryError as error:
            raise unreadable(error, path, "") from None
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise ValueError(f"{path} does not match the checksum in {told}; {DAMAGE}")
        found[name] = _pairs(data, path) if name == "pairs" else _matrix(data, path)
    return record, found


def fits_in_memory() -> int:
    """Return how many numbers a matrix may have for a sweep to fit into the memory that is free now."""
    return psutil.virtual_memory().available // BYTES_A_NUMBER


def _matrix(data: np.ndarray, path: Path) -> np.ndarray:
    """Return the tensor ``embeddings`` (n, d) in the bytes of a safetensors file; its own bytes are not read yet."""
    start = 8 + int.from_bytes(data[:8].tobytes(), "little")
    try:
        header = json.loads(data[8:start].tobytes())
        about = header[TENSOR]
        matrix = data[start:].view(DTYPES[about["dtype"]]).reshape(about["shape"])
        if matrix.ndim != 2 or about["data_offsets"] != [0, matrix.nbytes] or set(header) - {TENSOR, "__metadata__"}:
            raise ValueError("its header does not describe one matrix")
    except Exception as error:  # whatever the library of the format raises on malformed bytes
        what = f"a whole safetensors file with one tensor {TENSOR!r} (n, d) of float16 or float32"
        raise ValueError(f"{path} is not {what} ({type(error).__name__}); {DAMAGE}") from None
    return matrix


def read_parquet(path: Path, remedy: str, data=None) -> pd.DataFrame:
    """Return :func:`read_arrow` as :func:`to_pandas` gives it; types that pandas alone knows are lost."""
    return read_arrow(path, remedy, data, to_pandas)


def read_arrow(path: Path, remedy: str, data=None, convert: Callable = lambda table: table):
    """Return the table of a Parquet file, or of its bytes ``data``, converted, if it fits into the limit of memory."""
    try:
        source = check_file(path) if data is None else pa.BufferReader(data)
        files.check_memory(str(path), parquet_memory(source))
        table = pq.read_table(source)
        table.validate(full=True)
        return convert(table)
    except Exception as error:  # whatever the library of the format raises on malformed bytes
        raise unreadable(error, path, f"{path} is not a whole Parquet table ({type(error).__name__}); {remedy}") from None


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return a table with names in place of the numbers of a Hugging Face dataset's classes; one without a name is missing."""
    found, about = table.to_pandas(ignore_metadata=True), parse_json((table.schema.metadata or {}).get(b"huggingface", b"{}"))
    for column, feature in about.get("info", {}).get("features", {}).items():
        inner = feature.get("feature", feature)  # of a list, or of its items
        if column in found and isinstance(inner, dict) and inner.get("_type") == "ClassLabel":
            name = dict(enumerate(inner["names"])).get
            several = inner is not feature
            found[column] = [[name(n) for n in cell] if several and cell is not None else name(cell) for cell in found[column]]
    return found


def parquet_memory(source) -> float:
    """Return the bytes of memory that a Parquet table takes; a text that a dictionary holds once counts in each of its rows."""
    about = pq.ParquetFile(source).metadata
    chunks = [about.row_group(i).column(k) for i in range(about.num_row_groups) for k in range(about.num_columns)]
    texts = [chunk for chunk in chunks if chunk.physical_type == "BYTE_ARRAY"]
    needed = sum(chunk.total_uncompressed_size + PER_VALUE * chunk.num_values for chunk in (*chunks, *texts))
    needed += PER_COLUMN * about.num_columns
    longest = sum(chunk.total_uncompressed_size * chunk.num_values for chunk in texts)
    if needed + longest <= files.memory_limit() or needed > files.memory_limit():
        return needed
    names = list(dict.fromkeys(chunk.path_in_schema for chunk in texts))
    table = pq.ParquetFile(source, read_dictionary=names).read(list({name.split(".")[0] for name in names}))
    return needed + 2 * sum(length_of(part) for column in table.columns for part in column.chunks)


def length_of(array: pa.Array) -> int:
    """Return how many bytes an array takes once every text stands in its row."""
    if isinstance(array, pa.DictionaryArray):
        return pc.sum(pc.binary_length(array.dictionary).take(array.indices)).as_py() or 0
    inner = array.flatten() if hasattr(array, "flatten") else []
    return max(array.nbytes, 8 * len(array)) + sum(map(length_of, [inner] if isinstance(inner, pa.Array) else inner))


def _pairs(data: np.ndarray, path: Path) -> pd.DataFrame:
    """Return the table of pairs; an error names the file and the column but no cell."""
    pairs = read_parquet(path, DAMAGE, data)
    if not pairs.columns.is_unique or not set(PAIRS) <= set(pairs):
        raise ValueError(f"{path} must have each of the columns {', '.join(PAIRS)} once; {DAMAGE}")
    with usable(path, DAMAGE):
        check_table(pairs[list(PAIRS)], PAIRS)
    return pairs


def columns_of(path: Path) -> list[str] | None:
    """Return the columns of a CSV or Parquet file, or None of anything else."""
    try:
        return pq.read_schema(path).names if check_file(path).suffix == ".parquet" else list(pd.read_csv(path, nrows=0))
    except Exception:  # whatever the library of the format raises on other bytes
        return None


def write_table(table: pd.DataFrame, path) -> Path:
    """Write a table as CSV or Parquet, by the ending; a file that is no earlier table of these columns is not replaced."""
    path = Path(path)
    with replacing(path, is_ours=lambda file: columns_of(file) == list(table)) as temporary:
        (table.to_parquet if path.suffix == ".parquet" else table.to_csv)(temporary, index=False)
    return path


def settled(read: Callable[[], Any], directory: Path) -> Any:
    """Call ``read()``, retrying while another process replaces the set."""

    def stamp() -> tuple | None:
        try:
            return (found := (directory / PROVENANCE).stat()).st_ino, found.st_mtime_ns
        except OSError:
            return None

    for _ in range(ATTEMPTS):
        before = stamp()
        try:
            return read()
        except (OSError, ValueError):
            time.sleep(PAUSE * (before is None))  # while one folder is moved aside and the other takes its place
            if before == stamp():
                raise
    return read()
