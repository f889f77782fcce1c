"""Measure on the test rows of one stored set what alignments do to the cosines of pairs and to a search in a mixed corpus."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..retrieval import mixed_search_ndcg
from ..separation import cosine_histograms
from ..statistics import bootstrap_counts, percentile_interval
from ..store.embeddings import EmbeddingSet
from .tasks import move_set

MOVES = ("none", "lambda-1", "centring")
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def pair_histograms(embeddings: EmbeddingSet, alignments: Sequence[str] = MOVES, bins: int = 40) -> pd.DataFrame:
    """Return the shares of test pairs and of non-pairs per bin of the cosine, after alignments fitted on the training rows.

    Returns:
        one row per alignment, kind (``pair``, ``non_pair``) and bin: alignment, kind, cosine (the middle of the bin), share.

    Raises:
        ValueError: no training or no test rows, or an unknown alignment.
    """
    tables = []
    for name in alignments:
        moved, rows = move_set(embeddings, name)[0], embeddings.rows("test")
        if not len(rows):
            raise ValueError(f"{embeddings.dataset} has no test rows, whose cosines are counted")
        counts = cosine_histograms(moved.image_of(rows), moved.text_of(rows), bins)
        middle = (counts["edges"][1:] + counts["edges"][:-1]) / 2
        for kind in ("pair", "non_pair"):
            share = counts[kind] / max(1, counts[kind].sum())
            tables.append(pd.DataFrame({"alignment": name, "kind": kind, "cosine": middle, "share": share}))
    return pd.concat(tables, ignore_index=True)


def mixed_search(
    embeddings: EmbeddingSet,
    alignments: Sequence[str] = MOVES,
    shares: Sequence[float] = SHARES,
    k: int = 10,
    n_draws: int = 5,
    n_boot: int = 500,
    level: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """Search the test rows with validation texts, while some of the rows are stored as images and the others as texts.

    A row is relevant to a query if they have a positive label in common. Alignments are fitted on the training rows.

    Args:
        shares: shares of rows that are stored as images.
        n_draws: draws of these rows, the same for all alignments, over which the NDCG of a query is averaged.

    Returns:
        one row per alignment and share: alignment, share, value (mean NDCG@k), low, high, change (from the first alignment),
        change_low, change_high. Intervals are paired bootstraps over groups of queries, among the same rows.

    Raises:
        ValueError: no labels, an empty split, no query with a relevant row, or an unknown alignment.
    """
    queries, corpus = embeddings.rows("val"), embeddings.rows("test")
    if not len(queries) or not len(corpus):
        raise ValueError(f"{embeddings.dataset} needs validation rows, whose texts search, and test rows, which are searched")
    relevant = embeddings.targets[queries].astype(int) @ embeddings.targets[corpus].T.astype(int) > 0
    queries, relevant = queries[relevant.any(axis=1)], relevant[relevant.any(axis=1)]
    scores = np.empty((len(alignments), len(shares), len(queries)))
    for i, name in enumerate(alignments):
        moved = move_set(embeddings, name)[0]
        image, text, asked = moved.image_of(corpus), moved.text_of(corpus), moved.text_of(queries)
        for j, share in enumerate(shares):
            draws = [mixed_search_ndcg(asked, relevant, image, text, share, k, random_state + draw) for draw in range(n_draws)]
            scores[i, j] = np.mean(draws, axis=0)
    weights = bootstrap_counts(len(queries), n_boot, random_state, embeddings.pairs["group"].to_numpy()[queries])
    records = []
    for i, j in np.ndindex(scores.shape[:2]):
        row = [alignments[i], shares[j]]
        for values in (scores[i, j], scores[i, j] - scores[0, j]):
            row += [values.mean(), *percentile_interval(weights @ values / weights.sum(axis=1), level)]
        records.append(row)
    columns = ["alignment", "share", "value", "low", "high", "change", "change_low", "change_high"]
    return pd.DataFrame(records, columns=columns)
