"""Read embeddings computed elsewhere from a table, one row per pair and one column per coordinate; name joining mistakes."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from ..arrays import choose, distinct_rows
from .foreign import choose_columns, existing, read_header, read_rows, set_arguments

DUPLICATES = ("fail", "drop")
SAME_VECTOR = 1e-3  # largest difference between two encodings of one input, as unit vectors


def read_csv(
    path,
    label: str | list[str] | None = None,
    split: str | None = None,
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
        path: CSV or TSV, UTF-8 with or without a byte order mark, also gzipped; or Parquet.
        label: column of class names, or a list of 0/1 columns for a multi-label task; when None, ``label`` if it exists.
        split: column of ``train``, ``val``, ``test``; when None, ``split`` if it exists.
        image_prefix, text_prefix: prefixes of the coordinate columns, numbered from 0.
        group, ids: column that names groups of rows, and column of unique pair names.
        kind, classes: see :meth:`EmbeddingSet.from_arrays`.
        duplicates: ``fail`` on a pair that occurs twice, or ``drop`` the later one.
        provenance: ``dataset``, ``variant``, ``backbone`` and any other fields to record.

    Returns:
        The arguments of :meth:`EmbeddingSet.from_arrays`.

    Raises:
        ValueError: a missing column, a missing coordinate, values that are not numbers, a pair with several text vectors (texts
            joined by image alone), a repeated pair (a sampler's padding), or an unknown split.
        FileNotFoundError: the file does not exist.
    """
    choose(duplicates, DUPLICATES, "duplicates")
    path = existing(path)
    header = read_header(path)
    prefixes = (("image", image_prefix), ("text", text_prefix))
    columns = {what: _coordinates(header, prefix, path, what) for what, prefix in prefixes}
    label, split = choose_columns(header, path, label, split, group, ids)
    numeric = [*columns["image"], *columns["text"]]
    table = read_rows(path, numeric)
    if table.empty:
        raise ValueError(f"{path} has no rows; export the embeddings again")
    image, text = (table[names].to_numpy(dtype=np.float32) for names in columns.values())
    for names, vectors in zip(columns.values(), (image, text), strict=True):
        _refuse_missing(vectors, names, path)
    about = table.drop(columns=numeric)
    first = _first_of_repeats(about, image, text, duplicates, path)
    return set_arguments(about.iloc[first], image[first], text[first], path, label, split, group, ids, kind, classes, provenance)


def _coordinates(header: list[str], prefix: str, path: Path, what: str) -> list[str]:
    """Return the columns ``prefix0, prefix1, ...`` in numerical order."""
    numbers = sorted(int(m[1]) for name in header if (m := re.fullmatch(re.escape(prefix) + r"([0-9]{1,6})", name)))
    if not numbers:
        option = f"{what}_prefix (--{what}-prefix)"
        raise ValueError(f"{path} has no column {prefix}0; name the prefix of the coordinates with {option}, or add the header")
    if numbers != list(range(len(numbers))):
        gap = next(i for i, number in enumerate(numbers) if i != number)
        raise ValueError(f"{path} has {len(numbers)} columns {prefix}*, but {prefix}{gap} is missing; export the embeddings again")
    return [f"{prefix}{number}" for number in numbers]


def _refuse_missing(vectors: np.ndarray, names: list[str], path: Path) -> None:
    """Raise unless every coordinate is a finite number; a missing one equals no other, so later checks would misread it."""
    bad = np.argwhere(~np.isfinite(vectors))
    if len(bad):
        row, column = bad[0]
        rows = len(np.unique(bad[:, 0]))
        raise ValueError(
            f"{path}: {names[column]} is missing or not finite in row {row} ({rows} row(s) with non-finite values); "
            "drop these rows or export the embeddings again"
        )


def _first_of_repeats(about: pd.DataFrame, image: np.ndarray, text: np.ndarray, duplicates: str, path: Path) -> np.ndarray:
    """Return the row numbers to import, once the two known joining mistakes are excluded or repaired.

    Rows that agree in every other column and in one of the two vectors are one pair. If their text vectors differ, texts were
    joined to images by image alone, so that k questions give k x k rows. If both vectors are equal, a distributed sampler filled
    up its last batch. If both differ, the columns, such as label and patient, do not name a pair.
    """
    every = np.arange(len(image))
    if about.columns.empty:
        return every  # only their vectors distinguish two pairs
    alike = about.groupby(list(about.columns), sort=False, dropna=False).ngroup()
    equal = _earliest([alike, distinct_rows(image)[1], distinct_rows(text)[1]])
    earlier = np.where(equal < every, equal, _earliest([alike]))  # two pairs of one patient and label may be repeated in turn
    repeats = np.flatnonzero(earlier != every)
    if not len(repeats):
        return every
    originals = earlier[repeats]
    differ = {
        m: np.abs(_unit(x[repeats]) - _unit(x[originals])).max(axis=1) > SAME_VECTOR for m, x in (("image", image), ("text", text))
    }
    other_pair = differ["image"] & differ["text"]  # columns such as label and patient alone name no pair
    if other_pair.all():
        return every
    repeats, originals = repeats[~other_pair], originals[~other_pair]
    differ = {modality: found[~other_pair] for modality, found in differ.items()}
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
            "pads its last batch; pass duplicates='drop' (--duplicates drop) to import the first of each"
        )
    return np.setdiff1d(every, repeats)


def _earliest(keys: list) -> np.ndarray:
    """Return, for each row, the number of the first row with the same keys."""
    groups = pd.DataFrame(dict(enumerate(map(np.asarray, keys))))
    return pd.Series(range(len(groups))).groupby([groups[k] for k in groups]).transform("min").to_numpy()


def _unit(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
