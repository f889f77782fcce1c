"""Describe each data set before any encoder, from its raw copy or from stored sets and shipped counts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..arrays import choose
from ..files import project_root
from ..store.catalogue import stored
from ..store.embeddings import load_pairs
from ..tasks import SPLITS, Task
from . import DATASETS, load_dataset
from .audit import COLUMNS, class_balance, overlap, straddling_groups, text_lengths
from .registry import dataset_root, domain

LENGTHS = Path("data/text_lengths")  # <dataset>-<variant>.csv, written by `python -m helpers lengths`


@dataclass(frozen=True)
class Description:
    """Pairs of one variant of a data set and, if known, the lengths of its texts.

    ``rows`` has ``split, group, image, text`` and the label columns of ``task``. Equal values of ``image`` or ``text`` mean equal
    content, whether they are paths and sentences or row numbers of a stored set.
    """

    name: str
    variant: str
    rows: pd.DataFrame
    task: Task
    source: str
    lengths: pd.DataFrame | None


def describe_all(
    datasets: Sequence[str] = (), store=None, data_root=None, tokenizers: Iterable = ()
) -> tuple[list[Description], dict[str, str]]:
    """Describe every available variant of the named data sets, natural data first, and list those that could not be read.

    Without names, describe all registered and all stored data sets. The list gives, for an absent data set, how to get it, and for
    a faulty variant of a raw copy (``<data set> <variant>``) its fault.

    Raises:
        ValueError: an unknown data set, or a stored set that does not match its checksums.
        FileNotFoundError: ``data_root`` or ``store`` does not exist, or a stored set lacks a file.
    """
    found = stored(store)
    folders = found.drop_duplicates(["dataset", "variant"]).set_index(["dataset", "variant"])["path"]
    known = list(dict.fromkeys([*(name for name in DATASETS if name != "manifest"), *found["dataset"]]))
    tokenizers, descriptions, unread = list(tokenizers), [], {}
    for name in sorted([choose(name, known, "data set") for name in datasets] or known, key=lambda n: (domain(n) != "natural", n)):
        root = _raw(name, data_root)
        variants = [v for n, v in folders.index if n == name]
        if root is not None:
            variants = list(dict.fromkeys([*DATASETS[name].variants, *variants]))
        elif not variants:
            unread[name] = DATASETS[name].card.access
        for variant in variants:
            dataset, folder = None, folders.get((name, variant))
            if root is not None and variant in DATASETS[name].variants:
                try:
                    dataset = load_dataset(name, root, variant, missing_images="drop")
                except (OSError, ValueError) as error:
                    unread[f"{name} {variant}"] = str(error)
            if dataset is not None or folder is not None:
                descriptions.append(_describe(name, variant, folder, dataset, tokenizers))
    return descriptions, unread


def _raw(name: str, data_root) -> Path | None:
    """Return the raw copy of a data set: the package that ships it, or its own folder in ``data_root``."""
    if name not in DATASETS or name == "manifest":
        return None
    module = DATASETS[name].module
    if hasattr(module, "default_root"):
        return module.default_root()
    root = dataset_root(data_root, name)
    return root if root is not None and root.name == name else None


def _describe(name: str, variant: str, folder: Path | None, dataset, tokenizers: list) -> Description:
    """Describe a variant by the pairs of its stored set, else of its raw copy, and by the text lengths of the raw copy."""
    lengths = text_lengths(dataset, tokenizers) if dataset is not None else None
    if folder is None:
        return Description(name, variant, dataset.rows, dataset.task, "raw copy", lengths)
    pairs, task = load_pairs(folder)
    if dataset is None:
        lengths = _shipped(name, variant, len(pairs))
    return Description(name, variant, pairs, task, "stored set", lengths)


def _shipped(name: str, variant: str, pairs: int) -> pd.DataFrame | None:
    """Return the shipped text lengths, or None if they count another number of pairs and so describe another copy."""
    path = project_root() / LENGTHS / f"{name}-{variant}.csv"
    lengths = pd.read_csv(path) if path.is_file() else None
    return lengths if lengths is not None and lengths.loc[lengths["unit"] == "words", "pairs"].sum() == pairs else None


def overview(descriptions: list[Description]) -> pd.DataFrame:
    """Return one row per description: counts of pairs and distinct items, splits, and the overlap of test with train."""
    rows = []
    for d in descriptions:
        splits = d.rows["split"].value_counts()
        about = {"dataset": d.name, "variant": d.variant, "from": d.source, "task": d.task.kind, "pairs": len(d.rows)}
        distinct = {f"distinct_{c}s": d.rows[c].nunique() for c in ("image", "text", "group")}
        shared = {f"{c}_in_train": share for c, share in overlap(d).items()}
        sizes = {s: int(splits.get(s, 0)) for s in SPLITS}
        rows.append({**about, **distinct, **sizes, "straddling_groups": straddling_groups(d), **shared})
    return pd.DataFrame(rows)


def balance(descriptions: list[Description]) -> pd.DataFrame:
    """Return a row per description, class and split: ``dataset, variant, class, split, positives, share`` (of the split)."""
    parts = []
    for d in descriptions:
        counts = class_balance(d).rename_axis(columns="split").stack().rename("positives").reset_index()
        share = counts["positives"] / counts["split"].map(d.rows["split"].value_counts())
        parts.append(counts.assign(dataset=d.name, variant=d.variant, share=share))
    return pd.concat(parts, ignore_index=True)[["dataset", "variant", "class", "split", "positives", "share"]]


def all_lengths(descriptions: list[Description]) -> pd.DataFrame:
    """Return the text lengths of all descriptions that have them; see :func:`helpers.datasets.audit.text_lengths`."""
    lengths = [d.lengths for d in descriptions if d.lengths is not None]
    return pd.concat(lengths, ignore_index=True) if lengths else pd.DataFrame(columns=COLUMNS).astype({"length": int, "limit": int})


def repeats(descriptions: list[Description]) -> pd.DataFrame:
    """Count repeated contents: ``dataset, variant, what`` (image or text), ``occurrences``, ``items`` with so many occurrences."""
    parts = []
    for d in descriptions:
        for what in ("image", "text"):
            times = d.rows[what].value_counts().value_counts().sort_index()
            counts = times.rename_axis("occurrences").rename("items").reset_index()
            parts.append(counts.assign(dataset=d.name, variant=d.variant, what=what))
    return pd.concat(parts, ignore_index=True)[["dataset", "variant", "what", "occurrences", "items"]]
