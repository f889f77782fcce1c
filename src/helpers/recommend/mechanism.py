"""Explain what Eq. 5 costs in retrieval: it adds one penalty to each candidate, whatever the query."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..geometry import gap_vector
from ..retrieval import penalty_of_renormalising, retrieval_ranks, several_distinct
from ..statistics import bootstrap_counts, percentile_interval
from ..store.embeddings import EmbeddingSet

BETAS = tuple(np.linspace(-1.5, 1.0, 26).round(10))
SHIFT = -0.5  # the penalty that the shift at lambda = 1 amounts to without renormalising


def penalty_curves(
    embeddings: EmbeddingSet, betas: Sequence[float] = BETAS, k: int = 1, n_boot: int = 500, level: float = 0.95
) -> tuple[pd.DataFrame, pd.DataFrame]:
    r"""Return recall@k among the test rows when :math:`\beta` times a candidate's component along the gap is added to its cosine.

    The gap comes from the training rows. Intervals resample queries by group among the same candidates; see
    :func:`helpers.retrieval.retrieval_ranks`.

    Returns:
        one row per direction and penalty: direction, beta, recall, low, high; and one per direction and special value of Eq. 5 at
        lambda = 1: direction, form (``shift`` or ``renormalised``), beta.

    Raises:
        ValueError: no training or no test rows, or fewer distinct test vectors than k.
    """
    train, test = embeddings.rows("train"), embeddings.rows("test")
    if not len(train) or not len(test):
        raise ValueError(f"{embeddings.dataset} needs training rows, which give the gap, and test rows, which are searched")
    gap = gap_vector(embeddings.image_of(train), embeddings.text_of(train))
    image, text = embeddings.image_of(test), embeddings.text_of(test)
    for what, x in (("image", image), ("text", text)):
        several_distinct(x, what, k)
    weights = bootstrap_counts(len(test), n_boot, groups=embeddings.pairs["group"].to_numpy()[test])
    curves, special = [], []
    for direction, queries, candidates, towards in (("image to text", image, text, gap), ("text to image", text, image, -gap)):
        along = candidates @ towards
        for beta in betas:
            hit = (retrieval_ranks(queries, candidates, beta * along) < k).astype(float)
            low, high = percentile_interval(weights @ hit / weights.sum(axis=1), level)
            curves.append((direction, beta, hit.mean(), low, high))
        special.append((direction, "shift", SHIFT))
        special.append((direction, "renormalised", penalty_of_renormalising(queries, candidates, towards)))
    return pd.DataFrame(curves, columns=["direction", "beta", "recall", "low", "high"]), pd.DataFrame(
        special, columns=["direction", "form", "beta"]
    )
