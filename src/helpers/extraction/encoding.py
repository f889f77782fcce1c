"""Encode distinct images and texts chunk by chunk, in a work folder that survives a kill and that shards share."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
from PIL import Image
from pydantic import Field
from tqdm import tqdm

from ..backbones import Backbone
from ..backbones.base import IMAGES_PER_BATCH, TEXTS_PER_BATCH
from ..backbones.fingerprint import settings_hash
from ..datasets.base import PairedDataset
from ..files import write_checked_json
from ..images import CHANGED
from .chunks import Chunk, exclusive, plan, read_chunk, read_work_file, write_chunk
from .workers import image_batches

CHUNK = 256  # most items that a kill can cost, and the unit that shards divide among them


@dataclass(frozen=True)
class Job:
    """One extraction: its data set, its encoder and its work folder."""

    dataset: PairedDataset
    backbone: Backbone
    work: Path
    precision: str
    workers: int


@dataclass
class Rates:
    """What the images of one run took.

    Args:
        processes: processes that decode.
        images: images decoded and encoded so far.
        decoding: seconds of reading, decoding and preprocessing, all processes together.
        encoding: seconds of the encoder.
    """

    processes: int
    images: int = 0
    decoding: float = 0.0
    encoding: float = 0.0

    def add(self, images: int, decoding: float, encoding: float) -> None:
        """Count one batch."""
        self.images, self.decoding, self.encoding = self.images + images, self.decoding + decoding, self.encoding + encoding

    @property
    def decoded_per_second(self) -> float:
        """Return how many images all processes together can decode in a second."""
        return self.processes * self.images / max(self.decoding, 1e-9)

    @property
    def encoded_per_second(self) -> float:
        """Return how many images the encoder takes in a second, once they are decoded."""
        return self.images / max(self.encoding, 1e-9)

    @property
    def limit(self) -> str:
        """Return which is the slower of the two: ``decoding`` or ``encoding``."""
        return "decoding" if self.decoded_per_second < self.encoded_per_second else "encoding"

    def __str__(self) -> str:
        cores = f"{self.processes} process{'es' if self.processes > 1 else ''}"
        advice = {"decoding": "more processor cores make this faster", "encoding": "a faster accelerator makes this faster"}
        return (
            f"images: decoding {self.decoded_per_second:.1f}/s ({cores}), encoding {self.encoded_per_second:.1f}/s; "
            f"{self.limit} is the limit, {advice[self.limit]}"
        )


def plan_chunks(job: Job, keys: pd.DataFrame, batch_size: int | None) -> tuple[dict[str, list[Chunk]], int]:
    """Return the chunks of both modalities and the number of images per batch, which the first shard chooses for all.

    Args:
        keys: content hashes ``image`` and ``text`` of the rows to encode.
        batch_size: images per batch; when None on an accelerator, the largest that fits its memory.
    """
    record = job.work / "batch_size.json"
    with exclusive(job.work / "lock-batch-size"):
        if batch_size is None:
            batch_size = read_work_file(record, Annotated[int, Field(strict=True, ge=1)])
        if batch_size is None:
            batch_size = _largest_batch(job) if job.backbone.device.startswith("cuda") else IMAGES_PER_BATCH
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        write_checked_json(record, batch_size)
    settings = settings_hash([job.backbone.identity, job.precision, batch_size, TEXTS_PER_BATCH])
    size = max(1, CHUNK // batch_size) * batch_size
    return {
        "image": plan("image", list(dict.fromkeys(keys["image"])), size, settings),
        "text": plan("text", list(dict.fromkeys(keys["text"])), CHUNK, settings),
    }, batch_size


def encode_chunks(
    job: Job, keys: pd.DataFrame, chunks: dict[str, list[Chunk]], batch_size: int, shard: tuple[int, int] | None
) -> None:
    """Encode and write the missing chunks: all of them, or for shard (k, n) every n-th from the k-th on."""
    rows = job.dataset.rows.reset_index(drop=True).loc[keys.index]
    first = ~keys["image"].duplicated()
    paths = list(zip(rows["image"][first], keys["image"][first], keys.index[first], strict=True))
    texts = rows["text"][~keys["text"].duplicated()].tolist()
    for modality in ("image", "text"):
        mine = [chunk for chunk in chunks[modality] if not shard or chunk.number % shard[1] == shard[0] - 1]
        todo = [chunk for chunk in mine if read_chunk(job.work, chunk) is None]
        total = sum(len(chunk.items) for chunk in mine)
        done = total - sum(len(chunk.items) for chunk in todo)
        with progress(None, total=total, desc=f"{job.backbone.name} {modality}s", unit=modality, initial=done) as bar:
            made = _image_chunks(job, paths, todo, batch_size, bar) if modality == "image" else _text_chunks(job, texts, todo, bar)
            for chunk, vectors, failed in made:
                write_chunk(job.work, chunk, vectors, failed)


def read_chunks(job: Job, chunks: list[Chunk]) -> tuple[np.ndarray, dict[int, str]]:
    """Return the vectors of all chunks of a modality, and the items that could not be decoded.

    Raises:
        ValueError: a chunk is absent or damaged.
    """
    parts = []
    for chunk in chunks:
        part = read_chunk(job.work, chunk)
        if part is None:
            what = f"{job.work / chunk.name} is missing or damaged although it was just written"
            raise ValueError(f"{what}; check the disk and run again")
        parts.append(part)
    return np.concatenate([vectors for vectors, _ in parts]), {i: why for _, failed in parts for i, why in failed.items()}


def progress(items, total: int, desc: str, unit: str, initial: int = 0):
    """Return a progress bar with rate and remaining time; work of an earlier run counts as done but not for the rate."""
    return tqdm(items, total=total, desc=desc, unit=unit, initial=initial, mininterval=1, dynamic_ncols=True)


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


def _image_chunks(job: Job, paths: list[tuple[str, str, int]], chunks: list[Chunk], batch_size: int, bar) -> Iterator[tuple]:
    batches = [list(chunk.items)[i : i + batch_size] for chunk in chunks for i in range(0, len(chunk.items), batch_size)]
    files = [Path(job.dataset.root) / path for path, _, _ in paths]
    contents = [content for _, content, _ in paths]
    pin = job.backbone.device.startswith("cuda")
    stream = image_batches(files, job.backbone.preprocess, batches, job.workers, pin, contents)
    rates = Rates(max(1, job.workers))
    for chunk in chunks:
        vectors, failed = np.zeros((len(chunk.items), job.backbone.dim), dtype=np.float32), {}
        for _ in range(0, len(chunk.items), batch_size):
            numbers, pixels, reasons, decoding = next(stream)
            started = time.perf_counter()
            if numbers:
                vectors[np.asarray(numbers) - chunk.items.start] = job.backbone.encode_pixels(pixels, job.precision)
            rates.add(len(numbers), decoding, time.perf_counter() - started)
            if replaced := [paths[i][2] for i, why in reasons.items() if why == CHANGED]:
                raise ValueError(f"row {replaced[0]}: image {CHANGED} (finished chunks are cached)")
            failed.update(reasons)
            bar.update(len(numbers) + len(reasons))
        yield chunk, vectors, failed
    if rates.images:
        bar.write(str(rates), file=sys.stderr)


def _text_chunks(job: Job, texts: list[str], chunks: list[Chunk], bar) -> Iterator[tuple]:
    for chunk in chunks:
        yield chunk, job.backbone.encode_texts([texts[i] for i in chunk.items], job.precision, bar.update), {}
