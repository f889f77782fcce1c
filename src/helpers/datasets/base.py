"""A paired data set: images, texts, splits and labels as one table, with the card that says what it is."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ..tasks import Task

SPLITS = ("train", "val", "test")
DRAWN = "DRAWN.txt"  # lies in the folder of a miniature, so that it is never taken for the real data set
IMAGE_NAMED = "image_named"  # optional column of a draft: the path that was looked for, when its id does not tell
REQUIRED_COLUMNS = ("pair_id", "image", "text", "split", "group")


@dataclass(frozen=True)
class Card:
    """What a reader must know of a data set before using it."""

    title: str
    domain: str  # "medical" or "natural"
    source: str
    licence: str
    citation: str  # key in book/references.bib
    access: str  # how to get it, in one sentence
    credentialed: bool = False
    notes: tuple[str, ...] = ()
    size: str = ""  # of the release


@dataclass(frozen=True)
class Draft:
    """What the module of a data set reads: rows that may still lack an image (None) or a text, and counts of what was left out.

    ``name`` and ``card`` are set by a module that does not know them beforehand, such as the manifest.
    """

    rows: pd.DataFrame
    task: Task
    report: dict = field(default_factory=dict)
    name: str | None = None
    card: Card | None = None
    root: Path | None = None


@dataclass(frozen=True)
class PairedDataset:
    """Image-text pairs with labels and splits.

    ``rows`` has one row per pair: ``pair_id`` (unique string), ``image`` (path relative to ``root``, POSIX separators), ``text``,
    ``split`` (train, val or test; val may be absent), ``group`` (rows that must not straddle splits, such as one patient's),
    the label columns of ``task`` and, where the source has them, ``subgroup_*`` columns (age band, sex).
    """

    name: str
    variant: str
    rows: pd.DataFrame
    task: Task
    card: Card
    root: Path
    report: dict = field(default_factory=dict)  # counts of rows left out and why; nothing is dropped silently

    def __post_init__(self):
        missing = [c for c in (*REQUIRED_COLUMNS, *self.task.columns) if c not in self.rows]
        if missing:
            raise ValueError(f"{self.name}: column {missing[0]!r} is missing; found {list(self.rows.columns)}")
        repeated = self.rows["pair_id"].duplicated().to_numpy()
        if repeated.any():
            row = repeated.argmax()
            which = "" if self.card.credentialed else f" {self.rows['pair_id'].iloc[row]!r}"
            raise ValueError(f"{self.name} row {row}: pair_id{which} occurs more than once; every row needs its own id")
        unknown = sorted(set(self.rows["split"]) - set(SPLITS))
        if unknown:
            raise ValueError(f"{self.name}: split {unknown[0]!r} is not one of {', '.join(SPLITS)}")
        self.task.targets(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        """Counts only, so that no text or id of a credentialed data set reaches an output by accident."""
        parts = ", ".join(f"{(self.rows['split'] == s).sum()} {s}" for s in SPLITS)
        task = f"{self.task.kind} with {len(self.task.classes)} classes"
        return f"PairedDataset({self.name} {self.variant}: {len(self)} pairs ({parts}), {task})"
