"""Read any table of yours: one row per pair, with an image path, a text and one or more label columns."""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePosixPath

import pandas as pd

from .. import tasks
from ..arrays import choose, choose_column
from ..images import EXTENSIONS, existing, limits_of
from ..store.formats import TABLES, is_table, read_rows
from .registry import DATASETS, Draft
from .splits import SEED, by_group, straddling
from .tables import classes_of, first_file, refuse, unique

REMEDY = "save it again, as UTF-8 with a header line"
MOST_FILES = 100_000  # looked at for names that would fit
NO_PATH = {  # pattern of a cell that is no path: what it is
    r"^[A-Za-z][A-Za-z0-9+.-]*://": "is an address (URL)",
    r"^\{|\x00": "holds an object or the bytes of an image, as in a Hugging Face data set",
}


def read(
    root: Path, variant: str, split: str, image: str = "image", text: str = "text", label: str | Sequence[str] = "label",
    label_separator: str | None = None, group: str | None = None, id: str | None = None, split_column: str = "split",
    title: str | None = None, domain: str = "natural", credentialed: bool = False, table: str | None = None,
    image_root: str | None = None, kind: str | None = None, missing_labels: str = "fail", uncertain: str | None = None,
    random_state: int = SEED, classes: str | Sequence[str] | None = None, window: str | None = None,
) -> Draft:  # fmt: skip
    """Return the rows of a table. No error prints a cell, because the data may be confidential.

    Args:
        root: the table, or the folder that holds it and to which image paths are relative.
        image, text: columns of image paths, and of texts; a list of texts is several captions of one image, a pair each.
        label: a column of class names, or of lists of them (multi-label); or columns of 0 and 1, classes if every row has one 1.
        label_separator: separates several class names in one cell, which also makes a multi-label task.
        group: column of groups that must not straddle splits, such as patients; rows of one image form a group when None.
        id, split_column: columns of unique names (else ``pair_id`` or ``id`` if it exists, or row numbers) and of train, val, test.
        title, domain, credentialed: entries of the card; the title is the file's name when None.
        table, image_root: file in the folder, ``manifest.csv`` (or .tsv ...) when None; another folder of the images.
        kind, classes: the kind of task you expect, another raises; class names in order, needed if one reads None, NA or -1.
        missing_labels, uncertain: what is done about a missing label and about -1; see :meth:`EmbeddingSet.from_arrays`.
        window: grey values of 16-bit images that become black and white: ``LOW,HIGH``, or ``minmax`` for each image's own.
        random_state: seed of the 70/10/20 split by whole groups, made if the table has no split (``split="given"`` requires one).
    """
    path, images, data = _open(root, table, image_root)
    limits_of("minmax" if window is None else window)  # refuses another form before any image is read
    label = [label] if isinstance(label, str) else list(label)
    label = label[0].split(",") if len(label) == 1 and label[0] not in data else label
    _require_columns(data, {"image": [image], "text": [text], "group": [group] if group else [], "label": label}, path)
    for column in filter(None, (id, split_column if split == "given" or split_column != "split" else None)):
        choose_column(column, data.columns, path)
    choose(domain, ("medical", "natural"), "domain")
    classes = classes.split(",") if isinstance(classes, str) else classes
    data, counts = _settled(data, label, classes, missing_labels, uncertain, path)
    faults: list[Exception] = []  # of rows; they are noted, so that a check tells all of them
    data, task, labels = _known_labels(data, label, label_separator, path, kind, classes, faults)
    paths = _paths_inside(data[image], images, path, faults)
    rows = pd.DataFrame({"text": data[text], "image": existing(images, paths).to_numpy()})
    if rows["image"].isna().all() and paths.notna().any():
        faults.append(FileNotFoundError(f"{path}: {_no_file(paths.dropna(), images)}"))
    id = id or next((name for name in ("pair_id", "id") if name in data), None)
    _name_rows(rows, data, id, group, data[image].where(paths.notna()), path, faults)
    given = split_column in data and split != "made"
    if given:
        rows["split"] = tasks.split_names(data[split_column])
        _check_splits(rows, data[split_column], path, faults)
    else:
        rows["split"] = by_group(rows["group"], labels.astype(str).agg("|".join, axis=1), seed=random_state)
    counts |= {"without_any_label": int((labels.sum(axis=1) == 0).sum())} if task.kind == "multilabel" else {}
    notes = counts.pop("notes", [])
    notes += _notes(data, (image, text, id, *label), {"split": split_column if given else None, "group": group})
    notes += [tasks.ONE_HOT.format(len(label), task.kind)] if len(label) > 1 and task.kind != "multilabel" else []
    rows = pd.concat([rows, labels], axis=1)[rows["split"].isin(tasks.SPLITS) & paths.notna()]
    if captions := tasks.word_lists(rows["text"], f"{path}: {text}", 2, rows.index):
        rows = rows.assign(text=captions).explode("text")
        rows["pair_id"] += "-" + rows.groupby(level=0).cumcount().astype(str)
        notes.append(f"{text} lists the captions of each image: {len(data)} rows give {len(rows)} pairs")
    card = replace(DATASETS["manifest"].card, title=title or path.stem, domain=domain, source=path.name, credentialed=credentialed)
    report = {"split_made": not given, "kind": task.kind, "notes": notes, **counts} | ({"window": window} if window else {})
    return Draft(rows, task, report, card, images, path, faults)


def _open(root: Path, table: str | None, image_root: str | None) -> tuple[Path, Path, pd.DataFrame]:
    """Return the path of the table, the folder of its images, and its rows as text."""
    if table is not None and root.is_file():
        raise ValueError(f"root {root} is a table already; leave out table={table}, or give the folder as root")
    names = [f"manifest{suffix}" for suffix in TABLES] if table is None else [table]
    path = root if root.is_file() or is_table(root) else first_file(root, names)
    images = (Path(image_root) if image_root else path.parent if root.is_file() else root).absolute()
    return path, images, read_rows(path, REMEDY)


def _known_labels(data: pd.DataFrame, label: list[str], separator, path: Path, kind, classes, faults: list[Exception]):
    """Return rows, task and labels; rows with a missing label are excluded, which is noted."""
    with _noting(faults):
        return data, *_labels(data, label, separator, path, kind, classes)
    data, _ = _settled(data, label, classes, "drop", None, path)
    return data, *_labels(data, label, separator, path, kind, classes)


def _name_rows(rows: pd.DataFrame, data: pd.DataFrame, id: str | None, group: str | None, images: pd.Series, path: Path, faults):
    """Put ids and groups into ``rows``, numbers and images where none are given, or one is missing or repeated, which is noted."""
    rows["pair_id"] = [f"{i:07d}" for i in data.index]
    rows["group"] = images.where(images.notna(), rows["pair_id"])
    with _noting(faults):
        rows["pair_id"] = unique(_known(data[id], path), path) if id else rows["pair_id"]
    if group:
        names = tasks.cells(data[group])
        rows["group"] = rows["group"].where(tasks.unknown(names), names)
        with _noting(faults):
            _known(data[group], path)


def _check_splits(rows: pd.DataFrame, column: pd.Series, path: Path, faults: list[Exception]) -> None:
    """Note a split that is missing or unknown, and a group that is in two."""
    with _noting(faults):
        _known(column, path)
        classes_of(pd.Series(rows["split"], name=column.name), tasks.SPLITS, path)
    groups, known = rows["group"], rows[rows["split"].isin(tasks.SPLITS)]
    refuse(groups.isin(straddling(known)), groups, path, "is in two splits; keep it in one", faults=faults)


@contextmanager
def _noting(faults: list[Exception]) -> Iterator[None]:
    """Note that some rows are refused, and go on."""
    try:
        yield
    except ValueError as error:
        faults.append(error)


def _notes(data: pd.DataFrame, used: tuple, options: dict[str, str | None]) -> list[str]:
    """Return sentences on the columns that are not used, and on groups that were not given."""
    unused = [name for name in data if name not in (*used, *options.values())]
    free = [option for option, column in options.items() if column is None]
    ungrouped = "no group was given: images stay whole, but rows of one patient may be on both sides of the split"
    return ([f"columns {tasks.not_used(unused, free)}"] if unused else []) + ([ungrouped] if "group" in free else [])


def _settled(data: pd.DataFrame, label: list[str], classes, missing_labels: str, uncertain: str | None, path: Path):
    """Return the rows that two policies keep, with settled labels, and counts; the index still tells the line."""
    names = label if len(label) > 1 else label[0]
    labels, rows, counts = tasks.settled(data[names], classes, missing_labels, uncertain, f"{path}: {', '.join(label)}")
    if rows is not None:
        data = data.iloc[rows].assign(**dict(zip(label, labels.T.reshape(len(label), -1), strict=True)))
    return data, counts


def _known(column: pd.Series, path: Path) -> pd.Series:
    """Return a column without blanks at the ends; refuse a missing cell by its line."""
    texts = tasks.known(column, f"{path}: {column.name}", tasks.FILL, (), 2, column.index)
    return pd.Series(texts, column.index, name=column.name, dtype=object)


def _require_columns(data: pd.DataFrame, columns: dict[str, list], path: Path) -> None:
    """Raise a ValueError unless the table has rows and the column of each option; it says how to name another column."""
    for option, name in [(option, name) for option, names in columns.items() for name in names]:
        try:
            choose_column(name, data.columns, path, sum(columns.values(), []))
        except ValueError as error:
            how = f"Name another column with {option}= (--option {option}=NAME, or {option}_column of notebook 08)"
            raise ValueError(f"{error} {how}") from None
    if not len(data):
        raise ValueError(f"{path} has a header and no rows; {REMEDY}")


def _labels(data, names: list[str], separator: str | None, path: Path, kind: str | None, classes) -> tuple:
    """Return the task that the label column or columns define, and its label columns as :class:`Task` names them."""
    labels, what, wanted = data[names[0]], f"{path}: {names[0]}", None
    if len(names) > 1:
        if separator or classes:
            fault = f"label_separator and classes are for one label column, and label names {len(names)}; drop them"
            raise ValueError(f"{path}: {fault}")
        classes, labels, what = [name.removeprefix("label_") for name in names], data[names].to_numpy(), f"{path}: labels"
        wanted = "multilabel" if kind == "multilabel" else None
    elif separator:
        split = labels.fillna("").str.split(separator, regex=False)
        (classes, labels), wanted = tasks.list_indicators(split, what, classes or (), 2, data.index), "multilabel"
    with warnings.catch_warnings(action="ignore"):  # one of the notes says that one of several labels makes classes
        task, found = tasks.task_of(labels, wanted, classes, what, 2, data.index)
    if task.kind != "multilabel" and len(names) == 1:
        classes_of(pd.Series(found["label"], data.index, name=names[0]), task.classes, path)
    if kind is not None and choose(kind, tasks.KINDS, "task kind") != task.kind:
        posed = f"{', '.join(names)} poses a {task.kind} task ({len(task.classes)} classes)"
        raise ValueError(f"{path}: {posed}, not {kind}; check label and kind")
    return task, pd.DataFrame(found, data.index)


def _paths_inside(column: pd.Series, folder: Path, path: Path, faults: list[Exception]) -> pd.Series:
    """Return paths of images relative to ``folder``, None for a missing one and one that leads out of it, which are noted."""
    refuse(column.isna(), column, path, "is missing", faults=faults)
    other = column.isna()
    for pattern, what in NO_PATH.items():
        found = column.str.contains(pattern, na=False)
        other |= found
        refuse(found, column, path, f"{what}; save each image as a file, and give its path", faults=faults)
    paths = column.fillna("").map(lambda cell: PurePosixPath(cell.strip().replace("\\", "/")))
    paths = paths.map(lambda own: own.relative_to(folder) if own.is_relative_to(folder) else own)
    outside = paths.map(lambda own: own.is_absolute() or ".." in own.parts) & ~other
    refuse(outside, column, path, f"leads out of {folder}; give a path within it, or pass image_root", faults=faults)
    return paths.map(str).astype(object).where(~outside & ~other, None)


def _no_file(paths: pd.Series, folder: Path) -> str:
    """Return a sentence on paths of which none exists: how they look, letters and digits masked, and which files would fit."""
    images = (file for file in islice(folder.rglob("*"), MOST_FILES) if file.suffix.lower() in EXTENSIONS)
    files = {_stem(file.name).lower().lstrip("0"): file.relative_to(folder).as_posix() for file in images}
    fits = [files[key] for own in paths if (key := _stem(PurePosixPath(own).name).lower().lstrip("0")) in files]
    told = f"none of {len(paths)} image paths is a file in {folder}; they look like {_masked(paths.iloc[0])!r}"
    if not fits:
        return f"{told}, and no image file there has such a name; check root and image_root"
    return f"{told}, and {len(fits)} have a file like {_masked(fits[0])!r}: write its folder, zeros and ending, or give image_root"


def _stem(path: str) -> str:
    """Return a path without the ending of an image; an id may hold points."""
    return path[: path.rindex(".")] if path.lower().endswith(EXTENSIONS) else path


def _masked(path: str) -> str:
    return re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "9", _stem(path))) + path.removeprefix(_stem(path))
