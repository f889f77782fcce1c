"""What a probe is asked to predict: the kind of task, its classes, and the label columns that hold it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .checks import choose

SPLITS = ("train", "val", "test")
SPLIT_ALIASES = {"valid": "val", "validate": "val", "validation": "val"}
OTHER_SPLITS = ("dev", "develop", "development", "training", "testing", "eval", "evaluation", "holdout", "unlabeled", "unlabelled")


def split_names(values) -> np.ndarray:
    """Names of splits in their one spelling, (n,); what is no name of a split stays."""
    names = (str(v).strip().lower() for v in values)
    return np.array([SPLIT_ALIASES.get(name, name) for name in names], dtype=object)


KINDS = ("binary", "multiclass", "multilabel")
UNLABELLED = "unlabelled"


@dataclass(frozen=True)
class Task:
    """A prediction task over rows of a table.

    Binary and multi-class tasks have one column, ``label``, that holds a class name; the positive class of a binary task is
    ``classes[1]``. A multi-label task has one 0/1 column per class, ``label_<class>``.

    Args:
        kind: ``binary``, ``multiclass`` or ``multilabel``.
        classes: class names; their order is the order of every output.

    Raises:
        ValueError: for an unknown kind, repeated classes, or a number of classes that does not fit the kind.
    """

    kind: str
    classes: tuple[str, ...]

    def __post_init__(self):
        choose(self.kind, KINDS, "task kind")
        object.__setattr__(self, "classes", tuple(str(c) for c in self.classes))
        repeated = sorted({c for c in self.classes if self.classes.count(c) > 1})
        if repeated:
            raise ValueError(f"class {repeated[0]!r} is listed twice; class names must differ")
        least = {"binary": 2, "multiclass": 2, "multilabel": 1}[self.kind]
        if len(self.classes) < least or (self.kind == "binary" and len(self.classes) != 2):
            wanted = "exactly 2" if self.kind == "binary" else f"at least {least}"
            raise ValueError(f"a {self.kind} task needs {wanted} classes, got {len(self.classes)}")

    @property
    def columns(self) -> list[str]:
        """Names of the label columns."""
        return [f"label_{c}" for c in self.classes] if self.kind == "multilabel" else ["label"]

    @property
    def n_outputs(self) -> int:
        """Number of logits a probe of this task has: one for binary, one per class otherwise."""
        return 1 if self.kind == "binary" else len(self.classes)

    def targets(self, rows: pd.DataFrame) -> np.ndarray:
        """Labels of ``rows`` as 0/1 indicators, int8 (n, n_outputs).

        Raises:
            ValueError: for a missing column, a missing value or a value outside the classes; names the first row.
        """
        missing = [c for c in self.columns if c not in rows]
        if missing:
            raise ValueError(f"label column {missing[0]!r} is missing; the table has {list(rows.columns)}")
        if self.kind == "multilabel":
            values = rows[self.columns].to_numpy()
            bad = np.argwhere(~np.isin(values, (0, 1)))
            if len(bad):
                row, column = bad[0]
                raise ValueError(
                    f"row {rows.index[row]}: {self.columns[column]} is not 0 or 1 ({len(bad)} such values, rows count from 0)"
                )
            return values.astype(np.int8)
        codes = pd.Index(self.classes, dtype=object).get_indexer(rows["label"].astype(object))
        bad = np.flatnonzero(codes < 0)
        if len(bad):
            which = f"one of the {len(self.classes)} classes"
            raise ValueError(f"row {rows.index[bad[0]]}: label is not {which} ({len(bad)} such rows, counted from 0)")
        if self.kind == "binary":
            return codes[:, None].astype(np.int8)
        return (codes[:, None] == np.arange(len(self.classes))).astype(np.int8)


@dataclass(frozen=True)
class Unlabelled(Task):
    """The task of a set without labels: geometry, separation and retrieval need none, and what does says so."""

    kind: str = UNLABELLED
    classes: tuple[str, ...] = ()

    def __post_init__(self):
        pass

    @property
    def columns(self) -> list[str]:
        """No label columns."""
        return []

    @property
    def n_outputs(self) -> int:
        """Raise a ValueError: there is nothing to predict."""
        raise ValueError("this embedding set has no labels, which a probe needs; make it again with labels (import --label COLUMN)")

    def targets(self, rows: pd.DataFrame) -> np.ndarray:
        """Raise a ValueError: there is nothing to predict."""
        return np.zeros((len(rows), self.n_outputs), dtype=np.int8)
