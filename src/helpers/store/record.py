"""Store JSON records that hold their own checksum and those of the files beside them, so that every bit is checked on reading."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from pyarrow import ArrowException
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError

from ..arrays import place
from ..files import checksummed, is_checksummed, sha256, write_json

FORMAT = 2
MALFORMED: tuple[type[Exception], ...] = (  # what the libraries of the formats raise on malformed files
    *(ArrowException, SafetensorError, ValueError, OSError, KeyError, TypeError, AttributeError),
    *(OverflowError, MemoryError, RecursionError),
)
Model = TypeVar("Model", bound=BaseModel)
Read = TypeVar("Read")


class UnusableRecord(ValueError):
    """Error for a stored result that is damaged or has another format; names the file and how to make it again."""


class Record(BaseModel):
    """Fields common to the records of stored sweeps; ``files`` maps the names of files beside it to their SHA-256."""

    model_config = ConfigDict(extra="forbid", strict=True)
    format: int = FORMAT
    files: dict[str, str] = {}


def write_record(path: Path, record: Record, files: Iterable[str] = ()) -> None:
    """Write a record with the SHA-256 of the named files in its folder and of itself."""
    path = Path(path)
    write_json(path, checksummed(record.model_dump() | {"files": {name: sha256(path.parent / name) for name in files}}))


def read_record(path: Path, model: type[Model], remake: str) -> Model:
    """Read a record of :func:`write_record`, and check it and its files; ``remake`` says how to make the result again.

    Raises:
        FileNotFoundError: there is no record.
        UnusableRecord: the format differs, or the record or a file is damaged or missing.
    """
    path = Path(path)
    content = read_checksummed(path, remake)
    record = validated(content, model, path, remake)
    for name, expected in content["files"].items():
        file = path.parent / name
        if not file.is_file():
            raise UnusableRecord(f"{file} is missing; {remake}")
        if sha256(file) != expected:
            raise UnusableRecord(f"{file} is damaged (its checksum does not match its content); {remake}")
    return record


def read_checksummed(path: Path, remake: str) -> dict:
    """Return the content of a record of this format that matches its own checksum, without the checksum."""
    content = read_intact(path, lambda file: json.loads(file.read_bytes()), remake)
    if not isinstance(content, dict):
        raise UnusableRecord(f"{path} is damaged (not a JSON object); {remake}")
    if "format" not in content:
        raise UnusableRecord(f"{path} was stored in an older format; {remake}")
    if content["format"] != FORMAT or isinstance(content["format"], bool):
        raise UnusableRecord(f"{path} has format {content['format']!r:.40}, this version reads {FORMAT}; {remake}")
    if not is_checksummed(content):
        raise UnusableRecord(f"{path} is damaged (its checksum does not match its content); {remake}")
    return {name: value for name, value in content.items() if name != "record_sha256"}


def validated(content: dict, model: type[Model], path: Path, remake: str) -> Model:
    """Return the content of a record as ``model``; the first field that does not fit is named."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UnusableRecord(f"{path}: {place(first['loc'])}: {first['msg']}; {remake}") from None


def read_intact(file: Path, read: Callable[[Path], Read], remake: str) -> Read:
    """Return ``read(file)``, and turn any error of a format's library on a malformed file into one sentence."""
    try:
        return read(file)
    except FileNotFoundError:
        raise
    except MALFORMED as error:
        raise UnusableRecord(f"{file} is damaged ({type(error).__name__}); {remake}") from None
