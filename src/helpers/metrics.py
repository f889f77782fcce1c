"""Score a probe on rows it has not seen; scores have shape (..., n): any number of probes side by side over n rows."""

import numpy as np
from scipy.special import expit, log_softmax

from .arrays import parts


class Ranking:
    """Order scores (..., n) of rows that are positive (n,) or not: one sort for all metrics of the order alone, exact with ties."""

    def __init__(self, scores, positive):
        flat, positive = _checked(scores, positive)
        order = np.argsort(flat, axis=1)
        self._shape, self._n, self._n_positive = np.shape(scores)[:-1], len(positive), int(positive.sum())
        self._scores, self._positive = np.take_along_axis(flat, order, axis=1), positive[order]
        self._positives = self._scores[self._positive].reshape(len(flat), self._n_positive)
        self._first = _tie_starts(self._scores)

    def auc(self) -> np.ndarray:
        """Return the area under the ROC curve, (...), see :func:`auc`; as all metrics here, NaN where it is not defined."""
        p, n = self._n_positive, self._n - self._n_positive
        if not p or not n:
            return np.full(self._shape, np.nan)
        last = self._n - 1 - _tie_starts(self._scores[:, ::-1])[:, ::-1]
        middle_ranks = np.where(self._positive, self._first + last, 0).sum(axis=1) / 2 + p
        return ((middle_ranks - p * (p + 1) / 2) / (p * n)).reshape(self._shape)

    def average_precision(self) -> np.ndarray:
        """Return the mean over positive rows of the precision at their score, (...); tied rows share one threshold."""
        if not self._n_positive:
            return np.full(self._shape, np.nan)
        at_or_above = self._n - self._first[self._positive].reshape(-1, self._n_positive)
        positive_at_or_above = self._n_positive - _tie_starts(self._positives)
        return (positive_at_or_above / at_or_above).mean(axis=1).reshape(self._shape)

    def sensitivity_at_specificity(self, specificity: float = 0.9) -> np.ndarray:
        """Return the highest sensitivity among thresholds with at least this specificity, which is above 0, (...)."""
        n = self._n - self._n_positive
        if not self._n_positive or not n:
            return np.full(self._shape, np.nan)
        highest = n - 1 - int(np.floor((1 - specificity) * n + 1e-9))  # the negative row that the threshold lies above
        return (self._positives > self._scores[~self._positive].reshape(-1, n)[:, highest, None]).mean(axis=1).reshape(self._shape)


def _tie_starts(ordered: np.ndarray) -> np.ndarray:
    """Return the position of the first of the values equal to each one of ordered rows (p, n)."""
    starts = np.zeros(ordered.shape, dtype=np.int64)
    starts[:, 1:] = np.where(ordered[:, 1:] != ordered[:, :-1], np.arange(1, ordered.shape[1]), 0)
    return np.maximum.accumulate(starts, axis=1, out=starts)


def auc(scores, positive, weights=None) -> np.ndarray:
    r"""Return the area under the ROC curve by ranks, exact with ties: :math:`P(s^+ > s^-) + \frac12 P(s^+ = s^-)`.

    ``scores`` are (..., n), ``positive`` (n,), and ``weights`` (b, n) how often each row counts, such as bootstrap counts. The
    result is (...), or (..., b) with weights; NaN where there is no positive or no negative row.

    Example:
        >>> float(auc([0.1, 0.4, 0.4, 0.9], [0, 0, 1, 1]))
        0.875
    """
    if weights is None:
        return Ranking(scores, positive).auc()
    flat, positive = _checked(scores, positive)
    weights = np.asarray(weights)
    # Counts, their sums and products stay below 2^24 here, where float32 is exact and moves half the memory.
    exact = np.issubdtype(weights.dtype, np.integer) and weights.shape[1] * int(weights.max(initial=0)) ** 2 < 2**22
    weights = np.ascontiguousarray(weights.T, dtype=np.float32 if exact else np.float64)
    replicates = parts(weights.shape[1], max(1, len(positive)))
    result = np.stack([np.concatenate([_weighted_auc(s, positive, weights[:, part]) for part in replicates]) for s in flat])
    return result.reshape(*np.shape(scores)[:-1], weights.shape[1])


def _checked(scores, positive) -> tuple[np.ndarray, np.ndarray]:
    scores, positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    if scores.shape[-1:] != positive.shape:
        raise ValueError(f"scores have {scores.shape[-1:]} rows in the last axis, labels {positive.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite; an AUC of NaN scores has no meaning")
    return np.ascontiguousarray(scores.reshape(-1, len(positive))), positive


def _weighted_auc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the AUC of scores (n,) under each of b weightings (n, b), from one sort."""
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
    return np.eye(np.shape(scores)[-1])[np.argmax(scores, axis=-1)]


def hard_auc(predicted, positive) -> np.ndarray:
    """Return the AUC (...) of yes/no predictions (..., n), the mean of sensitivity and specificity; NaN where it is not defined."""
    predicted, positive = np.asarray(predicted, dtype=bool), np.asarray(positive, dtype=bool)
    p, n = int(positive.sum()), int((~positive).sum())
    if not p or not n:
        return np.full(predicted.shape[:-1], np.nan)
    found, rejected = predicted[..., positive].sum(axis=-1), n - predicted[..., ~positive].sum(axis=-1)
    return (found * n + rejected * p) / 2 / (p * n)


def softmax(logits) -> np.ndarray:
    """Return the softmax over the last axis, in float64; rows of one class lie side by side in memory."""
    z = np.array(np.moveaxis(np.asarray(logits), -1, 0), dtype=np.float64, order="C")
    z -= z.max(axis=0)  # in place: the same digits as scipy's softmax in a fifth of the time, and every probe is scored
    np.exp(z, out=z)
    z /= z.sum(axis=0)
    return np.moveaxis(z, 0, -1)


def macro_auc(scores, targets, weights=None) -> np.ndarray:
    """Return the mean one-vs-rest :func:`auc` of scores (..., n, K) over classes, excluding those absent (from a replicate)."""
    per_class = np.stack([auc(np.asarray(scores)[..., k], positive, weights) for k, positive in enumerate(np.transpose(targets))])
    present = ~np.isnan(per_class)
    with np.errstate(invalid="ignore"):
        return np.where(present, per_class, 0).sum(axis=0) / present.sum(axis=0)


def probabilities(logits, multiclass: bool) -> np.ndarray:
    """Return softmax over the last axis for a multi-class task, else one sigmoid per output; float64 of the same shape."""
    return softmax(logits) if multiclass else expit(np.asarray(logits, dtype=np.float64))


def log_losses(logits, targets, multiclass: bool) -> np.ndarray:
    """Return the log loss of each row, (..., n), of logits (..., n, K): cross-entropy, or the mean of binary cross-entropies."""
    z, targets = np.asarray(logits, dtype=np.float64), np.asarray(targets, dtype=bool)
    if multiclass:
        return -np.where(targets, log_softmax(z, axis=-1), 0).sum(axis=-1)
    return np.logaddexp(0, np.where(targets, -z, z)).mean(axis=-1)
