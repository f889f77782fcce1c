"""Read vectors computed elsewhere, from tables or arrays, as the arguments of :meth:`EmbeddingSet.from_arrays`.

An error names the file and the row, and prints no cell, which may be a patient's.
"""

import difflib
import re
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..arrays import choose, choose_column, distinct_rows
from ..files import sha256
from .disk import read_parquet

TABLES, ARRAYS = (".csv", ".tsv", ".tab", ".txt", ".parquet"), (".npz", ".npy")
REMEDY = "export the embeddings again"
DUPLICATES = ("fail", "drop")
SAME_VECTOR = 1e-3  # largest difference between two encodings of one input, as unit vectors
NPZ_NAMES = {"image": None, "text": None, "labels": "label", "split": "split", "groups": "group", "ids": "ids"}  # array -> option
SHARDS = {"image": "img_emb/img_emb_*.npy", "text": "text_emb/text_emb_*.npy", "table": "metadata/metadata_*.parquet"}
CUT_SHORT = (EOFError, zlib.error, zipfile.BadZipFile, OSError)
DAMAGED: tuple[type[Exception], ...] = (
    *(*CUT_SHORT, KeyError, NotImplementedError, RuntimeError, MemoryError, TypeError),
    *(tokenize.TokenError, SyntaxError, OverflowError, AttributeError, ValueError),  # raised by a damaged header
)


@contextmanager
def naming(path, *others) -> Iterator[None]:
    """Put a file's name before an error about its content that names neither it nor one of ``others``."""
    try:
        yield
    except ValueError as error:
        if any(str(name) in str(error) for name in (path, *others)):
            raise
        raise ValueError(f"{path}: {error}") from None


def read_vectors(
    path, label=None, text=None, table=None, split=None, group=None, ids=None, kind=None, classes=None, image_prefix="img_emb_",
    text_prefix="text_emb_", duplicates="fail", source=None, revision=None, **provenance,
) -> dict:  # fmt: skip
    """Read image and text vectors of pairs, with their labels, splits and groups.

    Args:
        path: CSV or TSV (UTF-8, perhaps gzipped) or Parquet with a row per pair and a column per coordinate, as the authors'
            pipeline writes it; an NPZ with ``image, text`` and optionally ``labels, split, groups, ids``; one NPY of shape
            (2, n, d), images first; the NPY of image vectors (n, d); or a folder with ``img_emb/img_emb_*.npy``,
            ``text_emb/text_emb_*.npy`` and optionally ``metadata/metadata_*.parquet``, as clip-retrieval writes it.
        label: column of class names, or a list of 0/1 columns for a multi-label task; when None, ``label`` if it exists.
        text: the NPY of text vectors (n, d), if ``path`` is the NPY of image vectors.
        table: for arrays, a CSV, TSV or Parquet of the n rows; replaces labels in the NPZ or the folder's metadata.
        split: column of ``train``, ``val``, ``test``; when None, ``split`` if it exists.
        group, ids: column that names groups of rows, and column of unique pair names.
        kind, classes: see :meth:`EmbeddingSet.from_arrays`.
        image_prefix, text_prefix: prefixes of the coordinate columns, numbered from 0.
        duplicates: ``fail`` on a pair that occurs twice in a table of coordinates, or ``drop`` the later one.
        source, revision: of the encoder, to record.
        provenance: ``dataset``, ``variant``, ``backbone`` and any other fields to record.
    """
    choose(duplicates, DUPLICATES, "duplicates")
    path, own = Path(path), {}
    if ending(path) in TABLES:
        if text or table:
            raise ValueError(f"{path} is a table with its own texts and labels; give text and table for arrays alone")
        about, image, texts = _from_columns(path, image_prefix, text_prefix, duplicates)
    elif path.is_dir() or ending(path) in ARRAYS:
        about, image, texts, own = _from_arrays(existing(path), text, table)
    else:
        raise ValueError(f"{path} must end in {', '.join((*TABLES, *ARRAYS))}, or be a folder with img_emb and text_emb")
    header = [str(name) for name in about.columns]
    usual = {name: name for name in ("label", "split") if name in header} | own
    given = {"label": label, "split": split, "group": group, "ids": ids}
    columns: dict[str, Any] = {option: usual.get(option) if name is None else name for option, name in given.items()}
    several = not isinstance(columns["label"], str | None)
    if several:
        columns["label"] = list(columns["label"])
    for name in filter(None, [*(columns["label"] if several else [columns["label"]]), columns["split"], group, ids]):
        choose_column(name, header, table or path)
    for option in ("split", "group", "ids"):
        if columns[option] is not None and (missing := about[columns[option]].isna().to_numpy()).any():
            raise ValueError(
                f"{path}: {option} column {columns[option]!r} has missing values, first at row {missing.argmax()}; fill them in"
            )
    labels, split, groups, ids = (None if name is None else about[name].to_numpy() for name in columns.values())
    if several and classes is None:
        classes = [name.removeprefix("label_") for name in columns["label"]]
    encoder = {name: value for name, value in (("source", source), ("revision", revision)) if value}
    return {
        **{"image": image, "text": texts, "labels": labels, "split": split, "groups": groups, "ids": ids},
        **{"kind": kind, "classes": classes} | ({"encoder": encoder} if encoder else {}),
        **{"dataset": path.name.split(".")[0], "variant": "imported", "backbone": "unknown", **provenance},
        "imported_from": {"file": path.name} | ({"sha256": sha256(path)} if path.is_file() else {}),
    }


def existing(path) -> Path:
    """Return the path of a file or folder that is there; an absent one is named."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist; give the file of the embeddings, or of their table")
    return Path(path)


def ending(path: Path) -> str:
    """Return the ending that names the format, without ``.gz``."""
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()


def read_rows(path: Path) -> pd.DataFrame:
    """Read a Parquet table or, under any other ending, a delimited one."""
    if ending(existing(path)) == ".parquet":
        return read_parquet(path, REMEDY)
    return read_delimited(path, REMEDY, low_memory=False)


def read_delimited(path: Path, remedy: str, separator: str | None = None, **options) -> pd.DataFrame:
    """Return ``pandas.read_csv`` of a UTF-8 file, with or without a byte order mark; ``remedy`` is advice on a damaged one.

    The header shows what separates columns: a tab if it has one, a semicolon if it has one and no comma, else a comma.
    """
    if separator is None:
        header = read_delimited(path, remedy, "\t", header=None, nrows=1, dtype=str).iloc[0].astype(str)
        separator = "\t" if len(header) > 1 else ";" if ";" in header[0] and "," not in header[0] else ","
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            return pd.read_csv(path, sep=separator, encoding="utf-8-sig", index_col=False, **options)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} is empty; {remedy}") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning):
        raise ValueError(f"{path} has rows of different length or an open quote; {remedy}") from None
    except CUT_SHORT as error:
        raise ValueError(f"{path} cannot be read ({type(error).__name__}): it is damaged or cut short; {remedy}") from None


def _from_columns(path: Path, image_prefix: str, text_prefix: str, duplicates: str) -> tuple:
    """Return the other columns, the image vectors and the text vectors of a table, once its joining is checked."""
    table = read_rows(path)
    header = [str(name) for name in table.columns]
    columns = {m: _coordinates(header, p, path, m) for m, p in (("image", image_prefix), ("text", text_prefix))}
    if table.empty:
        raise ValueError(f"{path} has no rows; {REMEDY}")
    image, text = (_vectors(table[names], path) for names in columns.values())
    about = table.drop(columns=[*columns["image"], *columns["text"]])
    first = _first_of_repeats(about, image, text, duplicates, path)
    return about.iloc[first], image[first], text[first]


def _coordinates(header: list[str], prefix: str, path: Path, what: str) -> list[str]:
    """Return the columns ``prefix0, prefix1, ...`` in numerical order."""
    numbers = sorted(int(m[1]) for name in header if (m := re.fullmatch(re.escape(prefix) + r"([0-9]{1,6})", name)))
    if not numbers:
        option = f"{what}_prefix (--{what}-prefix)"
        raise ValueError(f"{path} has no column {prefix}0; name the prefix of the coordinates with {option}, or add the header")
    if numbers != list(range(len(numbers))):
        gap = next(i for i, number in enumerate(numbers) if i != number)
        raise ValueError(f"{path} has {len(numbers)} columns {prefix}*, but {prefix}{gap} is missing; {REMEDY}")
    return [f"{prefix}{number}" for number in numbers]


def _vectors(table: pd.DataFrame, path: Path) -> np.ndarray:
    """Return the coordinates as float32 (n, d); a missing one equals no other, so later checks would misread it."""
    for name in table:
        if not pd.api.types.is_numeric_dtype(table[name]):
            bad = (pd.to_numeric(table[name], errors="coerce").isna() & table[name].notna()).to_numpy()
            raise ValueError(f"{path}: {name} in row {bad.argmax()} is not a number; {REMEDY}")
    vectors = table.to_numpy(dtype=np.float32, na_value=np.nan)
    bad = np.argwhere(~np.isfinite(vectors))
    if len(bad):
        (row, column), rows = bad[0], len(np.unique(bad[:, 0]))
        fault = f"{table.columns[column]} is missing or not finite in row {row} ({rows} row(s) with non-finite values)"
        raise ValueError(f"{path}: {fault}; {REMEDY}")
    return vectors


def _first_of_repeats(about: pd.DataFrame, image: np.ndarray, text: np.ndarray, duplicates: str, path: Path) -> np.ndarray:
    """Return the row numbers to import, once the two known joining mistakes are excluded or repaired.

    Rows that agree in every other column and in one vector are one pair. If the other vectors differ, they were joined by one
    modality alone, so that k questions give k x k rows; if not, a distributed sampler filled up its last batch.
    """
    every = np.arange(len(image))
    if about.columns.empty:
        return every  # only their vectors distinguish two pairs
    alike = about.groupby(list(about.columns), sort=False, dropna=False).ngroup()
    equal = _earliest(alike, distinct_rows(image)[1], distinct_rows(text)[1])
    earlier = np.where(equal < every, equal, _earliest(alike))  # two pairs of one patient and label may be repeated in turn
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


def _earliest(*keys) -> np.ndarray:
    """Return, for each row, the number of the first row with the same keys."""
    return pd.Series(range(len(keys[0]))).groupby([np.asarray(key) for key in keys]).transform("min").to_numpy()


def _apart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return whether rows (n, d) point into directions that differ by more than two encodings of one input do."""
    x, y = (v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12) for v in (x.astype(np.float64), y.astype(np.float64)))
    return np.abs(x - y).max(axis=1, initial=0) > SAME_VECTOR


def _from_arrays(path: Path, text, table) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, dict]:
    """Return the table of pairs, image vectors, text vectors, and the columns of an NPZ's own labels, split, groups and ids."""
    arrays, about, own = (*_folder(path), {}) if path.is_dir() else (_arrays(path, text), None, {})
    for name in ("image", "text"):
        if arrays[name].ndim != 2:
            raise ValueError(f"{path}: {name} vectors must have shape (n, d), got {arrays[name].shape}")
    if table is not None:
        about = read_rows(table)
    if about is None:
        about, own = _own_table(arrays)
    image, texts = arrays["image"], arrays["text"]
    if not len(image) == len(texts) == len(about):
        found = f"{len(image)} image vectors, {len(texts)} text vectors and {len(about)} rows"
        raise ValueError(f"{path} has {found}; every pair needs one of each")
    return about, image, texts, own


def _load(path: Path):
    """Read an NPY, or the known arrays of an NPZ, without unpickling."""
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            return stored
        with stored:
            names, arrays = stored.files, {name: stored[name] for name in NPZ_NAMES if name in stored.files}
    except DAMAGED as error:
        fault = f"cannot be read ({type(error).__name__}); it is no NPY or NPZ file, damaged or cut short"
        if "Object arrays" in str(error):
            fault = "holds Python objects; save strings as a fixed-width array, for example labels.astype('U')"
        raise ValueError(f"{path} {fault}") from None
    for name in set(names) - set(NPZ_NAMES):
        if near := difflib.get_close_matches(name, NPZ_NAMES, n=1, cutoff=0.8):
            raise ValueError(f"{path}: array {name[:40]!r} is unknown; did you mean {near[0]!r}? known are {', '.join(NPZ_NAMES)}")
    return arrays


def _arrays(path: Path, text) -> dict:
    """Return the arrays of an NPZ, or of one or two NPY files."""
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


def _own_table(arrays: dict) -> tuple[pd.DataFrame, dict]:
    """Return the NPZ's labels, split, groups and ids as a table, and the column of each option; absent ones are left out."""
    about, own = pd.DataFrame(index=range(len(arrays["image"]))), dict[str, Any]()
    for name, option in NPZ_NAMES.items():
        if option is None or name not in arrays:
            continue
        if option == "label" and arrays[name].ndim == 2:
            own[option] = [f"label_{k}" for k in range(arrays[name].shape[1])]
        else:
            own[option] = name
        about[own[option]] = arrays[name]
    return about, own
