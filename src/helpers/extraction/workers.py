"""Decode and preprocess images in worker processes while the encoder computes."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from ..images import decode

PREFETCH = 2  # batches in flight per worker
SHARED_MEMORY = Path("/dev/shm")


class Batches:
    """Batches of image files as a map-style data set: item b is ``(numbers, pixels, reasons, seconds)``.

    ``pixels`` stacks the preprocessed images of ``numbers``; ``reasons`` maps the number of each undecodable image to the reason;
    ``seconds`` is what reading, decoding and preprocessing took.
    """

    def __init__(self, files: list[Path], preprocess: Callable, batches: list[list[int]], contents: list[str] | None = None):
        self.files, self.preprocess, self.batches, self.contents = files, preprocess, batches, contents

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
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores if device.startswith("cuda") else max(1, cores // 2), 8)


def image_batches(
    files: list[Path],
    preprocess: Callable,
    batches: list[list[int]],
    workers: int,
    pin: bool = False,
    contents: list[str] | None = None,
) -> Iterator[tuple]:
    """Yield ``(numbers, pixels, reasons, seconds)`` for each batch, in order, decoded in ``workers`` processes.

    ``contents`` are the SHA-256 of the files; a file that was replaced since is not decoded. This process decodes small jobs, and
    all jobs if shared memory cannot hold the batches in flight.
    """
    source = Batches(files, preprocess, batches, contents)
    if not batches:
        return iter(())
    first = source[0]
    held = 0 if first[1] is None else first[1].numel() * first[1].element_size() * (PREFETCH * workers + 1)
    room = shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.is_dir() else held
    if workers < 1 or len(batches) < 3 or held > room:
        return _decode_in_process(source, first)
    return _decode_in_workers(source, first, workers, pin)


def _decode_in_process(source: Batches, first: tuple) -> Iterator[tuple]:
    yield first
    for b in range(1, len(source)):
        yield source[b]


def _decode_in_workers(source: Batches, first: tuple, workers: int, pin: bool) -> Iterator[tuple]:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # the tokenizer's own threads do not survive a fork
    rest = Batches(source.files, source.preprocess, source.batches[1:], source.contents)
    loader = DataLoader(rest, batch_size=None, num_workers=workers, prefetch_factor=PREFETCH, pin_memory=pin)
    stream = iter(loader)  # workers start decoding while the first batch is computed
    yield first
    yield from stream
