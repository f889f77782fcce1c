"""Store finished chunks of vectors in the work folder of an extraction: whole, named by content, checked when read."""

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Json, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..files import read_checked_json, replacing

PATIENCE = 3  # seconds before a waiting process prints a note
BETWEEN_TRIES = 0.05


@dataclass(frozen=True)
class Chunk:
    """A run of distinct items that is encoded and written at once.

    ``key`` is a hash of everything its vectors depend on: encoder, precision, batch size, contents. A finished chunk is reused
    exactly when none of these has changed.
    """

    modality: str
    number: int
    items: range
    key: str

    @property
    def name(self) -> str:
        return f"{self.modality}-{self.number:06d}-{self.key[:16]}.safetensors"


def plan(modality: str, contents: list[str], size: int, settings: str) -> list[Chunk]:
    """Cut items, given by their content hashes in order, into chunks of ``size``."""
    chunks = []
    for number, start in enumerate(range(0, len(contents), size)):
        items = range(start, min(start + size, len(contents)))
        key = hashlib.sha256(json.dumps([settings, modality, [contents[i] for i in items]]).encode()).hexdigest()
        chunks.append(Chunk(modality, number, items, key))
    return chunks


class ChunkRecord(BaseModel):
    """Metadata of a chunk's file."""

    model_config = ConfigDict(extra="forbid")
    key: str
    sha256: str
    failed: Json[dict[int, str]]


def write_chunk(folder: Path, chunk: Chunk, vectors: np.ndarray, failed: dict[int, str]) -> None:
    """Write the vectors (len(items), d) of a chunk; ``failed`` maps positions that could not be decoded to the reason."""
    reasons = json.dumps(failed)
    metadata = {"key": chunk.key, "sha256": _checksum(vectors, failed), "failed": reasons}
    with replacing(folder / chunk.name) as temporary:
        temporary.write_bytes(save({"embeddings": vectors}, metadata))


def read_chunk(folder: Path, chunk: Chunk) -> tuple[np.ndarray, dict[int, str]] | None:
    """Return the vectors and failures of a finished chunk; None if it is absent or damaged."""
    path = folder / chunk.name
    if not path.is_file():
        return None
    try:
        with safe_open(path, "np") as stored:
            record = ChunkRecord.model_validate(stored.metadata() or {})
            vectors = stored.get_tensor("embeddings")
    except (SafetensorError, ValidationError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return None
    fits = record.key == chunk.key and vectors.ndim == 2 and vectors.dtype == np.float32 and len(vectors) == len(chunk.items)
    return (vectors, record.failed) if fits and record.sha256 == _checksum(vectors, record.failed) else None


def _checksum(vectors: np.ndarray, failed: dict[int, str]) -> str:
    digest = hashlib.sha256(json.dumps(failed).encode())
    digest.update(np.ascontiguousarray(vectors).tobytes())
    return digest.hexdigest()


def read_work_file(path: Path, expected: Any) -> Any | None:
    """Return the content of a JSON file of the work folder if it has the type ``expected``; None if it is absent or damaged."""
    try:
        return TypeAdapter(expected).validate_python(read_checked_json(path))
    except (OSError, ValueError):  # pydantic's ValidationError is a ValueError
        return None


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Wait until no other process is inside a block with this lock file; print a note after a few seconds."""
    import fcntl

    with open(path, "a+") as lock:
        started, silent = time.monotonic(), True
        while True:
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except (BlockingIOError, PermissionError):
                if silent and time.monotonic() - started > PATIENCE:
                    print(f"waiting for another process that holds {path}", file=sys.stderr, flush=True)
                    silent = False
                time.sleep(BETWEEN_TRIES)
        yield


@contextmanager
def claimed(folder: Path, shard: tuple[int, int] | None) -> Iterator[None]:
    """Lock the work folder until the process ends: exclusively without a shard, shared with other shards with one.

    Raises:
        BlockingIOError: another process holds it.
    """
    import fcntl  # record locks: a decoding worker that outlives a killed parent does not hold them

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a+") as whole, open(folder / f"lock-{shard[0] if shard else 0}", "a+") as own:
        try:
            fcntl.lockf(whole, (fcntl.LOCK_SH if shard else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            fcntl.lockf(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            what = f"shard {shard[0]} of {shard[1]}" if shard else "this set"
            raise BlockingIOError(
                f"another process is extracting {what} in {folder}; wait for it, or give another output"
            ) from None
        yield
