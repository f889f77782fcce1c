"""Inspect and encode the distinct images and texts of a data set, in a work folder that survives a kill and that shards share."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from joblib import cpu_count
from torch.utils.data import DataLoader
from tqdm import tqdm

from ..backbones.base import TEXTS_PER_BATCH, Backbone
from ..backbones.tokenizer import settings_hash
from ..datasets.registry import PairedDataset
from ..files import claim_folder, read_arrays, write_arrays
from ..images import CHANGED, NO_WINDOW, SIXTEEN_BITS, Finding, decode, inspect_image
from ..store.disk import read_record, write_record

CHUNK = 256  # most items that a kill can cost, and the unit that shards divide among them
FILES_PER_RECORD = 2000  # most inspected files that a kill can cost
PREFETCH = 2  # batches in flight per decoding process
SHARED_MEMORY = Path("/dev/shm")
progress = partial(tqdm, mininterval=1, dynamic_ncols=True)
read_note = partial(read_record, model=dict, remake="run again")  # of the work folder


@dataclass(frozen=True)
class Job:
    """One extraction into a work folder: of the whole data set, or of shard (k, n) of it."""

    dataset: PairedDataset
    backbone: Backbone
    work: Path
    precision: str
    workers: int | None
    batch_size: int
    shard: tuple[int, int] | None = None


@contextmanager
def claimed(folder: Path, shard: tuple[int, int] | None) -> Iterator[None]:
    """Lock the work folder until the process ends, or raise BlockingIOError; shards share it with other shards."""
    import fcntl  # filelock has no shared locks that end with the process; a decoding worker does not inherit these

    claim_folder(folder)
    with open(folder / "lock", "a+") as whole, open(folder / f"lock-{shard[0] if shard else 0}", "a+") as own:
        try:
            fcntl.lockf(whole, (fcntl.LOCK_SH if shard else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            fcntl.lockf(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise BlockingIOError(f"another process is extracting into {folder}; wait for it, or give another output") from None
        yield


def intact(read: Callable, path: Path):
    """Return ``read(path)``, or None if the file is absent or damaged."""
    try:
        return read(path)
    except (OSError, ValueError):
        return None


def inspect(dataset: PairedDataset, work: Path | None = None) -> tuple[pd.DataFrame, list[tuple]]:
    """Return content hashes (n, 2), None if unusable, and problems (row, field, severity, what); ``work`` keeps what was found."""
    keys, problems = [], []
    named = [path if isinstance(path, str) else None for path in dataset.rows["image"]]
    with FileLock(work / "lock-files") if work else nullcontext():  # one shard inspects for all
        found = _inspect_files(dataset.root, list(dict.fromkeys(named)), work and work / "files.json", dataset.report.get("window"))
    for row, (path, text) in enumerate(zip(named, dataset.rows["text"], strict=True)):
        for field, finding in (pair := {"image": found[path], "text": _inspect_text(text)}).items():
            problems += [(row, field, "error", finding.error)] if finding.error else []
            problems += [(row, field, "note", note) for note in finding.notes]
        keys.append([finding.sha256 for finding in pair.values()])
    if dataset.report.get("window") and not any(SIXTEEN_BITS in problem[3] for problem in problems):
        raise ValueError(NO_WINDOW)
    return pd.DataFrame(keys, columns=["image", "text"]), problems


def _inspect_text(text) -> Finding:
    if not isinstance(text, str) or not text.strip():
        return Finding(error=f"text is {'empty' if isinstance(text, str) else type(text).__name__}, expected words")
    try:
        content = hashlib.sha256(text.encode()).hexdigest()
    except UnicodeEncodeError:
        return Finding(error="text is not valid Unicode (lone surrogates, from a wrong encoding); read the table as UTF-8")
    return Finding(content, ("text has replacement characters; it was read in the wrong encoding",) if "\ufffd" in text else ())


def _inspect_files(root: Path, paths: list, cache: Path | None, window: str | None) -> dict[str | None, Finding]:
    """Return what :func:`inspect_image` finds for each path; a usable file in ``cache`` is read again only if it changed."""
    stamps, known = {}, (cache and intact(read_note, cache)) or {}
    for path in paths:
        with suppress(OSError, TypeError, ValueError):
            status = os.stat(root / path)
            stamps[path] = [status.st_size, status.st_mtime_ns, *filter(None, [window])]
    same = [path for path in paths if path in known and known[path][2] == stamps.get(path)]
    found = {path: Finding(known[path][0], tuple(known[path][1])) for path in same}
    new = [path for path in paths if path not in found]
    with progress(total=len(new), desc="inspecting files", unit="file") as bar, ThreadPoolExecutor(min(8, cpu_count())) as pool:
        for start in range(0, len(new), FILES_PER_RECORD):
            some = new[start : start + FILES_PER_RECORD]
            for path, file in zip(some, pool.map(partial(inspect_image, root, window=window), some), strict=True):
                found[path] = file
                bar.update()
            if cache:
                write_record(cache, {p: [file.sha256, file.notes, stamps.get(p)] for p, file in found.items() if file.sha256})
    return found


def plan(job: Job, keys: pd.DataFrame, modality: str) -> dict[Path, list[str]]:
    """Cut the distinct items into chunks: files, named by a hash of all that their vectors depend on, and contents."""
    size = max(1, CHUNK // job.batch_size) * job.batch_size if modality == "image" else CHUNK
    settings = [job.backbone.identity, job.precision, job.batch_size, TEXTS_PER_BATCH, modality]
    settings += filter(None, [job.dataset.report.get("window")])
    contents = list(dict.fromkeys(keys[modality]))
    chunks = [contents[i : i + size] for i in range(0, len(contents), size)]
    return {job.work / f"{modality}-{n:06d}-{settings_hash([settings, c])}.safetensors": c for n, c in enumerate(chunks)}


def encode(job: Job, keys: pd.DataFrame) -> dict[str, tuple[np.ndarray, dict[str, str]]]:
    """Encode missing chunks, of a shard its own; without one, return vectors by modality, and why contents cannot be decoded."""
    found, (k, n) = {}, job.shard or (1, 1)
    for modality in ("image", "text"):
        chunks = dict(list(plan(job, keys, modality).items())[k - 1 :: n])
        new = {path: contents for path, contents in chunks.items() if intact(read_arrays, path) is None}
        first = keys[modality].drop_duplicates()
        sources = job.dataset.rows[modality].iloc[first.index].set_axis(first)
        with progress(total=sum(map(len, new.values())), desc=f"{job.backbone.name} {modality}s", unit=modality) as bar:
            if modality == "image":
                _encode_images(job, sources, new, bar)
            else:
                for path, contents in new.items():
                    vectors = job.backbone.encode_texts(sources[contents], job.precision, bar.update)
                    write_arrays(path, {"embeddings": vectors}, {"failed": "{}"}, part_of_result=True)
        if not job.shard:
            parts, records = zip(*(read_arrays(path) for path in chunks), strict=True)
            failed = {content: why for record in records for content, why in json.loads(record["failed"]).items()}
            found[modality] = np.concatenate([part["embeddings"] for part in parts]), failed
    return found


def _encode_images(job: Job, paths: pd.Series, chunks: dict[Path, list[str]], bar) -> None:
    """Encode chunks of images while workers decode the next batches."""
    size, order = job.batch_size, [content for contents in chunks.values() for content in contents]
    files = [Path(job.dataset.root) / path for path in paths[order]]
    batches = [list(range(i, min(i + size, len(order)))) for i in range(0, len(order), size)]  # only the last chunk is not full
    stream = image_batches(files, job.backbone.preprocess, batches, job.workers, order, job.dataset.report.get("window"))
    for path, contents in chunks.items():
        vectors, failed = dict.fromkeys(contents, np.zeros(job.backbone.dim, dtype=np.float32)), {}
        for _ in range(0, len(contents), size):
            numbers, pixels, reasons = next(stream)
            if numbers:
                vectors |= zip([order[i] for i in numbers], job.backbone.encode_pixels(pixels, job.precision), strict=True)
            for i in (i for i, why in reasons.items() if why == CHANGED):
                row, cache = job.dataset.rows["image"].tolist().index(paths[order[i]]), job.work / "files.json"
                with FileLock(job.work / "lock-files"):  # the next run inspects it, even if its size and time are the same
                    write_record(cache, {p: f for p, f in (intact(read_note, cache) or {}).items() if p != paths[order[i]]})
                raise ValueError(f"row {row}: image {CHANGED} (finished chunks are cached)")
            failed |= {order[i]: why for i, why in reasons.items()}
            bar.update(len(numbers) + len(reasons))
        write_arrays(path, {"embeddings": np.stack(list(vectors.values()))}, {"failed": json.dumps(failed)}, part_of_result=True)


def image_batches(files: list[Path], preprocess: Callable, batches: list, workers=None, contents=None, window=None) -> Iterator:
    """Yield the numbers of the images of a batch, their stacked pixels, and for other images why they cannot be decoded.

    ``workers`` processes decode, at most 8 if None; this process does with 0, few batches or too little shared memory.
    """
    decoded = partial(_decoded, files, preprocess, contents, window)
    first = decoded(batches[0])
    cuda = torch.cuda.is_available()
    workers = min(cpu_count() if cuda else max(1, cpu_count() // 2), 8) if workers is None else workers
    held = 0 if first[1] is None else first[1].nbytes * (PREFETCH * workers + 1)
    if len(batches) < 3 or (SHARED_MEMORY.is_dir() and held > shutil.disk_usage(SHARED_MEMORY).free):
        workers = 0
    if workers:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # the tokenizer's own threads do not survive a fork
    options = {"num_workers": workers, "prefetch_factor": PREFETCH if workers else None, "pin_memory": cuda}
    stream = iter(DataLoader(batches[1:], batch_size=None, collate_fn=decoded, **options))
    yield first  # workers decode the next ones while it is encoded
    yield from stream


def _decoded(files: list[Path], preprocess: Callable, contents: list[str] | None, window: str | None, batch: list[int]) -> tuple:
    numbers, arrays, reasons = [], [], {}
    for number in batch:
        try:
            image = decode(files[number], contents[number] if contents else None, window)
        except ValueError as error:
            reasons[number] = str(error)
        else:
            numbers.append(number)
            arrays.append(preprocess(image))
    return numbers, torch.from_numpy(np.stack(arrays)) if arrays else None, reasons
