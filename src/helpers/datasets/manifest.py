"""Read any table of yours: one row per pair, with an image path, a text and one or more label columns."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from ..arrays import choose, choose_column
from ..images import existing
from ..store.disk import read_parquet
from ..tasks import KINDS, OTHER_SPLITS, SPLITS, Task, class_names, split_names
from .registry import CARDS, Draft
from .splits import SEED, by_group, straddling
from .tables import classes_of, read_table, require_rows, unique

SUFFIXES = (".csv", ".tsv", ".tab", ".parquet", ".jsonl", ".gz")
NAMES = tuple(f"manifest{suffix}" for suffix in SUFFIXES[:-1])
REMEDY = "save it again, as UTF-8 with a header line"
CARD = CARDS["manifest"]


def read(
    root: Path,
    variant: str,
    split: str,
    image: str = "image",
    text: str = "text",
    label: str | Sequence[str] = "label",
    label_separator: str | None = None,
    group: str | None = None,
    id: str | None = None,
    split_column: str = "split",
    title: str | None = None,
    domain: str = "natural",
    credentialed: bool = False,
    table: str | None = None,
    image_root: str | None = None,
    kind: str | None = None,
    random_state: int = SEED,
) -> Draft:
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
        random_state: seed of the 70/10/20 split by whole groups, made if the table has no split (``split="given"`` requires one).
    """
    path, images = _find(root, table, image_root)
    data = _read(path)
    label = [label] if isinstance(label, str) else list(label)
    if len(label) == 1 and label[0] not in data and "," in label[0]:
        label = label[0].split(",")
    _require_columns(data, {"image": [image], "text": [text], "group": [group] if group else [], "label": label}, path)
    for column in filter(None, (id, split_column if split == "given" else None)):
        choose_column(column, data.columns, path)
    require_rows(data, path, REMEDY)
    choose(domain, ("medical", "natural"), "domain")
    task, labels = _labels(data, label, label_separator, path, kind)
    rows = pd.DataFrame({"text": data[text]})
    rows["image"] = existing(images, _paths_inside(data[image], images, path))
    id = id or next((name for name in ("pair_id", "id") if name in data), None)
    rows["pair_id"] = unique(data[id], path, private=True) if id else [f"{i:07d}" for i in range(len(data))]
    rows["group"] = data[group].fillna(rows["pair_id"]) if group else data[image]
    given = split_column in data and split != "made"
    strata = labels.astype(str).agg("|".join, axis=1)
    rows["split"] = _given_split(data[split_column], path) if given else by_group(rows["group"], strata, seed=random_state)
    _require_whole_groups(rows, path)
    unlabelled = {"without_any_label": int((labels.sum(axis=1) == 0).sum())} if task.kind == "multilabel" else {}
    report, title = {"split_made": not given, "kind": task.kind, **unlabelled}, title or path.stem
    card = replace(CARD, title=title, domain=domain, source=path.name, credentialed=bool(credentialed))
    return Draft(pd.concat([rows, labels], axis=1), task, report, name=title, card=card, root=images, private=True)


def _find(root: Path, table: str | None, image_root: str | None) -> tuple[Path, Path]:
    """Return the file of the table and the folder to which its image paths are relative."""
    names = NAMES if table is None else (table,)
    path = root if root.is_file() else next((root / name for name in names if (root / name).is_file()), None)
    if path is None:
        raise FileNotFoundError(f"{root} has no {' or '.join(names)}; {CARD.access}")
    images = (Path(image_root) if image_root else path.parent if root.is_file() else root).absolute()
    if not images.is_dir():
        raise FileNotFoundError(f"image_root {images} is not a folder; give that to which the image paths of {path} are relative")
    return path, images


def _require_columns(data: pd.DataFrame, columns: dict[str, list[str]], path: Path) -> None:
    """Raise a ValueError unless the table has the columns of each option; it says how each entrance takes another name."""
    for option, names in columns.items():
        for name in names:
            try:
                choose_column(name, data.columns, path)
            except ValueError as error:
                other = f"{option}= (--option {option}=NAME, or {option}_column of notebook 08)"
                raise ValueError(f"{error} Name another column with {other}") from None


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
        missing = column.isna().to_numpy()
        if missing.any():
            where = f"{path} line {missing.argmax() + 2}"
            raise ValueError(f"{where}: {column.name} is missing ({missing.sum()} such rows); label or remove them")
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


def _paths_inside(paths: pd.Series, folder: Path, path: Path) -> list[str]:
    """Return image paths relative to ``folder``; refuse one that leads out of it."""
    inside = []
    for line, cell in enumerate(paths, 2):
        if pd.isna(cell):
            raise ValueError(f"{path} line {line}: {paths.name} is missing; expected the path of an image, relative to {folder}")
        own = PurePosixPath(str(cell).replace("\\", "/"))
        own = own.relative_to(folder) if own.is_absolute() and own.is_relative_to(folder) else own
        if own.is_absolute() or ".." in own.parts:
            raise ValueError(f"{path} line {line}: {paths.name} leads out of {folder}; give a path within it, or pass image_root")
        inside.append(own.as_posix())
    return inside


def _given_split(column: pd.Series, path: Path) -> pd.Series:
    names = pd.Series(split_names(column), column.index, name=column.name)
    if (strange := names.isin(OTHER_SPLITS).to_numpy()).any():
        line, name = strange.argmax() + 2, names[strange].iloc[0]
        raise ValueError(
            f"{path} line {line}: {column.name} is {name!r}, not one of {', '.join(SPLITS)} ({strange.sum()} such rows); rename it"
        )
    return classes_of(names.where(column.notna()), SPLITS, path)


def _require_whole_groups(rows: pd.DataFrame, path: Path) -> None:
    """Raise ValueError if a group is in two splits."""
    twice = straddling(rows)
    if len(twice):
        members = rows[rows["group"] == twice[0]]["split"].drop_duplicates()
        where = f"lines {members.index[0] + 2} and {members.index[1] + 2}; {len(twice)} such groups"
        raise ValueError(f"{path}: a group is in two splits ({where}); keep it in one")
