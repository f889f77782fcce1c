"""Embeddings computed elsewhere: the authors' CSV, or NPZ / NPY arrays with a table. Joining mistakes are found and named.

The readers return the arguments of ``EmbeddingSet.from_arrays``; call them as ``EmbeddingSet.from_csv`` and ``from_npz``.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from ..checks import choose, choose_column
from ..files import sha256

DUPLICATES = ("fail", "drop")
SAME_VECTOR = 1e-3  # largest difference between two encodings of one input, unit vectors
NPZ_NAMES = ("image", "text", "labels", "split", "groups", "ids")


def read_csv(
    path,
    label: str | list[str],
    split: str = "split",
    image_prefix: str = "img_emb_",
    text_prefix: str = "text_emb_",
    group: str | None = None,
    ids: str | None = None,
    kind: str | None = None,
    classes=None,
    duplicates: str = "fail",
    **provenance,
) -> dict:
    """Read a table with one row per pair and one column per coordinate, as the authors' pipeline writes it.

    Args:
        path: CSV file, UTF-8 with or without a byte order mark.
        label: column of class names, or a list of 0/1 columns for a multi-label task.
        split: column of ``train``, ``val``, ``test``.
        image_prefix, text_prefix: of the coordinate columns, numbered from 0.
        group, ids: columns of rows that belong together and of unique pair names.
        kind, classes: see :meth:`EmbeddingSet.from_arrays`.
        duplicates: ``fail`` on a pair that occurs twice, or ``drop`` the later one.
        provenance: ``dataset``, ``variant``, ``backbone`` and whatever else should be kept.

    Raises:
        ValueError: a missing column, coordinates with a gap, values that are no numbers, a pair with several text vectors (texts
            joined by image alone), a repeated pair (a sampler's padding), an unknown split.
        FileNotFoundError: no such file.
    """
    choose(duplicates, DUPLICATES, "duplicates")
    path = _there(path)
    header = list(pd.read_csv(path, nrows=0, encoding="utf-8-sig").columns)
    columns = {what: _coordinates(header, prefix, path) for what, prefix in (("image", image_prefix), ("text", text_prefix))}
    labels = [label] if isinstance(label, str) else list(label)
    _present(header, [*labels, split, *filter(None, (group, ids))], path)
    numeric = dict.fromkeys([*columns["image"], *columns["text"]], np.float32)
    try:
        table = pd.read_csv(path, dtype=numeric, encoding="utf-8-sig", low_memory=False)
    except ValueError:
        raise ValueError(f"{path}: a coordinate is not a number; export the embeddings again") from None
    image, text = (table[names].to_numpy() for names in columns.values())
    about = table.drop(columns=list(numeric))
    kept = _without_repeats(about, image, text, duplicates, path)
    return _arguments(about.iloc[kept], image[kept], text[kept], path, label, split, group, ids, kind, classes, provenance)


def read_npz(
    path,
    text=None,
    table=None,
    label: str | list[str] = "label",
    split: str = "split",
    group: str | None = None,
    ids: str | None = None,
    kind: str | None = None,
    classes=None,
    **provenance,
) -> dict:
    """Read one NPZ with ``image, text, labels, split`` (and ``groups, ids``), or an image and a text NPY with a table of rows.

    Args:
        path: the NPZ, or the NPY of image vectors (n, d).
        text: the NPY of text vectors (n, d), when ``path`` is one of images.
        table: CSV of the n rows with the columns ``label``, ``split``, ``group``, ``ids``; takes the place of the NPZ's own labels.

    Raises:
        ValueError: a missing array, object arrays (they would need unpickling), unequal numbers of rows, an unknown split.
        FileNotFoundError: no such file.
    """
    path = _there(path)
    arrays = _arrays(path, None if text is None else _there(text))
    image, texts = arrays["image"], arrays["text"]
    if table is not None:
        about = pd.read_csv(_there(table), encoding="utf-8-sig")
        labels = [label] if isinstance(label, str) else list(label)
        _present(list(about.columns), [*labels, split, *filter(None, (group, ids))], Path(table))
    else:
        about, label, split, group, ids = _own_table(arrays, path)
    if not len(image) == len(texts) == len(about):
        found = f"{len(image)} image vectors, {len(texts)} text vectors and {len(about)} rows"
        raise ValueError(f"{path} has {found}; there must be one of each per pair")
    return _arguments(about, image, texts, path, label, split, group, ids, kind, classes, provenance)


def _there(path) -> Path:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist; give the file of the embeddings, or of their table")
    return Path(path)


def _coordinates(header: list[str], prefix: str, path: Path) -> list[str]:
    """Columns ``prefix0, prefix1, ...`` in numerical order."""
    numbers = sorted(int(m[1]) for name in header if (m := re.fullmatch(re.escape(prefix) + r"(\d+)", name)))
    if not numbers:
        raise ValueError(f"{path} has no column {prefix}0; name the prefix of the coordinates, or put the header on the first line")
    if numbers != list(range(len(numbers))):
        gap = next(i for i, number in enumerate(numbers) if i != number)
        raise ValueError(f"{path} has {len(numbers)} columns {prefix}*, but {prefix}{gap} is missing; export the embeddings again")
    return [f"{prefix}{number}" for number in numbers]


def _present(header: list[str], wanted: list[str], path: Path) -> None:
    for name in wanted:
        choose_column(name, header, path.name)


def _without_repeats(about: pd.DataFrame, image: np.ndarray, text: np.ndarray, duplicates: str, path: Path) -> np.ndarray:
    """Row numbers to keep, once the two known joining mistakes are ruled out or repaired.

    Rows that agree in every other column are one pair. With text vectors that differ they come from joining texts to images by
    image alone, k questions giving k x k rows; with equal ones, from a distributed sampler that fills up its last batch.
    """
    first = about.groupby(list(about.columns), sort=False, dropna=False).ngroup().to_numpy()
    leader = np.full(first.max() + 1, -1)
    leader[first[::-1]] = np.arange(len(first))[::-1]
    repeats = np.flatnonzero(leader[first] != np.arange(len(first)))
    if not len(repeats):
        return np.arange(len(first))
    originals = leader[first[repeats]]
    differ = {
        m: np.abs(_unit(x[repeats]) - _unit(x[originals])).max(axis=1) > SAME_VECTOR for m, x in (("image", image), ("text", text))
    }
    for modality, other in (("text", "image"), ("image", "text")):
        if differ[modality].any():
            row = np.flatnonzero(differ[modality])[0]
            raise ValueError(
                f"{path}: rows {originals[row]} and {repeats[row]} are the same pair with different {modality} vectors "
                f"({differ[modality].sum()} such rows); {modality}s were joined by {other} alone, k of them giving k x k rows. "
                "No repair is possible from this file: join by row or by pair id and export again"
            )
    if duplicates == "fail":
        raise ValueError(
            f"{path}: row {repeats[0]} repeats row {originals[0]} ({len(repeats)} such rows), as when a distributed sampler "
            "pads its last batch; pass duplicates='drop' to keep the first of each"
        )
    return np.setdiff1d(np.arange(len(first)), repeats)


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def _arrays(path: Path, text) -> dict:
    try:
        if text is not None:
            return {"image": np.load(path, allow_pickle=False), "text": np.load(text, allow_pickle=False)}
        with np.load(path, allow_pickle=False) as stored:
            if not hasattr(stored, "files"):
                raise ValueError("it holds a single array; give the text vectors with text=")
            unknown = [name for name in ("image", "text") if name not in stored.files]
            if unknown:
                raise ValueError(
                    f"array {unknown[0]!r} is missing, it has {', '.join(stored.files)}; read are {', '.join(NPZ_NAMES)}"
                )
            return {name: stored[name] for name in NPZ_NAMES if name in stored.files}
    except ValueError as error:
        hint = "; save strings as a fixed-width array, for example labels.astype('U')" if "pickle" in str(error) else ""
        raise ValueError(f"{path} cannot be read: {error}{hint}") from None


def _own_table(arrays: dict, path: Path) -> tuple:
    """The NPZ's labels, split, groups and ids as a table, and the names of its columns."""
    for name in ("labels", "split"):
        if name not in arrays:
            raise ValueError(f"{path} has no array {name!r}; add it, or give table= with the columns label and split")
    labels = arrays["labels"]
    columns = {f"label_{k}": labels[:, k] for k in range(labels.shape[1])} if labels.ndim == 2 else {"label": labels}
    about = pd.DataFrame({**columns, "split": arrays["split"]})
    for name in ("groups", "ids"):
        if name in arrays:
            about[name] = arrays[name]
    return about, list(columns) if labels.ndim == 2 else "label", "split", *(n if n in arrays else None for n in ("groups", "ids"))


def _arguments(about: pd.DataFrame, image, text, path: Path, label, split, group, ids, kind, classes, provenance) -> dict:
    several = not isinstance(label, str)
    if several and classes is None:
        classes = [name.removeprefix("label_") for name in label]
    known = {"dataset": path.stem, "variant": "imported", "backbone": "unknown", **provenance}
    return {
        "image": image,
        "text": text,
        "labels": about[list(label)].to_numpy() if several else about[label].to_numpy(),
        "split": about[split].to_numpy(),
        "kind": kind,
        "groups": about[group].to_numpy() if group else None,
        "ids": about[ids].to_numpy() if ids else None,
        "classes": classes,
        **known,
        "imported_from": {"file": path.name, "sha256": sha256(path)},
    }
