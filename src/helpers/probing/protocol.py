"""Define how a probe is trained: by the paper's text, by the code behind its Fig. 3, or to convergence for conclusions.

``paper-matched`` and ``authors-code-matched`` give every data set the updates that the authors' probe has on BRSET.
"""

from dataclasses import dataclass, fields, replace
from math import ceil

import numpy as np

from ..arrays import choose

# Four values a decade: a coarser grid moves the AUC more than lambda does.
STRENGTHS = tuple(float(s) for s in np.logspace(0, -7, 29))
BRSET_UPDATES = 2300  # 100 epochs of the authors' 11,710 fit rows of BRSET in batches of 512
VALIDATION_SHARE = 0.1  # of the training groups, where the data have no validation split
WEIGHTINGS = ("paper", "authors-code", "authors-code-normalised", "balanced", "none")


@dataclass(frozen=True)
class Protocol:
    """Every choice that turns embeddings into a probe.

    Args:
        name: name in tables.
        gap_rows: rows that estimate the gap; ``train`` (the fit rows of the probe) or ``all`` (including test rows).
        optimizer: ``sgd`` (momentum 0.9), ``adamw`` or ``minimiser`` (the exact solution of the regularised problem).
        lr, weight_decay, batch_size, max_epochs, patience: of the two descents; patience counts epochs without a lower
            validation loss.
        updates: steps of the descent to allow whatever the number of rows; replaces ``max_epochs``, and patience keeps its share.
        weighting: losses that carry class weights, see :mod:`helpers.probing.objective`; one of ``WEIGHTINGS``.
        multiclass_auc: ``score`` (softmax probabilities) or ``hard`` (one-hot arg-max predictions).
        strengths: L2 strengths alpha, strongest first; the minimiser takes the one of lowest validation loss, interpolated
            between them.
        tolerance: the minimiser stops when the objective lies within this fraction of its minimum, see
            :mod:`helpers.probing.certificate` for how that is bounded.
    """

    name: str = "custom"
    gap_rows: str = "train"
    optimizer: str = "sgd"
    lr: float = 3e-4
    weight_decay: float = 0.0
    batch_size: int = 512
    max_epochs: int = 100
    patience: int = 10
    updates: int | None = None
    weighting: str = "paper"
    multiclass_auc: str = "score"
    strengths: tuple[float, ...] = STRENGTHS
    tolerance: float = 1e-8

    def __post_init__(self):
        choose(self.gap_rows, ("train", "all"), "gap_rows")
        choose(self.optimizer, ("sgd", "adamw", "minimiser"), "optimizer")
        choose(self.weighting, WEIGHTINGS, "weighting")
        choose(self.multiclass_auc, ("score", "hard"), "multiclass_auc")
        for field in ("lr", "tolerance"):
            if not 0 < getattr(self, field) < np.inf:
                raise ValueError(f"Protocol.{field} must be positive and finite, got {getattr(self, field)}")
        for field in ("batch_size", "max_epochs", "patience", *["updates"] * (self.updates is not None)):
            if int(getattr(self, field)) != getattr(self, field) or getattr(self, field) < 1:
                raise ValueError(f"Protocol.{field} must be a whole number of at least 1, got {getattr(self, field)}")
        if not 0 <= self.weight_decay < np.inf:
            raise ValueError(f"Protocol.weight_decay must not be negative, got {self.weight_decay}")
        strengths = tuple(sorted((float(s) for s in self.strengths), reverse=True))
        if not strengths or strengths[-1] <= 0:
            raise ValueError(f"Protocol.strengths must be one or more positive numbers, got {self.strengths}")
        object.__setattr__(self, "strengths", strengths)

    def for_rows(self, n_fit: int) -> "Protocol":
        """Return the protocol with its updates counted in epochs of ``n_fit`` rows; itself where it is not given in updates."""
        if self.updates is None:
            return self
        epochs = ceil(self.updates / ceil(n_fit / self.batch_size))
        return replace(self, max_epochs=epochs, patience=ceil(self.patience * epochs / self.max_epochs), updates=None)

    def replace(self, **changes) -> "Protocol":
        """Return a copy with some fields changed, and a name that says so unless one is given."""
        for field in changes:
            choose(field, [known.name for known in fields(self)], "field of Protocol")
        changed = ", ".join(f"{k}={v}" for k, v in changes.items() if k != "name")
        return replace(self, **{"name": f"{self.name} ({changed})", **changes})


PROTOCOLS = {
    "paper": Protocol("paper"),
    "authors-code": Protocol(
        "authors-code", gap_rows="all", optimizer="adamw", weight_decay=0.01, weighting="authors-code", multiclass_auc="hard"
    ),
    "converged": Protocol("converged", optimizer="minimiser", weighting="balanced"),
}
# The two descents with as many updates on any data set as the authors' have on BRSET.
PROTOCOLS |= {
    f"{name}-matched": PROTOCOLS[name].replace(name=f"{name}-matched", updates=BRSET_UPDATES) for name in ("paper", "authors-code")
}


def resolve_protocol(protocol: str | Protocol) -> Protocol:
    """Return a :class:`Protocol`, given itself or one of the names in ``PROTOCOLS``."""
    return protocol if isinstance(protocol, Protocol) else PROTOCOLS[choose(protocol, PROTOCOLS, "protocol")]


@dataclass(frozen=True)
class Split:
    """Numbers of the fit, validation and test rows of one seed; test rows are the same for every seed."""

    fit: np.ndarray
    val: np.ndarray
    test: np.ndarray
    given: bool  # the validation rows come with the data and are the same for every seed


def split_rows(embeddings, seed: int) -> Split:
    """Return the rows of one seed: the data's own validation split, or a tenth of the training groups chosen by the seed."""
    train, val, test = (embeddings.rows(s) for s in ("train", "val", "test"))
    for name, rows in (("train", train), ("test", test)):
        if not len(rows):
            raise ValueError(f"there is no row in split {name!r}; a sweep needs train and test rows")
    if len(val):
        return Split(train, val, test, given=True)
    groups, codes = np.unique(embeddings.pairs["group"].to_numpy()[train].astype(str), return_inverse=True)
    if len(groups) < 2:
        raise ValueError("the training rows form a single group, from which no validation rows can be split off; give a val split")
    drawn = np.random.default_rng(seed).permutation(len(groups))[: max(1, round(VALIDATION_SHARE * len(groups)))]
    held_out = np.isin(codes, drawn)
    return Split(train[~held_out], train[held_out], test, given=False)
