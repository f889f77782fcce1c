"""The work folder of an extraction: finished chunks of vectors, each whole, named by its content and checked when read."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..files import replacing


@dataclass(frozen=True)
class Chunk:
    """A run of distinct items that is encoded and written at once.

    ``key`` is a hash of everything its vectors depend on (encoder, precision, batch size, contents), so a finished chunk is
    reused exactly when nothing of that changed.
    """

    modality: str
    number: int
    items: range
    key: str

    @property
    def name(self) -> str:
        return f"{self.modality}-{self.number:06d}-{self.key[:16]}.safetensors"


def plan(modality: str, contents: list[str], size: int, settings: str) -> list[Chunk]:
    """Cut items, given by content hash in order, into chunks of ``size``."""
    chunks = []
    for number, start in enumerate(range(0, len(contents), size)):
        items = range(start, min(start + size, len(contents)))
        key = hashlib.sha256(json.dumps([settings, modality, [contents[i] for i in items]]).encode()).hexdigest()
        chunks.append(Chunk(modality, number, items, key))
    return chunks


def write_chunk(folder: Path, chunk: Chunk, vectors: np.ndarray, failed: dict[int, str]) -> None:
    """Write the vectors (len(items), d) of a chunk; ``failed`` maps positions that could not be decoded to the reason."""
    metadata = {"key": chunk.key, "sha256": hashlib.sha256(vectors.tobytes()).hexdigest(), "failed": json.dumps(failed)}
    with replacing(folder / chunk.name) as temporary:
        temporary.write_bytes(save({"embeddings": vectors}, metadata))


def read_chunk(folder: Path, chunk: Chunk) -> tuple[np.ndarray, dict[int, str]] | None:
    """Vectors and failures of a finished chunk; None when it is absent, or damaged and so to be made again."""
    path = folder / chunk.name
    if not path.is_file():
        return None
    try:
        with safe_open(path, "np") as stored:
            metadata, vectors = stored.metadata(), stored.get_tensor("embeddings")
    except (SafetensorError, OSError):
        return None
    intact = (
        metadata["key"] == chunk.key
        and len(vectors) == len(chunk.items)
        and hashlib.sha256(vectors.tobytes()).hexdigest() == metadata["sha256"]
    )
    return (vectors, {int(i): why for i, why in json.loads(metadata["failed"]).items()}) if intact else None


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Wait until no other process is inside a block with this lock file."""
    import fcntl

    with open(path, "a+") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def claimed(folder: Path, shard: tuple[int, int] | None) -> Iterator[None]:
    """Hold the work folder: alone without a shard, together with the other shards with one; freed when the process ends.

    Raises:
        BlockingIOError: another process holds it.
    """
    import fcntl  # record locks, which a decoding worker that outlives a killed parent does not keep

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
