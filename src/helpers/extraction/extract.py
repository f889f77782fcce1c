"""Turn a paired data set into an EmbeddingSet: encode each distinct image and text once, in chunks that survive a kill."""

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock
from safetensors import SafetensorError

from ..arrays import choose
from ..backbones import load_backbone
from ..backbones.base import PRECISIONS, TEXTS_PER_BATCH, Backbone
from ..backbones.tokenizer import settings_hash
from ..datasets.registry import PairedDataset
from ..files import refuse_other_content, remove_stale, replacing
from ..store.disk import FILES, PROVENANCE, read_set_record
from ..store.embeddings import EmbeddingSet
from .encoding import Job, claimed, default_workers, encode_chunks, plan_chunks, read_chunks, read_work_file, write_work_file
from .inspection import InputError, inspect, report_table, summary

LIBRARIES = ("torch", "transformers", "tokenizers", "open_clip_torch", "timm", "pillow", "numpy")
ABOUT_THE_OUTPUT = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}


def extract(
    dataset: PairedDataset,
    backbone: Backbone | str,
    out,
    batch_size: int | None = None,
    shard=None,
    device: str | None = None,
    *,
    precision: str = "float32",
    dtype: str = "float32",
    workers: int | None = None,
    on_error: str = "fail",
    max_skipped: float = 0.05,
    overwrite: bool = False,
    image_from: Path | str | None = None,
    command: str = "helpers.extract, called from Python",
) -> EmbeddingSet | None:
    """Encode every distinct image (by content) and text of a data set once and store the set in ``out``.

    If ``out`` already holds the set of this data, encoder and precision, the function returns it. An interrupted run resumes and
    ends with the same bytes. Unfinished work lies in ``<out>.work`` until the set is whole.

    Args:
        backbone, device: a ``Backbone``, or a name and a device for :func:`load_backbone`.
        out: folder of the set, outside the data root: a new or empty folder, or one that holds a set.
        batch_size: images per batch; when None, chosen on the first run and then reused.
        shard: ``"3/16"`` or ``(3, 16)``: encode only the third of sixteen parts and return None. When all parts are done, a call
            without ``shard`` checks and joins them, encodes what is missing, and removes ``<out>.work``.
        precision: ``float32``, or ``bfloat16`` / ``float16`` for autocast; vectors are always normalised in float32.
        dtype: type of the stored vectors, ``float32`` or ``float16``.
        workers: number of processes that decode images; 0 decodes in this process; by the number of cores when None.
        on_error: ``fail`` on rows that cannot be encoded, or ``skip`` them; ``<out>.problems.csv`` lists them in both cases.
        max_skipped: largest share of rows that ``skip`` may exclude.
        overwrite: replace a set in ``out`` that is damaged, or was made from other data or by another encoder.
        image_from: folder of a set with the same image vectors; the new set refers to them instead of storing them twice.
        command: command that makes the set again, for its provenance; without folders of the machine.

    Raises:
        InputError: some rows cannot be encoded; holds the report.
        BlockingIOError, OSError: another process writes to the same output; no space or no permission. Finished chunks remain.
    """
    out, parts = Path(out), _parse_shard(shard)
    _check(out, Path(dataset.root), precision, dtype, on_error, max_skipped, image_from)
    backbone = load_backbone(backbone, device) if isinstance(backbone, str) else backbone
    workers = default_workers(backbone.device) if workers is None else workers
    job = Job(dataset, backbone, out.with_name(out.name + ".work"), precision, workers, batch_size, parts)
    keys, report = _inspected(job, out)
    identity = _identity(job, keys, dtype)
    if stored := _stored(out, identity, overwrite):
        if not shard:
            _clear(job.work, identity)  # of a run that was killed when the set was whole
        return stored
    usable_rows = partial(_usable_rows, dataset, out, on_error, max_skipped)
    with _explaining_os_errors(out), claimed(job.work, parts):
        embeddings = _encoded(job, keys, report, identity, usable_rows, command)
        if embeddings is None:
            return None
        embeddings.save(out, dtype=dtype, image_from=image_from)
    _clear(job.work, identity)
    return embeddings


def _encoded(
    job: Job, keys: pd.DataFrame, report: pd.DataFrame, identity: dict, usable_rows: Callable, command: str
) -> EmbeddingSet | None:
    """Encode what is missing; return the set, or None for a shard."""
    started = time.time()
    write_work_file(job.work / "identity.json", identity)
    usable = usable_rows(report)
    chunks, size = plan_chunks(job, keys.loc[usable])
    encode_chunks(job, keys.loc[usable], chunks, size)
    if job.shard:
        return None
    read = {modality: read_chunks(job, chunks[modality]) for modality in ("image", "text")}
    items = {modality: pd.factorize(keys.loc[usable, modality])[0] for modality in ("image", "text")}
    failed = read["image"][1]
    undecoded = [(int(row), "image", "error", failed[i]) for row, i in zip(usable, items["image"], strict=True) if i in failed]
    known = report[["row", "field", "severity", "what"]].itertuples(index=False, name=None)
    report = report_table(job.dataset.rows, [*known, *undecoded])
    rows = usable_rows(report)
    pairs, vectors = job.dataset.rows.iloc[rows].drop(columns=["image", "text"]).reset_index(drop=True), {}
    for modality, number in items.items():
        distinct, pairs[modality] = np.unique(number[np.isin(usable, rows)], return_inverse=True)
        vectors[modality] = read[modality][0][distinct]
    finished = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    run = {"command": command, "finished": finished, "seconds": round(time.time() - started, 1)}
    provenance = _provenance(job, identity, keys.loc[rows], report, size) | {"run": run}
    return EmbeddingSet(vectors["image"], vectors["text"], pairs, job.dataset.task, provenance)


def _check(out: Path, root: Path, precision: str, dtype: str, on_error: str, max_skipped: float, image_from) -> None:
    """Refuse unknown options and an output that would change the data or a folder that is not an embedding set."""
    choose(precision, PRECISIONS, "precision")
    choose(dtype, ("float32", "float16"), "dtype")
    choose(on_error, ("fail", "skip"), "on_error")
    if not 0 <= max_skipped <= 1:
        raise ValueError(f"max_skipped is a share of the rows, between 0 and 1, got {max_skipped}")
    if image_from is not None and not (Path(image_from) / PROVENANCE).is_file():
        raise FileNotFoundError(f"image_from: no embeddings in {image_from}; give the folder of a set")
    folder, target = root.resolve(), out.resolve()
    folder = folder.parent if folder.is_file() else folder
    if target.is_relative_to(folder) or folder.is_relative_to(target):
        raise ValueError(f"the output {out} is, holds or lies in the data root {root}; give a folder apart from the data")
    with _explaining_os_errors(out):
        refuse_other_content(out, PROVENANCE, FILES.values(), "an embedding set")


def _inspected(job: Job, out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return content hashes and problems of the data set; shards and later runs reuse them until the set is whole."""
    if (out / PROVENANCE).is_file() and not os.access(out.parent, os.W_OK):
        return inspect(job.dataset)
    with _explaining_os_errors(out):
        job.work.mkdir(parents=True, exist_ok=True)
        with FileLock(job.work / "lock-files"):
            return inspect(job.dataset, job.work / "files.json")


def _clear(work: Path, identity: dict) -> None:
    """Remove the work folder of a whole set, unless it holds another set's work or a process uses it."""
    with suppress(OSError), claimed(work, None):
        owner = read_work_file(work / "identity.json", dict)  # None if an earlier removal was interrupted
        if owner is None or owner == json.loads(json.dumps(identity)):
            shutil.rmtree(work, ignore_errors=True)
    with suppress(OSError):
        work.rmdir()  # a network file system keeps the lock files until they are closed
    with suppress(OSError):
        remove_stale(work.parent)


@contextmanager
def _explaining_os_errors(out: Path) -> Iterator[None]:
    """Add to the error on a full disk or a read-only folder what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in ABOUT_THE_OUTPUT:
            raise
        what = f"{error.strerror}; make room or give another output, finished chunks remain"
        raise OSError(error.errno, what, str(out)) from error
    except SafetensorError as error:  # the writer of a set, which has no error number
        raise OSError(f"{error}; make room or give another output than {out}, finished chunks remain") from error


def _parse_shard(shard) -> tuple[int, int] | None:
    if shard is None:
        return None
    try:
        number, count = (int(part) for part in (shard.split("/") if isinstance(shard, str) else shard))
    except (ValueError, TypeError):
        raise ValueError(f"shard must look like '3/16', got {shard!r}") from None
    if not 1 <= number <= count:
        raise ValueError(f"shard {number}/{count} does not exist; the first number runs from 1 to {count}")
    return number, count


def _identity(job: Job, keys: pd.DataFrame, dtype: str) -> dict:
    """Return what decides whether a stored set can be reused."""
    rows = job.dataset.rows.drop(columns=["image", "text"]).reset_index(drop=True)
    return {
        "dataset": job.dataset.name,
        "variant": job.dataset.variant,
        "backbone": job.backbone.name,
        "encoder": job.backbone.identity,
        "data_manifest": settings_hash([rows.join(keys).to_csv(index=False), repr(job.dataset.task)]),
        "precision": job.precision,
        "dtype": dtype,
    }


def _stored(out: Path, identity: dict, overwrite: bool) -> EmbeddingSet | None:
    """Return the set in ``out`` if it has this identity; with ``overwrite``, treat a damaged or different set as absent."""
    if not (out / PROVENANCE).is_file():
        return None
    try:
        record = _flat(read_set_record(out))
        differing = [key for key, value in _flat(identity).items() if record.get(key) != value]
        if not differing:
            return EmbeddingSet.load(out)
        how = "pass overwrite=True (--overwrite) to replace it, or give another output"
        raise ValueError(f"{out} holds a set that differs in {', '.join(differing)}; {how}")
    except (ValueError, FileNotFoundError):
        if overwrite:
            return None
        raise


def _flat(record: dict) -> dict:
    """Return a nested record as one dictionary with keys such as ``encoder.weights``."""
    return pd.json_normalize(record).to_dict("records")[0]


def _usable_rows(dataset: PairedDataset, out: Path, on_error: str, max_skipped: float, report: pd.DataFrame) -> np.ndarray:
    """Return the rows that can be encoded, write the report, unless it is empty, and raise for more errors than allowed."""
    problems = out.with_name(out.name + ".problems.csv")
    if len(report):
        with replacing(problems) as temporary:
            report.drop(columns="pair_id" if dataset.card.credentialed else []).to_csv(temporary, index=False)
    else:
        problems.unlink(missing_ok=True)
    n = len(dataset.rows)
    bad = report.loc[report["severity"] == "error", "row"].unique().astype(int)
    if len(bad) and on_error == "fail":
        how = f"all are listed in {problems}; repair them, or pass on_error='skip' (--on-error skip)"
    elif len(bad) > max_skipped * n or len(bad) == n:
        how = f"more than max_skipped={max_skipped:.0%} allows; all are listed in {problems}"
    else:
        return np.setdiff1d(np.arange(n), bad)
    raise InputError(f"{summary(report, n, dataset.card.credentialed)}\n{how}", report)


def _provenance(job: Job, identity: dict, keys: pd.DataFrame, report: pd.DataFrame, batch_size: int) -> dict:
    tokenizer, texts = job.backbone.tokenizer, job.dataset.rows.reset_index(drop=True)["text"]
    distinct = keys["text"].drop_duplicates()
    cut = distinct[tokenizer.cut(texts[distinct.index])]
    notes, errors = (report.loc[report["severity"] == severity, "what"].value_counts() for severity in ("note", "error"))
    return {
        **identity,
        "encoder": job.backbone.fingerprint,
        "data_report": json.loads(json.dumps(job.dataset.report, default=lambda value: value.item())),  # counts may be numpy's
        "feature_space": "projected",
        "normalized": True,
        "batch_size": {"images": batch_size, "texts": TEXTS_PER_BATCH},
        "device": job.backbone.device.split(":")[0],
        "texts_cut": {"distinct": len(cut), "pairs": int(keys["text"].isin(cut).sum()), "context_length": tokenizer.context_length},
        "converted": {what: int(count) for what, count in notes.items()},
        "skipped": {what: int(count) for what, count in errors.items()},
        "versions": {name: version(name) for name in LIBRARIES},
    }
