"""Read vectors computed elsewhere, from tables or arrays; an error names file and row, and prints no cell, which may be private."""

import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from ..arrays import COLUMN_NAMES, NAME, as_array, choose, choose_column, distinct_rows
from ..files import sha256
from ..tasks import as_list, cells, not_used
from .formats import ARRAYS, TABLES, ends_in, is_table, read_arrays, read_rows

IMAGE, TEXT = "img_emb_", "text_emb_"  # prefixes of coordinates in the authors' tables
NUMBER = "([0-9]{1,6})"  # of a coordinate, perhaps padded with zeros
REMEDY = "export the embeddings again"
SAME_VECTOR = 1e-3  # largest difference between two encodings of one input, as unit vectors
OPTIONS = {"labels": "label", "split": "split", "groups": "group", "ids": "ids"}  # array -> option that names a column of it
KNOWN = ("image", "text", *OPTIONS)
SHARDS = {"image": "img_emb/img_emb_*.npy", "text": "text_emb/text_emb_*.npy", "table": "metadata/metadata_*.parquet"}


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
    path, label=None, text=None, table=None, split=None, group=None, ids=None, kind=None, classes=None, image_prefix=IMAGE,
    text_prefix=TEXT, duplicates="fail", missing_labels="fail", uncertain=None, source=None, revision=None, **provenance,
) -> dict:  # fmt: skip
    """Read image and text vectors of pairs, with their labels, splits and groups; warn of columns and arrays that are not used.

    Args:
        path: a table with a row per pair: CSV or TSV (UTF-8, perhaps gzipped), Parquet, Arrow, JSON, JSON lines, or the folder of
            a Hugging Face dataset, with a column per coordinate, as the authors' pipeline writes it, or a column of vectors or of
            their texts; or arrays: NPZ, safetensors or ``torch.save`` with ``image, text`` and optionally ``labels, split, groups,
            ids``, or one array (2, n, d), images first, or images (n, d); or a folder of clip-retrieval with ``img_emb``,
            ``text_emb`` and optionally ``metadata``. Texts (n, k, d) are k captions an image, one pair each.
        label, split: columns of class names (or a list of 0/1 columns) and of ``train``, ``val``, ``test``; those if they exist.
        text, table: file of text vectors, if ``path`` holds images alone; table of the n rows, which goes before other metadata.
        group, ids: column of groups of rows, and of unique names. In an NPZ, these four name arrays.
        kind, classes, missing_labels, uncertain: see :meth:`EmbeddingSet.from_arrays`.
        image_prefix, text_prefix: prefixes of the coordinate columns, numbered from 0; or the column of vectors, or the array.
        duplicates: ``fail`` on a pair that repeats another, or ``drop`` it.
        source, revision, provenance: of the encoder, and ``dataset``, ``variant``, ``backbone`` and other fields to record.
    """
    choose(duplicates, ("fail", "drop"), "duplicates")
    path = Path(path)
    for file in filter(None, (path, text, table)):
        if not Path(file).exists():
            raise FileNotFoundError(f"{file} does not exist; give the file of the embeddings, or of their table")
    if is_table(path):
        if table and not text:
            raise ValueError(f"{path} is a table with its own texts and labels; give text and table for arrays alone")
        about, arrays = _from_columns(path, text, table, image_prefix, text_prefix, duplicates)
    elif path.is_dir() or ends_in(path, ARRAYS):
        if duplicates != "fail" or (path / "img_emb").is_dir() and (image_prefix, text_prefix) != (IMAGE, TEXT):
            raise ValueError(f"{path} has no columns of coordinates; leave out duplicates, image_prefix and text_prefix")
        keys = {"image": image_prefix if image_prefix != IMAGE else "image", "text": text_prefix if text_prefix != TEXT else "text"}
        named = [*OPTIONS, *(name for name in (label, split, group, ids) if isinstance(name, str) and not table)]
        about, arrays = _from_arrays(path, text, table, keys, named)
    else:
        raise ValueError(f"{path} must end in {', '.join((*TABLES, *ARRAYS))}, or be a folder with img_emb and text_emb")
    columns = {"labels": label, "split": split, "groups": group, "ids": ids}
    found = {"image": arrays["image"], "text": arrays["text"]} | _metadata(about, arrays, columns, path, table)
    if not isinstance(columns["labels"], str | None) and classes is None:
        classes = [name.removeprefix("label_") for name in columns["labels"]]
    encoder = {name: value for name, value in (("source", source), ("revision", revision)) if value}
    return {
        **found,
        **{"kind": kind, "classes": classes, "missing_labels": missing_labels, "uncertain": uncertain},
        **({"encoder": encoder} if encoder else {}),
        **{"dataset": path.name.split(".")[0], "variant": "imported", "backbone": "unknown", **provenance},
        "imported_from": {"file": path.name} | ({"sha256": sha256(path)} if path.is_file() else {}),
    }


def _metadata(about: pd.DataFrame | None, arrays: dict, columns: dict, path: Path, table) -> dict:
    """Return labels, split, groups and ids from the columns, or arrays of an NPZ, that ``columns`` names; warn of all others."""
    source = arrays if about is None else about
    header = [str(name) for name in source]
    for option in ("labels", "split") if about is not None else ():
        if columns[option] is None and OPTIONS[option] in header:
            columns[option] = OPTIONS[option]
    named = {each for name in columns.values() if name is not None for each in ([name] if isinstance(name, str) else name)}
    if about is None and named and (path.is_dir() or ends_in(path, (".npy",)) or not isinstance(columns["labels"], str | None)):
        raise ValueError(f"{path} has no table of columns; give one as table (--table), or leave out label, split, group and ids")
    for name in sorted(named):
        choose_column(name, header, path if table is None else table, header if table is None else named)
    chosen = {option: np.asarray(source[name]) for option, name in columns.items() if name is not None}
    found = {option: arrays.get(option) for option in OPTIONS} | chosen
    unused = [name for name in header if name not in named] if about is not None else []
    unused += [name for name in arrays if name not in set(KNOWN) - set(chosen) and not (about is None and name in named)]
    if unused:  # a first line that holds no name that is expected may be no header but a patient's row
        unused = unused if table is None or {*COLUMN_NAMES, *named} & {*header} else [""] * len(unused)
        free = [name for option, name in OPTIONS.items() if found[option] is None and option != "ids"]
        warnings.warn(f"{path if table is None else table}: {not_used(unused, free)}", stacklevel=4)
    return found


def _from_columns(path: Path, text, table, image_prefix: str, text_prefix: str, duplicates: str) -> tuple[pd.DataFrame, dict]:
    """Return the other columns and the vectors of a table, or of one beside another, once its joining is checked."""
    if text is None and image_prefix == text_prefix:
        raise ValueError(f"{path}: image_prefix and text_prefix are both {image_prefix!r}; name the columns of each")
    raw = "|".join(re.escape(prefix) + NUMBER + "?" for prefix in (image_prefix, text_prefix))
    about, vectors = read_rows(path, REMEDY, raw), {}
    about, vectors["image"] = _coordinates(about, image_prefix, path, "image")
    other, source = (about, path) if text is None else (read_rows(text, REMEDY, raw), Path(text))
    other, vectors["text"] = _coordinates(other, text_prefix, source, "text")
    about = other if text is None else _beside(about, other, path, text)
    about = about if table is None else _beside(about, read_rows(table, REMEDY), path, table)
    kept = np.setdiff1d(np.arange(len(about)), _repeats(about, vectors, duplicates, path))
    return about.iloc[kept], {modality: x[kept] for modality, x in vectors.items()}


def _beside(one: pd.DataFrame, other: pd.DataFrame, path, file) -> pd.DataFrame:
    """Return the columns of two tables of the same rows; a column of both must agree in every row."""
    if len(one) != len(other):
        raise ValueError(f"{file} has {len(other)} rows and {path} has {len(one)}; give the same rows in the same order")
    for name in set(one) & set(other):
        apart = np.flatnonzero(cells(one[name]) != cells(other[name]))
        if len(apart):
            raise ValueError(f"{file} differs from {path} in column {name} of row {apart[0]} ({len(apart)} rows); sort both alike")
    return one.join(other[[name for name in other if name not in one]])


def _coordinates(table: pd.DataFrame, prefix: str, path: Path, what: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the other columns, and float32 (n, d): columns ``prefix0, prefix1, ...`` in numerical order, or vectors in one."""
    numbered = [(int(m[1]), name) for name in table if (m := re.fullmatch(re.escape(prefix) + NUMBER, str(name)))]
    names = dict(numbered)
    if twice := [name for number, name in numbered if names[number] != name]:
        raise ValueError(f"{path} has two columns {prefix}* of one number, one of them {twice[0]}; {REMEDY}")
    if not len(table):
        raise ValueError(f"{path} has no rows; {REMEDY}")
    if not names and prefix not in table:
        option = f"{what}_prefix (--{what}-prefix)"
        lists = [name for name in table if NAME.fullmatch(str(name)) and as_list(table[name].iloc[0])][:12]
        beside = ", or give the table of texts as text (--text)" if what == "text" else ""
        how = f"name a column of vectors with {option}: {', '.join(lists)}" if lists else f"name the prefix with {option}"
        raise ValueError(f"{path} has no column {prefix}0 of coordinates; {how}, or add the header{beside}")
    if names and (gaps := set(range(max(names))) - set(names)):
        raise ValueError(f"{path} has {len(names)} columns {prefix}*, but {prefix}{min(gaps)} is missing (count from 0); {REMEDY}")
    columns = [names[number] for number in sorted(names)] or [prefix]
    if names:
        vectors = table[columns].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float32, na_value=np.nan)
    else:
        vectors = _vectors(table[prefix], path)
    if len(bad := np.argwhere(~np.isfinite(vectors))):  # a missing one equals no other, so that later checks would misread it
        (row, column), rows = bad[0][:2], len(np.unique(bad[:, 0]))
        fault = f"{columns[column if names else 0]} is missing or no finite number in row {row}"
        raise ValueError(f"{path}: {fault} ({rows} row(s) with non-finite values); {REMEDY}")
    return table.drop(columns=columns), vectors


def _vectors(column: pd.Series, path: Path) -> np.ndarray:
    """Return lists of numbers, or their texts with commas or blanks, as float32 (n, d); of lists of k lists, as (n, k, d)."""
    rows: list[np.ndarray] = []
    for row, cell in enumerate(column):
        try:
            numbers = (json.loads(cell) if "," in cell else cell.strip("[] \n").split()) if isinstance(cell, str) else cell
            with np.errstate(over="ignore"):  # refused as not finite
                rows.append(as_array(numbers, "a cell").astype(np.float32))
            if not rows[row].ndim:
                raise ValueError("one number")
        except (ValueError, TypeError, OverflowError, RecursionError):
            fault = f"{column.name} in row {row} is no list of numbers, whole and without '...', as [0.1, 0.2]"
            raise ValueError(f"{path}: {fault}; {REMEDY}") from None
        if rows[row].shape != rows[0].shape:
            raise ValueError(f"{path}: {column.name} has numbers of shape {rows[row].shape} in row {row}, {rows[0].shape} in row 0")
    return np.stack(rows)


def _repeats(about: pd.DataFrame, vectors: dict[str, np.ndarray], duplicates: str, path: Path) -> np.ndarray:
    """Return rows that repeat an earlier pair, as a padded batch has; refuse the k x k rows of a join by one modality alone."""
    if about.columns.empty:
        return np.array([], dtype=int)  # only their vectors distinguish two pairs
    vectors = {modality: x.reshape(len(x), -1) for modality, x in vectors.items()}
    every = pd.Series(range(len(about)))
    alike = about.groupby(list(about.columns), sort=False, dropna=False).ngroup().to_numpy()
    equal = every.groupby([alike, *(distinct_rows(x)[1] for x in vectors.values())]).transform("min")
    earlier = equal.where(equal < every, every.groupby(alike).transform("min"))  # two pairs of a patient may be repeated in turn
    repeats, first = (x[earlier < every].to_numpy() for x in (every, earlier))
    differ = {}
    for modality, x in vectors.items():
        one, two = (v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12) for v in x.astype(np.float64)[[repeats, first]])
        differ[modality] = np.abs(one - two).max(axis=1, initial=0) > SAME_VECTOR
    one_pair = ~(differ["image"] & differ["text"])
    repeats, first = repeats[one_pair], first[one_pair]
    for modality, other in (("text", "image"), ("image", "text")):
        if (apart := differ[modality][one_pair]).any():
            same = f"rows {first[apart][0]} and {repeats[apart][0]} are the same pair with different {modality} vectors"
            why = f"({apart.sum()} such rows); {modality}s were joined by {other} alone, k of them giving k x k rows"
            raise ValueError(f"{path}: {same} {why}. This file cannot be repaired: join by row or by pair id and export again")
    if len(repeats) and duplicates == "fail":
        why = f"({len(repeats)} such rows), as when a distributed sampler pads its last batch"
        how = "pass duplicates='drop' (--duplicates drop) to import the first of each"
        raise ValueError(f"{path}: row {repeats[0]} repeats row {first[0]} {why}; {how}")
    return repeats


def _from_arrays(path: Path, text, table, keys: dict[str, str], named: list[str]) -> tuple[pd.DataFrame | None, dict]:
    """Return the table of pairs, if there is one, and the arrays: ``image``, ``text`` and, of an array file, ``named`` ones."""
    needed = ("image",) if text else ("image", "text")
    about, arrays = _folder(path) if path.is_dir() else (None, read_arrays(path, keys, named, needed))
    if isinstance(arrays, np.ndarray):
        if text is None and (arrays.ndim != 3 or len(arrays) != 2):
            how = "give (2, n, d) with images first, or the text vectors with text= (--text)"
            raise ValueError(f"{path} holds one array of shape {arrays.shape}; {how}")
        arrays = dict(zip(("image", "text"), arrays if text is None else (arrays, None), strict=True))
    if text is not None:
        if arrays.get("text") is not None:
            raise ValueError(f"{path} has its own texts; leave out text (--text), which goes with a file of image vectors")
        texts = read_arrays(Path(text), keys, [], ("text",))
        arrays["text"] = texts if isinstance(texts, np.ndarray) else texts["text"]
    about = about if table is None else read_rows(table, REMEDY)
    if about is not None and len(about) != len(arrays["image"]):
        raise ValueError(f"{table or path} has {len(about)} rows for {len(arrays['image'])} image vectors; give one row per pair")
    return about, arrays


def _folder(path: Path) -> tuple[pd.DataFrame | None, dict]:
    """Return the metadata of a folder and its shards, each joined in the order of their numbers."""
    shards = {what: sorted(path.glob(pattern), key=_number) for what, pattern in SHARDS.items()}
    numbers = {what: [_number(file) for file in files] for what, files in shards.items()}
    if not numbers["image"] or numbers["image"] != numbers["text"] or numbers["table"] not in ([], numbers["image"]):
        kinds = f"{SHARDS['image']}, {SHARDS['text']} and perhaps {SHARDS['table']} of the same numbers"
        raise ValueError(f"{path} must hold {kinds}, or be what save_to_disk wrote; give another folder file by file")
    tables = [read_rows(file, REMEDY) for file in shards["table"]]
    arrays = {what: np.concatenate([read_arrays(file, {}, []) for file in shards[what]]) for what in ("image", "text")}
    return pd.concat(tables, ignore_index=True) if tables else None, arrays


def _number(path: Path) -> int:
    return int(([-1] + re.findall(r"[0-9]{1,9}", path.stem))[-1])
