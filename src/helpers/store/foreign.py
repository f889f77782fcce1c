"""Read vectors computed elsewhere, from tables or arrays, as the arguments of :meth:`EmbeddingSet.from_arrays`.

An error names the file and the row, and prints no cell, which may be a patient's.
"""

import difflib
import gzip
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from ..arrays import COLUMN_NAMES, choose, choose_column, distinct_rows, embedding_matrix
from ..files import check_file, check_memory, sha256, unreadable
from ..tasks import FILL, as_text, cells, known, not_used, unknown
from .disk import PER_COLUMN, read_parquet

TABLES, ARRAYS = (".csv", ".tsv", ".tab", ".txt", ".parquet"), (".npz", ".npy")
IMAGE, TEXT = "img_emb_", "text_emb_"  # prefixes of coordinates in the authors' tables
NUMBER = "([0-9]{1,6})"  # of a coordinate, perhaps padded with zeros
REMEDY = "export the embeddings again"
PER_CELL = 70  # bytes of memory that a cell takes while a table is read as text
COPIES = 5  # of vectors while a set is made of them
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
    text_prefix=TEXT, duplicates="fail", missing_labels="fail", source=None, revision=None, **provenance,
) -> dict:  # fmt: skip
    """Read image and text vectors of pairs, with their labels, splits and groups; warn of columns and arrays that are not used.

    Args:
        path: CSV or TSV (UTF-8, perhaps gzipped) or Parquet with a row per pair and a column per coordinate, as the authors'
            pipeline writes it; an NPZ with ``image, text`` and optionally ``labels, split, groups, ids``; one NPY of shape
            (2, n, d), images first; the NPY of image vectors (n, d); or a folder with ``img_emb/img_emb_*.npy``,
            ``text_emb/text_emb_*.npy`` and optionally ``metadata/metadata_*.parquet``, as clip-retrieval writes it.
        label, split: columns of class names (or a list of 0/1 columns) and of ``train``, ``val``, ``test``; those if they exist.
        text: the NPY of text vectors (n, d), if ``path`` is the NPY of image vectors.
        table: for arrays, a CSV, TSV or Parquet of the n rows; its columns go before those of the NPZ or the folder's metadata.
        group, ids: column that names groups of rows, and column of unique pair names. In an NPZ, these four name arrays.
        kind, classes: see :meth:`EmbeddingSet.from_arrays`.
        image_prefix, text_prefix: prefixes of the coordinate columns, numbered from 0.
        duplicates: ``fail`` on a pair that occurs twice in a table of coordinates, or ``drop`` the later one.
        missing_labels: ``fail`` on a row with a missing label, or ``drop`` it; the number of dropped rows is recorded.
        source, revision, provenance: of the encoder, and ``dataset``, ``variant``, ``backbone`` and other fields to record.
    """
    choose(duplicates, ("fail", "drop"), "duplicates")
    choose(missing_labels, ("fail", "drop"), "missing_labels")
    path = Path(path)
    for file in filter(None, (path, text, table)):
        if not Path(file).exists():
            raise FileNotFoundError(f"{file} does not exist; give the file of the embeddings, or of their table")
    if _is(path, TABLES):
        if text or table:
            raise ValueError(f"{path} is a table with its own texts and labels; give text and table for arrays alone")
        about, arrays = _from_columns(path, image_prefix, text_prefix, duplicates)
    elif path.is_dir() or _is(path, ARRAYS):
        if (duplicates, image_prefix, text_prefix) != ("fail", IMAGE, TEXT):
            raise ValueError(f"{path} has no columns of coordinates; leave out duplicates, image_prefix and text_prefix")
        about, arrays = _from_arrays(path, text, table, () if table else (label, split, group, ids))
    else:
        raise ValueError(f"{path} must end in {', '.join((*TABLES, *ARRAYS))}, or be a folder with img_emb and text_emb")
    columns = {"labels": label, "split": split, "groups": group, "ids": ids}
    found = {"image": arrays["image"], "text": arrays["text"]} | _metadata(about, arrays, columns, path, table)
    if not isinstance(columns["labels"], str | None) and classes is None:
        classes = [name.removeprefix("label_") for name in columns["labels"]]
    found, dropped = _labelled(found, classes) if missing_labels == "drop" else (found, 0)
    about_file = {"file": path.name, **({"rows_without_label": dropped} if dropped else {})}
    encoder = {name: value for name, value in (("source", source), ("revision", revision)) if value}
    return {
        **found,
        **{"kind": kind, "classes": classes} | ({"encoder": encoder} if encoder else {}),
        **{"dataset": path.name.split(".")[0], "variant": "imported", "backbone": "unknown", **provenance},
        "imported_from": about_file | ({"sha256": sha256(path)} if path.is_file() else {}),
    }


def _labelled(found: dict, classes) -> tuple[dict, int]:
    """Return the arrays without the rows that miss a label, and their number; errors name rows of the file."""
    labels = found["labels"]
    if labels is None or len(labels) != len(found["image"]):
        return found, 0
    labels = np.asarray(labels)
    columns, named = (labels.T, ()) if labels.ndim == 2 else ([labels], classes or ())
    missing = np.any([unknown(cells(column), named) for column in columns], axis=0)
    for modality in ("image", "text"):
        embedding_matrix(found[modality], modality)
    kept = {name: values if values is None else np.asarray(values)[~missing] for name, values in found.items()}
    rows = np.flatnonzero(~missing)
    if missing.any() and labels.ndim == 1 and not classes:
        texts = cells(kept["labels"])
        if all(text.endswith(".0") for text in texts):  # so pandas writes whole numbers once one is missing
            kept["labels"] = np.array([text.removesuffix(".0") for text in texts])
    names = {n: known(kept[n], n, FILL, rows=rows) for n in ("split", "groups", "ids") if kept[n] is not None}
    return kept | names, int(missing.sum())


def _metadata(about: pd.DataFrame | None, arrays: dict, columns: dict, path: Path, table) -> dict:
    """Return labels, split, groups and ids from the columns, or arrays of an NPZ, that ``columns`` names; warn of all others."""
    source = arrays if about is None else about
    header = [str(name) for name in source]
    for option in ("labels", "split") if about is not None else ():
        if columns[option] is None and OPTIONS[option] in header:
            columns[option] = OPTIONS[option]
    named = {each for name in columns.values() if name is not None for each in ([name] if isinstance(name, str) else name)}
    if about is None and named and (path.suffix.lower() != ".npz" or not isinstance(columns["labels"], str | None)):
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


def _is(path, endings: tuple[str, ...]) -> bool:
    return str(path).lower().removesuffix(".gz").endswith(endings)


def _read_rows(path, numbers: str = "(?!)") -> pd.DataFrame:
    """Read a table as text, but columns whose names match ``numbers`` as they are; an empty cell is missing, a word is none."""
    if _is(path, (".parquet",)):
        table = read_parquet(path, REMEDY)
        return table.assign(**{str(n): table[n].map(as_text) for n in table if not re.fullmatch(numbers, str(n))})
    separator = _separator(path, REMEDY)
    text = {name: str for name in read_delimited(path, REMEDY, separator, nrows=0) if not re.fullmatch(numbers, str(name))}
    return read_delimited(path, REMEDY, separator, dtype=text, keep_default_na=False, na_values=[""], low_memory=False)


def read_delimited(path, remedy: str, separator: str | None = None, **options) -> pd.DataFrame:
    """Return ``pandas.read_csv`` of a UTF-8 file that fits into memory."""
    separator = separator or _separator(path, remedy)
    with _one_sentence(path, remedy), warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
        return pd.read_csv(path, sep=separator, encoding="utf-8-sig", index_col=False, **options)


def _separator(path, remedy: str) -> str:
    """Return what separates columns, as the header shows: a tab, a semicolon or a comma; refuse a table beyond the memory limit."""
    needed = 0
    with _one_sentence(path, remedy), gzip.open(path) if str(path).lower().endswith(".gz") else open(path, "rb") as stream:
        while block := stream.read(2**24):
            header = block.partition(b"\n")[0] if not needed else b""
            columns, cells = (sum(map(part.count, b",;\t\n")) for part in (header, block))
            check_memory(str(path), needed := needed + len(block) + PER_COLUMN * columns + PER_CELL * cells)
    header = read_delimited(path, remedy, "\t", header=None, nrows=1, dtype=str).iloc[0].astype(str)
    return "\t" if len(header) > 1 else ";" if ";" in header[0] and "," not in header[0] else ","


@contextmanager
def _one_sentence(path, remedy: str) -> Iterator[None]:
    """Say in one sentence what is wrong with a delimited file."""
    check_file(path)
    try:
        yield
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} is empty; {remedy}") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning, EOFError, zlib.error, OSError, MemoryError) as error:
        fault = "rows of different length, an open quote, or cut short"
        raise unreadable(error, path, f"{path} cannot be read ({type(error).__name__}): {fault}; {remedy}") from None


def _from_columns(path: Path, image_prefix: str, text_prefix: str, duplicates: str) -> tuple[pd.DataFrame, dict]:
    """Return the other columns and the vectors of a table, once its joining is checked."""
    prefixes = {"image": image_prefix, "text": text_prefix}
    if image_prefix == text_prefix:
        raise ValueError(f"{path}: image_prefix and text_prefix are both {image_prefix!r}; name the columns of each")
    about, vectors = _read_rows(path, "|".join(re.escape(prefix) + NUMBER for prefix in prefixes.values())), {}
    for modality, prefix in prefixes.items():
        about, vectors[modality] = _coordinates(about, prefix, path, modality)
    kept = np.setdiff1d(np.arange(len(about)), _repeats(about, vectors, duplicates, path))
    return about.iloc[kept], {modality: x[kept] for modality, x in vectors.items()}


def _coordinates(table: pd.DataFrame, prefix: str, path: Path, what: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the other columns, and the columns ``prefix0, prefix1, ...`` in numerical order as float32 (n, d)."""
    numbered = [(int(m[1]), name) for name in table if (m := re.fullmatch(re.escape(prefix) + NUMBER, str(name)))]
    names = dict(numbered)
    if twice := [name for number, name in numbered if names[number] != name]:
        raise ValueError(f"{path} has two columns {prefix}* of one number, one of them {twice[0]}; {REMEDY}")
    if not names:
        option = f"{what}_prefix (--{what}-prefix)"
        raise ValueError(f"{path} has no column {prefix}0; name the prefix of the coordinates with {option}, or add the header")
    if gaps := set(range(max(names))) - set(names):
        raise ValueError(f"{path} has {len(names)} columns {prefix}*, but {prefix}{min(gaps)} is missing; {REMEDY}")
    if table.empty:
        raise ValueError(f"{path} has no rows; {REMEDY}")
    columns = table[[names[number] for number in sorted(names)]]
    vectors = columns.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float32, na_value=np.nan)
    if len(bad := np.argwhere(~np.isfinite(vectors))):  # a missing one equals no other, so that later checks would misread it
        (row, column), rows = bad[0], len(np.unique(bad[:, 0]))
        fault = f"{columns.columns[column]} is missing or no finite number in row {row} ({rows} row(s) with non-finite values)"
        raise ValueError(f"{path}: {fault}; {REMEDY}")
    return table.drop(columns=columns.columns), vectors


def _repeats(about: pd.DataFrame, vectors: dict[str, np.ndarray], duplicates: str, path: Path) -> np.ndarray:
    """Return the rows that repeat an earlier pair, as a distributed sampler's last batch does; refuse a join by one modality alone.

    Rows that agree in every other column and in one vector are one pair; if the other vectors differ, k texts gave k x k rows.
    """
    if about.columns.empty:
        return np.array([], dtype=int)  # only their vectors distinguish two pairs
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
            raise ValueError(
                f"{path}: rows {first[apart][0]} and {repeats[apart][0]} are the same pair with different {modality} vectors "
                f"({apart.sum()} such rows); {modality}s were joined by {other} alone, k of them giving k x k rows. "
                "No repair is possible from this file: join by row or by pair id and export again"
            )
    if len(repeats) and duplicates == "fail":
        raise ValueError(
            f"{path}: row {repeats[0]} repeats row {first[0]} ({len(repeats)} such rows), as when a distributed sampler pads its "
            "last batch; pass duplicates='drop' (--duplicates drop) to import the first of each"
        )
    return repeats


def _from_arrays(path: Path, text, table, named) -> tuple[pd.DataFrame | None, dict]:
    """Return the table of pairs, if there is one, and the arrays, of which ``named`` ones are read too."""
    about, arrays = _folder(path) if path.is_dir() else (None, _load(path, named))
    if isinstance(arrays, np.ndarray):
        if text is None and (arrays.ndim != 3 or len(arrays) != 2):
            how = "give (2, n, d) with images first, or the text vectors with text= (--text)"
            raise ValueError(f"{path} holds one array of shape {arrays.shape}; {how}")
        arrays = dict(zip(("image", "text"), arrays if text is None else (arrays, _load(Path(text))), strict=True))
    elif text is not None:
        raise ValueError(f"{path} has its own texts; leave out text (--text), which goes with an NPY of image vectors")
    about = about if table is None else _read_rows(table)
    for name in ("image", "text"):
        if name not in arrays:
            raise ValueError(f"{path}: array {name!r} is missing; known are {', '.join(KNOWN)}")
    if about is not None and len(about) != len(arrays["image"]):
        raise ValueError(f"{table or path} has {len(about)} rows for {len(arrays['image'])} image vectors; give one row per pair")
    return about, arrays


def _load(path: Path, named=()):
    """Read an NPY, or the known and the ``named`` arrays of an NPZ, without unpickling; its other arrays are None."""
    check_file(path)
    wanted = {*KNOWN, *(name for name in named if isinstance(name, str))}
    try:
        check_memory(str(path), COPIES * path.stat().st_size)
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            return stored
        sizes = [part.file_size for part in stored.zip.infolist() if part.filename.removesuffix(".npy") in wanted]
        check_memory(str(path), COPIES * sum(sizes))
        arrays = {name: stored[name] if name in wanted else None for name in stored.files}
    except Exception as error:  # whatever numpy and the decompressors raise on a damaged header
        fault = f"cannot be read ({type(error).__name__}); it is no NPY or NPZ file, damaged or cut short"
        if "Object arrays" in str(error):
            fault = "holds Python objects; save strings as a fixed-width array, for example labels.astype('U')"
        raise unreadable(error, path, f"{path} {fault}") from None
    for name in set(stored.files) - wanted:
        if near := difflib.get_close_matches(name, set(KNOWN) - set(arrays), n=1, cutoff=0.8):
            raise ValueError(f"{path}: array {name[:40]!r} is unknown; did you mean {near[0]!r}? known are {', '.join(KNOWN)}")
    return arrays


def _folder(path: Path) -> tuple[pd.DataFrame | None, dict]:
    """Return the metadata of a folder and its shards, each joined in the order of their numbers."""
    shards = {what: sorted(path.glob(pattern), key=_number) for what, pattern in SHARDS.items()}
    numbers = {what: [_number(file) for file in files] for what, files in shards.items()}
    if not numbers["image"] or numbers["image"] != numbers["text"] or numbers["table"] not in ([], numbers["image"]):
        raise ValueError(f"{path} must hold {SHARDS['image']}, {SHARDS['text']} and, if any, {SHARDS['table']} of the same numbers")
    tables = [_read_rows(file) for file in shards["table"]]
    arrays = {what: np.concatenate([_load(file) for file in shards[what]]) for what in ("image", "text")}
    return pd.concat(tables, ignore_index=True) if tables else None, arrays


def _number(path: Path) -> int:
    return int(([-1] + re.findall(r"[0-9]{1,9}", path.stem))[-1])
