"""Resample rows or whole groups: the bootstrap behind every interval of this project."""

from collections.abc import Callable

import numpy as np

from .checks import unit_rows


def bootstrap_counts(n_rows: int, n_boot: int, random_state: int = 0, groups=None) -> np.ndarray:
    """How often each row occurs in each bootstrap replicate, (n_boot, n_rows) int; rows of one group are drawn together."""
    rng, n_boot = np.random.default_rng(random_state), replicates(n_boot)
    if groups is None:
        return rng.multinomial(n_rows, np.full(n_rows, 1 / n_rows), size=n_boot)
    names, codes = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n_boot)
    return counts[:, codes]


def bootstrap_interval(
    statistic: Callable[..., np.ndarray], *samples, groups=None, n_boot: int = 1000, level: float = 0.95, random_state: int = 0
) -> tuple[float, float]:
    """Percentile interval of a length made of means of unit vectors, resampling rows (or whole groups) with replacement.

    The samples are paired: one draw of rows serves them all. Drawing adds noise to a mean, which lengthens it: the square of R by
    (1 - R^2) / n. Squares of replicates are moved back by as much, so that the interval is that of the length of n rows.

    Args:
        statistic: takes one array of means (m, d) per sample and returns lengths (m,); for example
            ``lambda v, t: np.linalg.norm(v - t, axis=1)`` for the norm of the gap.
        samples: arrays (n, d), row i of each belonging to pair i.
        groups: (n,) rows that are drawn together, such as one patient's.

    Returns:
        lower and upper end.
    """
    units = [unit_rows(x) for x in samples]
    n = len(units[0])
    codes = np.arange(n) if groups is None else np.unique(np.asarray(groups).astype(str), return_inverse=True)[1]
    n_groups = codes.max() + 1
    sizes = np.bincount(codes)
    sums = [np.stack([np.bincount(codes, x[:, j], n_groups) for j in range(x.shape[1])], axis=1) for x in units]
    rng = np.random.default_rng(random_state)
    counts = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=replicates(n_boot)).astype(np.float64)
    rows = (counts @ sizes)[:, None]
    squares = statistic(*(counts @ s / rows for s in sums)) ** 2
    estimate = statistic(*(s.sum(axis=0, keepdims=True) / n for s in sums))[0]
    low, high = np.quantile(squares - squares.mean() + estimate**2, [(1 - level) / 2, (1 + level) / 2])
    return float(np.sqrt(max(low, 0.0))), float(np.sqrt(max(high, 0.0)))


def replicates(n_boot: int) -> int:
    """Return ``n_boot`` if a bootstrap interval can be made of so many replicates.

    Raises:
        ValueError: fewer than two.
    """
    if n_boot < 2:
        raise ValueError(f"n_boot is {n_boot}; an interval needs at least 2 replicates, 1000 are usual")
    return n_boot
