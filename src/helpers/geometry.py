"""Measure one or two clouds of vectors (n, d), in float64 block by block; equation numbers are the paper's."""

from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from .arrays import as_rows, blocks, mean_of, same_dimension, squarable, unit_blocks

ROUNDING = 1e-24  # a variance below this share of the mean squared norm is rounding of equal rows in float64


@dataclass(frozen=True)
class Moments:
    """Number of rows, mean (d,), summed outer products of deviations (d, d), in place of rows; ``a + b`` is of both samples."""

    n: int
    mean: np.ndarray
    scatter: np.ndarray

    def __add__(self, other: "Moments") -> "Moments":
        n, step = self.n + other.n, other.mean - self.mean
        between = np.outer(step, step) * (self.n * other.n / n)
        return Moments(n, self.mean + step * (other.n / n), self.scatter + other.scatter + between)

    def spectrum(self, centred: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Return eigenvalues (ascending, at least 0) and eigenvectors of the covariance, or of the second moment."""
        values, vectors = np.linalg.eigh(self.scatter / self.n + (0 if centred else np.outer(self.mean, self.mean)))
        return values.clip(min=0), vectors


def moments_of(x, what: str = "embeddings", unit: bool = True) -> Moments:
    """Return the moments of the rows of ``x`` (n, d), of unit norm or up to one factor, in one pass; those of moments stay."""
    if isinstance(x, Moments):
        return x
    rows = unit_blocks(x, what) if unit else blocks(squarable(as_rows(x, what))[1][0])
    return reduce(add, map(_of_block, rows))


def _of_block(block: np.ndarray) -> Moments:
    mean = block.mean(axis=0, dtype=np.float64)
    deviations = block - mean
    return Moments(len(block), mean, deviations.T @ deviations)


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
    return x.mean if isinstance(x, Moments) else mean_of(unit_blocks(x))


def gap_vector(image, text) -> np.ndarray:
    r"""Return the modality gap (Eq. 1), :math:`\Delta = \mu_v - \mu_t` (d,), from the mean of unit texts to that of unit images."""
    if not isinstance(image, Moments):
        image, text = as_rows(image, "image"), as_rows(text, "text")
        same_dimension(image, text)
    return mean_direction(image) - mean_direction(text)


def gap_norm(image, text) -> float:
    r"""Return the size of the modality gap, :math:`\lVert \Delta \rVert_2` in [0, 2] (Eq. 1)."""
    return float(np.linalg.norm(gap_vector(image, text)))


def principal_directions(x, k: int = 2, centred: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return the k leading principal directions (k, d) and each one's share (k,) of the variance (second moment, if not centred).

    ``x`` is a matrix (n, d). The largest entry of a direction in absolute value is positive.
    """
    found = moments_of(x, unit=False)
    if not 1 <= k <= len(found.mean):
        raise ValueError(f"k must be between 1 and d = {len(found.mean)}, got {k}")
    values, vectors = found.spectrum(centred)
    directions = vectors[:, ::-1][:, :k].T
    signs = np.sign(directions[np.arange(k), np.abs(directions).argmax(axis=1)])
    return directions * signs[:, None], values[::-1][:k] / values.sum()


def effective_rank(x) -> float:
    r"""Return the effective rank of centred vectors, :math:`\exp(-\sum_j p_j \log p_j)` with :math:`p_j` the shares of variance.

    1 if one direction carries all variance, d if all carry the same. Roy and Vetterli, EUSIPCO 2007, for the covariance.
    """
    found = moments_of(x, unit=False)
    values, _ = found.spectrum()
    if values.sum() <= ROUNDING * (values.sum() + found.mean @ found.mean):  # the mean squared norm
        raise ValueError("all rows are equal: the effective rank of a single point is not defined")
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def gap_and_first_direction(image, text) -> tuple[float, float]:
    r"""Return :math:`|\cos(\Delta, \mathrm{PC}_1)|`, with the first principal direction of both modalities together, and the share
    of the pooled variance along :math:`\Delta`: a wide gap makes a large cosine nearly automatic.
    """
    image, text = moments_of(image, "image"), moments_of(text, "text")
    gap, pooled = gap_vector(image, text), image + text
    direction = gap / np.linalg.norm(gap)
    _, vectors = pooled.spectrum()
    return float(abs(vectors[:, -1] @ direction)), float(direction @ pooled.scatter @ direction / np.trace(pooled.scatter))
