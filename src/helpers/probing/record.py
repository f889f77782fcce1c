"""Store results with checksums: a JSON record holds the SHA-256 of itself and of the files beside it."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from pyarrow import ArrowException
from safetensors import SafetensorError

from ..files import sha256, write_json

FORMAT = 2
Read = TypeVar("Read")


class UnusableRecord(ValueError):
    """Error for a stored result that is damaged or has another format."""


def write_record(path: Path, record: dict, files: Iterable[str] = ()) -> None:
    """Write a record with the SHA-256 of the named files in its folder and of itself."""
    content = {**record, "format": FORMAT, "files": {name: sha256(path.parent / name) for name in files}}
    write_json(path, content | {"sha256": _checksum(content)})


def read_record(path: Path, remake: str) -> dict:
    """Return what :func:`write_record` wrote, once the record and its files are checked against their checksums.

    Args:
        remake: what makes the result again, for messages.

    Raises:
        FileNotFoundError: there is no record.
        UnusableRecord: the format differs, or the record or a file is damaged or missing; names the file.
    """
    record = read_intact(path, lambda file: json.loads(file.read_bytes()), remake)
    if not isinstance(record, dict):
        raise UnusableRecord(f"{path} is damaged (not a JSON object); {remake}")
    if record.pop("format", None) != FORMAT:
        raise UnusableRecord(f"{path} was stored in an older format; {remake}")
    if record.pop("sha256", None) != _checksum({**record, "format": FORMAT}):
        raise UnusableRecord(f"{path} is damaged (its checksum does not match its content); {remake}")
    for name, expected in record.pop("files").items():
        if not (path.parent / name).is_file():
            raise UnusableRecord(f"{path.parent / name} is missing; {remake}")
        if sha256(path.parent / name) != expected:
            raise UnusableRecord(f"{path.parent / name} is damaged (its checksum does not match its content); {remake}")
    return record


def read_intact(file: Path, read: Callable[[Path], Read], remake: str) -> Read:
    """Return ``read(file)``; any error of a format's library on a malformed file becomes an UnusableRecord that names it."""
    try:
        return read(file)
    except FileNotFoundError:
        raise
    except (ArrowException, SafetensorError, ValueError, OSError, KeyError, TypeError, RecursionError) as error:
        raise UnusableRecord(f"{file} is damaged ({type(error).__name__}); {remake}") from None


def _checksum(content: dict) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
