"""Divide rows into those that fit a probe, those that stop or choose it, and those that test it."""

from dataclasses import dataclass

import numpy as np

VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class Split:
    """Numbers of the fit, validation and test rows of one seed; test rows are the same for every seed."""

    fit: np.ndarray
    val: np.ndarray
    test: np.ndarray
    given: bool  # the validation rows come with the data and are the same for every seed


def split_rows(embeddings, seed: int) -> Split:
    """Return the rows of one seed: the data's own validation split, or a tenth of the training groups chosen by the seed.

    Raises:
        ValueError: a split has no rows; names it.
    """
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
