"""Define data sets as image-text pairs with a card, list every one by name, and load it."""

import tomllib
from dataclasses import dataclass, field
from importlib import import_module
from inspect import signature
from pathlib import Path
from types import ModuleType

import pandas as pd

from ..arrays import choose
from ..tasks import SPLITS, Task

SYNTHETIC = "SYNTHETIC.txt"  # marks the folder of a miniature
VARIANTS = ("authors", "clean", "common")
MISSING_IMAGES = ("error", "drop")
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
    notes: tuple[str, ...] = ()
    size: str = ""  # of the release
    splits: dict[str, tuple[str, ...]] = field(default_factory=dict)  # variant -> splits it offers, the default first
    missing_images: str = "error"  # or "drop", for a release that is known to lack some


def _toml(name: str) -> dict:
    return tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def _card(entry: dict) -> Card:
    splits = {variant: tuple(names) for variant, names in entry.pop("splits").items()}
    return Card(**entry | {"splits": splits, "notes": tuple(entry.get("notes", ()))})


CARDS = {name: _card(entry) for name, entry in _toml("cards.toml").items()}
WORDS = _toml("words.toml")  # what the texts of a data set are made of


@dataclass(frozen=True)
class Draft:
    """Rows as a data set's module reads them, some still without image (None) or text, and counts of excluded rows.

    The manifest learns ``name``, ``card`` and ``root`` only on reading. With ``private``, errors name no images.
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

    def __post_init__(self):
        if missing := [c for c in REQUIRED_COLUMNS if c not in self.rows]:
            raise ValueError(f"{self.name}: column {missing[0]!r} is missing; needed are {', '.join(REQUIRED_COLUMNS)} and labels")
        repeated = self.rows["pair_id"].duplicated().to_numpy()
        if repeated.any():
            raise ValueError(f"{self.name} row {repeated.argmax()}: pair_id occurs more than once; every row needs its own id")
        unknown = (~self.rows["split"].isin(SPLITS)).to_numpy()
        if unknown.any():
            fault = f"split is not one of {', '.join(SPLITS)} ({unknown.sum()} such rows)"
            raise ValueError(f"{self.name} row {unknown.argmax()}: {fault}")
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
    """One data set: its card, and the module of its name, whose ``read(root, variant, split, **options)`` returns a Draft."""

    name: str
    card: Card

    @property
    def module(self) -> ModuleType:
        return import_module(f".{self.name}", __package__)

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(self.card.splits)

    @property
    def splits(self) -> dict[str, tuple[str, ...]]:
        return self.card.splits

    @property
    def options(self) -> dict[str, object]:
        """Return name and type of each argument of ``read`` after root, variant and split."""
        return {name: p.annotation for name, p in list(signature(self.module.read).parameters.items())[3:]}

    @property
    def needs_root(self) -> bool:
        """Return whether the data come from a folder, and not with a Python package."""
        return not hasattr(self.module, "default_root")

    def root(self, root) -> Path:
        """Return the folder to read: the given one, or that of the package that ships the data."""
        if root is None and not self.needs_root:
            return self.module.default_root()
        if root is None:
            raise ValueError(f"{self.name} needs root (--root), the folder of the release; {self.card.access}")
        if not Path(root).exists():
            raise FileNotFoundError(f"root {root} of {self.name} does not exist; {self.card.access}")
        return Path(root)


DATASETS = {name: Entry(name, card) for name, card in CARDS.items()}


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
        raise FileNotFoundError(f"data root {data_root} does not exist; give the folder that holds {dataset}")
    inner = Path(data_root) / dataset
    return inner if inner.is_dir() else Path(data_root)


def canonical_variant(name: str, variant: str) -> str:
    """Return the variant that ``variant`` means for data set ``name``: itself, or ``common`` if there is only one."""
    variants = DATASETS[choose(name, DATASETS, "data set")].variants
    if variants == ("common",):
        choose(variant, VARIANTS, f"variant of {name}")
        return "common"
    return choose(variant, variants, f"variant of {name}")


def load_dataset(name: str, root=None, variant: str = "authors", split=None, missing_images=None, **options) -> PairedDataset:
    """Load a data set as image-text pairs.

    Args:
        name: see ``DATASETS``.
        root: folder of the release as unpacked; ``easy_vqa`` needs none.
        variant: ``authors`` (their text, labels, filters and split) or ``clean`` (no label proxies, groups disjoint); a data set
            with one variant, ``common``, takes either.
        split: one of the splits the variant offers; its default when None.
        missing_images: ``error``, or ``drop`` to exclude and count pairs without an image file; the card's default when None.
        options: see ``DATASETS[name].options``.
    """
    entry = DATASETS[choose(name, DATASETS, "data set")]
    variant = canonical_variant(name, variant)
    offered = entry.splits[variant]
    split = choose(split or offered[0], offered, f"split of {name} variant {variant}")
    policy = choose(missing_images or entry.card.missing_images, MISSING_IMAGES, "missing_images")
    root = entry.root(root)
    for option in options:
        choose(option, entry.options, f"option of {name}")
    draft = entry.module.read(root, variant, split, **options)
    name, card, root = draft.name or name, draft.card or entry.card, draft.root or root
    rows, excluded = _usable_rows(draft, name, card.credentialed or draft.private, root, policy)
    synthetic = {"synthetic": True} if (root / SYNTHETIC).is_file() else {}
    return PairedDataset(name, variant, rows, draft.task, card, root, {"split": split, **excluded, **draft.report, **synthetic})


def _usable_rows(draft: Draft, name: str, private: bool, root: Path, policy: str) -> tuple[pd.DataFrame, dict]:
    """Return the rows with a text and an image, and the numbers of rows excluded because one is missing."""
    rows = draft.rows.reset_index(drop=True)
    absent = rows["image"].isna()
    if absent.any() and (policy == "error" or absent.all()):
        first = f"first row {absent.idxmax()}" + ("" if private else f" ({rows['pair_id'][absent.idxmax()]})")
        complete = "correct these paths" if draft.private else "finish the download"
        drop = f"{complete}, or exclude them with missing_images='drop' (--missing-images drop)"
        remedy = "check root and the image folder" if absent.all() else drop
        raise FileNotFoundError(f"{name}: {absent.sum()} of {len(rows)} pairs have no image file under {root}, {first}; {remedy}")
    blank = rows["text"].isna() | (rows["text"].astype(str).str.strip() == "")
    usable = rows[~absent & ~blank].reset_index(drop=True)
    usable = usable[[*REQUIRED_COLUMNS, *(c for c in usable if c not in REQUIRED_COLUMNS)]]
    if not len(usable):
        raise ValueError(f"{name}: no pair under {root} has both an image and a text")
    return usable, {"rows_without_image": int(absent.sum()), "rows_without_text": int((blank & ~absent).sum())}
