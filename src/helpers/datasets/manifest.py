"""Any table of yours: a row per pair, with an image path, a text and one or more label columns."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from ..checks import choose
from ..images import existing
from ..tasks import KINDS, Task, split_names
from .base import IMAGE_NAMED, Card, Draft
from .base import SPLITS as PARTS
from .splits import by_group, straddling
from .tables import classes_of, read_table, require_columns, unique

READERS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".gz": None, ".parquet": "parquet", ".jsonl": "jsonl"}
NAMES = tuple(f"manifest{suffix}" for suffix in READERS if suffix != ".gz")
MOST_CLASSES = 1000
SPLITS = {"common": ("given-or-made", "given", "made")}
CARD = Card(
    title="Your own table",
    domain="natural",
    source="local",
    licence="yours",
    citation="",
    access="Write a CSV, TSV, Parquet or JSON-lines table with columns image, text and label, and pass it, or its folder, as root.",
)


def read(
    root: Path,
    variant: str,
    split: str,
    table: str | None = None,
    image: str = "image",
    text: str = "text",
    label: str | Sequence[str] = "label",
    group: str | None = None,
    id: str | None = None,
    split_column: str = "split",
    kind: str | None = None,
    label_separator: str | None = None,
    seed: int = 42,
    title: str | None = None,
    domain: str = "natural",
    credentialed: bool = False,
) -> Draft:
    """Rows of a table.

    Args:
        root: the table, or the folder that holds it and from which image paths count.
        table: file name in the folder; ``manifest.csv`` (or .tsv, .tab, .parquet, .jsonl) when None.
        image, text, label, group, id, split_column: names of columns. Several label columns, or one whose cells hold several
            names divided by ``label_separator``, make a multi-label task; otherwise two classes make a binary task, more a
            multi-class one.
        kind: the kind of task you expect; checked against what was found.
        seed: of the split, made 70/10/20 with groups kept whole when the table gives none (``split="given"`` insists on one).
        title, domain, credentialed: go to the card.

    Raises:
        FileNotFoundError, ValueError: names file, line and what was expected.
    """
    path = _table(root, table)
    root = path.parent
    data = _read(path)
    require_columns(data, [image, text, *([group] if group else []), *([id] if id else [])], path)
    task, labels = labels_of(data, label, path, kind, label_separator)
    named = _inside(data[image], root, path)
    rows = pd.DataFrame({"text": data[text], "image": existing(root, named), IMAGE_NAMED: named})
    rows["pair_id"] = unique(data[id], path, private=credentialed) if id else [f"{i:07d}" for i in range(len(data))]
    rows["group"] = data[group].fillna(rows["pair_id"]) if group else data[image]
    given = split_column in data and split != "made"
    if split == "given":
        require_columns(data, [split_column], path)
    rows["split"] = _given(data, split_column, path) if given else by_group(rows["group"], _strata(labels), seed=seed)
    _whole_groups(rows, path, credentialed)
    rows = pd.concat([rows, labels], axis=1)
    title = title or path.stem
    choose(domain, ("medical", "natural"), "domain")
    card = replace(CARD, title=title, domain=domain, source=path.name, credentialed=bool(credentialed))
    report = {"split_made": not given, "kind": task.kind}
    if task.kind == "multilabel":
        report["without_any_label"] = int((labels.sum(axis=1) == 0).sum())
    return Draft(rows, task, report, name=title, card=card, root=root)


def labels_of(data: pd.DataFrame, label, path: Path, kind=None, separator: str | None = None) -> tuple[Task, pd.DataFrame]:
    """The task that the label column or columns pose, and its label columns as :class:`Task` names them.

    Raises:
        ValueError: a missing column or label, one class only, a column of measurements, or a task of another kind than ``kind``.
    """
    columns = [label] if isinstance(label, str) else list(label)
    if len(columns) == 1 and columns[0] not in data and "," in columns[0]:
        columns = columns[0].split(",")
    require_columns(data, columns, path)
    if len(columns) > 1:
        indicators = data[columns].replace({"0.0": "0", "1.0": "1", "False": "0", "True": "1"})
        for column in columns:
            classes_of(indicators[column], ("0", "1"), path)
        task, labels = Task("multilabel", tuple(columns)), indicators.astype("int8")
    elif separator:
        names = data[columns[0]].fillna("").str.split(separator, regex=False).map(lambda cell: {n.strip() for n in cell} - {""})
        task = Task("multilabel", tuple(sorted(set().union(*names))))
        labels = pd.DataFrame({name: names.map(lambda cell, name=name: int(name in cell)) for name in task.classes})
    else:
        task, labels = _one_column(data[columns[0]], path)
    if kind is not None and choose(kind, KINDS, "task kind") != task.kind:
        posed = f"{', '.join(columns)} poses a {task.kind} task ({len(task.classes)} classes)"
        raise ValueError(f"{path}: {posed}, not {kind}; check label and kind")
    return task, labels.set_axis(task.columns, axis=1)


def _one_column(column: pd.Series, path: Path) -> tuple[Task, pd.DataFrame]:
    missing = column.isna().to_numpy()
    if missing.any():
        line = missing.argmax() + 2
        raise ValueError(f"{path} line {line}: {column.name} is missing ({missing.sum()} such rows); label or remove them")
    classes = sorted(set(column))
    if len(classes) < 2:
        raise ValueError(f"{path}: {column.name} holds one class only; a probe needs at least two")
    if len(classes) > MOST_CLASSES or (len(column) > 20 and len(classes) > len(column) / 2):
        raise ValueError(f"{path}: {column.name} has {len(classes)} distinct values in {len(column)} rows; expected class names")
    return Task("binary" if len(classes) == 2 else "multiclass", tuple(classes)), column.to_frame()


def _table(root: Path, table: str | None) -> Path:
    """The file of the table, given itself or its folder."""
    if root.is_file():
        return root
    names = NAMES if table is None else (table,)
    for name in names:
        if (root / name).is_file():
            return root / name
    raise FileNotFoundError(f"{root} has no {' or '.join(names)}; {CARD.access}")


def _read(path: Path) -> pd.DataFrame:
    """The table as strings, missing cells as missing."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; {CARD.access}")
    reader = READERS[choose(path.suffix.lower(), READERS, f"kind of table ({path.name})")]
    if reader not in ("parquet", "jsonl"):
        return read_table(path, separator=reader)
    try:
        data = pd.read_parquet(path) if reader == "parquet" else pd.read_json(path, lines=True, dtype=False)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as {reader} ({error}); write it again") from None
    return data.map(_cell).reset_index(drop=True)


def _cell(value) -> str | None:
    if value is None or (np.isscalar(value) and pd.isna(value)) or value == "":
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _inside(paths: pd.Series, root: Path, path: Path) -> list[str]:
    """Image paths relative to ``root``, none of which may lead out of it."""
    inside = []
    for line, cell in enumerate(paths, 2):
        if pd.isna(cell):
            raise ValueError(f"{path} line {line}: {paths.name} is missing; expected the path of an image, relative to {root}")
        own = PurePosixPath(str(cell).replace("\\", "/"))
        own = own.relative_to(root) if own.is_absolute() and own.is_relative_to(root) else own
        if own.is_absolute() or ".." in own.parts:
            raise ValueError(f"{path} line {line}: {paths.name} leads out of {root}; expected a path within it")
        inside.append(own.as_posix())
    return inside


def _given(data: pd.DataFrame, column: str, path: Path) -> pd.Series:
    return classes_of(pd.Series(split_names(data[column]), data.index, name=column).where(data[column].notna()), PARTS, path)


def _strata(labels: pd.DataFrame) -> pd.Series:
    return labels.astype(str).agg("|".join, axis=1)


def _whole_groups(rows: pd.DataFrame, path: Path, private: bool) -> None:
    """No group may occur in two splits."""
    twice = straddling(rows)
    if len(twice):
        members = rows[rows["group"] == twice[0]]
        lines = [int(members.index[(members["split"] == s).to_numpy().argmax()]) + 2 for s in members["split"].unique()]
        which = "a group" if private else f"group {twice[0]!r}"
        where = f"lines {lines[0]} and {lines[1]}; {len(twice)} such groups"
        raise ValueError(f"{path}: {which} is in two splits ({where}); keep it in one")
