"""Define a paired data set: images, texts, splits and labels as one table, with its card."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ..tasks import SPLITS, Task

SYNTHETIC = "SYNTHETIC.txt"  # marks the folder of a miniature
REQUIRED_COLUMNS = ("pair_id", "image", "text", "split", "group")


@dataclass(frozen=True)
class Card:
    """Card of a data set: what a reader must know before using it; ``cards.toml`` holds them all."""

    title: str
    domain: str  # "medical" or "natural"
    source: str
    licence: str
    citation: str  # key in book/references.bib
    access: str  # how to get it, in one sentence
    credentialed: bool = False
    notes: tuple[str, ...] = ()
    size: str = ""  # of the release
    splits: dict[str, tuple[str, ...]] = field(default_factory=dict)  # variant -> splits it offers, the default first
    missing_images: str = "error"  # or "drop", for a release that is known to lack some


def _card(entry: dict) -> Card:
    splits = {variant: tuple(names) for variant, names in entry.pop("splits").items()}
    return Card(**entry | {"splits": splits, "notes": tuple(entry.get("notes", ()))})


with open(Path(__file__).with_name("cards.toml"), "rb") as _file:
    CARDS = {name: _card(entry) for name, entry in tomllib.load(_file).items()}


@dataclass(frozen=True)
class Draft:
    """Rows as the module of a data set reads them, some still without image (None) or text, and counts of excluded rows.

    A module that learns ``name``, ``card`` and ``root`` only on reading, such as the manifest, sets them. With ``private``, errors
    name no images, for data whose card does not say whether they are credentialed.
    """

    rows: pd.DataFrame
    task: Task
    report: dict = field(default_factory=dict)
    name: str | None = None
    card: Card | None = None
    root: Path | None = None
    private: bool = False


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
    report: dict = field(default_factory=dict)  # counts of excluded rows by reason; no row is dropped silently

    def __post_init__(self):
        missing = [c for c in REQUIRED_COLUMNS if c not in self.rows]
        if missing:
            raise ValueError(
                f"{self.name}: column {missing[0]!r} is missing; a data set has {', '.join(REQUIRED_COLUMNS)} and labels"
            )
        repeated = self.rows["pair_id"].duplicated().to_numpy()
        if repeated.any():
            raise ValueError(f"{self.name} row {repeated.argmax()}: pair_id occurs more than once; every row needs its own id")
        unknown = (~self.rows["split"].isin(SPLITS)).to_numpy()
        if unknown.any():
            raise ValueError(
                f"{self.name} row {unknown.argmax()}: split is not one of {', '.join(SPLITS)} ({unknown.sum()} such rows)"
            )
        self.task.targets(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def synthetic(self) -> bool:
        """Return whether this is a synthetic miniature, whose values say nothing about the data set it is named after."""
        return bool(self.report.get("synthetic"))

    def __repr__(self) -> str:
        """Return counts only, so that no text or id of a credentialed data set reaches an output by accident."""
        parts = ", ".join(f"{(self.rows['split'] == s).sum()} {s}" for s in SPLITS)
        task = f"{self.task.kind} with {len(self.task.classes)} classes"
        return f"PairedDataset({self.name} {self.variant}: {len(self)} pairs ({parts}), {task})"
