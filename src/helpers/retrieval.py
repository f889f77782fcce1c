"""Retrieval across modalities: recall at k."""

import numpy as np


def _recall(similarity: np.ndarray, right: np.ndarray, k: int = 10) -> float:
    """Share of rows with a right column among the k most similar."""
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return round(float(np.take_along_axis(right, nearest, axis=1).any(axis=1).mean()), 4)
