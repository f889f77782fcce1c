"""Audit a data set before any encoder: report whether a copy is usable, overlap, class balance, diversity, lengths of texts."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from ..backbones import REGISTRY, load_tokenizer
from ..backbones.tokenizer import offline
from ..files import read_json
from ..images import decode, inspect_image
from ..store.disk import PROVENANCE
from ..tasks import SMALLEST_NAMED, SPLITS
from .registry import DATASETS, Draft, PairedDataset, load_dataset
from .splits import KEEPS_GROUPS, seen_in_train, straddling

BATCH = 1024
SIDE = 32  # pixels to which images are resized, so that position matters and resolution does not
SHOWN = 12  # most classes, and most examples of a fault, that the report prints
LENGTHS = ["dataset", "variant", "unit", "limit", "length", "pairs", "texts"]


def overlap(dataset: PairedDataset) -> pd.Series:
    """Return the share of test rows whose group, image or exact text also occurs in train, in [0, 1]."""
    return seen_in_train(dataset.rows).mean()


def _indicators(dataset: PairedDataset | Draft) -> pd.DataFrame:
    """Return 0 or 1 per row and class, with a column for each class of the task (both of a binary task)."""
    task = dataset.task
    if task.kind == "multilabel":
        return dataset.rows[task.columns].set_axis(task.classes, axis=1)
    return pd.DataFrame({c: (dataset.rows["label"] == c).astype("int8") for c in task.classes})


def class_balance(dataset: PairedDataset | Draft) -> pd.DataFrame:
    """Return the number of positives per class (rows) and split (columns), for splits that have rows."""
    present = [s for s in SPLITS if (dataset.rows["split"] == s).any()]
    return _indicators(dataset).groupby(dataset.rows["split"]).sum().T[present].rename_axis("class")


def straddling_groups(dataset: PairedDataset) -> int:
    """Return the number of groups that occur in more than one split."""
    return len(straddling(dataset.rows))


def text_names_label(folders: Iterable) -> pd.DataFrame:
    """Return how often a positive's own text names the class, as counted in stored sets: ``dataset, class, share``."""
    rows = []
    for folder in folders:
        record = read_json(Path(folder) / PROVENANCE)
        counted = record.get("data_report", {}).get("input_caption_names_label", {})
        rows += [(record["dataset"], name, share) for name, share in counted.items()]
    return pd.DataFrame(rows, columns=["dataset", "class", "share"]).drop_duplicates(["dataset", "class"], ignore_index=True)


def diversity_table(dataset: PairedDataset) -> pd.DataFrame:
    """Return the diversity of a data set and, for a multi-label task, of the rows of each label.

    The pixel variance is that of a value in [0, 1] over distinct images, averaged over pixels and channels.
    """
    subsets = {"all pairs": np.ones(len(dataset), dtype=bool)}
    if dataset.task.kind == "multilabel":
        subsets |= {name: column == 1 for name, column in _indicators(dataset).items()}
    found = []
    for name, chosen in subsets.items():
        rows = dataset.rows[chosen]
        images = rows["image"].unique()
        variance = _pixel_variance([dataset.root / image for image in images])
        found.append((dataset.name, name, len(images), variance, rows["text"].nunique() / len(rows)))
    return pd.DataFrame(found, columns=["dataset", "subset", "n_images", "pixel_variance", "distinct_text_share"])


def _pixel_variance(paths: list[Path]) -> float:
    total, squares = np.zeros((SIDE, SIDE, 3)), np.zeros((SIDE, SIDE, 3))
    for path in tqdm(paths, desc="pixel variance", unit="image"):
        pixels = np.asarray(decode(path).resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64) / 255
        total += pixels
        squares += pixels**2
    return float((squares / len(paths) - (total / len(paths)) ** 2).mean())


def tokenizers_at_hand(names: Iterable[str]) -> tuple[list, dict[str, str]]:
    """Return the tokenizers of named encoders that are here, each once, and how to get the others; download nothing."""
    found, absent = {}, {}
    for name in names:
        try:
            with offline():
                tokenizer = _tokenizer(name)
            found.setdefault((tokenizer.hash, tokenizer.context_length), tokenizer)
        except (OSError, ImportError) as error:
            absent[name] = REGISTRY[name].access if name in REGISTRY else str(error)
    return list(found.values()), absent


_tokenizer = cache(load_tokenizer)


def text_lengths(dataset: PairedDataset, tokenizers: Iterable = ()) -> pd.DataFrame:
    """Return a histogram of text lengths: ``dataset, variant, unit, limit, length, pairs, texts``.

    ``unit`` is ``words`` or an encoder, ``limit`` the tokens it sees, special ones included (0 for words); ``pairs`` and ``texts``
    are the numbers of pairs and of distinct texts of that length.
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
    return pd.concat(parts, ignore_index=True)[LENGTHS]


def texts_cut(lengths: pd.DataFrame) -> pd.DataFrame:
    """Count the texts that each encoder cuts, from :func:`text_lengths`.

    Returns:
        ``dataset, variant, encoder, limit, longest, pairs_cut, share_cut`` (of pairs, in [0, 1]), ``texts_cut`` (distinct ones).
    """
    tokens = lengths[lengths["unit"] != "words"]
    over = tokens[["pairs", "texts"]].where(tokens["length"] > tokens["limit"], 0).add_suffix("_cut")
    by = pd.concat([tokens, over], axis=1).groupby(["dataset", "variant", "unit", "limit"], sort=False)
    found = by[["pairs", "pairs_cut", "texts_cut"]].sum().assign(longest=by["length"].max())
    found["share_cut"] = found["pairs_cut"] / found.pop("pairs")
    return found.reset_index().rename(columns={"unit": "encoder"})


@dataclass(frozen=True)
class Report:
    """Findings of :func:`check`. ``problems`` make a data set unusable, ``warnings`` do not."""

    title: str
    facts: tuple[str, ...] = ()
    balance: pd.DataFrame | None = None
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        lines = [self.title, *(f"  {fact}" for fact in self.facts)]
        if self.balance is not None:
            table = self.balance.sort_values(list(self.balance), ascending=False)
            shown = table if len(table) <= SHOWN else pd.concat([table.head(SHOWN - 3), table.tail(3)])
            which = "" if len(table) <= SHOWN else f" ({SHOWN - 3} commonest and 3 rarest of {len(table)} classes)"
            lines += [f"  rows per class{which}", *(f"    {line}" for line in shown.to_string(index_names=False).splitlines())]
        lines += [f"  warning: {w}" for w in self.warnings] + [f"  problem: {p}" for p in self.problems]
        if any(re.search(r"\brow \d", sentence) for sentence in (*self.warnings, *self.problems)):
            lines.append("  rows count from 0 as loaded, lines from 1 as in the file")
        return "\n".join([*lines, "usable" if self.usable else "NOT usable"])


def check(
    name: str, root=None, variant: str = "authors", split=None, missing_images=None, open_images: bool = True,
    tokenizers: Iterable[str] = (), **options,
) -> Report:  # fmt: skip
    """Return a report on a copy of a data set: files, labels, splits, duplicates, and texts that an encoder cuts.

    Args:
        name, root, variant, split, options: as for :func:`load_dataset`.
        missing_images: as for :func:`load_dataset`; the report counts them, and they are a problem unless it is ``drop``.
        open_images: decode every distinct image.
        tokenizers: names of encoders; the report counts the texts they cut if their tokenizer files are on this machine.
    """
    try:
        dataset = load_dataset(name, root, variant, split, "drop", **options)
    except (OSError, ValueError, ImportError) as error:
        return Report(f"{name} {variant}" + (f" at {root}" if root else ""), problems=(str(error),))
    facts, problems = [*_facts(dataset), *_texts_cut(dataset, tokenizers)], []
    if (missing_images or DATASETS[name].card.missing_images) == "error" and dataset.report["rows_without_image"]:
        try:
            load_dataset(name, root, variant, split, "error", **options)
        except FileNotFoundError as error:
            problems.append(str(error))
    if open_images:
        unreadable, duplicates = _images(dataset, private=dataset.card.credentialed or name == "manifest")
        facts.append(f"images with the same bytes as another: {duplicates}")
        problems += unreadable
    if dataset.report["split"] in KEEPS_GROUPS and dataset.variant == "clean" and straddling_groups(dataset):
        problems.append("the clean variant must keep groups whole, and does not")
    problems += find_split_problems(dataset)
    synthetic = ", a synthetic miniature" if dataset.report.get("synthetic") else ""
    title = f"{dataset.name} {dataset.variant}{synthetic}, split {dataset.report['split']}, at {dataset.root}"
    return Report(title, tuple(facts), class_balance(dataset), tuple(find_warnings(dataset)), tuple(problems))


def _facts(dataset: PairedDataset) -> tuple[str, ...]:
    rows = dataset.rows
    words = rows["text"].str.split().str.len()
    sizes = ", ".join(f"{(rows['split'] == split).sum()} {split}" for split in SPLITS)
    excluded = {k: v for k, v in dataset.report.items() if k.startswith(("rows_", "images_", "repeated_", "frontal_"))}
    return (
        f"{len(dataset)} pairs ({sizes}), {dataset.task.kind}",
        ", ".join(f"{rows[c].nunique()} distinct {c}s" for c in ("image", "text", "group")),
        f"words per text: median {words.median():.0f}, longest {words.max()}",
        f"test rows whose group, image, exact text is also in train: {', '.join(f'{v:.1%}' for v in overlap(dataset))}",
        "excluded: " + (", ".join(f"{v} {k.replace('_', ' ')}" for k, v in excluded.items() if v) or "nothing"),
    )


def _texts_cut(dataset: PairedDataset, names: Iterable[str]) -> list[str]:
    found, absent = tokenizers_at_hand(names)
    cut = texts_cut(text_lengths(dataset, found))
    shares = [f"{row.share_cut:.1%} by {row.encoder} (longest {row.longest} of {row.limit} tokens)" for row in cut.itertuples()]
    lines = [f"texts cut: {', '.join(shares)}"] if shares else []
    return lines + ([f"texts cut, not counted because tokenizer files are missing: {', '.join(absent)}"] if absent else [])


def _images(dataset: PairedDataset, private: bool) -> tuple[list[str], int]:
    """Return a sentence on the images that cannot be decoded, and the number of images with the bytes of an earlier one."""
    first_row = dataset.rows["image"].drop_duplicates()
    unreadable, seen = [], set()
    for row, path in tqdm(first_row.items(), total=len(first_row), desc="images", unit="image", leave=False):
        file = inspect_image(dataset.root, path, pixels=True)
        if file.error:
            unreadable.append(f"row {row}" + ("" if private else f" ({path}: {file.error})"))
        else:
            seen.add(file.sha256)
    sentence = f"{len(unreadable)} images cannot be decoded: {', '.join(unreadable[:SHOWN])}; get them again"
    return [sentence] * bool(unreadable), len(first_row) - len(unreadable) - len(seen)


def find_warnings(dataset: PairedDataset | Draft) -> list[str]:
    """Return warnings, one sentence each, about pairs, groups, classes and labels; they do not prevent use."""
    rows, balance, found = dataset.rows, class_balance(dataset), []
    again = rows.duplicated(["image", "text"]).to_numpy()
    if again.any():
        row = again.argmax()
        same = (rows["image"] == rows["image"].iloc[row]) & (rows["text"] == rows["text"].iloc[row])
        count = "1 pair repeats" if again.sum() == 1 else f"{again.sum()} pairs repeat"
        where = f"the first is row {row}, as row {same.to_numpy().argmax()}"
        found.append(f"{count} the image and text of an earlier pair, {where}; each counts again: remove them if unintended")
    groups = straddling(rows)
    if len(groups):
        splits = rows.loc[(rows["group"] == groups[0]).to_numpy(), "split"].drop_duplicates()
        where = " and ".join(f"{split} (row {row})" for row, split in splits.items())
        scores = "test scores are too high for unseen groups"
        found.append(f"{len(groups)} groups are in more than one split, the first in {where}; {scores}")
    for split in balance:
        absent = balance.index[balance[split] == 0]
        if len(absent):
            names = _common_names(absent, balance)
            found.append(f"{len(absent)} classes have no {split} row{names}; they drop out of the mean over classes")
    rare = balance.index[(balance.sum(axis=1) == 1)]
    if len(rare):
        row = _indicators(dataset)[rare[0]].to_numpy().argmax()
        found.append(f"{len(rare)} classes have one example only; the first is row {row}")
    if dataset.task.kind == "multilabel":
        empty = (rows[dataset.task.columns].sum(axis=1) == 0).to_numpy()
        if empty.any():
            found.append(f"{empty.sum()} rows have no label, first row {empty.argmax()}; they count as negative for every class")
    return found


def find_split_problems(dataset: PairedDataset | Draft) -> list[str]:
    """Return a sentence for each split without rows or with one class only."""
    balance, found = class_balance(dataset), []
    for split in ("train", "test"):
        if split not in balance:
            found.append(f"there is no {split} row; give the split {split!r} to some rows")
            continue
        present = balance.index[balance[split] > 0]
        if len(present) < min(2, len(balance)):
            only = f"{'one' if len(present) else 'no'} class{_common_names(present, balance)}"
            found.append(f"all {split} rows are of {only}; an AUC needs two classes in each split: split or label the rows again")
    return found


def _common_names(classes, balance: pd.DataFrame) -> str:
    """Return the first names, for the end of a clause, of those classes that are too common to tell of one person."""
    common = [str(name) for name in classes if balance.loc[name].sum() >= SMALLEST_NAMED]
    return f": {', '.join(common[:5])}{' ...' if len(common) > 5 else ''}" if common else ""
