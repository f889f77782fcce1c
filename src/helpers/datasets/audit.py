"""Audit a copy of a data set before any encoder: report whether it is usable, and what to know of its pairs, classes and splits."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ..images import NO_WINDOW, SIXTEEN_BITS, inspect_image
from ..tasks import SPLITS, common_names, few_validation_rows, text_decides
from .describe import class_balance, text_lengths, texts_cut, tokenizers_at_hand
from .registry import SHOWN, Draft, PairedDataset, read_copy
from .splits import seen_in_train, shared_groups, straddling


@dataclass(frozen=True)
class Report:
    """Findings of :func:`check`. ``problems`` make a data set unusable, ``warnings`` do not."""

    title: str
    facts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        findings = [*self.facts, *(f"warning: {w}" for w in self.warnings), *(f"problem: {p}" for p in self.problems)]
        return "\n  ".join([self.title, *findings]) + ("\nusable" if self.usable else "\nNOT usable")


def check(
    name: str, root=None, variant: str = "authors", split=None, missing_images=None, open_images: bool = True,
    tokenizers: Iterable[str] = (), **options,
) -> Report:  # fmt: skip
    """Report on the files, labels, splits and duplicates of a data set, given as to :func:`load_dataset`.

    ``open_images`` decodes each distinct image; ``tokenizers`` names encoders whose cut texts are counted, if their files are here.
    """
    try:
        dataset, faults = read_copy(name, root, variant, split, missing_images, **options)
    except (OSError, ValueError, ImportError) as error:
        dataset, faults = None, [error]
    problems = [str(fault) for fault in faults]
    if dataset is None:
        return Report(f"{name} {variant}" + (f" at {root}" if root else ""), problems=tuple(problems))
    facts = _facts(dataset, tokenizers)
    if open_images:
        unreadable, found = _images(dataset, private=dataset.card.credentialed or name == "manifest")
        facts += found
        problems += unreadable
    if dataset.variant == "clean" and len(straddling(dataset.rows)):
        problems.append("the clean variant must keep groups whole, and does not")
    problems += find_split_problems(dataset)
    synthetic = ", a synthetic miniature" if dataset.report.get("synthetic") else ""
    title = f"{dataset.name} {dataset.variant}{synthetic}, split {dataset.report['split']}, at {dataset.root}"
    return Report(title, tuple(facts), (*dataset.report.get("notes", ()), *find_warnings(dataset)), tuple(problems))


def _facts(dataset: PairedDataset, encoders: Iterable[str]) -> list[str]:
    rows = dataset.rows
    words = rows["text"].str.split().str.len()
    sizes = ", ".join(f"{(rows['split'] == split).sum()} {split}" for split in SPLITS)
    excluded = {k: v for k, v in dataset.report.items() if k.startswith(("rows_", "images_", "repeated_", "frontal_"))}
    seen = seen_in_train(rows).mean()
    tokenizers, absent = tokenizers_at_hand(encoders)
    cut = texts_cut(text_lengths(dataset, tokenizers)).itertuples()
    shares = [f"{100 * row.share_cut:.1f} % by {row.encoder} (longest {row.longest} of {row.limit} tokens)" for row in cut]
    balance = class_balance(dataset)
    counts = balance.sort_values(list(balance), ascending=False).head(SHOWN).to_string(index_names=False)
    return [
        f"{len(dataset)} pairs ({sizes}), {dataset.task.kind}",
        ", ".join(f"{rows[c].nunique()} distinct {c}s" for c in ("image", "text", "group")),
        f"words per text: median {words.median():.0f}, longest {words.max()}",
        "test rows whose group, image, exact text is also in train: " + ", ".join(f"{100 * v:.1f} %" for v in seen),
        "excluded: " + (", ".join(f"{v} {k.replace('_', ' ')}" for k, v in excluded.items() if v) or "nothing"),
        f"rows per class, at most {SHOWN} of {len(balance)}",
        *(f"  {line}" for line in counts.splitlines()),
        *([f"texts cut: {', '.join(shares)}"] if shares else []),
        *([f"texts cut, not counted because tokenizer files are missing: {', '.join(absent)}"] if absent else []),
    ]


def _images(dataset: PairedDataset, private: bool) -> tuple[list[str], list[str]]:
    """Return a sentence on the images that cannot be decoded, for each reason, and facts: copies, and what decoding changes."""
    first_row, window = dataset.rows["image"].drop_duplicates(), dataset.report.get("window")
    unreadable, changes, read = {}, Counter(), []
    for row, path in tqdm(first_row.items(), total=len(first_row), desc="images", unit="image", leave=False):
        file = inspect_image(dataset.root, path, pixels=True, window=window)
        if file.error:
            unreadable.setdefault(file.error, []).append(_place(dataset, row) + ("" if private else f" ({path})"))
        else:
            read.append(file.sha256)
        changes.update(file.notes)
    told = [f"images that cannot be decoded: {len(rows)}, {', '.join(rows[:SHOWN])}: {why}" for why, rows in unreadable.items()]
    if window and not any(SIXTEEN_BITS in text for text in (*changes, *unreadable)):
        told.append(NO_WINDOW)
    converted = ", ".join(f"{note} ({count})" for note, count in changes.items()) or "nothing"
    return told, [f"images with the same bytes as another: {len(read) - len(set(read))}", f"converted by decoding: {converted}"]


def _place(dataset: PairedDataset | Draft, row: int) -> str:
    """Return the line of a row in a table of one's own, else its number."""
    lines = getattr(dataset, "lines", ())
    return lines[row] if lines else f"row {row}"


def find_warnings(dataset: PairedDataset | Draft) -> list[str]:
    """Return warnings, one sentence each, about pairs, groups, classes and labels; they do not prevent use."""
    rows, balance, found = dataset.rows.reset_index(drop=True), class_balance(dataset), []
    again = rows.duplicated(["image", "text"])
    if again.any():
        where = f"the first is {_place(dataset, again.idxmax())}; each counts again: remove them if unintended"
        found.append(f"{again.sum()} pairs repeat the image and text of an earlier pair, {where}")
    if rows["text"].nunique() == 1:
        found.append("all texts are the same, so that they tell nothing; name another column as the text")
    if len(groups := straddling(rows)):
        splits = rows.loc[rows["group"] == groups[0], "split"].drop_duplicates()
        where = " and ".join(f"{split} ({_place(dataset, row)})" for row, split in splits.items())
        several = f"groups in more than one split: {len(groups)}, the first in {where}"
        found.append(f"{several}; {shared_groups(rows) or 'validation rows do not stand for new groups'}")
    for split in balance:
        absent = balance.index[balance[split] == 0]
        if len(absent):
            first = rows.index[rows["label"] == absent[0]][:1] if "label" in rows else ()
            names = common_names(absent, balance.sum(axis=1)) or "".join(f", first in {_place(dataset, row)}" for row in first)
            found.append(f"classes without a {split} row: {len(absent)}{names}; the mean over classes excludes them")
    if "val" in balance and (few := few_validation_rows(dataset.task, rows, [np.flatnonzero(rows["split"] == "val")])):
        found.append(few)
    if "text" in rows and (told := text_decides(dataset.task, rows)):
        found.append(told)
    if len(alike := balance.index[balance.index.str.casefold().duplicated(keep=False)]):
        names = common_names(alike, balance.sum(axis=1))
        found.append(f"{len(alike)} classes differ from another in case alone{names}; write them alike if they are one")
    if dataset.task.kind == "multilabel":
        empty = rows[dataset.task.columns].sum(axis=1) == 0
        if empty.any():
            where = f"first {_place(dataset, empty.idxmax())}; they count as negative for every class"
            found.append(f"rows without a label: {empty.sum()}, {where}")
    return found


def find_split_problems(dataset: PairedDataset | Draft) -> list[str]:
    """Return a sentence for each split without rows or with one class only."""
    balance, found = class_balance(dataset), []
    for split in ("train", "test"):
        present = balance.index[balance[split] > 0] if split in balance else None
        if present is None:
            found.append(f"there is no {split} row; give the split {split!r} to some rows")
        elif len(present) < min(2, len(balance)):
            only = f"{'one' if len(present) else 'no'} class{common_names(present, balance.sum(axis=1))}"
            found.append(f"all {split} rows are of {only}; an AUC needs two classes in each split: split or label the rows again")
    return found
