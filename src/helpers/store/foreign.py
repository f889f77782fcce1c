"""Read embeddings computed elsewhere, from tables or arrays, as the arguments of :meth:`EmbeddingSet.from_arrays`."""

import difflib
import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from ..arrays import choose, choose_column, distinct_rows
from ..files import sha256
from .tables import existing, read_rows

DUPLICATES = ("fail", "drop")
SAME_VECTOR = 1e-3  # largest difference between two encodings of one input, as unit vectors
NPZ_NAMES = ("image", "text", "labels", "split", "groups", "ids")
SHARDS = {"image": "img_emb/img_emb_*.npy", "text": "text_emb/text_emb_*.npy", "table": "metadata/metadata_*.parquet"}
DAMAGED: tuple[type[Exception], ...] = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, NotImplementedError, RuntimeError, MemoryError, TypeError),
    *(tokenize.TokenError, SyntaxError, OverflowError, AttributeError, ValueError),  # raised by a damaged header
)


@contextmanager
def naming(path, *others) -> Iterator[None]:
    """Put the name of a file before an error about its content that gives neither it nor the name of one of ``others``."""
    try:
        yield
    except ValueError as error:
        if any(str(name) in str(error) for name in (path, *others)):
            raise
        raise ValueError(f"{path}: {error}") from None


def read_csv(
    path, label=None, split=None, image_prefix="img_emb_", text_prefix="text_emb_", group=None, ids=None, kind=None, classes=None,
    duplicates="fail", **provenance,
) -> dict:  # fmt: skip
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

    Raises:
        ValueError: a missing column, a missing coordinate, values that are not numbers, a pair with several text vectors (texts
            joined by image alone), a repeated pair (a sampler's padding), or an unknown split.
        FileNotFoundError: the file does not exist.
    """
    choose(duplicates, DUPLICATES, "duplicates")
    path = existing(path)
    table = read_rows(path)
    header = [str(name) for name in table.columns]
    columns = {m: _coordinates(header, p, path, m) for m, p in (("image", image_prefix), ("text", text_prefix))}
    label, split = _columns(header, path, label, split, group, ids)
    if table.empty:
        raise ValueError(f"{path} has no rows; export the embeddings again")
    image, text = (_vectors(table[names], path) for names in columns.values())
    about = table.drop(columns=[*columns["image"], *columns["text"]])
    first = _first_of_repeats(about, image, text, duplicates, path)
    return _arguments(about.iloc[first], image[first], text[first], path, label, split, group, ids, kind, classes, provenance)


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


def _vectors(table: pd.DataFrame, path: Path) -> np.ndarray:
    """Return the coordinates as float32 (n, d); a missing one equals no other, so later checks would misread it."""
    for name in table:
        if not pd.api.types.is_numeric_dtype(table[name]):
            bad = (pd.to_numeric(table[name], errors="coerce").isna() & table[name].notna()).to_numpy()
            raise ValueError(f"{path}: {name} in row {bad.argmax()} is not a number; export the embeddings again")
    vectors = table.to_numpy(dtype=np.float32, na_value=np.nan)
    bad = np.argwhere(~np.isfinite(vectors))
    if len(bad):
        (row, column), rows = bad[0], len(np.unique(bad[:, 0]))
        raise ValueError(
            f"{path}: {table.columns[column]} is missing or not finite in row {row} ({rows} row(s) with non-finite values); "
            "drop these rows or export the embeddings again"
        )
    return vectors


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
    differ = {m: _apart(x[repeats], x[earlier[repeats]]) for m, x in (("image", image), ("text", text))}
    one_pair = ~(differ["image"] & differ["text"])
    repeats, differ = repeats[one_pair], {m: apart[one_pair] for m, apart in differ.items()}
    if not len(repeats):
        return every
    for modality, other in (("text", "image"), ("image", "text")):
        if differ[modality].any():
            row = repeats[differ[modality].argmax()]
            raise ValueError(
                f"{path}: rows {earlier[row]} and {row} are the same pair with different {modality} vectors "
                f"({differ[modality].sum()} such rows); {modality}s were joined by {other} alone, k of them giving k x k rows. "
                "No repair is possible from this file: join by row or by pair id and export again"
            )
    if duplicates == "fail":
        raise ValueError(
            f"{path}: row {repeats[0]} repeats row {earlier[repeats[0]]} ({len(repeats)} such rows), as when a distributed sampler "
            "pads its last batch; pass duplicates='drop' (--duplicates drop) to import the first of each"
        )
    return np.setdiff1d(every, repeats)


def _earliest(keys: list) -> np.ndarray:
    """Return, for each row, the number of the first row with the same keys."""
    groups = pd.DataFrame(dict(enumerate(map(np.asarray, keys))))
    return pd.Series(range(len(groups))).groupby([groups[k] for k in groups]).transform("min").to_numpy()


def _apart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return whether rows (n, d) point into directions that differ by more than two encodings of one input do."""
    x, y = (v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12) for v in (x.astype(np.float64), y.astype(np.float64)))
    return np.abs(x - y).max(axis=1, initial=0) > SAME_VECTOR


def read_arrays(
    path, text=None, table=None, label=None, split=None, group=None, ids=None, kind=None, classes=None, **provenance
) -> dict:
    """Read image and text vectors from arrays, and labels, splits and groups from the NPZ or from a separate table.

    Args:
        path: an NPZ with ``image, text`` and optionally ``labels, split, groups, ids``; one NPY of shape (2, n, d), images first;
            the NPY of image vectors (n, d); or a folder with ``img_emb/img_emb_*.npy``, ``text_emb/text_emb_*.npy`` and optionally
            ``metadata/metadata_*.parquet``, as clip-retrieval writes it.
        text: the NPY of text vectors (n, d), if ``path`` is the NPY of image vectors.
        table: CSV, TSV or Parquet of the n rows; replaces labels in the NPZ or the folder's metadata.
        label, split, group, ids, kind, classes, provenance: as for :func:`read_csv`.
    """
    path = existing(path)
    arrays, about = _folder(path) if path.is_dir() else (_arrays(path, text), None)
    if table is not None:
        about = read_rows(existing(table))
    if about is not None:
        label, split = _columns([str(name) for name in about.columns], table or path, label, split, group, ids)
    else:
        about, label, split, group, ids = _own_table(arrays, path)
    image, texts = arrays["image"], arrays["text"]
    for name, array in (("image", image), ("text", texts)):
        if array.ndim != 2:
            raise ValueError(f"{path}: {name} vectors must have shape (n, d), got {array.shape}")
    if not len(image) == len(texts) == len(about):
        found = f"{len(image)} image vectors, {len(texts)} text vectors and {len(about)} rows"
        raise ValueError(f"{path} has {found}; every pair needs one of each")
    return _arguments(about, image, texts, path, label, split, group, ids, kind, classes, provenance)


def _load(path: Path):
    """Read an NPY, or the known arrays of an NPZ, without unpickling."""
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            return stored
        with stored:
            names, arrays = stored.files, {name: stored[name] for name in NPZ_NAMES if name in stored.files}
    except DAMAGED as error:
        if "Object arrays" in str(error):
            hint = "it holds Python objects; save strings as a fixed-width array, for example labels.astype('U')"
            raise ValueError(f"{path} cannot be read: {hint}") from None
        raise ValueError(
            f"{path} cannot be read ({type(error).__name__}); it is no NPY or NPZ file, damaged or cut short"
        ) from None
    for name in names:
        near = difflib.get_close_matches(name, NPZ_NAMES, n=1, cutoff=0.8)
        if name not in NPZ_NAMES and near:
            raise ValueError(f"{path}: array {name[:40]!r} is unknown; did you mean {near[0]!r}? known are {', '.join(NPZ_NAMES)}")
    return arrays


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


def _folder(path: Path) -> tuple[dict, pd.DataFrame]:
    """Return the shards of a folder, joined in the order of their numbers, and its metadata."""
    shards = {what: sorted(path.glob(pattern), key=_number) for what, pattern in SHARDS.items()}
    numbers = {what: [_number(file) for file in files] for what, files in shards.items()}
    if not numbers["image"] or numbers["image"] != numbers["text"]:
        raise ValueError(f"{path} must hold {SHARDS['image']} and {SHARDS['text']} with the same numbers")
    if numbers["table"] not in ([], numbers["image"]):
        raise ValueError(f"{path} must hold one {SHARDS['table']} for each {SHARDS['image']}, or none")
    arrays = {}
    for what in ("image", "text"):
        parts = [_load(file) for file in shards[what]]
        for file, part in zip(shards[what], parts, strict=True):
            if isinstance(part, dict) or part.ndim != 2 or part.shape[1] != parts[0].shape[1]:
                raise ValueError(f"{file} must be an array (n, d) with the d of the first shard")
        arrays[what] = np.concatenate(parts)
    if not shards["table"]:
        return arrays, pd.DataFrame(index=range(len(arrays["image"])))
    return arrays, pd.concat([read_rows(file) for file in shards["table"]], ignore_index=True)


def _number(path: Path) -> int:
    digits = re.findall(r"[0-9]{1,9}", path.stem)
    return int(digits[-1]) if digits else -1


def _own_table(arrays: dict, path: Path) -> tuple:
    """Return the NPZ's labels, split, groups and ids as a table, and the names of its columns; None for an absent one."""
    label: str | list[str] | None = None
    columns: dict = {}
    for name in ("labels", "split", "groups", "ids"):
        values = arrays.get(name)
        if values is None:
            continue
        if values.ndim not in ((1, 2) if name == "labels" else (1,)):
            raise ValueError(f"{path}: array {name!r} has shape {values.shape}; expected one row per pair")
        if len(values) != len(arrays["image"]):
            raise ValueError(f"{path}: array {name!r} has {len(values)} rows and image has {len(arrays['image'])}")
        if values.ndim == 2:
            label = [f"label_{k}" for k in range(values.shape[1])]
            columns |= {f"label_{k}": values[:, k] for k in range(values.shape[1])}
        else:
            label = "labels" if name == "labels" else label
            columns[name] = values
    about = pd.DataFrame(columns, index=range(len(arrays["image"])) if arrays["image"].ndim else None)
    return about, label, *(name if name in arrays else None for name in ("split", "groups", "ids"))


def _columns(header: list[str], source, label, split, group, ids) -> tuple:
    """Return the label column or columns and the split column: those named, else ``label`` and ``split`` if they exist."""
    label = "label" if label is None and "label" in header else label
    split = "split" if split is None and "split" in header else split
    labels = [] if label is None else [label] if isinstance(label, str) else list(label)
    for name in filter(None, [*labels, split, group, ids]):
        choose_column(name, header, source)
    return label, split


def _arguments(about: pd.DataFrame, image, text, path: Path, label, split, group, ids, kind, classes, provenance) -> dict:
    """Return the arguments of ``EmbeddingSet.from_arrays``."""
    several = label is not None and not isinstance(label, str)
    if several and classes is None:
        classes = [name.removeprefix("label_") for name in label]
    for what, name in (("split", split), ("group", group), ("id", ids)):
        if name is not None and about[name].isna().any():
            row = int(about[name].isna().to_numpy().argmax())
            raise ValueError(f"{path}: {what} column {name!r} has missing values, first at row {row}; fill them in")
    return {
        "image": image,
        "text": text,
        "labels": None if label is None else about[list(label) if several else label].to_numpy(),
        **{argument: None if name is None else about[name].to_numpy() for argument, name in
           (("split", split), ("groups", group), ("ids", ids))},
        **{"kind": kind, "classes": classes},
        **{"dataset": path.name.split(".")[0], "variant": "imported", "backbone": "unknown", **provenance},
        "imported_from": {"file": path.name} | ({"sha256": sha256(path)} if path.is_file() else {}),
    }  # fmt: skip
