"""Read any table of yours: one row per pair, with an image path, a text and one or more label columns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from ..arrays import choose
from ..images import existing
from ..tasks import KINDS, OTHER_SPLITS, Task, class_names, split_names
from .base import SPLITS as PARTS
from .base import Card, Draft
from .splits import SEED, by_group, straddling
from .tables import classes_of, read_table, require_columns, require_rows, unique

READERS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".gz": None, ".parquet": "parquet", ".jsonl": "jsonl"}
NAMES = tuple(f"manifest{suffix}" for suffix in READERS if suffix != ".gz")
ID_COLUMNS = ("pair_id", "id")  # columns of pair ids if no column is named
REMEDY = "save it again, as UTF-8 with a header line"
ALIASES = {"seed": "random_state"}
SPLITS = {"common": ("given-or-made", "given", "made")}
CARD = Card(
    title="Your own table",
    domain="natural",
    source="local",
    licence="yours",
    citation="",
    access="Write a CSV, TSV, Parquet or JSON-lines table with columns image, text and label, and pass it, or its folder, as root.",
)


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a table.

    Args:
        image, text: paths of images, and texts.
        label: one column of class names, or several columns of 0 and 1 for a multi-label task.
        label_separator: separates several class names in one cell, which also makes a multi-label task.
        group: groups that must not straddle splits, such as patients; rows of one image form a group when None.
        id: unique names of pairs; when None, the column ``pair_id`` or ``id`` if it exists, else row numbers.
        split_column: train, val or test.
    """

    image: str = "image"
    text: str = "text"
    label: str | Sequence[str] = "label"
    label_separator: str | None = None
    group: str | None = None
    id: str | None = None
    split_column: str = "split"


@dataclass(frozen=True)
class About:
    """Entries of a table's card: title (the file's name when None), domain, and whether the data are credentialed."""

    title: str | None = None
    domain: str = "natural"
    credentialed: bool = False


def read(
    root: Path,
    variant: str,
    split: str,
    columns: Columns,
    about: About,
    table: str | None = None,
    image_root: str | None = None,
    kind: str | None = None,
    random_state: int = SEED,
) -> Draft:
    """Return the rows of a table. No error prints a cell, because the data may be confidential.

    Args:
        root: the table, or the folder that holds it; image paths are relative to that folder.
        columns, about: see :class:`Columns` and :class:`About`; ``load_dataset`` takes their fields as options.
        table: file name in the folder, or an absolute path; ``manifest.csv`` (or .tsv, .tab, .parquet, .jsonl) when None.
        image_root: another folder to which image paths are relative, such as a read-only drive.
        kind: the kind of task you expect; another kind raises.
        random_state: seed of the 70/10/20 split by whole groups, made if the table has no split (``split="given"`` requires one).

    Raises:
        FileNotFoundError, ValueError: names file, line and what was expected.
    """
    path = _find_table(root, table)
    images = _image_folder(root, path, image_root)
    data = _read(path)
    for option in ("image", "text", "group"):
        _require_named(data, [getattr(columns, option)], option, path)
    require_columns(data, [name for name in (columns.id, columns.split_column if split == "given" else None) if name], path)
    require_rows(data, path, REMEDY)
    task, labels = read_labels(data, columns, path, kind)
    rows = pd.DataFrame({"text": data[columns.text]})
    rows["image"] = existing(images, _paths_inside(data[columns.image], images, path))
    rows["pair_id"] = _pair_ids(data, columns.id, path)
    rows["group"] = data[columns.group].fillna(rows["pair_id"]) if columns.group else data[columns.image]
    given = columns.split_column in data and split != "made"
    rows["split"] = (
        _given_split(data[columns.split_column], path)
        if given
        else by_group(rows["group"], labels.astype(str).agg("|".join, axis=1), seed=random_state)
    )
    _require_whole_groups(rows, path)
    title = about.title or path.stem
    choose(about.domain, ("medical", "natural"), "domain")
    card = replace(CARD, title=title, domain=about.domain, source=path.name, credentialed=bool(about.credentialed))
    report = {"split_made": not given, "kind": task.kind}
    if task.kind == "multilabel":
        report["without_any_label"] = int((labels.sum(axis=1) == 0).sum())
    return Draft(pd.concat([rows, labels], axis=1), task, report, name=title, card=card, root=images, private=True)


def read_labels(data: pd.DataFrame, columns: Columns, path: Path, kind: str | None = None) -> tuple[Task, pd.DataFrame]:
    """Return the task that the label column or columns define, and its label columns as :class:`Task` names them.

    Raises:
        ValueError: a missing column or label, one class only, a column of texts or measurements, or a kind other than ``kind``.
    """
    names = [columns.label] if isinstance(columns.label, str) else list(columns.label)
    if len(names) == 1 and names[0] not in data and "," in names[0]:
        names = names[0].split(",")
    _require_named(data, names, "label", path)
    if len(names) > 1:
        task, labels = _indicators(data[names], path)
    elif columns.label_separator:
        task, labels = _several_in_a_cell(data[names[0]], columns.label_separator)
    else:
        task, labels = _one_class_a_row(data[names[0]], path)
    if kind is not None and choose(kind, KINDS, "task kind") != task.kind:
        found = f"{', '.join(names)} poses a {task.kind} task ({len(task.classes)} classes)"
        raise ValueError(f"{path}: {found}, not {kind}; check label and kind")
    return task, labels.set_axis(task.columns, axis=1)


def _require_named(data: pd.DataFrame, names: Sequence[str | None], option: str, path: Path) -> None:
    """Raise a ValueError unless the table has these columns; it says how each entrance takes the name of another."""
    try:
        require_columns(data, [name for name in names if name], path)
    except ValueError as error:
        other = f"{option}= (--option {option}=NAME, or {option}_column of notebook 08)"
        raise ValueError(f"{error} Name another column with {other}") from None


def _indicators(columns: pd.DataFrame, path: Path) -> tuple[Task, pd.DataFrame]:
    indicators = columns.replace({"0.0": "0", "1.0": "1", "False": "0", "True": "1"})
    for column in indicators:
        classes_of(indicators[column], ("0", "1"), path)
    return Task("multilabel", tuple(columns)), indicators.astype("int8")


def _several_in_a_cell(column: pd.Series, separator: str) -> tuple[Task, pd.DataFrame]:
    cells = column.fillna("").str.split(separator, regex=False).map(lambda cell: {name.strip() for name in cell} - {""})
    task = Task("multilabel", tuple(sorted(set().union(*cells))))
    return task, pd.DataFrame({name: cells.map(lambda cell, name=name: int(name in cell)) for name in task.classes})


def _one_class_a_row(column: pd.Series, path: Path) -> tuple[Task, pd.DataFrame]:
    missing = column.isna().to_numpy()
    if missing.any():
        line = missing.argmax() + 2
        raise ValueError(f"{path} line {line}: {column.name} is missing ({missing.sum()} such rows); label or remove them")
    classes = class_names(column, f"{path}: {column.name}")
    return Task("binary" if len(classes) == 2 else "multiclass", classes), column.to_frame()


def _find_table(root: Path, table: str | None) -> Path:
    """Return the file of the table, given the file or its folder."""
    if root.is_file():
        return root
    names = NAMES if table is None else (table,)
    for name in names:
        if (root / name).is_file():
            return root / name
    raise FileNotFoundError(f"{root} has no {' or '.join(names)}; {CARD.access}")


def _image_folder(root: Path, path: Path, image_root: str | None) -> Path:
    """Return the folder to which image paths are relative, as an absolute path."""
    folder = Path(image_root) if image_root else path.parent if root.is_file() else root
    if not folder.is_dir():
        raise FileNotFoundError(
            f"image_root {folder} is not a folder; give the folder to which the image paths of {path} are relative"
        )
    return folder.absolute()


def _read(path: Path) -> pd.DataFrame:
    """Read the table as strings; missing cells stay missing."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; {CARD.access}")
    reader = READERS[choose(path.suffix.lower(), READERS, f"kind of table ({path.name})")]
    if reader not in ("parquet", "jsonl"):
        return read_table(path, separator=None if reader == "," else reader, remedy=REMEDY)
    try:
        data = pd.read_parquet(path) if reader == "parquet" else pd.read_json(path, lines=True, dtype=False)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as {reader} ({type(error).__name__}); write it again") from None
    return data.map(_cell).reset_index(drop=True)


def _cell(value) -> str | None:
    if value is None or (np.isscalar(value) and pd.isna(value)) or value == "":
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _paths_inside(paths: pd.Series, folder: Path, path: Path) -> list[str]:
    """Return image paths relative to ``folder``, once none of them leads out of it."""
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


def _pair_ids(data: pd.DataFrame, column: str | None, path: Path) -> pd.Series | list[str]:
    """Return the ids of the pairs: the named column, else ``pair_id`` or ``id``, else the number of the row."""
    column = column or next((name for name in ID_COLUMNS if name in data), None)
    return unique(data[column], path, private=True) if column else [f"{i:07d}" for i in range(len(data))]


def _given_split(column: pd.Series, path: Path) -> pd.Series:
    names = pd.Series(split_names(column), column.index, name=column.name)
    if (strange := names.isin(OTHER_SPLITS).to_numpy()).any():
        line, name = strange.argmax() + 2, names[strange].iloc[0]
        raise ValueError(
            f"{path} line {line}: {column.name} is {name!r}, not one of {', '.join(PARTS)} ({strange.sum()} such rows); rename it"
        )
    return classes_of(names.where(column.notna()), PARTS, path)


def _require_whole_groups(rows: pd.DataFrame, path: Path) -> None:
    """Raise ValueError if a group is in two splits."""
    twice = straddling(rows)
    if len(twice):
        members = rows[rows["group"] == twice[0]]
        lines = [int(members.index[(members["split"] == s).to_numpy().argmax()]) + 2 for s in members["split"].unique()]
        where = f"lines {lines[0]} and {lines[1]}; {len(twice)} such groups"
        raise ValueError(f"{path}: a group is in two splits ({where}); keep it in one")
