"""Audit a data set's rows before any encoder: overlap between splits, class balance, diversity, lengths of texts."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from ..backbones import REGISTRY, load_tokenizer
from ..backbones.tokenizer import offline
from ..files import project_root, read_json
from ..images import decode
from ..store.disk import PROVENANCE
from ..tasks import SPLITS
from .base import Draft, PairedDataset
from .splits import seen_in_train, straddling

BATCH = 1024
COLUMNS = ["dataset", "variant", "unit", "limit", "length", "pairs", "texts"]


def shipped_diversity() -> pd.DataFrame:
    """Return the diversity of the shipped data sets before any encoder, measured on raw data by ``python -m helpers diversity``."""
    files = sorted((project_root() / "data/diversity").glob("*.csv"))
    return pd.concat([pd.read_csv(path) for path in files], ignore_index=True)


def overlap(dataset: PairedDataset | Draft, of: str = "test", seen: str = "train") -> pd.Series:
    """Return the share of rows of split ``of`` whose group, image or exact text also occurs in split ``seen``, in [0, 1]."""
    return seen_in_train(dataset.rows, of, seen).mean().rename(f"{of} in {seen}")


def indicators(dataset: PairedDataset | Draft) -> pd.DataFrame:
    """Return 0 or 1 per row and class, with a column for each class of the task (both of a binary task)."""
    task = dataset.task
    if task.kind == "multilabel":
        return dataset.rows[task.columns].set_axis(task.classes, axis=1)
    return pd.DataFrame({c: (dataset.rows["label"] == c).astype("int8") for c in task.classes})


def class_balance(dataset: PairedDataset | Draft) -> pd.DataFrame:
    """Return the number of positives per class (rows) and split (columns), for splits that have rows."""
    present = [s for s in SPLITS if (dataset.rows["split"] == s).any()]
    return indicators(dataset).groupby(dataset.rows["split"]).sum().T[present].rename_axis("class")


def straddling_groups(dataset: PairedDataset | Draft) -> int:
    """Return the number of groups that occur in more than one split."""
    return len(straddling(dataset.rows))


def text_words(dataset: PairedDataset) -> pd.Series:
    """Return the number of words of each row's text."""
    return dataset.rows["text"].str.split().str.len().rename("words")


def text_names_label(folders: Iterable) -> pd.DataFrame:
    """Return how often a positive's own text names the class, as counted in the records of stored sets.

    Args:
        folders: folders of stored sets; those without such a count are excluded, and sets of one data set count once.

    Returns:
        one row per data set and class: ``dataset``, ``class``, ``share`` of positives.
    """
    rows = []
    for folder in folders:
        record = read_json(Path(folder) / PROVENANCE)
        counted = record.get("data_report", {}).get("input_caption_names_label", {})
        rows += [(record["dataset"], name, share) for name, share in counted.items()]
    return pd.DataFrame(rows, columns=["dataset", "class", "share"]).drop_duplicates(["dataset", "class"], ignore_index=True)


def pixel_variance(dataset: PairedDataset, rows=None, side: int = 32) -> float:
    """Return the variance over images of a pixel's value in [0, 1], averaged over pixels and channels.

    Args:
        rows: row numbers; all when None. An image that occurs in several rows counts once.
        side: images are resized to side x side first, so that position matters and resolution does not.
    """
    paths = (dataset.rows if rows is None else dataset.rows.iloc[rows])["image"].unique()
    total, squares = np.zeros((side, side, 3)), np.zeros((side, side, 3))
    for path in tqdm(paths, desc="pixel variance", unit="image"):
        pixels = np.asarray(decode(dataset.root / path).resize((side, side), Image.Resampling.BOX), dtype=np.float64) / 255
        total += pixels
        squares += pixels**2
    return float((squares / len(paths) - (total / len(paths)) ** 2).mean())


def diversity_table(dataset: PairedDataset) -> pd.DataFrame:
    """Return the diversity of a data set and, for a multi-label task, of the rows of each label.

    Returns:
        dataset, subset, n_images, pixel_variance, distinct_text_share.
    """
    subsets = {"all pairs": np.arange(len(dataset.rows))}
    if dataset.task.kind == "multilabel":
        subsets |= {c: np.flatnonzero(indicators(dataset)[c]) for c in dataset.task.classes}
    found = []
    for name, rows in subsets.items():
        images, texts = (dataset.rows[c].iloc[rows] for c in ("image", "text"))
        found.append((dataset.name, name, images.nunique(), pixel_variance(dataset, rows), texts.nunique() / len(rows)))
    return pd.DataFrame(found, columns=["dataset", "subset", "n_images", "pixel_variance", "distinct_text_share"])


def tokenizers_at_hand(names: Iterable[str]) -> tuple[list, dict[str, str]]:
    """Return the available tokenizers of named encoders, one for encoders that share it, and how to get the others.

    The search downloads no file.
    """
    found, absent = {}, {}
    for name in names:
        try:
            with offline():
                tokenizer = _tokenizer(name)
            found.setdefault((tokenizer.hash, tokenizer.context_length), tokenizer)
        except (OSError, ImportError) as error:
            absent[name] = REGISTRY[name].access if name in REGISTRY else str(error)
    return list(found.values()), absent


@cache
def _tokenizer(name: str):
    return load_tokenizer(name)


def text_lengths(dataset: PairedDataset, tokenizers: Iterable = ()) -> pd.DataFrame:
    """Return a histogram of text lengths: one row per unit (``words``, or an encoder) and length.

    Returns:
        ``dataset, variant, unit, limit`` (tokens the encoder sees, special ones included; 0 for words), ``length, pairs, texts``
        (numbers of pairs and of distinct texts of that length).
    """
    how_often = dataset.rows["text"].value_counts()
    texts = how_often.index.tolist()
    units = {"words": (0, how_often.index.str.split().str.len())}
    for t in tokenizers:
        starts = tqdm(range(0, len(texts), BATCH), desc=f"{t.name} tokens", unit="batch", leave=False, delay=2)
        units[t.name] = (t.context_length, np.concatenate([t.count(texts[i : i + BATCH]) for i in starts]))
    parts = []
    for unit, (limit, lengths) in units.items():
        counts = pd.DataFrame({"length": lengths, "pairs": how_often.to_numpy(), "texts": 1}).groupby("length").sum().reset_index()
        parts.append(counts.assign(dataset=dataset.name, variant=dataset.variant, unit=unit, limit=limit))
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def texts_cut(lengths: pd.DataFrame) -> pd.DataFrame:
    """Count the texts that each encoder cuts, from :func:`text_lengths`: one row per data set, variant and encoder.

    Returns:
        ``dataset, variant, encoder, limit, longest, pairs_cut, share_cut`` (of pairs, in [0, 1]), ``texts_cut`` (distinct ones).
    """
    tokens = lengths[lengths["unit"] != "words"]
    over = tokens[["pairs", "texts"]].where(tokens["length"] > tokens["limit"], 0).add_suffix("_cut")
    by = pd.concat([tokens, over], axis=1).groupby(["dataset", "variant", "unit", "limit"], sort=False)
    found = by[["pairs", "pairs_cut", "texts_cut"]].sum().assign(longest=by["length"].max())
    found["share_cut"] = found["pairs_cut"] / found.pop("pairs")
    return found.reset_index().rename(columns={"unit": "encoder"})
