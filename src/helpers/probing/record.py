"""Store results so that every bit is checked on reading: a JSON record holds its own checksum and those of its files."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from pyarrow import ArrowException
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError

from ..arrays import place
from ..files import sha256, write_json

FORMAT = 2
Model = TypeVar("Model", bound=BaseModel)
Read = TypeVar("Read")


class UnusableRecord(ValueError):
    """Error for a stored result that is damaged or has another format."""


class Record(BaseModel):
    """Fields common to all records of stored sweeps."""

    model_config = ConfigDict(extra="forbid", strict=True)
    format: int = FORMAT
    files: dict[str, str] = {}


def write_record(path: Path, record: Record, files: Iterable[str] = ()) -> None:
    """Write a record with the SHA-256 of the named files in its folder and of itself."""
    path = Path(path)
    content = record.model_dump() | {"files": {name: sha256(path.parent / name) for name in files}}
    write_json(path, content | {"sha256": _seal(content)})


def read_record(path: Path, model: type[Model], remake: str) -> Model:
    """Read a record, and check it and its files against their checksums.

    Args:
        remake: command that makes the result again, for messages.

    Raises:
        FileNotFoundError: there is no record.
        UnusableRecord: the format differs, or the record or a file is damaged or missing; names the file.
    """
    path = Path(path)
    content = read_intact(path, lambda file: json.loads(file.read_bytes()), remake)
    if not isinstance(content, dict):
        raise UnusableRecord(f"{path} is damaged (not a JSON object); {remake}")
    if content.get("format") != FORMAT and "sha256" not in content:
        raise UnusableRecord(f"{path} was stored in an older format; {remake}")
    if content.pop("sha256", None) != _seal(content):
        raise UnusableRecord(f"{path} is damaged (its checksum does not match its content); {remake}")
    if content.get("format") != FORMAT:
        raise UnusableRecord(f"{path} has format {content.get('format')}, this version reads {FORMAT}; {remake}")
    try:
        record = model.model_validate(content)
    except ValidationError as error:
        field = place(error.errors()[0]["loc"])
        raise UnusableRecord(f"{path} is no record of a sweep (field {field!r} is missing or wrong); {remake}") from None
    for name, expected in content["files"].items():
        file = path.parent / name
        if not file.is_file():
            raise UnusableRecord(f"{file} is missing; {remake}")
        if sha256(file) != expected:
            raise UnusableRecord(f"{file} is damaged (its checksum does not match its content); {remake}")
    return record


def read_intact(file: Path, read: Callable[[Path], Read], remake: str) -> Read:
    """Return ``read(file)``, and turn any error of a format's library on a malformed file into one sentence.

    Raises:
        FileNotFoundError: there is no such file.
        UnusableRecord: the file cannot be read; names it.
    """
    try:
        return read(file)
    except FileNotFoundError:
        raise
    except (ArrowException, SafetensorError, ValueError, OSError, KeyError, TypeError, RecursionError) as error:
        raise UnusableRecord(f"{file} is damaged ({type(error).__name__}); {remake}") from None


def _seal(content: dict) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
