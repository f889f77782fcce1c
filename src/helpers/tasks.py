"""Describe what a probe predicts: the kind of task, its classes, and the label columns that hold it."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .arrays import choose

SPLITS = ("train", "val", "test")
SPLIT_ALIASES = {"valid": "val", "validate": "val", "validation": "val"}
OTHER_SPLITS = ("dev", "develop", "development", "training", "testing", "eval", "evaluation", "holdout", "unlabeled", "unlabelled")
KINDS = ("binary", "multiclass", "multilabel")
UNLABELLED = "unlabelled"
NO_LABELS = "this embedding set has no labels, which a probe needs; make it again with labels (import --label COLUMN)"
MOST_CLASSES = 1000
LONGEST_CLASS, MOST_WORDS = 100, 12  # characters and words of a class name; a longer one is a text
SENTENCE = re.compile(r"[\r\n]|(\S+\s+){3,}\S*[.!?](\s|$)")  # a line break, or four words and a full stop
SMALLEST_NAMED = 5  # rows of a class whose name a message may print; a rarer value may tell of one person


def split_names(values) -> np.ndarray:
    """Return the names of splits in their one spelling, (n,); a value that names no split stays as it is."""
    names = (str(v).strip().lower() for v in values)
    return np.array([SPLIT_ALIASES.get(name, name) for name in names], dtype=object)


def is_text(name: str) -> bool:
    """Tell whether a label reads as a free text, such as a report, and not as the name of a class."""
    return len(name) > LONGEST_CLASS or len(name.split()) > MOST_WORDS or SENTENCE.search(name) is not None


def class_names(labels, source) -> tuple[str, ...]:
    """Return the distinct labels in order, once they are checked to be no texts, ids or measurements; errors name ``source``."""
    labels = [str(label) for label in labels]
    classes = tuple(sorted(set(labels)))
    if len(classes) < 2:
        raise ValueError(f"{source} holds one class only; a probe needs at least two")
    if len(classes) > MOST_CLASSES or len(classes) > max(2, len(labels) / 2):
        raise ValueError(f"{source} has {len(classes)} distinct values in {len(labels)} rows; expected class names")
    return classes


@dataclass(frozen=True)
class Task:
    """A prediction task over rows of a table.

    Binary and multi-class tasks have one column, ``label``, that holds a class name; the positive class of a binary task is
    ``classes[1]``. A multi-label task has one 0/1 column per class, ``label_<class>``. The order of ``classes`` is that of outputs.
    """

    kind: str
    classes: tuple[str, ...]

    def __post_init__(self):
        choose(self.kind, KINDS, "task kind")
        object.__setattr__(self, "classes", tuple(str(c) for c in self.classes))
        if len(self.classes) > MOST_CLASSES:
            raise ValueError(f"the task has {len(self.classes)} classes, more than {MOST_CLASSES}; check the label column")
        if (distinct := len(set(self.classes))) < len(self.classes):
            raise ValueError(f"only {distinct} of {len(self.classes)} class names are distinct; class names must differ")
        texts = [i for i, c in enumerate(self.classes) if is_text(c)]
        if texts:
            raise ValueError(
                f"the name of class {texts[0]} reads as a text ({len(self.classes[texts[0]])} characters); "
                f"give class names of at most {LONGEST_CLASS} characters and {MOST_WORDS} words as labels"
            )
        least = 1 if self.kind == "multilabel" else 2
        if len(self.classes) < least or (self.kind == "binary" and len(self.classes) != 2):
            wanted = "exactly 2" if self.kind == "binary" else f"at least {least}"
            raise ValueError(f"a {self.kind} task needs {wanted} classes, got {len(self.classes)}; check kind and classes")

    @property
    def columns(self) -> list[str]:
        """Return the names of the label columns."""
        return [f"label_{c}" for c in self.classes] if self.kind in ("multilabel", UNLABELLED) else ["label"]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return the classes that have a logit: the positive class of a binary task, all classes of the other kinds."""
        return self.classes[1:] if self.kind == "binary" else self.classes

    @property
    def n_outputs(self) -> int:
        """Return the number of logits of a probe."""
        return len(self.outputs)

    def targets(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the labels of ``rows`` as 0/1 indicators, int8 (n, n_outputs); a ValueError names the first bad row."""
        missing = [c for c in self.columns if c not in rows]
        if missing:
            raise ValueError(f"label column {self.columns.index(missing[0])} of {len(self.columns)} is missing from the table")
        if self.kind == "multilabel":
            values = rows[self.columns].to_numpy()
            bad_rows, bad_columns = np.nonzero(~np.isin(values, (0, 1)))
            if len(bad_rows):
                where = f"row {rows.index[bad_rows[0]]}: label column {bad_columns[0]}"
                raise ValueError(f"{where} is not 0 or 1 ({len(bad_rows)} such values, counted from 0)")
            return values.astype(np.int8)
        codes = pd.Index(self.classes, dtype=object).get_indexer(rows["label"].astype(object))
        if len(bad := rows.index[codes < 0]):
            raise ValueError(f"row {bad[0]}: label is not one of the {len(self.classes)} classes ({len(bad)} such rows)")
        if self.kind == "binary":
            return codes[:, None].astype(np.int8)
        return (codes[:, None] == np.arange(len(self.classes))).astype(np.int8)


@dataclass(frozen=True)
class Unlabelled(Task):
    """The task of a set without labels: enough for geometry, separation and retrieval; a probe raises a ValueError."""

    kind: str = UNLABELLED
    classes: tuple[str, ...] = ()

    def __post_init__(self):
        pass

    @property
    def n_outputs(self) -> int:
        """Raise a ValueError: there is nothing to predict."""
        raise ValueError(NO_LABELS)

    def targets(self, rows: pd.DataFrame) -> np.ndarray:
        """Raise a ValueError: there is nothing to predict."""
        raise ValueError(NO_LABELS)
