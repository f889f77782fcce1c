"""Measure what linear readers predict of one modality from the other: held-out ridge regression and canonical correlation."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..alignment.shift import align
from ..geometry import gap_vector
from ..statistics import bootstrap_counts
from ..store.embeddings import EmbeddingSet
from .tables import against_first

STRENGTHS = np.logspace(-5, 2, 29)  # of the ridge, in units of the mean variance of a feature
RIDGES = np.logspace(-5, 1, 13)  # of the canonical correlations, in the same unit
COMPONENTS = 10


def modality_information(
    embeddings: EmbeddingSet, lambdas: Sequence[float], n_boot: int = 1000, components: int = COMPONENTS, random_state: int = 0
) -> pd.DataFrame:
    r"""Return what linear readers predict of one modality from the other, against lambda.

    Quantities: ``ridge_text_from_image`` and ``ridge_image_from_text``, the share of the held-out variance that a ridge regression
    explains; ``cca``, the Gaussian information :math:`-\frac12 \sum_k \log_2 (1 - \rho_k^2)` in bits of the first canonical
    pairs, with :math:`\rho_k` their held-out correlations. Everything is fitted on training rows; the ridge's strength is chosen
    on validation rows, or on training rows where there are none.

    Args:
        embeddings: a set with train and test rows; labels are not used.
        lambdas: strengths of Eq. 5; the first is the reference, such as 0.
        n_boot: bootstrap replicates over groups of test rows. Intervals hold the fits fixed.
        components: number of canonical pairs.

    Returns:
        ``lambda, quantity, value, low, high, change, change_low, change_high``.
    """
    fit, val, test = (embeddings.rows(split) for split in ("train", "val", "test"))
    val = val if len(val) else fit
    groups = np.unique(embeddings.pairs["group"].to_numpy()[test].astype(str), return_inverse=True)[1]
    counts = np.concatenate([np.ones((1, len(test))), bootstrap_counts(len(test), n_boot, random_state, groups)])
    image, text = embeddings.image_of().astype(np.float64), embeddings.text_of().astype(np.float64)
    gap = gap_vector(image[fit], text[fit])
    found = {}
    for lam in map(float, lambdas):
        v, t = align(image, text, gap, lam)
        found[lam] = {
            "ridge_text_from_image": explained_share(*ridge_errors(v, t, fit, val, test), counts),
            "ridge_image_from_text": explained_share(*ridge_errors(t, v, fit, val, test), counts),
            "cca": gaussian_information(*canonical_scores(v, t, fit, val, test, components), counts),
        }
    return against_first(found)


def ridge_errors(x, y, fit, val, test) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared errors on test rows of the mean of y and of a ridge regression of y on x, (n_test,) each.

    Args:
        x, y: (n, d) and (n, e).
        fit, val, test: row numbers; the strength has the smallest error on ``val``.
    """
    x_mean, y_mean = x[fit].mean(axis=0), y[fit].mean(axis=0)
    values, directions = np.linalg.eigh(np.cov(x[fit], rowvar=False, bias=True))
    values = values.clip(min=0)
    projected = directions.T @ ((x[fit] - x_mean).T @ (y[fit] - y_mean)) / len(fit)
    moved = (x - x_mean) @ directions

    def errors(rows, strength) -> np.ndarray:
        return np.square(y[rows] - y_mean - (moved[rows] / (values + strength * values.mean())) @ projected).sum(axis=1)

    best = min(STRENGTHS, key=lambda strength: errors(val, strength).sum())
    return np.square(y[test] - y_mean).sum(axis=1), errors(test, best)


def explained_share(null: np.ndarray, errors: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return one minus the ratio of summed errors (n,) under each weighting of the rows (b, n)."""
    return 1 - (counts @ errors) / (counts @ null)


def canonical_scores(image, text, fit, val, test, components: int = COMPONENTS) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of test rows on the first canonical pairs of the rows fitted on, (n_test, components) each.

    Covariances within a modality have a ridge, so that fewer rows than dimensions will do.

    Args:
        image, text: (n, d) and (n, e).
        fit, val, test: row numbers; the ridge gives the most information on ``val``.
    """
    means = image[fit].mean(axis=0), text[fit].mean(axis=0)
    spectra = [np.linalg.eigh(np.cov(x[fit], rowvar=False, bias=True)) for x in (image, text)]
    cross = (image[fit] - means[0]).T @ (text[fit] - means[1]) / len(fit)

    def scores(rows, strength) -> tuple[np.ndarray, np.ndarray]:
        whiteners = [directions / np.sqrt(values.clip(min=0) + strength * values.mean()) for values, directions in spectra]
        left, _, right = np.linalg.svd(whiteners[0].T @ cross @ whiteners[1], full_matrices=False)
        maps = whiteners[0] @ left[:, :components], whiteners[1] @ right[:components].T
        return (image[rows] - means[0]) @ maps[0], (text[rows] - means[1]) @ maps[1]

    once = np.ones((1, len(val)))
    best = max(RIDGES, key=lambda strength: gaussian_information(*scores(val, strength), once)[0])
    return scores(test, best)


def gaussian_information(a: np.ndarray, b: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the summed information of Gaussian pairs of columns in bits from their correlations, under each weighting of rows
    (m, n).

    A negative held-out correlation counts as none.
    """
    weights = counts / counts.sum(axis=1, keepdims=True)
    mean_a, mean_b = weights @ a, weights @ b
    covariance = weights @ (a * b) - mean_a * mean_b
    spread = (weights @ np.square(a) - np.square(mean_a)) * (weights @ np.square(b) - np.square(mean_b))
    correlation = np.where(spread > 0, covariance / np.sqrt(np.where(spread > 0, spread, 1)), 0).clip(0, 1 - 1e-12)
    return -np.log2(1 - np.square(correlation)).sum(axis=1) / 2
