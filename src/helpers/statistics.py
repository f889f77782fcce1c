"""Resample rows or whole groups: the bootstrap behind every interval of this project, and its tests."""

from collections.abc import Callable

import numpy as np
from scipy.sparse import coo_matrix, csr_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import permutation_test, t

from .arrays import as_rows, parts, unit_rows

MARGIN = 0.005  # of a change in AUC that counts as none; fixed before any count was made with it
RELABELLINGS = 100_000  # the most that a permutation test counts, and the number that it draws beyond


def bootstrap_counts(n_rows: int, n_boot: int, random_state: int = 0, groups=None) -> np.ndarray:
    """Return how often each row occurs in each bootstrap replicate, (n_boot, n_rows) int; rows of one group stay together."""
    if groups is not None:
        codes = group_codes(groups)
        return bootstrap_counts(int(codes.max()) + 1, n_boot, random_state)[:, codes]
    if n_boot < 2:
        raise ValueError(f"n_boot is {n_boot}; an interval needs at least 2 replicates, 1000 are usual")
    rng, shares = np.random.default_rng(random_state), np.full(n_rows, 1 / n_rows)
    counts = np.empty((n_boot, n_rows), dtype=np.int32)
    for part in parts(n_boot, n_rows):
        counts[part] = rng.multinomial(n_rows, shares, size=part.stop - part.start)
    return counts


def bootstrap_interval(
    statistic: Callable[..., np.ndarray], *samples, groups=None, n_boot: int = 1000, level: float = 0.95, random_state: int = 0
) -> tuple[float, float]:
    """Return the percentile interval of a length computed from means of unit vectors, resampling rows (or whole groups).

    Resampling lengthens a mean: the square of R grows by (1 - R^2) / n. This bias is subtracted from the squared replicates.
    ``statistic`` takes the means (m, d) of each sample (n, d), whose rows are pairs, and returns lengths (m,), such as
    ``lambda v, t: norm(v - t, axis=1)``. Rows of one group (n,), such as a patient, are drawn together.
    """
    drawn, whole = zip(*resampled_means(*samples, groups=groups, n_boot=n_boot, random_state=random_state), strict=True)
    return length_interval(statistic(*drawn), statistic(*whole)[0], level)


def resampled_means(*samples, groups=None, n_boot: int = 1000, random_state: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each sample (n, d) the mean of its unit vectors in every replicate, (n_boot, d), and over all rows, (1, d)."""
    samples = tuple(as_rows(x) for x in samples)
    n = len(samples[0])
    codes = np.arange(n) if groups is None else group_codes(groups)
    counts, sizes = bootstrap_counts(int(codes.max()) + 1, n_boot, random_state), np.bincount(codes)
    rows = np.array([drawn @ sizes for drawn in counts])[:, None]
    return [(drawn / rows, whole[None] / n) for drawn, whole in (_resampled_sums(x, codes, counts) for x in samples)]


def length_interval(lengths: np.ndarray, estimate: float, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of a length from its replicates (n_boot,), without the bias of their squares."""
    squares = lengths**2
    low, high = np.sqrt(np.maximum(percentile_interval(squares - squares.mean() + estimate**2, level), 0))
    return float(low), float(high)


def _resampled_sums(x, codes: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of the unit vectors of ``x`` (n, d) in each replicate (n_boot, d), and over all rows (d,)."""
    drawn, whole = np.zeros((len(counts), x.shape[1])), np.zeros(x.shape[1])
    order = np.argsort(codes, kind="stable")
    for part in parts(len(codes), max(x.shape[1], len(counts))):
        rows = np.sort(order[part])
        present, own = np.unique(codes[rows], return_inverse=True)  # a group may go on in the next part
        sums = csr_array((np.ones(len(rows)), (own, np.arange(len(rows))))) @ unit_rows(x[rows])
        drawn += counts[:, present].astype(np.float64) @ sums
        whole += sums.sum(axis=0)
    return drawn, whole


def percentile_interval(draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return both ends of the central ``level`` of bootstrap replicates (n_boot,), ignoring NaN; NaN if none has a value."""
    if np.isnan(draws).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def corrected_interval(values, test_per_train: float, level: float = 0.95) -> tuple[float, float]:
    r"""Return the corrected resampled t interval of a mean over redrawn splits (Nadeau and Bengio, Machine Learning, 2003).

    Splits share rows, so the standard error of their values (J,) is :math:`s \sqrt{1/J + n_{test}/n_{train}}`, with Student's t of
    J - 1 degrees of freedom.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        raise ValueError(f"{len(values)} split(s) have no spread; give at least 2, 20 are usual")
    if not 0 <= test_per_train < np.inf:
        raise ValueError(f"test_per_train must be a finite number of at least 0, got {test_per_train}")
    half = t.ppf((1 + level) / 2, len(values) - 1) * (values.std(ddof=1) * np.sqrt(1 / len(values) + test_per_train))
    return float(values.mean() - half), float(values.mean() + half)


def equivalent(low, high, margin: float = MARGIN) -> np.ndarray:
    """Return whether 95 % intervals lie within the margin around zero, as two one-sided tests at 2.5 % ask (Schuirmann, 1987)."""
    return (np.asarray(low) > -margin) & (np.asarray(high) < margin)


def max_t_test(differences: np.ndarray, draws: np.ndarray) -> tuple[float, float]:
    """Return the largest t of differences (m,) with bootstrap draws (m, n_boot), and its one-sided p-value (single-step max-t)."""
    error = np.nanstd(draws, axis=1, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        largest = np.where(error > 0, differences / error, 0).max()
        null = np.where(error[:, None] > 0, (draws - differences[:, None]) / error[:, None], 0).max(axis=0)
    return float(largest), float((1 + np.nansum(null >= largest)) / (draws.shape[1] + 1))


def permutation_p(a, b, random_state: int = 0) -> float:
    """Return the one-sided permutation p-value of mean(a) > mean(b) for samples (n,) and (m,), exact up to ``RELABELLINGS``."""
    samples = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    options = {"alternative": "greater", "n_resamples": RELABELLINGS, "rng": np.random.default_rng(random_state)}
    return float(permutation_test(samples, lambda x, _, axis: x.sum(axis=axis), vectorized=True, **options).pvalue)


def holm(p_values) -> np.ndarray:
    """Return p-values (m,) corrected for being m tests (Holm, 1979); NaN stays NaN and counts as no test."""
    p = np.array(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]  # NaN comes last
    p[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return p


def group_codes(groups) -> np.ndarray:
    """Return the group number of each row, (n,); groups are numbered in the order of their names."""
    return np.unique(np.asarray(groups).astype(str), return_inverse=True)[1]


def joined(*codes: np.ndarray) -> np.ndarray:
    """Return numbers (n,) of groups that hold all rows that share a number in any of ``codes``, each (n,) whole numbers from 0."""
    n = len(codes[0])
    starts = np.cumsum([n, *(code.max() + 1 for code in codes)])
    columns = np.concatenate([code + start for code, start in zip(codes, starts, strict=False)])
    row = np.tile(np.arange(n), len(codes))
    graph = coo_matrix((np.ones(len(columns), bool), (row, columns)), shape=(starts[-1], starts[-1]))
    return connected_components(graph, directed=False)[1][:n]
