"""Score a probe on rows it has not seen: area under the curve, average precision, sensitivity.

Scores have shape (..., n): any number of probes side by side over n rows.
"""

import numpy as np
from scipy.special import expit, log_softmax
from scipy.special import softmax as scipy_softmax
from scipy.stats import rankdata

from .rows import parts


def auc(scores, positive, weights=None) -> np.ndarray:
    r"""Return the area under the ROC curve by ranks, exact with ties: :math:`P(s^+ > s^-) + \frac12 P(s^+ = s^-)`.

    Args:
        scores: (..., n).
        positive: (n,) boolean or 0/1.
        weights: (b, n) non-negative multiplicities of the rows, such as bootstrap counts; each row counts once when None.

    Returns:
        (...) float64, or (..., b) with weights; NaN where there is no positive or no negative row.

    Example:
        >>> float(auc([0.1, 0.4, 0.4, 0.9], [0, 0, 1, 1]))
        0.875
    """
    scores, positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    if scores.shape[-1:] != positive.shape:
        raise ValueError(f"scores have {scores.shape[-1:]} rows in the last axis, labels {positive.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite; an AUC of NaN scores has no meaning")
    flat = scores.reshape(-1, scores.shape[-1])
    if weights is None:
        result = _auc_of_counts(flat, positive)
        return result.reshape(scores.shape[:-1])
    weights = np.asarray(weights)
    # Counts, their sums and products stay below 2^24 here, where float32 is exact and moves half the memory.
    exact = np.issubdtype(weights.dtype, np.integer) and weights.shape[1] * int(weights.max(initial=0)) ** 2 < 2**22
    weights = np.ascontiguousarray(weights.T, dtype=np.float32 if exact else np.float64)
    replicates = parts(weights.shape[1], max(1, len(positive)))
    result = np.stack([np.concatenate([_weighted_auc(s, positive, weights[:, part]) for part in replicates]) for s in flat])
    return result.reshape(*scores.shape[:-1], weights.shape[1])


def _auc_of_counts(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return the Mann-Whitney statistic of midranks, one value per row of ``scores`` (p, n)."""
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if n_positive == 0 or n_negative == 0:
        return np.full(len(scores), np.nan)
    ranks = rankdata(scores, axis=1)
    return (ranks[:, positive].sum(axis=1) - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def _weighted_auc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the AUC of one score vector (n,) under each of b weightings, given as (n, b), from one sort."""
    order = np.argsort(scores, kind="stable")
    ordered, positive = scores[order], positive[order]
    negative_scores, positive_scores = ordered[~positive], ordered[positive]
    positive_weights = weights[order[positive]]
    negatives = np.zeros((len(negative_scores) + 1, weights.shape[1]), dtype=weights.dtype)
    np.cumsum(weights[order[~positive]], axis=0, out=negatives[1:])
    below = negatives[np.searchsorted(negative_scores, positive_scores, side="left")]
    up_to = negatives[np.searchsorted(negative_scores, positive_scores, side="right")]
    wins = (positive_weights * (below + up_to)).sum(axis=0, dtype=np.float64) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return wins / (positive_weights.sum(axis=0, dtype=np.float64) * negatives[-1].astype(np.float64))


def hard_labels(scores) -> np.ndarray:
    """Return arg-max predictions as one-hot scores: (..., n, K) to the same shape, 0 or 1; the first class wins a tie."""
    scores = np.asarray(scores)
    return (scores.argmax(axis=-1)[..., None] == np.arange(scores.shape[-1])).astype(np.float64)


def softmax(logits) -> np.ndarray:
    """Return the softmax over the last axis, in float64."""
    return scipy_softmax(np.asarray(logits, dtype=np.float64), axis=-1)


def average_precision(scores, positive) -> np.ndarray:
    """Return the mean over positive rows of the precision at their score; tied rows share one threshold.

    Args:
        scores: (..., n).
        positive: (n,) boolean or 0/1.

    Returns:
        (...) float64; NaN without a positive row.
    """
    flat, positive = _flat(scores, positive)
    if not positive.any():
        return np.full(np.shape(scores)[:-1], np.nan)
    at_or_above = rankdata(-flat, method="max", axis=1)[:, positive]
    positive_at_or_above = rankdata(-flat[:, positive], method="max", axis=1)
    return (positive_at_or_above / at_or_above).mean(axis=1).reshape(np.shape(scores)[:-1])


def sensitivity_at_specificity(scores, positive, specificity: float = 0.9) -> np.ndarray:
    """Return the highest sensitivity among thresholds with at least this specificity.

    Args:
        scores: (..., n).
        positive: (n,) boolean or 0/1.

    Returns:
        (...) float64; NaN without a positive or without a negative row.
    """
    flat, positive = _flat(scores, positive)
    if positive.all() or not positive.any():
        return np.full(np.shape(scores)[:-1], np.nan)
    negatives = np.sort(flat[:, ~positive], axis=1)[:, ::-1]
    allowed = int(np.floor((1 - specificity) * negatives.shape[1] + 1e-9))
    if allowed >= negatives.shape[1]:
        return np.ones(np.shape(scores)[:-1])
    return (flat[:, positive] > negatives[:, allowed, None]).mean(axis=1).reshape(np.shape(scores)[:-1])


def _flat(scores, positive) -> tuple[np.ndarray, np.ndarray]:
    scores = np.asarray(scores, dtype=np.float64)
    return scores.reshape(-1, scores.shape[-1]), np.asarray(positive, dtype=bool)


def macro_auc(scores, targets, weights=None) -> np.ndarray:
    """Return the mean one-vs-rest AUC over classes, excluding classes absent from the rows (or from a replicate).

    Args:
        scores: (..., n, K).
        targets: (n, K) 0/1 indicators.
        weights: as for :func:`auc`.

    Returns:
        (...) or (..., b).
    """
    scores, targets = np.asarray(scores), np.asarray(targets)
    per_class = np.stack([auc(scores[..., k], targets[:, k], weights) for k in range(targets.shape[1])])
    present = ~np.isnan(per_class)
    with np.errstate(invalid="ignore"):
        return np.where(present, per_class, 0).sum(axis=0) / present.sum(axis=0)


def probabilities(logits, multiclass: bool) -> np.ndarray:
    """Return softmax over the last axis for a multi-class task, else one sigmoid per output; float64 of the same shape."""
    return softmax(logits) if multiclass else expit(np.asarray(logits, dtype=np.float64))


def log_losses(logits, targets, multiclass: bool) -> np.ndarray:
    """Return the log loss of each row (n,): cross-entropy, or the mean over outputs of binary cross-entropies.

    Args:
        logits: (n, K).
        targets: (n, K) 0/1 indicators.
    """
    z, targets = np.asarray(logits, dtype=np.float64), np.asarray(targets, dtype=bool)
    if multiclass:
        return -np.where(targets, log_softmax(z, axis=-1), 0).sum(axis=-1)
    return np.logaddexp(0, np.where(targets, -z, z)).mean(axis=-1)


def brier_scores(probability, targets) -> np.ndarray:
    """Return the mean squared distance of probabilities (n, K) from 0/1 targets (n, K), mean over outputs, of each row (n,)."""
    return np.square(np.asarray(probability, dtype=np.float64) - targets).mean(axis=-1)


def calibration_error(probability, targets, weights=None, bins: int = 15) -> np.ndarray:
    """Return the expected calibration error, class by class (Kull et al., NeurIPS 2019), mean over outputs.

    Per output and bin of equal width, the distance of the mean probability from the share of positives, weighted by rows.

    Args:
        probability: (n, K).
        targets: (n, K) 0/1 indicators.
        weights: (b, n) how often each row counts, such as bootstrap draws; every row once when None.

    Returns:
        float64, () or (b,).
    """
    probability, targets = np.asarray(probability, dtype=np.float64), np.asarray(targets)
    counts = np.ones((1, len(targets))) if weights is None else np.asarray(weights, dtype=np.float64)
    total = np.zeros(len(counts))
    for p, y in zip(probability.T, targets.T, strict=True):
        bin_of = np.minimum((p * bins).astype(int), bins - 1)
        excess = np.zeros((len(p), bins))
        excess[np.arange(len(p)), bin_of] = p - y
        total += np.abs(counts @ excess).sum(axis=1)
    error = total / counts.sum(axis=1) / targets.shape[1]
    return error[0] if weights is None else error
