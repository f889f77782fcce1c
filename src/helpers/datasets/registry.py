"""Define data sets as image-text pairs with a card, list every one by name, and load it."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.resources import files
from inspect import signature
from pathlib import Path

import pandas as pd

from ..arrays import choose, choose_column
from ..images import index_images, locate
from ..tasks import SPLITS, Task

SYNTHETIC = "SYNTHETIC.txt"  # marks the folder of a miniature
MISSING_IMAGES = ("error", "drop")
SHOWN = 12  # most examples of a fault in a message
REQUIRED_COLUMNS = ("pair_id", "image", "text", "split", "group")


@dataclass(frozen=True)
class Card:
    """What a reader must know of a data set before using it; ``cards.toml`` holds all cards."""

    title: str
    domain: str  # "medical" or "natural"
    source: str
    licence: str
    citation: str  # key in book/references.bib
    access: str  # how to get it, in one sentence
    credentialed: bool = False
    notes: Sequence[str] = ()
    size: str = ""  # of the release
    splits: dict[str, list[str]] = field(default_factory=dict)  # variant -> splits it offers, the default first
    missing_images: str = "error"  # or "drop", for a release that is known to lack some
    folders: Sequence[str] = ()  # of images, the first that has one wins
    package: str = ""  # the Python package that ships the data, if one does


def _toml(name: str) -> dict:
    return tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


WORDS = _toml("words.toml")  # what the texts of a data set are made of


@dataclass(frozen=True)
class Draft:
    """What a reader returns: rows, counts of excluded rows, and for a table of one's own its card and folder."""

    rows: pd.DataFrame  # a missing text or image is None; without a column of images, they are called as the pairs
    task: Task
    report: dict = field(default_factory=dict)
    card: Card | None = None
    root: Path | None = None
    table: Path | None = None  # then the index of ``rows`` tells their lines
    faults: list[Exception] = field(default_factory=list)  # of rows that are excluded here or lack a name of their own


@dataclass(frozen=True)
class PairedDataset:
    """Image-text pairs with labels and splits, one row each.

    ``rows``: ``pair_id`` (unique string), ``image`` (path relative to ``root``, POSIX separators), ``text``, ``split``, ``group``
    (rows that must not straddle splits, such as one patient's), the label columns of ``task`` and perhaps ``subgroup_*`` columns.
    """

    name: str
    variant: str
    rows: pd.DataFrame
    task: Task
    card: Card
    root: Path
    report: dict = field(default_factory=dict)  # counts of excluded rows by reason; no row is dropped silently
    lines: Sequence[str] = ()  # of a table of one's own, such as ``pairs.csv line 7``, one a row

    def __post_init__(self):
        for column in REQUIRED_COLUMNS:
            choose_column(column, self.rows, self.name)
        repeated, unknown = self.rows["pair_id"].duplicated(), ~self.rows["split"].isin(SPLITS)
        for bad, fault in ((repeated, "pair_id occurs more than once"), (unknown, f"split is not one of {', '.join(SPLITS)}")):
            if bad.any():
                raise ValueError(f"{self.name} row {bad.to_numpy().argmax()}: {fault} ({bad.sum()} such rows)")
        self.task.targets(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        """Return counts only, so that no text or id reaches an output by accident."""
        parts = ", ".join(f"{(self.rows['split'] == s).sum()} {s}" for s in SPLITS)
        task = f"{self.task.kind} with {len(self.task.classes)} classes"
        return f"PairedDataset({self.name} {self.variant}: {len(self)} pairs ({parts}), {task})"


@dataclass(frozen=True)
class Entry:
    """One data set: its card, and its reader, ``read(root, variant, split, **options)``, which returns a Draft."""

    name: str
    card: Card
    reader: str  # module and function

    @property
    def read(self) -> Callable[..., Draft]:
        module, function = self.reader.split(".")
        return getattr(import_module(f".{module}", __package__), function)

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(self.card.splits)

    @property
    def options(self) -> dict[str, object]:
        """Return name and type of each argument of ``read`` after root, variant and split."""
        return {name: p.annotation for name, p in list(signature(self.read).parameters.items())[3:]}

    def root(self, root) -> Path:
        """Return the folder to read: the given one, or that of the package that ships the data."""
        if root is None and self.card.package:
            return Path(str(files(self.card.package)), "data")
        if root is None:
            raise ValueError(f"{self.name} needs root (--root), the folder of the release; {self.card.access}")
        if not Path(root).exists():
            raise FileNotFoundError(f"root {root} of {self.name} does not exist; {self.card.access}")
        return Path(root)


DATASETS = {name: Entry(name, reader=card.pop("reader"), card=Card(**card)) for name, card in _toml("cards.toml").items()}


def title(dataset: str) -> str:
    """Return a data set's printed name: the title on its card, or the name itself of a data set without a card."""
    return DATASETS[dataset].card.title if dataset in DATASETS and dataset != "manifest" else dataset


def domain(dataset: str) -> str:
    """Return ``medical`` or ``natural`` from the data set's card; ``own`` for a data set without one."""
    return DATASETS[dataset].card.domain if dataset in DATASETS else "own"


def dataset_root(data_root, dataset: str) -> Path | None:
    """Return ``data_root/<dataset>`` if it exists, else ``data_root`` itself, which may be a table; None stays None."""
    if data_root is None:
        return None
    if not Path(data_root).exists():
        raise FileNotFoundError(f"data root {data_root} does not exist; give the folder that holds {dataset}, or its table")
    inner = Path(data_root) / dataset
    return inner if inner.is_dir() else Path(data_root)


def canonical_variant(name: str, variant: str) -> str:
    """Return the variant that ``variant`` means for data set ``name``: itself, or ``common`` if there is only one."""
    variants = DATASETS[choose(name, DATASETS, "data set")].variants
    single = variants == ("common",)
    choose(variant, ("authors", "clean", "common") if single else variants, f"variant of {name}")
    return "common" if single else variant


def load_dataset(name: str, root=None, variant: str = "authors", split=None, missing_images=None, **options) -> PairedDataset:
    """Load a data set as image-text pairs.

    Args:
        name, options: see ``DATASETS`` and ``DATASETS[name].options``.
        root: folder of the release as unpacked; ``easy_vqa`` needs none.
        variant: ``authors`` (their text, labels, filters and split) or ``clean`` (no label proxies, groups disjoint); a data set
            with one variant, ``common``, takes either.
        split: one of the splits the variant offers; its default when None.
        missing_images: ``error``, or ``drop`` to exclude and count pairs without an image file; the card's default when None.
    """
    dataset, faults = read_copy(name, root, variant, split, missing_images, **options)
    if dataset is None or faults:
        raise faults[0]
    return dataset


def read_copy(
    name: str, root=None, variant: str = "authors", split=None, missing_images=None, **options
) -> tuple[PairedDataset | None, list[Exception]]:
    """As :func:`load_dataset`; return the usable rows, None if there are none, and the faults of the others; the rest is raised."""
    entry = DATASETS[choose(name, DATASETS, "data set")]
    variant = canonical_variant(name, variant)
    offered = entry.card.splits[variant]
    split = choose(split or offered[0], offered, f"split of {name} variant {variant}")
    policy = choose(missing_images or entry.card.missing_images, MISSING_IMAGES, "missing_images")
    root = entry.root(root)
    for option in options:
        choose(option, entry.options, f"option of {name}")
    draft = entry.read(root, variant, split, **options)
    card, root, rows, faults = draft.card or entry.card, draft.root or root, draft.rows.reset_index(drop=True), [*draft.faults]
    name = draft.card.title if draft.card else name
    places = [f"{draft.table.name} line {line + 2}" if draft.table else f"row {line}" for line in draft.rows.index]
    if "image" not in rows:
        rows["image"] = locate(rows["pair_id"], index_images(root, card.folders))
    absent = rows["image"].isna()
    told = any(isinstance(fault, FileNotFoundError) for fault in faults)
    if absent.any() and (policy == "error" or absent.all()) and not told:
        private = card.credentialed or entry.name == "manifest"
        named = [places[row] + ("" if private else f" ({rows['pair_id'][row]})") for row in rows.index[absent][:SHOWN]]
        drop = "complete them, or exclude these pairs with missing_images='drop' (--missing-images drop)"
        remedy = "check root and the image folder" if absent.all() else drop
        what = f"{name}: {absent.sum()} of {len(rows)} pairs have no image file under {root}"
        faults.append(FileNotFoundError(f"{what}, first {', '.join(named)}; {remedy}"))
    blank = rows["text"].isna() | (rows["text"].astype(str).str.strip() == "")
    used = ~absent & ~blank
    if not used.any():
        return None, faults or [ValueError(f"{name}: no pair under {root} has both an image and a text")]
    rows = rows[used].reset_index(drop=True)
    rows = rows[[*REQUIRED_COLUMNS, *(c for c in rows if c not in REQUIRED_COLUMNS)]]
    report = {"split": split, "rows_without_image": int(absent.sum()), "rows_without_text": int((blank & ~absent).sum())}
    report |= draft.report | ({"synthetic": True} if (root / SYNTHETIC).is_file() else {})
    lines = [place for place, kept in zip(places, used, strict=True) if kept] if draft.table else ()
    return PairedDataset(name, variant, rows, draft.task, card, root, report, lines), faults
