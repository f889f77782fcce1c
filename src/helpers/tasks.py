"""Describe what a probe predicts: the kind of task, its classes, and the label columns that hold it."""

import ast
import difflib
import json
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .arrays import NAME, as_array, choose

SPLITS = ("train", "val", "test")
SPLIT_ALIASES = {"valid": "val", "validate": "val", "validation": "val"}
OTHER_SPLITS = ("dev", "develop", "development", "training", "testing", "eval", "evaluation", "holdout", "unlabeled", "unlabelled")
KINDS = ("binary", "multiclass", "multilabel")
UNLABELLED = "unlabelled"
NO_LABELS = "this set has no labels, which a probe needs; make it again with labels (import --label COLUMN), or use `recommend`"
MOST_CLASSES = 1000
NUMBERS = {"binary": (2, 2), "multiclass": (2, MOST_CLASSES), "multilabel": (1, MOST_CLASSES), UNLABELLED: (0, 0)}  # of classes
LONGEST_CLASS, MOST_WORDS = 100, 12  # characters and words of a class name; a longer one is a text
SENTENCE = re.compile(r"[\r\n]|(\S+\s+){3,}\S*[.!?](\s|$)")  # a line break, or four words and a full stop
FEWEST_VALIDATION = 5  # rows of a class without which one row may decide what validation rows choose
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")  # hyphens and joiners of no width, directions
BLANKS = re.compile(r"[^\S\r\n]+")  # also tabs and blanks that do not break
MISSING = ("nan", "none", "na", "n/a", "<na>", "nat", "null", "-1", "-1.0")  # in any case; only ``classes`` makes one a class
INDICATORS = {"0": 0, "0.0": 0, "False": 0, "1": 1, "1.0": 1, "True": 1}
FILL = "fill them in, or rename a value that reads as missing"
ONE_HOT = "every row has exactly one of the {} labels, which are taken as classes of one {} task; kind=multilabel keeps them apart"
MISSING_LABELS, UNCERTAIN = ("fail", "drop", "zero"), ("drop", "zero", "one")  # what may be done with a missing label, and with -1
OPEN = ("-1", "-1.0")  # a label that a report leaves open, as CheXpert and MIMIC-CXR write it
DROP = "missing_labels='drop', --missing-labels drop or --option missing_labels=drop"
LABEL = f"label or drop these rows ({DROP}), or list a class of that name in classes (--classes, or --option classes=)"
DECIDE = "say how -1 is read with uncertain= drop, zero or one (--uncertain, or --option uncertain=)"
USUAL = {  # option: names that its column often has
    "label": "label labels target class diagnosis y dx".split(),
    "split": "split splits fold partition subset".split(),
    "group": "group groups patient patients patient_id subject subject_id".split(),
}
SMALLEST_NAMED = 5  # rows of a class whose name a message may print; a rarer value may tell of one person


def as_text(value) -> str | None:
    """Return a cell as text: bytes decoded, a whole float as an integer, a list in full; None for a missing one."""
    value = value.tolist() if hasattr(value, "tolist") and not isinstance(value, np.generic) else value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if value is np.ma.masked or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return None
    return str(int(value)) if isinstance(value, float | np.floating) and value.is_integer() else str(value)


def as_list(cell) -> list | None:
    """Return a cell that holds a list, or a text of one such as ``["a", "b"]``; None for any other cell."""
    cell = cell.tolist() if isinstance(cell, np.ndarray) else cell
    if isinstance(cell, str) and (text := cell.strip()).startswith("[") and text.endswith("]"):
        for read in (json.loads, ast.literal_eval):
            with suppress(ValueError, SyntaxError, RecursionError, MemoryError), warnings.catch_warnings(action="ignore"):
                return as_list(read(text))
    return list(cell) if isinstance(cell, list | tuple) else None


def word_lists(values, what: str, first_line: int = 0, rows: Sequence[int] | None = None) -> list[list[str]] | None:
    """Return cells that are lists of words, [] for an empty cell, or None if none is such a list; refuse a column of both."""
    found = [as_list(value) for value in values]
    fits = [cell is not None and all(isinstance(word, str) for word in cell) for cell in found]
    if not any(cell and fit for cell, fit in zip(found, fits, strict=True)):
        return None
    if bad := [n for n, (value, fit) in enumerate(zip(values, fits, strict=True)) if not fit and (as_text(value) or "").strip()]:
        place = _place(bad[0], first_line, rows)
        raise ValueError(f"{what} holds lists of words, and something else in {place}; write a list of words in every row")
    return [cell or [] for cell in found]


def list_indicators(found: list[list[str]], what: str, classes=(), first_line: int = 0, rows=None) -> tuple[tuple, np.ndarray]:
    """Return the classes of a multi-label task, sorted unless given, and 0/1 indicators (n, K), from the names that rows list."""
    words = [set(cells(cell)) - {None} for cell in found]
    every = np.array(sorted(set().union(*words)), dtype=object)
    classes = tuple(classes or every[~unknown(every)])
    if bad := [n for n, names in enumerate(words) if not names <= set(classes)]:
        where = f"first at {_place(bad[0], first_line, rows)} ({len(bad)} such rows)"
        raise ValueError(f"{what} has a name that reads as missing or is not in classes, {where}; list it in classes or remove it")
    return classes, np.array([[int(name in names) for name in classes] for names in words], dtype=np.int8)


def one_hot(indicators: np.ndarray, names: Iterable) -> np.ndarray | None:
    """Return the class name of each row, (n,), if 0/1 indicators (n, K >= 2) have exactly one positive in every row."""
    single = indicators.shape[1] > 1 and (indicators.sum(axis=1) == 1).all()
    return np.array(list(names), dtype=object)[indicators.argmax(axis=1)] if single else None


def _place(number: int, first_line: int, rows: Sequence[int] | None) -> str:
    row = number if rows is None else rows[number]
    return f"line {row + first_line}" if first_line else f"row {row}"


def cells(values) -> np.ndarray:
    """Return ids, groups, splits or labels in one spelling, (n,): NFC, single blanks, nothing invisible, None if empty."""
    texts = (INVISIBLE.sub("", unicodedata.normalize("NFC", as_text(value) or "")) for value in values)
    return np.array([BLANKS.sub(" ", text).strip() or None for text in texts], dtype=object)


def unknown(texts, classes: Iterable = ()) -> np.ndarray:
    """Return which cells hold no value, (n,) bool: empty ones, and words for missing unless ``classes`` lists them."""
    words = {text for text in texts if text is not None and text.lower() in MISSING} - set(cells(classes))
    return np.array([text is None or text in words for text in texts], dtype=bool)


def known(values, what: str, remedy: str, classes: Iterable = (), first_line: int = 0, rows=None) -> np.ndarray:
    """Return :func:`cells` (n,), none missing; the error counts each spelling and names the first row, of numbers ``rows``."""
    texts = cells(values)
    if (missing := unknown(texts, classes)).any():
        written = ", ".join(f"{count} {text or 'empty'}" for text, count in Counter(texts[missing]).items())
        place = _place(int(missing.argmax()), first_line, rows)
        remedy = f"{DECIDE}, {remedy}" if remedy == LABEL and {*texts[missing]} & {*OPEN} else remedy
        raise ValueError(f"{what} has {missing.sum()} missing value(s) ({written}), first at {place}; {remedy}")
    return texts


def settled(labels, classes=(), missing_labels: str = "fail", uncertain: str | None = None, what: str = "labels") -> tuple:
    """Return labels (n,) or (n, K) without gaps, the rows to keep, and counts with notes; without a policy, rows are None.

    ``missing_labels`` may ``drop`` a row or read ``zero``, and ``uncertain``, for -1, also ``one``; None takes -1 as missing.
    """
    choose(missing_labels, MISSING_LABELS, "missing_labels")
    choose(uncertain or "drop", UNCERTAIN, "policy for uncertain labels")
    if missing_labels == "fail" and uncertain is None:
        return labels, None, {}
    if labels is None:
        raise ValueError("missing_labels and uncertain describe labels, and there are none; give labels, or leave them out")
    listed = getattr(labels, "ndim", 1) != 2 and word_lists(labels, what) is not None
    table = pd.DataFrame({0: list(labels)} if listed else as_array(labels, what), dtype=object)
    texts, single = table.apply(lambda column: pd.Series(cells(column), dtype=object)), table.shape[1] == 1
    named = {*cells(classes or ())} if single else set()
    doubtful = texts.isin({*OPEN} - named) & (uncertain is not None)
    missing = texts.apply(unknown, classes=named) & ~doubtful
    coded, numbers = (texts.isin([*INDICATORS]) | missing | doubtful).all(axis=None), {"zero": 0, "one": 1}
    kept, report, notes = np.ones(len(table), dtype=bool), dict[str, int | list[str]](), list[str]()
    for name, option, found, who in (
        ("missing_labels", missing_labels, missing, "rows_without_label"),
        ("uncertain", uncertain, doubtful, "rows_with_uncertain_label"),
    ):
        rows = found.any(axis=1).to_numpy() & kept
        told = f"{name}={option}: {rows.sum()} {who.replace('_', ' ')}"
        if option == "drop":
            kept &= ~rows
            report[who] = int(rows.sum())
            notes.append(f"{told} were excluded")
        elif option in numbers:
            if not coded:
                raise ValueError(f"{what}: {name}={option} needs labels of 0 and 1 alone, and there are others; use {name}=drop")
            texts = texts.map(lambda cell: INDICATORS.get(cell, cell)).mask(found, numbers[option])
            notes.append(f"{told}: {found[kept].sum(axis=None)} labels were read as {numbers[option]}")
    found = (table if listed else texts).to_numpy()[kept, 0 if single else slice(None)]
    if single and not listed and not named and all(str(label).endswith(".0") for label in found):
        found = np.array([label.removesuffix(".0") for label in found], dtype=object)  # pandas writes numbers so beside a gap
    return found, np.flatnonzero(kept), report | {"notes": notes}


def not_used(columns: Iterable, free: Iterable[str]) -> str:
    """Return a clause that names columns without a use; a near one is proposed for each option in ``free``, which has no column."""
    names = [str(column) for column in columns]
    told = [name for name in names if NAME.fullmatch(name)]
    near = {name: [o for o in free if difflib.get_close_matches(name.lower(), USUAL[o], n=1, cutoff=0.8)] for name in told}
    shown = [f"{name} (perhaps the {' or '.join(options)})" for name, options in near.items() if options]
    shown = (shown + [name for name, options in near.items() if not options])[:12]
    if len(names) > len(shown):
        shown.append(f"{len(names) - len(shown)} not named here")
    return f"not used: {', '.join(shown)}"


def common_names(classes, totals: pd.Series) -> str:
    """Return the first names, for the end of a clause, of those classes that are too common to tell of one person."""
    common = [str(name) for name in classes if totals[name] >= SMALLEST_NAMED]
    return f": {', '.join(common[:5])}{' ...' if len(common) > 5 else ''}" if common else ""


def split_names(values) -> np.ndarray:
    """Return the names of splits in their one spelling, (n,); a value that names no split stays as it is."""
    names = (name and name.lower() for name in cells(values))
    return np.array([SPLIT_ALIASES.get(name, name) for name in names], dtype=object)


def is_text(name: str) -> bool:
    """Tell whether a label reads as a free text, such as a report, and not as the name of a class."""
    return len(name) > LONGEST_CLASS or len(name.split()) > MOST_WORDS or SENTENCE.search(name) is not None


def class_names(labels, source) -> tuple[str, ...]:
    """Return the distinct labels in order, checked to be no texts, ids or measurements; errors name ``source``."""
    classes = tuple(sorted(set(labels)))
    if classes and all(name.startswith("[") and name.endswith("]") for name in classes):
        raise ValueError(f'{source} holds lists that are not of words; write each as ["a", "b"], or a column of 0 and 1 per class')
    if len(classes) < 2:
        raise ValueError(f"{source} holds one class only; a probe needs at least two")
    if len(classes) > MOST_CLASSES or len(classes) > max(2, len(labels) / 2):
        raise ValueError(f"{source} has {len(classes)} distinct values in {len(labels)} rows; expected class names")
    return classes


@dataclass(frozen=True)
class Task:
    """A prediction task over rows of a table.

    Binary and multi-class tasks have a column ``label`` of class names; the positive class of a binary task is ``classes[1]``. A
    multi-label task has one 0/1 column per class, ``label_<class>``. The order of ``classes`` is that of outputs. The kind
    ``unlabelled`` has no classes: it is enough for geometry, separation and retrieval, and a probe raises a ValueError.
    """

    kind: str
    classes: tuple[str, ...] = ()

    def __post_init__(self):
        least, most = NUMBERS[choose(self.kind, NUMBERS, "task kind")]
        object.__setattr__(self, "classes", tuple(str(c) for c in self.classes))
        if not least <= (found := len(self.classes)) <= most:
            raise ValueError(f"a {self.kind} task has {least} to {most} classes, got {found}; check kind and classes")
        if other := [i for i, name in enumerate(cells(self.classes)) if name != self.classes[i]]:
            raise ValueError(f"the name of class {other[0]} is empty, or not NFC with single blanks and nothing invisible; rename")
        if (distinct := len({unicodedata.normalize("NFKC", name) for name in self.classes})) < found:
            raise ValueError(f"only {distinct} of {found} class names are distinct to a reader; class names must differ")
        if texts := [i for i, c in enumerate(self.classes) if is_text(c)]:
            limits = f"at most {LONGEST_CLASS} characters and {MOST_WORDS} words"
            raise ValueError(f"the name of class {texts[0]} reads as a text; give class names of {limits} as labels")

    @property
    def columns(self) -> list[str]:
        """Return the names of the label columns."""
        return [f"label_{c}" for c in self.classes] if self.kind in ("multilabel", UNLABELLED) else ["label"]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return the classes that have a logit: the positive class of a binary task, all classes of the other kinds."""
        if self.kind == UNLABELLED:
            raise ValueError(NO_LABELS)
        return self.classes[1:] if self.kind == "binary" else self.classes

    @property
    def n_outputs(self) -> int:
        """Return the number of logits of a probe."""
        return len(self.outputs)

    def targets(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the labels of ``rows`` as 0/1 indicators, int8 (n, n_outputs); a ValueError names the first bad row."""
        outputs = self.n_outputs
        if missing := [c for c in self.columns if c not in rows]:
            raise ValueError(f"label column {self.columns.index(missing[0])} of {len(self.columns)} is missing from the table")
        if self.kind == "multilabel":
            values = rows[self.columns].to_numpy()
            if len(bad := np.argwhere(~np.isin(values, (0, 1)))):
                where = f"row {rows.index[bad[0, 0]]}: label column {bad[0, 1]}"
                raise ValueError(f"{where} is not 0 or 1 ({len(bad)} such values, counted from 0)")
            return values.astype(np.int8)
        codes = pd.Index(self.classes, dtype=object).get_indexer(rows["label"].astype(object))
        if len(bad := rows.index[codes < 0]):
            raise ValueError(f"row {bad[0]}: label is not one of the {len(self.classes)} classes ({len(bad)} such rows)")
        return (codes[:, None] == np.arange(len(self.classes))[-outputs:]).astype(np.int8)


def few_validation_rows(task: Task, pairs: pd.DataFrame, parts: Iterable[np.ndarray]) -> str | None:
    """Return a sentence on the classes with few rows in one of the validation ``parts`` (row numbers of ``pairs``), or None."""
    positive = pairs[task.columns].to_numpy() == (1 if task.kind == "multilabel" else np.array(task.classes, dtype=object))
    counts, totals = np.min([positive[part].sum(axis=0) for part in parts], axis=0), pd.Series(positive.sum(axis=0), task.classes)
    few = totals.index[counts < FEWEST_VALIDATION]
    if few.empty:
        return None
    who = f"{len(few)} of {len(totals)} classes have fewer than {FEWEST_VALIDATION} validation rows{common_names(few, totals)}"
    return f"{who}; one such row may decide the regularisation strength and lambda: give more validation rows, or merge classes"


def text_decides(task: Task, pairs: pd.DataFrame) -> str | None:
    """Return a sentence if equal texts always have equal labels and most rows repeat a text, else None."""
    by_text = pairs.groupby("text")[task.columns]
    if (by_text.transform("size") > 1).mean() <= 0.5 or (by_text.nunique() > 1).any(axis=None):
        return None
    labels = pairs[["text", *task.columns]].drop_duplicates().value_counts(task.columns)
    each = f"{by_text.ngroups} distinct texts, {labels.min():,} to {labels.max():,} for each of {len(labels)} labels"
    return f"the text alone determines the label ({each}): leave the label out of the text, or probe the image alone"


def task_of(labels, kind: str | None, classes, what: str = "labels", first_line: int = 0, rows=None) -> tuple[Task, dict]:
    """Return the task that the labels define, and the label columns; an error names ``what``, and rows as :func:`known` does."""
    classes = None if classes is None else tuple(cells(classes))
    if labels is None:
        if kind or classes:
            raise ValueError("kind and classes describe labels, and there are none; give labels, or leave them out")
        return Task(UNLABELLED), {}
    listed = None if getattr(labels, "ndim", 1) == 2 else word_lists(labels, what, first_line, rows)
    if listed and set().union(*listed) - set(INDICATORS):
        known(labels, what, LABEL, (), first_line, rows)
        classes, labels = list_indicators(listed, what, classes or (), first_line, rows)
        kind = kind or "multilabel"
    labels = as_array(labels, "labels")
    if labels.ndim == 2:
        if labels.dtype.kind not in "biuf":  # 0 and 1 as text or truth values become integers
            labels = np.array([[INDICATORS.get(cell, cell) for cell in cells(row)] for row in labels], dtype=object)
            labels = labels.astype(np.int64) if np.isin(labels, (0, 1)).all() else labels
        coded = np.isin(labels, (0, 1)).all()
        classes = classes or tuple(map(str, range(labels.shape[1])))
        for name, column in zip(classes, labels.T if not coded and labels.shape[1] > 1 else (), strict=False):
            known(column, f"{what} ({name})", LABEL, (), first_line, rows)
            if len(bad := np.flatnonzero(~np.isin(column, (0, 1)))):
                raise ValueError(f"{what} ({name}) is not 0 or 1, first at {_place(bad[0], first_line, rows)} ({len(bad)} such)")
        if not coded and labels.shape[1] == 1:
            raise ValueError(f"labels have shape {labels.shape}; give class names as (n,), with labels.ravel()")
        fits = coded and kind != "multilabel" and len(classes) == labels.shape[1]
        if fits and (one := one_hot(labels, classes)) is not None:
            task = Task(kind or ("binary" if len(classes) == 2 else "multiclass"), classes)
            warnings.warn(ONE_HOT.format(len(classes), task.kind), stacklevel=4)
            return task, {"label": one}
        task = Task(kind or "multilabel", classes)
        if len(task.columns) != labels.shape[1]:
            wanted = f"a {task.kind} task of {len(task.classes)} classes needs {len(task.columns)}, or one positive in every row"
            raise ValueError(f"labels have {labels.shape[1]} columns and {wanted}")
        return task, dict(zip(task.columns, labels.T, strict=True))
    names = known(labels, what, LABEL, classes or (), first_line, rows)
    classes = classes or class_names(names, "the array of labels" if what == "labels" else what)
    return Task(kind or ("binary" if len(classes) == 2 else "multiclass"), classes), {"label": names}
