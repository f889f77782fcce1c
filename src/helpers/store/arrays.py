"""Read embeddings computed elsewhere from arrays: NPZ, NPY, or a folder of shards as clip-retrieval writes it."""

import difflib
import re
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from .foreign import choose_columns, existing, read_header, read_rows, set_arguments

NPZ_NAMES = ("image", "text", "labels", "split", "groups", "ids")
SHARDS = {"image": "img_emb/img_emb_*.npy", "text": "text_emb/text_emb_*.npy", "table": "metadata/metadata_*.parquet"}
DAMAGED: tuple[type[Exception], ...] = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, NotImplementedError, RuntimeError, MemoryError, TypeError),
    *(tokenize.TokenError, SyntaxError, OverflowError, AttributeError),  # raised by a damaged header
)


def read_arrays(
    path,
    text=None,
    table=None,
    label: str | list[str] | None = None,
    split: str | None = None,
    group: str | None = None,
    ids: str | None = None,
    kind: str | None = None,
    classes=None,
    **provenance,
) -> dict:
    """Read image and text vectors from arrays, and labels, splits and groups from the NPZ or from a separate table.

    Args:
        path: an NPZ with ``image, text`` and optionally ``labels, split, groups, ids``; one NPY of shape (2, n, d), images first;
            the NPY of image vectors (n, d); or a folder with ``img_emb/img_emb_*.npy``, ``text_emb/text_emb_*.npy`` and optionally
            ``metadata/metadata_*.parquet``.
        text: the NPY of text vectors (n, d), if ``path`` is the NPY of image vectors.
        table: CSV, TSV or Parquet of the n rows; replaces labels in the NPZ or the folder's metadata.
        label, split, group, ids: columns of the table; when None, ``label`` and ``split`` if the table has them.

    Returns:
        The arguments of :meth:`EmbeddingSet.from_arrays`.

    Raises:
        ValueError: a missing array, object arrays (they would need unpickling), unequal numbers of rows, an unknown split.
        FileNotFoundError: no such file.
    """
    path = existing(path)
    arrays, about = _folder(path) if path.is_dir() else (_arrays(path, text), None)
    if table is not None:
        about = read_rows(existing(table))
    if about is not None:
        header = [str(name) for name in about.columns] if table is None else read_header(Path(table))
        label, split = choose_columns(header, path if table is None else Path(table), label, split, group, ids)
    else:
        about, label, split, group, ids = _own_table(arrays, path)
    image, texts = arrays["image"], arrays["text"]
    for name, array in (("image", image), ("text", texts)):
        if array.ndim != 2:
            raise ValueError(f"{path}: {name} vectors must have shape (n, d), got {array.shape}")
    if not len(image) == len(texts) == len(about):
        found = f"{len(image)} image vectors, {len(texts)} text vectors and {len(about)} rows"
        raise ValueError(f"{path} has {found}; every pair needs one of each")
    return set_arguments(about, image, texts, path, label, split, group, ids, kind, classes, provenance)


def _load(path: Path):
    """Read an NPY or NPZ without unpickling.

    Raises:
        ValueError: the file is damaged or holds objects; names it.
    """
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            return stored
        with stored:
            _no_near_names(stored.files)
            return {name: stored[name] for name in NPZ_NAMES if name in stored.files}
    except ValueError as error:
        known = "Object arrays" in str(error) or isinstance(error, UnknownArray)
        hint = "; save strings as a fixed-width array, for example labels.astype('U')" if "Object arrays" in str(error) else ""
        why = f"{error}{hint}" if known else "it is not an NPY or NPZ file, or it is damaged"
        raise ValueError(f"{path} cannot be read: {why}") from None
    except DAMAGED as error:
        raise ValueError(f"{path} cannot be read ({type(error).__name__}); it is damaged or cut short") from None


class UnknownArray(ValueError):
    """Error for an array whose name nearly equals a known one."""


def _no_near_names(names: list[str]) -> None:
    for name in names:
        near = difflib.get_close_matches(name, NPZ_NAMES, n=1, cutoff=0.8)
        if name not in NPZ_NAMES and near:
            raise UnknownArray(f"array {name[:40]!r} is unknown; did you mean {near[0]!r}? known are {', '.join(NPZ_NAMES)}")


def _arrays(path: Path, text) -> dict:
    stored = _load(path)
    if isinstance(stored, dict):
        for name in ("image", "text"):
            if name not in stored:
                raise ValueError(f"{path}: array {name!r} is missing; known are {', '.join(NPZ_NAMES)}")
        return stored
    if text is not None:
        texts = _load(existing(text))
        if isinstance(texts, dict):
            raise ValueError(f"{text} must be one NPY array of text vectors (n, d)")
        return {"image": stored, "text": texts}
    if stored.ndim == 3 and len(stored) == 2:
        return {"image": stored[0], "text": stored[1]}
    raise ValueError(
        f"{path} holds one array of shape {stored.shape}; give (2, n, d) with images first, or the text vectors with text= (--text)"
    )


def _folder(path: Path) -> tuple[dict, pd.DataFrame | None]:
    """Return the shards of a folder, joined in the order of their numbers, and its metadata."""
    shards = {what: sorted(path.glob(pattern), key=_number) for what, pattern in SHARDS.items()}
    if not shards["image"] or [_number(f) for f in shards["image"]] != [_number(f) for f in shards["text"]]:
        raise ValueError(f"{path} must hold {SHARDS['image']} and {SHARDS['text']} with the same numbers")
    if shards["table"] and [_number(f) for f in shards["table"]] != [_number(f) for f in shards["image"]]:
        raise ValueError(f"{path} must hold one {SHARDS['table']} for each {SHARDS['image']}, or none")
    arrays = {}
    for what in ("image", "text"):
        parts = [_load(file) for file in shards[what]]
        for file, part in zip(shards[what], parts, strict=True):
            if isinstance(part, dict) or part.ndim != 2 or part.shape[1] != parts[0].shape[1]:
                raise ValueError(f"{file} must be an array (n, d) with the d of the first shard")
        arrays[what] = np.concatenate(parts)
    about = pd.concat([read_rows(file) for file in shards["table"]], ignore_index=True) if shards["table"] else None
    return arrays, pd.DataFrame(index=range(len(arrays["image"]))) if about is None else about


def _number(path: Path) -> int:
    digits = re.findall(r"[0-9]{1,9}", path.stem)
    return int(digits[-1]) if digits else -1


def _own_table(arrays: dict, path: Path) -> tuple:
    """Return the NPZ's labels, split, groups and ids as a table, and the names of its columns; None for an absent one."""
    columns = {}
    names = [name for name in ("labels", "split", "groups", "ids") if name in arrays]
    for name in names:
        if arrays[name].ndim not in ((1, 2) if name == "labels" else (1,)):
            raise ValueError(f"{path}: array {name!r} has shape {arrays[name].shape}; expected one row per pair")
        if len(arrays[name]) != len(arrays["image"]):
            raise ValueError(f"{path}: array {name!r} has {len(arrays[name])} rows and image has {len(arrays['image'])}")
    labels = arrays.get("labels")
    label = None
    if labels is not None:
        label = [f"label_{k}" for k in range(labels.shape[1])] if labels.ndim == 2 else "label"
        columns |= {f"label_{k}": labels[:, k] for k in range(labels.shape[1])} if labels.ndim == 2 else {"label": labels}
    columns |= {name: arrays[name] for name in ("split", "groups", "ids") if name in arrays}
    about = pd.DataFrame(columns, index=range(len(arrays["image"])) if arrays["image"].ndim else None)
    return about, label, *(name if name in arrays else None for name in ("split", "groups", "ids"))
