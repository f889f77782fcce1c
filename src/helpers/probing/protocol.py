"""Define how a probe is trained and what a sweep runs over, with all defaults.

A protocol follows the paper's text, the code behind its Fig. 3, or trains to convergence, for conclusions. ``paper-matched`` and
``authors-code-matched`` give every data set the updates that the authors' probe has on BRSET.
"""

from dataclasses import asdict, dataclass, fields, replace
from math import ceil

import numpy as np

from ..alignment.shift import STORED_AS, SWEPT, checked_lambda
from ..arrays import choose

# Four values per decade: a coarser grid moves the AUC more than lambda does.
STRENGTHS = tuple(float(s) for s in np.logspace(0, -7, 29))
BRSET_UPDATES = 2300  # 100 epochs of the authors' 11,710 fit rows of BRSET in batches of 512
VALIDATION_SHARE = 0.1  # of the training groups, where the data have no validation split
LAMBDAS = tuple(round(0.1 * i, 10) for i in range(11))
SEEDS = (42, 43, 44, 45, 46)
FEATURES = ("joint", "image", "text")
PARTS = ("lambda", "alignments")
WEIGHTINGS = ("paper", "authors-code", "authors-code-normalised", "balanced", "text", "none")
CHOICES = {"gap_rows": ("train", "all"), "optimizer": ("sgd", "adamw", "minimiser")}
CHOICES |= {"weighting": WEIGHTINGS, "multiclass_auc": ("score", "hard")}


@dataclass(frozen=True)
class Protocol:
    """Every choice that turns embeddings into a probe."""

    name: str = "custom"
    gap_rows: str = "train"  #: ``train`` (the fit rows of the probe) or ``all`` (also test rows) estimate the gap
    optimizer: str = "sgd"  #: ``sgd`` (momentum 0.9), ``adamw`` or ``minimiser`` (exact solution of the regularised problem)
    lr: float = 3e-4
    weight_decay: float = 0.0
    batch_size: int = 512
    max_epochs: int = 100
    patience: int = 10  #: epochs without a lower validation loss after which a descent stops
    updates: int | None = None  #: steps of a descent, which replace ``max_epochs``; patience keeps its share
    weighting: str = "paper"  #: one of ``WEIGHTINGS``, see :mod:`helpers.probing.objective`
    multiclass_auc: str = "score"  #: ``score`` (softmax probabilities) or ``hard`` (one-hot arg-max predictions)
    strengths: tuple[float, ...] = STRENGTHS  #: L2 strengths alpha; lowest validation loss, interpolated between them, chooses
    tolerance: float = 1e-8  #: certified distance of the minimiser from the minimum, see :mod:`helpers.probing.strength`

    def __post_init__(self):
        for field, value in asdict(self).items():
            if field in CHOICES:
                choose(value, CHOICES[field], field)
            if field in ("lr", "tolerance") and not 0 < value < np.inf:
                raise ValueError(f"Protocol.{field} must be positive and finite, got {value}")
            if field in ("batch_size", "max_epochs", "patience", "updates") and value is not None and (value < 1 or value % 1):
                raise ValueError(f"Protocol.{field} must be a whole number of at least 1, got {value}")
        if not 0 <= self.weight_decay < np.inf:
            raise ValueError(f"Protocol.weight_decay must not be negative, got {self.weight_decay}")
        strengths = tuple(sorted((float(s) for s in self.strengths), reverse=True))
        if not strengths or strengths[-1] <= 0:
            raise ValueError(f"Protocol.strengths must be one or more positive numbers, got {self.strengths}")
        object.__setattr__(self, "strengths", strengths)

    def for_rows(self, n_fit: int) -> "Protocol":
        """Return the protocol with its updates counted in epochs of ``n_fit`` rows; itself if it has none."""
        if self.updates is None:
            return self
        epochs = ceil(self.updates / ceil(n_fit / self.batch_size))
        return replace(self, max_epochs=epochs, patience=ceil(self.patience * epochs / self.max_epochs), updates=None)

    def replace(self, **changes) -> "Protocol":
        """Return a copy with some fields changed, and a name that says so unless one is given."""
        for field in changes:
            choose(field, asdict(self), "field of Protocol")
        changed = ", ".join(f"{k}={v}" for k, v in changes.items() if k != "name")
        return replace(self, **{"name": f"{self.name} ({changed})", **changes})


PROTOCOLS = {
    "paper": Protocol("paper"),
    "authors-code": Protocol(
        "authors-code", gap_rows="all", optimizer="adamw", weight_decay=0.01, weighting="authors-code", multiclass_auc="hard"
    ),
    "converged": Protocol("converged", optimizer="minimiser", weighting="text"),
    "converged-balanced": Protocol("converged-balanced", optimizer="minimiser", weighting="balanced"),
}
PROTOCOLS |= {
    f"{name}-matched": PROTOCOLS[name].replace(name=f"{name}-matched", updates=BRSET_UPDATES) for name in ("paper", "authors-code")
}


def resolve_protocol(protocol: str | Protocol) -> Protocol:
    """Return a :class:`Protocol`, given itself or one of the names in ``PROTOCOLS``."""
    return protocol if isinstance(protocol, Protocol) else PROTOCOLS[choose(protocol, PROTOCOLS, "protocol")]


@dataclass(frozen=True)
class Split:
    """Numbers of the fit, validation and test rows of one seed."""

    fit: np.ndarray
    val: np.ndarray
    test: np.ndarray
    given: bool  # the validation rows come with the data and are the same for every seed


def split_rows(embeddings, seed: int) -> Split:
    """Return the rows of one seed: the data's own validation split, or a tenth of the training groups chosen by the seed."""
    train, val, test = (embeddings.rows(s) for s in ("train", "val", "test"))
    for name, rows in (("train", train), ("test", test)):
        if not len(rows):
            how = "give it a split: `import` draws one, and so do by_group and resplit of helpers.datasets.splits"
            raise ValueError(f"{embeddings.dataset} has no {name} rows, and needs train and test rows; {how}")
    if len(val):
        return Split(train, val, test, given=True)
    groups, codes = np.unique(embeddings.pairs["group"].to_numpy()[train].astype(str), return_inverse=True)
    if len(groups) < 2:
        raise ValueError("the training rows form a single group, from which no validation rows can be split off; give a val split")
    drawn = np.random.default_rng(seed).permutation(len(groups))[: max(1, round(VALIDATION_SHARE * len(groups)))]
    held_out = np.isin(codes, drawn)
    return Split(train[~held_out], train[held_out], test, given=False)


KNOWN = {"protocol": tuple(PROTOCOLS), "features": FEATURES, "alignments": (*SWEPT, *STORED_AS)}


@dataclass(frozen=True)
class Grid:
    """Settings of a sweep, which notebooks, command line, workflow and configurations share."""

    protocol: tuple[str, ...] = ("paper", "authors-code", "converged")
    lambdas: tuple[float, ...] = LAMBDAS  # strengths of Eq. 5, each for all features and all seeds
    seeds: tuple[int, ...] = SEEDS
    features: tuple[str, ...] = FEATURES
    alignments: tuple[str, ...] = SWEPT[1:]  # others, each swept over ``alignment_lambdas`` on joint features; may be empty
    alignment_lambdas: tuple[float, ...] = (0.0, 1.0)

    def __post_init__(self):
        for name, values in vars(self).copy().items():
            if values is None or isinstance(values, dict):
                raise ValueError(f"setting {name!r} must be a list, got {values!r}")
            values = (values,) if isinstance(values, str | int | float) else tuple(values)
            if not values and not name.startswith("alignment"):
                raise ValueError(f"setting {name!r} is empty; give at least one value")
            for value in values:
                if name in KNOWN:
                    choose(value, KNOWN[name], f"value of {name}")
                elif name == "seeds" and not (type(value) is int and 0 <= value < 2**32):
                    raise ValueError(f"setting 'seeds': {value!r:.40} is not a whole number between 0 and 2^32 - 1")
                elif isinstance(value, bool) or not isinstance(value, int | float):
                    raise ValueError(f"setting {name!r}: {value!r} is not a finite number")
                elif name.endswith("lambdas"):
                    checked_lambda(value, f"setting {name!r}")
            object.__setattr__(self, name, tuple(map(float, values)) if name.endswith("lambdas") else values)

    @classmethod
    def of(cls, settings: dict) -> "Grid":
        """Return the grid with these settings and the defaults for the others; refuse an unknown one."""
        for name in settings:
            choose(name, [field.name for field in fields(cls)], "setting of a sweep")
        return cls(**settings)

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the parts that are stored separately: ``lambda``, and ``alignments`` if there are any."""
        return PARTS if self.alignments and self.alignment_lambdas else PARTS[:1]

    def arguments(self, part: str) -> dict[str, list]:
        """Return the arguments of :func:`helpers.probing.sweep.sweep` for one part, as lists, for JSON."""
        first = part == "lambda"
        own = {"lambdas": self.lambdas if first else self.alignment_lambdas, "features": self.features if first else ("joint",)}
        own |= {"alignments": ("lambda",) if first else ("lambda", *self.alignments), "seeds": self.seeds}
        return {name: list(values) for name, values in own.items()}

    def as_dict(self) -> dict[str, list]:
        """Return the settings as lists, for JSON and YAML."""
        return {name: list(value) for name, value in asdict(self).items()}
