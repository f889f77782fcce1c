"""Read any table of yours: one row per pair, with an image path, a text and one or more label columns."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from ..arrays import choose, choose_column
from ..images import existing
from ..store.disk import read_parquet
from ..tasks import KINDS, SPLITS, Task, class_names, split_names
from .registry import DATASETS, Draft
from .splits import SEED, by_group, straddling
from .tables import classes_of, first_file, read_table, refuse, unique

SUFFIXES = (".csv", ".tsv", ".tab", ".parquet", ".jsonl", ".gz")
REMEDY = "save it again, as UTF-8 with a header line"


def read(
    root: Path, variant: str, split: str, image: str = "image", text: str = "text", label: str | Sequence[str] = "label",
    label_separator: str | None = None, group: str | None = None, id: str | None = None, split_column: str = "split",
    title: str | None = None, domain: str = "natural", credentialed: bool = False, table: str | None = None,
    image_root: str | None = None, kind: str | None = None, missing_labels: str = "fail",
    random_state: int = SEED,
) -> Draft:  # fmt: skip
    """Return the rows of a table. No error prints a cell, because the data may be confidential.

    Args:
        root: the table, or the folder that holds it; image paths are relative to that folder.
        image, text: columns of image paths, and of texts.
        label: one column of class names, or several columns of 0 and 1 for a multi-label task.
        label_separator: separates several class names in one cell, which also makes a multi-label task.
        group: column of groups that must not straddle splits, such as patients; rows of one image form a group when None.
        id: column of unique names of pairs; when None, the column ``pair_id`` or ``id`` if it exists, else row numbers.
        split_column: column of train, val or test.
        title, domain, credentialed: entries of the card; the title is the file's name when None.
        table: file name in the folder, or an absolute path; ``manifest.csv`` (or .tsv, .tab, .parquet, .jsonl) when None.
        image_root: another folder to which image paths are relative, such as a read-only drive.
        kind: the kind of task you expect; another kind raises.
        missing_labels: ``fail`` on a row with a missing label, or ``drop`` and count it.
        random_state: seed of the 70/10/20 split by whole groups, made if the table has no split (``split="given"`` requires one).
    """
    names = [f"manifest{suffix}" for suffix in SUFFIXES[:-1]] if table is None else [table]
    path = root if root.is_file() else first_file(root, names)
    images = (Path(image_root) if image_root else path.parent if root.is_file() else root).absolute()
    data = _read(path)
    label = [label] if isinstance(label, str) else list(label)
    if len(label) == 1 and label[0] not in data and "," in label[0]:
        label = label[0].split(",")
    _require_columns(data, {"image": [image], "text": [text], "group": [group] if group else [], "label": label}, path)
    for column in filter(None, (id, split_column if split == "given" else None)):
        choose_column(column, data.columns, path)
    choose(domain, ("medical", "natural"), "domain")
    drop = choose(missing_labels, ("fail", "drop"), "missing_labels") == "drop"
    unlabelled = data[label].isna().any(axis=1) & drop
    data = data[~unlabelled]  # the index still tells the line
    task, labels = _labels(data, label, label_separator, path, kind)
    rows = pd.DataFrame({"text": data[text], "image": existing(images, _paths_inside(data[image], images, path)).to_numpy()})
    id = id or next((name for name in ("pair_id", "id") if name in data), None)
    rows["pair_id"] = unique(data[id], path) if id else [f"{i:07d}" for i in data.index]
    rows["group"] = data[group].fillna(rows["pair_id"]) if group else data[image]
    given = split_column in data and split != "made"
    if given:
        names = pd.Series(split_names(data[split_column]), data.index, name=split_column)
        rows["split"] = classes_of(names.where(data[split_column].notna()), SPLITS, path)
        refuse(rows["group"].isin(straddling(rows)), rows["group"], path, "is in two splits; keep it in one")
    else:
        rows["split"] = by_group(rows["group"], labels.astype(str).agg("|".join, axis=1), seed=random_state)
    counts = {"rows_without_label": int(unlabelled.sum())} if drop else {}
    counts |= {"without_any_label": int((labels.sum(axis=1) == 0).sum())} if task.kind == "multilabel" else {}
    card = DATASETS["manifest"].card
    card = replace(card, title=title or path.stem, domain=domain, source=path.name, credentialed=bool(credentialed))
    rows = pd.concat([rows, labels], axis=1).reset_index(drop=True)
    return Draft(rows, task, {"split_made": not given, "kind": task.kind, **counts}, card, images)


def _require_columns(data: pd.DataFrame, columns: dict[str, list], path: Path) -> None:
    """Raise a ValueError unless the table has rows and the column of each option; it says how to name another column."""
    asked = [(option, name) for option, names in columns.items() for name in names]
    for option, name in asked:
        try:
            choose_column(name, data.columns, path, [name for _, name in asked])
        except ValueError as error:
            other = f"{option}= (--option {option}=NAME, or {option}_column of notebook 08)"
            raise ValueError(f"{error} Name another column with {other}") from None
    if not len(data):
        raise ValueError(f"{path} has a header and no rows; {REMEDY}")


def _labels(data, names: list[str], separator: str | None, path: Path, kind: str | None) -> tuple[Task, pd.DataFrame]:
    """Return the task that the label column or columns define, and its label columns as :class:`Task` names them."""
    column = data[names[0]]
    if len(names) > 1:
        labels = data[names].replace({"0.0": "0", "1.0": "1", "False": "0", "True": "1"})
        for name in names:
            classes_of(labels[name], ("0", "1"), path)
        task, labels = Task("multilabel", tuple(names)), labels.astype("int8")
    elif separator:
        cells = column.fillna("").str.split(separator, regex=False).map(lambda cell: {name.strip() for name in cell} - {""})
        task = Task("multilabel", tuple(sorted(set().union(*cells))))
        labels = pd.DataFrame({name: cells.map(lambda cell, name=name: int(name in cell)) for name in task.classes})
    else:
        refuse(
            column.isna(), column, path, "is missing; label such rows, or pass missing_labels='drop' (--option missing_labels=drop)"
        )
        classes = class_names(column, f"{path}: {column.name}")
        task, labels = Task("binary" if len(classes) == 2 else "multiclass", classes), column.to_frame()
    if kind is not None and choose(kind, KINDS, "task kind") != task.kind:
        found = f"{', '.join(names)} poses a {task.kind} task ({len(task.classes)} classes)"
        raise ValueError(f"{path}: {found}, not {kind}; check label and kind")
    return task, labels.set_axis(task.columns, axis=1)


def _read(path: Path) -> pd.DataFrame:
    """Read the table as strings; missing cells stay missing."""
    suffix = choose(path.suffix.lower(), SUFFIXES, f"kind of table ({path.name})")
    if suffix == ".parquet":
        return read_parquet(path, REMEDY).map(_cell)
    if suffix != ".jsonl":
        return read_table(path, remedy=REMEDY)
    try:
        return pd.read_json(path, lines=True, dtype=False).map(_cell)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as JSON lines ({type(error).__name__}); {REMEDY}") from None


def _cell(value) -> str | None:
    if value is None or (np.isscalar(value) and pd.isna(value)) or value == "":
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _paths_inside(column: pd.Series, folder: Path, path: Path) -> pd.Series:
    """Return paths of images relative to ``folder``; refuse one that leads out of it."""
    refuse(column.isna(), column, path, "is missing")
    paths = column.map(lambda cell: PurePosixPath(cell.replace("\\", "/")))
    paths = paths.map(lambda own: own.relative_to(folder) if own.is_relative_to(folder) else own)
    outside = paths.map(lambda own: own.is_absolute() or ".." in own.parts)
    refuse(outside, column, path, f"leads out of {folder}; give a path within it, or pass image_root")
    return paths.map(str)
