"""Encode distinct images and texts chunk by chunk, in a work folder that survives a kill and that shards share."""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from joblib import cpu_count
from PIL import Image
from pydantic import Field, TypeAdapter
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from ..backbones.base import IMAGES_PER_BATCH, TEXTS_PER_BATCH, Backbone
from ..backbones.tokenizer import settings_hash
from ..datasets.registry import PairedDataset
from ..files import read_arrays, write_arrays
from ..images import CHANGED, decode
from ..store.disk import read_record, write_record

CHUNK = 256  # most items that a kill can cost, and the unit that shards divide among them
PREFETCH = 2  # batches in flight per decoding process
SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Job:
    """One extraction into a work folder: of the whole data set, or of shard (k, n) of it."""

    dataset: PairedDataset
    backbone: Backbone
    work: Path
    precision: str
    workers: int
    batch_size: int | None = None
    shard: tuple[int, int] | None = None


@dataclass(frozen=True)
class Chunk:
    """A run of distinct items that is encoded at once; ``key`` hashes all that its vectors depend on, so that it can be reused."""

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
        here = contents[start : start + size]
        key = hashlib.sha256(json.dumps([settings, modality, here]).encode()).hexdigest()
        chunks.append(Chunk(modality, number, range(start, start + len(here)), key))
    return chunks


def write_chunk(folder: Path, chunk: Chunk, vectors: np.ndarray, failed: dict[int, str]) -> None:
    """Write the vectors (len(items), d) of a chunk; ``failed`` maps positions that could not be decoded to the reason."""
    write_arrays(folder / chunk.name, {"embeddings": vectors}, {"key": chunk.key, "failed": json.dumps(failed)})


def read_chunk(folder: Path, chunk: Chunk) -> tuple[np.ndarray, dict[int, str]] | None:
    """Return the vectors and failures of a finished chunk; None if it is absent or damaged."""
    try:
        arrays, about = read_arrays(folder / chunk.name)
    except (OSError, ValueError):
        return None
    failed = {int(number): why for number, why in json.loads(about.get("failed", "{}")).items()}
    return (arrays["embeddings"], failed) if about.get("key") == chunk.key else None


def write_work_file(path: Path, value: Any) -> None:
    """Write a JSON value into the work folder, checksummed."""
    write_record(path, {"value": value})


def read_work_file(path: Path, expected: Any) -> Any | None:
    """Return what :func:`write_work_file` wrote if it has the type ``expected``; None if it is absent or damaged."""
    try:
        return TypeAdapter(expected).validate_python(read_record(path, dict, "")["value"])
    except (OSError, ValueError, KeyError):  # pydantic's ValidationError is a ValueError
        return None


@contextmanager
def claimed(folder: Path, shard: tuple[int, int] | None) -> Iterator[None]:
    """Lock the work folder until the process ends, or raise BlockingIOError; shards share it with other shards."""
    import fcntl  # filelock has no shared locks that end with the process; a decoding worker does not inherit these

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a+") as whole, open(folder / f"lock-{shard[0] if shard else 0}", "a+") as own:
        try:
            fcntl.lockf(whole, (fcntl.LOCK_SH if shard else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            fcntl.lockf(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            what = f"another process is extracting this set or shard in {folder}"
            raise BlockingIOError(f"{what}; wait for it, or give another output") from None
        yield


@dataclass
class Batches:
    """Batches of image files as a map-style data set, decoded and preprocessed; see :func:`image_batches`."""

    files: list[Path]
    preprocess: Callable
    batches: list[list[int]]
    contents: list[str] | None

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, b: int) -> tuple:
        numbers, arrays, reasons, started = [], [], {}, time.perf_counter()
        for number in self.batches[b]:
            try:
                image = decode(self.files[number], self.contents[number] if self.contents else None)
            except ValueError as error:
                reasons[number] = str(error)
                continue
            arrays.append(self.preprocess(image))
            numbers.append(number)
        pixels = torch.from_numpy(np.stack(arrays)) if arrays else None
        return numbers, pixels, reasons, time.perf_counter() - started


def default_workers(device: str) -> int:
    """Return the number of decoding processes, at most 8: one per core with an accelerator, else half the cores."""
    return min(cpu_count() if device.startswith("cuda") else max(1, cpu_count() // 2), 8)


def image_batches(
    files: list[Path], preprocess: Callable, batches: list[list[int]], workers: int, pin: bool = False, contents=None
) -> Iterator[tuple]:
    """Yield ``(numbers, pixels, reasons, seconds)`` for each batch, in order, decoded in ``workers`` processes.

    ``pixels`` stacks the preprocessed images of ``numbers``; ``reasons`` maps the number of each undecodable image to the reason;
    ``seconds`` is what reading, decoding and preprocessing took. ``contents`` are the SHA-256 of the files; a file replaced since
    is not decoded. This process decodes small jobs, and all jobs if shared memory cannot hold the batches in flight.
    """
    if not batches:
        return
    source = Batches(files, preprocess, batches, contents)
    first = source[0]
    held = 0 if first[1] is None else first[1].nbytes * (PREFETCH * workers + 1)
    if workers < 1 or len(batches) < 3 or (SHARED_MEMORY.is_dir() and held > shutil.disk_usage(SHARED_MEMORY).free):
        stream = (source[b] for b in range(1, len(source)))
    else:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # the tokenizer's own threads do not survive a fork
        rest = Subset(source, range(1, len(batches)))
        loader = DataLoader(rest, batch_size=None, num_workers=workers, prefetch_factor=PREFETCH, pin_memory=pin)
        stream = iter(loader)  # workers start decoding while the first batch is computed
    yield first
    yield from stream


def rates(processes: int, images: int, decoding: float, encoding: float) -> str:
    """Say how fast a run decoded and encoded, given the seconds of both (decoding in all processes), and which was slower."""
    decoded, encoded = (images / max(seconds, 1e-9) for seconds in (decoding / processes, encoding))
    limit, remedy = ("decoding", "more processor cores") if decoded < encoded else ("encoding", "a faster accelerator")
    said = f"images: decoding {decoded:.1f}/s (decoding processes: {processes}), encoding {encoded:.1f}/s"
    return f"{said}; {limit} is the limit, {remedy} would help"


def plan_chunks(job: Job, keys: pd.DataFrame) -> tuple[dict[str, list[Chunk]], int]:
    """Return the chunks of both modalities and the number of images per batch, which the first shard chooses for all.

    ``keys`` are the content hashes ``image`` and ``text`` of the rows to encode.
    """
    record, batch_size = job.work / "batch_size.json", job.batch_size
    with FileLock(job.work / "lock-batch-size"):
        if batch_size is None:
            batch_size = read_work_file(record, Annotated[int, Field(strict=True, ge=1)])
        if batch_size is None:
            batch_size = _largest_batch(job) if job.backbone.device.startswith("cuda") else IMAGES_PER_BATCH
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        write_work_file(record, batch_size)
    settings = settings_hash([job.backbone.identity, job.precision, batch_size, TEXTS_PER_BATCH])
    size = max(1, CHUNK // batch_size) * batch_size
    return {
        "image": plan("image", list(dict.fromkeys(keys["image"])), size, settings),
        "text": plan("text", list(dict.fromkeys(keys["text"])), CHUNK, settings),
    }, batch_size


def _largest_batch(job: Job) -> int:
    """Return the largest of 512, 256, ... images that fits the accelerator's memory."""
    one = job.backbone.preprocess(Image.new("RGB", (32, 32)))
    for size in (512, 256, 128, 64, 32, 16, 8, 4, 2):
        try:
            job.backbone.encode_pixels(np.stack([one] * size), job.precision)
            return size
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
    return 1


def encode_chunks(job: Job, keys: pd.DataFrame, chunks: dict[str, list[Chunk]], batch_size: int) -> None:
    """Encode and write the missing chunks: all of them, or for shard (k, n) every n-th from the k-th on."""
    k, n = job.shard or (1, 1)
    rows = job.dataset.rows.reset_index(drop=True).loc[keys.index]
    first = ~keys["image"].duplicated()
    images = list(zip(rows["image"][first], keys["image"][first], keys.index[first], strict=True))
    texts = rows["text"][~keys["text"].duplicated()].tolist()
    for modality in ("image", "text"):
        mine = [chunk for chunk in chunks[modality] if chunk.number % n == k - 1]
        todo = [chunk for chunk in mine if read_chunk(job.work, chunk) is None]
        total, left = (sum(len(chunk.items) for chunk in several) for several in (mine, todo))
        with progress(None, total=total, desc=f"{job.backbone.name} {modality}s", unit=modality, initial=total - left) as bar:
            if modality == "image":
                _encode_images(job, images, todo, batch_size, bar)
            else:
                for chunk in todo:
                    found = job.backbone.encode_texts([texts[i] for i in chunk.items], job.precision, bar.update)
                    write_chunk(job.work, chunk, found, {})


def _encode_images(job: Job, images: list[tuple[str, str, int]], chunks: list[Chunk], batch_size: int, bar) -> None:
    """Encode and write chunks of images, given as (path, SHA-256, row), while workers decode the next batches."""
    batches = [list(chunk.items)[i : i + batch_size] for chunk in chunks for i in range(0, len(chunk.items), batch_size)]
    files, contents = [Path(job.dataset.root) / path for path, _, _ in images], [content for _, content, _ in images]
    pin = job.backbone.device.startswith("cuda")
    stream = image_batches(files, job.backbone.preprocess, batches, job.workers, pin, contents)
    images_done, decoding, encoding = 0, 0.0, 0.0
    for chunk in chunks:
        vectors, failed = np.zeros((len(chunk.items), job.backbone.dim), dtype=np.float32), {}
        for _ in range(0, len(chunk.items), batch_size):
            numbers, pixels, reasons, seconds = next(stream)
            started = time.perf_counter()
            if numbers:
                vectors[np.asarray(numbers) - chunk.items.start] = job.backbone.encode_pixels(pixels, job.precision)
            images_done, decoding = images_done + len(numbers), decoding + seconds
            encoding += time.perf_counter() - started
            if replaced := [images[i][2] for i, why in reasons.items() if why == CHANGED]:
                raise ValueError(f"row {replaced[0]}: image {CHANGED} (finished chunks are cached)")
            failed.update(reasons)
            bar.update(len(numbers) + len(reasons))
        write_chunk(job.work, chunk, vectors, failed)
    if images_done:
        bar.write(rates(max(1, job.workers), images_done, decoding, encoding), file=sys.stderr)


def read_chunks(job: Job, chunks: list[Chunk]) -> tuple[np.ndarray, dict[int, str]]:
    """Return the vectors of all chunks of a modality, and the items that could not be decoded."""
    vectors, failed = [], {}
    for chunk in chunks:
        if (part := read_chunk(job.work, chunk)) is None:
            raise ValueError(f"{job.work / chunk.name} was just written and cannot be read; check the disk and run again")
        vectors.append(part[0])
        failed |= part[1]
    return np.concatenate(vectors), failed


def progress(items, total: int, desc: str, unit: str, initial: int = 0):
    """Return a progress bar with rate and remaining time; work of an earlier run counts as done but not for the rate."""
    return tqdm(items, total=total, desc=desc, unit=unit, initial=initial, mininterval=1, dynamic_ncols=True)
