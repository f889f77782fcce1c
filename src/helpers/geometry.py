"""Measure one or two clouds of vectors (n, d), in float64 block by block; equation numbers are the paper's."""

from collections.abc import Callable, Iterator
from itertools import chain

import numpy as np

from .arrays import as_rows, blocks, mean_of, same_dimension, squarable, unit_blocks

ROUNDING = 1e-24  # a variance below this share of the mean squared norm is rounding of equal rows in float64


def mean_resultant_length(x) -> float:
    r"""Return the mean resultant length (Eq. 7), :math:`R = \lVert \frac1n \sum_i x_i / \lVert x_i \rVert \rVert_2`.

    0 for directions that cancel, 1 for a single direction; :math:`1 - R^2` is the total variance of the unit vectors.

    Example:
        >>> mean_resultant_length([[1.0, 0.0], [0.0, 1.0]])
        0.7071067811865476
    """
    return float(np.linalg.norm(mean_direction(x)))


def mean_direction(x) -> np.ndarray:
    """Return the mean of the unit vectors of ``x`` (n, d), shape (d,); its norm is the mean resultant length."""
    return mean_of(unit_blocks(x))


def gap_vector(image, text) -> np.ndarray:
    r"""Return the modality gap (Eq. 1), :math:`\Delta = \mu_v - \mu_t` (d,), from the mean of unit texts to that of unit images."""
    image, text = as_rows(image, "image"), as_rows(text, "text")
    same_dimension(image, text)
    return mean_direction(image) - mean_direction(text)


def gap_norm(image, text) -> float:
    r"""Return the size of the modality gap, :math:`\lVert \Delta \rVert_2` in [0, 2] (Eq. 1)."""
    return float(np.linalg.norm(gap_vector(image, text)))


def principal_directions(x, k: int = 2, centred: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return the k leading principal directions (k, d) and each one's share (k,) of the variance (second moment, if not centred).

    ``x`` is a matrix (n, d) or a tuple of several. The largest entry of a direction in absolute value is positive.
    """
    _, matrices = squarable(*(as_rows(part) for part in (x if isinstance(x, tuple) else (x,))))
    if not 1 <= k <= matrices[0].shape[1]:
        raise ValueError(f"k must be between 1 and d = {matrices[0].shape[1]}, got {k}")
    values, vectors = _spectrum(lambda: chain(*map(blocks, matrices)), centred)
    directions = vectors[:, ::-1][:, :k].T
    signs = np.sign(directions[np.arange(k), np.abs(directions).argmax(axis=1)])
    return directions * signs[:, None], values[::-1][:k] / values.sum()


def effective_rank(x) -> float:
    r"""Return the effective rank of centred vectors, :math:`\exp(-\sum_j p_j \log p_j)` with :math:`p_j` the shares of variance.

    1 if one direction carries all variance, d if all carry the same. Roy and Vetterli, EUSIPCO 2007, for the covariance.
    """
    _, (x,) = squarable(as_rows(x))
    values, _ = _spectrum(lambda: blocks(x))
    squared_norms = np.concatenate([np.square(block, dtype=np.float64).sum(axis=1) for block in blocks(x)])
    if values.sum() <= ROUNDING * squared_norms.mean():
        raise ValueError("all rows are equal: the effective rank of a single point is not defined")
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def gap_and_first_direction(image, text) -> tuple[float, float]:
    r"""Return :math:`|\cos(\Delta, \mathrm{PC}_1)|`, with the first principal direction of both modalities together, and the share
    of the pooled variance along :math:`\Delta`: a wide gap makes a large cosine nearly automatic.
    """
    gap = gap_vector(image, text)
    direction = gap / np.linalg.norm(gap)

    def pooled() -> Iterator[np.ndarray]:
        return chain(unit_blocks(image, "image"), unit_blocks(text, "text"))

    _, vectors = _spectrum(pooled)
    projections = np.concatenate([block @ direction for block in pooled()])
    mean = mean_of(pooled())
    variance = sum(np.square(block - mean).sum(axis=0) for block in pooled()) / len(projections)
    return float(abs(vectors[:, -1] @ direction)), float(projections.var() / variance.sum())


def _spectrum(rows: Callable[[], Iterator[np.ndarray]], centred: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues (ascending, at least 0) and eigenvectors of the second moment; each call of ``rows`` gives all blocks."""
    mean = mean_of(rows()) if centred else 0.0
    moment, n = np.zeros(()), 0
    for block in rows():
        deviations = block.astype(np.float64) - mean
        moment, n = moment + deviations.T @ deviations, n + len(block)
    values, vectors = np.linalg.eigh(moment / n)
    return values.clip(min=0), vectors
