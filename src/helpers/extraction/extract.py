"""Turn a paired data set into an EmbeddingSet: encode each distinct image and text once, in chunks that survive a kill."""

import json
import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ..arrays import choose
from ..backbones import load_backbone
from ..backbones.base import PRECISIONS, TEXTS_PER_BATCH, Backbone
from ..backbones.tokenizer import settings_hash
from ..datasets.registry import PairedDataset
from ..files import Unwritable, check_writable, claim_folder, clear_folder, refuse_other_content, remove_stale
from ..store.disk import FILES, PROVENANCE, columns_of, read_set_record, write_record, write_table
from ..store.embeddings import EmbeddingSet
from .encoding import Job, claimed, encode, inspect, intact, read_note

LIBRARIES = ("torch", "transformers", "tokenizers", "open_clip_torch", "timm", "pillow", "numpy")
OWNER = "identity.json"  # file of the work folder that says which set it is for
WORK = (OWNER, "files.json", "lock", "lock-files", "lock-[0-9]*", "image-[0-9]*-*.safetensors", "text-[0-9]*-*.safetensors")
WITHOUT_ID = ["row", "field", "severity", "what"]  # columns of the report on credentialed data
PROBLEMS = ["row", "pair_id", *WITHOUT_ID[1:]]  # and on others
SHOWN = 10  # errors in a message


class InputError(ValueError):
    """Error for rows that cannot be encoded; ``<out>.problems.csv`` lists all of them."""


def extract(
    dataset: PairedDataset, backbone: Backbone | str, out, batch_size: int | None = None, shard=None, device: str | None = None, *,
    precision: str = "float32", dtype: str = "float32", workers: int | None = None, on_error: str = "fail",
    max_skipped: float | None = None, overwrite: bool = False, image_from: Path | str | None = None,
    command: str = "helpers.extract, called from Python",
) -> EmbeddingSet | None:  # fmt: skip
    """Encode every distinct image (by content) and text of a data set once and store the set in ``out``.

    A set of this data, encoder and precision in ``out`` is returned as it is. An interrupted run resumes and ends with the same
    bytes; its unfinished work lies in ``<out>.work``.

    Args:
        backbone, device: a ``Backbone``, or a name and a device for :func:`load_backbone`.
        out, batch_size: a new or empty folder apart from the data, or that of a set; images per batch, else 256 on CUDA or 32.
        shard: ``"3/16"`` or ``(3, 16)`` encodes the third of sixteen parts and returns None; later, a call without it joins them.
        precision, dtype: number types of the encoder, by autocast, and of the stored vectors; they are normalised in ``float32``.
        workers: number of processes that decode images, by the number of cores when None; 0 decodes in this process.
        on_error, max_skipped: ``fail`` on rows that cannot be encoded, or ``skip`` up to this share (0.05), listed in a CSV file.
        overwrite: replace a set in ``out`` that is damaged, or was made from other data or by another encoder.
        image_from, command: folder of a set with the same image vectors, to refer to; how the set is made again, for its record.
    """
    out, shard = Path(out), parse_shard(shard)
    _check(out, Path(dataset.root), batch_size, precision, dtype, on_error, max_skipped, image_from)
    max_skipped = 0.05 if max_skipped is None else max_skipped
    backbone = load_backbone(backbone, device) if isinstance(backbone, str) else backbone
    if not isinstance(backbone, Backbone):
        how = "wrap your functions in one, as 'Data and encoders' shows, or give vectors to EmbeddingSet.from_arrays"
        raise ValueError(f"extract takes an encoder's name or a Backbone, got a {type(backbone).__name__}; {how}")
    batch_size = batch_size or (256 if backbone.device.startswith("cuda") else 32)
    job = Job(dataset, backbone, out.with_name(out.name + ".work"), precision, workers, batch_size, shard)
    with _explaining_errors(out):
        read_only = (out / PROVENANCE).is_file() and not os.access(out.parent, os.W_OK)
        if not read_only:
            claim_folder(check_writable(job.work))
        keys, problems = inspect(dataset, None if read_only else job.work)
        identity = _identity(job, keys, dtype)
        embeddings = _stored(out, identity, overwrite)
        if embeddings is None:
            with claimed(job.work, shard):
                write_record(job.work / OWNER, identity)
                usable_rows = partial(_usable_rows, dataset, out, on_error, max_skipped)
                embeddings = _encoded(job, keys, problems, identity, usable_rows, command)
                if embeddings is not None:
                    embeddings.save(out, dtype=dtype, image_from=image_from)
    if not shard:
        _clear(job.work, identity)  # also of a run that was killed when the set was whole
    if embeddings is not None and (lost := len(dataset) - len(embeddings)):
        warnings.warn(f"excluded: {lost} of {len(dataset)} rows, which cannot be encoded; see {out}.problems.csv", stacklevel=2)
    return embeddings


def _encoded(job: Job, keys, problems: list[tuple], identity: dict, usable_rows: Callable, command) -> EmbeddingSet | None:
    """Encode what is missing; return the set, or None for a shard."""
    started, keys = time.time(), keys.loc[usable_rows(problems)]
    found = encode(job, keys)
    if job.shard:
        return None
    failed = found["image"][1]
    problems = problems + [(row, "image", "error", failed[key]) for row, key in keys["image"].items() if key in failed]
    rows = usable_rows(problems)
    pairs, vectors = job.dataset.rows.iloc[rows].drop(columns=["image", "text"]).reset_index(drop=True), {}
    for modality, (matrix, _) in found.items():
        number = pd.factorize(keys[modality])[0][keys.index.isin(rows)]
        distinct, pairs[modality] = np.unique(number, return_inverse=True)
        vectors[modality] = matrix[distinct]
    finished = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    run = {"command": command, "finished": finished, "seconds": round(time.time() - started, 1)}
    provenance = _provenance(job, identity, keys.loc[rows], problems) | {"run": run}
    return EmbeddingSet(**vectors, pairs=pairs, task=job.dataset.task, provenance=provenance)


def _check(out: Path, root: Path, batch_size: int | None, precision, dtype, on_error, max_skipped, image_from) -> None:
    """Refuse unknown options and an output that would change the data or a folder that is not an embedding set."""
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    choose(precision, PRECISIONS, "precision")
    choose(dtype, ("float32", "float16"), "dtype")
    choose(on_error, ("fail", "skip"), "on_error")
    if max_skipped is not None and (on_error != "skip" or not 0 <= max_skipped <= 1):
        raise ValueError(f"max_skipped={max_skipped} must be a share between 0 and 1, and applies to on_error='skip' alone")
    if image_from is not None and not (Path(image_from) / PROVENANCE).is_file():
        raise FileNotFoundError(f"image_from: no embeddings in {image_from}; give the folder of a set")
    if out.name in ("", ".."):
        raise ValueError(f"the output {str(out)!r} ends in no name; give the folder of the set by its name")
    folder, target = root.resolve(), out.resolve()
    folder = folder.parent if folder.is_file() else folder
    if target.is_relative_to(folder) or folder.is_relative_to(target):
        raise ValueError(f"the output {out} is, holds or lies in the data root {root}; give a folder apart from the data")
    refuse_other_content(out, PROVENANCE, FILES.values(), "an embedding set")
    report = out.with_name(out.name + ".problems.csv")
    if report.exists() and [*(columns_of(report) or ())] not in (PROBLEMS, WITHOUT_ID):
        raise FileExistsError(f"{report} is not the list of problems of an extraction; move it, or give another output than {out}")


def _clear(work: Path, identity: dict) -> None:
    """Remove the work folder of a whole set, unless it holds another set's work or a process uses it."""
    with suppress(OSError), claimed(work, None):
        if intact(read_note, work / OWNER) in (None, json.loads(json.dumps(identity))):  # None: a removal was interrupted
            clear_folder(work, WORK)
    with suppress(OSError):
        work.rmdir()  # a network file system keeps the lock files until they are closed
    remove_stale(work.parent)


@contextmanager
def _explaining_errors(out: Path) -> Iterator[None]:
    """Add to the error on a full disk, a read-only folder or too little memory what to do."""
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        raise RuntimeError("the batch does not fit into the accelerator's memory; give a smaller --batch-size") from None
    except MemoryError:
        raise MemoryError("memory is too small for this extraction; give fewer --workers or a smaller --batch-size") from None
    except Unwritable as error:
        raise Unwritable(f"{error} than {out}, finished chunks remain") from error


def parse_shard(shard) -> tuple[int, int] | None:
    """Return the two numbers of a shard such as ``3/16``; None stays None."""
    if shard is None:
        return None
    with suppress(ValueError, TypeError):
        k, n = map(int, shard.split("/") if isinstance(shard, str) else shard)
        if 1 <= k <= n:
            return k, n
    raise ValueError(f"shard must look like '3/16', the first number at most the second, got {shard!r}")


def _identity(job: Job, keys: pd.DataFrame, dtype: str) -> dict:
    """Return what decides whether a stored set can be reused."""
    window = filter(None, [job.dataset.report.get("window")])
    rows = job.dataset.rows.drop(columns=["image", "text"]).reset_index(drop=True)
    content = settings_hash([rows.join(keys).to_csv(index=False), repr(job.dataset.task), *window])
    names = {"dataset": job.dataset.name, "variant": job.dataset.variant, "backbone": job.backbone.name}
    return names | {"encoder": job.backbone.identity, "data_manifest": content, "precision": job.precision, "dtype": dtype}


def _stored(out: Path, identity: dict, overwrite: bool) -> EmbeddingSet | None:
    """Return the set in ``out`` if it has this identity; with ``overwrite``, treat a damaged or different set as absent."""
    if not (out / PROVENANCE).is_file():
        return None
    with suppress(*(ValueError, FileNotFoundError) if overwrite else ()):
        record, wanted = (pd.json_normalize(r).iloc[0].to_dict() for r in (read_set_record(out), identity))
        if differing := [key for key, value in wanted.items() if record.get(key) != value]:
            how = "pass overwrite=True (--overwrite) to replace it, or give another output"
            raise ValueError(f"{out} holds a set that differs in {', '.join(differing)}; {how}")
        return EmbeddingSet.load(out)
    return None


def _usable_rows(dataset: PairedDataset, out: Path, on_error: str, max_skipped: float, problems: list[tuple]) -> np.ndarray:
    """Return the rows that can be encoded, write the report, if there is any, and raise for more errors than allowed."""
    path, private, n = out.with_name(out.name + ".problems.csv"), dataset.card.credentialed, len(dataset.rows)
    report = pd.DataFrame(problems, columns=WITHOUT_ID).sort_values(["row", "field"], kind="stable")
    report.insert(1, "pair_id", dataset.rows["pair_id"].to_numpy()[report["row"].to_numpy(dtype=int)])
    if problems or path.exists():
        write_table(report.drop(columns="pair_id" if private else []), path)
    errors = report[report["severity"] == "error"]
    usable = np.setdiff1d(np.arange(n), errors["row"])
    n_bad = n - len(usable)
    if not n_bad or (on_error == "skip" and n_bad <= max_skipped * n and n_bad < n):
        return usable
    limit = f"more than max_skipped={max_skipped:g} allows" if on_error == "skip" else "pass --on-error skip to exclude them"
    lines = [f"row {e.row}{'' if private else f' ({e.pair_id})'}, {e.field}: {e.what}" for e in errors.head(SHOWN).itertuples()]
    lines += [f"and {len(errors) - SHOWN} more"] if len(errors) > SHOWN else []
    raise InputError("\n  ".join([f"{n_bad} of {n} rows cannot be encoded, {limit}; all are listed in {path}:", *lines]))


def _provenance(job: Job, identity: dict, keys: pd.DataFrame, problems: list[tuple]) -> dict:
    tokenizer, texts = job.backbone.tokenizer, job.dataset.rows.reset_index(drop=True)["text"]
    distinct = keys["text"].drop_duplicates()
    cut = distinct[tokenizer.cut(texts[distinct.index])]
    counts = {severity: Counter(p[3] for p in problems if p[2] == severity) for severity in ("note", "error")}
    return {
        **identity,
        "encoder": job.backbone.fingerprint,
        "data_report": json.loads(json.dumps(job.dataset.report, default=lambda value: value.item())),  # counts may be numpy's
        "feature_space": "projected",
        **{"normalized": True, "device": job.backbone.device.split(":")[0]},
        "batch_size": {"images": job.batch_size, "texts": TEXTS_PER_BATCH},
        "texts_cut": {"distinct": len(cut), "pairs": int(keys["text"].isin(cut).sum()), "context_length": tokenizer.context_length},
        **{"converted": dict(counts["note"]), "skipped": dict(counts["error"])},
        "versions": {name: version(name) for name in LIBRARIES},
    }
