"""Measure retrieval across modalities. Rows are pairs; equal vectors are one candidate, a hit where any of their pairs is right."""

import numpy as np
from scipy.stats import rankdata, skew

from .arrays import distinct_rows, embedding_matrix, same_dimension, squarable, unit_both, unit_rows
from .separation import enough_rows, nearest, similarity_blocks

FEWEST_PAIRS, MOST_PAIRS = 30, 1000  # fewer pairs do not tell a working encoder from chance, and more are not needed
SHUFFLES = 1000  # of pairs; a working encoder exceeds all of them, which chance does once in a thousand times


def retrieval_ranks(image, text, penalty=0.0, unit: bool = True) -> np.ndarray:
    r"""Count, for each pair (n,), the wrong texts that are at least as similar to its image as its best right text.

    Ties count against the pair, so an encoder that gives every input the same vector finds no pair.

    Args:
        image, text: (n, d) query and candidate vectors of the same pairs; swap them for the other direction.
        penalty: (n,) numbers added to the similarity of each candidate, the same for equal candidates. With
            :math:`-\frac\lambda2\, t \cdot \Delta` they reproduce the shift of Eq. 5 without renormalising.
        unit: compare by cosine; otherwise by the inner product of the vectors as they are.
    """
    checked = unit_rows if unit else embedding_matrix
    image, text = checked(image, "image"), checked(text, "text")
    same_dimension(image, text, pairs=True)
    scale, (image, text) = squarable(image, text)
    (queries, query), (gallery, candidate) = distinct_rows(image), distinct_rows(text)
    added = np.zeros(len(gallery), dtype=gallery.dtype)
    added[candidate] = np.asarray(penalty) / scale / scale
    order = np.argsort(query, kind="stable")
    ends = np.searchsorted(query[order], np.arange(len(queries) + 1))
    ranks = np.empty(len(queries), dtype=np.int64)
    for rows, similarity in similarity_blocks(queries, gallery):
        similarity += added
        mine = order[ends[rows[0]] : ends[rows[-1] + 1]]
        where = query[mine] - rows[0], candidate[mine]
        best = np.full(len(rows), -np.inf, dtype=similarity.dtype)
        np.maximum.at(best, where[0], similarity[where])
        similarity[where] = -np.inf
        ranks[rows] = (similarity >= best[:, None]).sum(axis=1)
    return ranks[query]


def recall_both_ways(image, text, k: int = 1, unit: bool = True) -> tuple[float, float]:
    """Return recall@k of images that look for their text, and of texts that look for their image; see :func:`retrieval_ranks`.

    Example:
        >>> recall_both_ways([[1.0, 0.0], [0.0, 1.0]], [[0.9, 0.1], [0.1, 0.9]])
        (1.0, 1.0)
    """
    several_distinct(image, "image", k)
    several_distinct(text, "text", k)
    ranks = retrieval_ranks(image, text, unit=unit), retrieval_ranks(text, image, unit=unit)
    return float((ranks[0] < k).mean()), float((ranks[1] < k).mean())


def several_distinct(x, what: str, k: int = 1) -> None:
    """Refuse a modality with one distinct vector, or with fewer than k, for retrieval."""
    if (found := len(distinct_rows(x)[0])) < 2:
        raise ValueError(f"{what} has one distinct vector in {len(x)} rows, too few for retrieval; check the encoder")
    enough_rows(k, found)


def hubness(queries, corpus, k: int = 10) -> tuple[int, float]:
    """Return the largest k-occurrence and the skewness of all (0 without hubs): how often a distinct row of ``corpus`` is among the
    k nearest of a row of ``queries`` (Radovanovic et al., JMLR 2010).
    """
    several_distinct(corpus, "corpus", k)
    queries, corpus = unit_rows(queries, "queries"), distinct_rows(unit_rows(corpus, "corpus"))[0]
    same_dimension(queries, corpus)
    counts = np.bincount(nearest(corpus, k, queries).ravel(), minlength=len(corpus))
    return int(counts.max()), float(skew(counts)) if counts.std() > 0 else 0.0


def sanity_check(image, text) -> dict:
    """Compare matched with shuffled pairs (n, d), a random sample of at most 1,000: a working dual encoder tells them apart.

    The result has ``pairs``, the ``auc`` with which the cosine to a text tells its own images from the others, over all distinct
    texts, and ``suspicion``, one sentence or None. Texts that are close to every image do not hide the difference.
    """
    image, text = unit_both(image, text, pairs=True)
    rng = np.random.default_rng(0)
    rows = np.sort(rng.permutation(len(image))[:MOST_PAIRS])
    image, text = image[rows], text[rows]
    for what, x in (("image", image), ("text", text)):
        if len(x) > 1 and len(distinct_rows(x)[0]) == 1:
            sentence = f"The {what} encoder gives one vector to all {len(x)} rows: it is dead, or its input is empty."
            return {"pairs": len(x), "auc": 0.5, "suspicion": sentence}
    gallery, code = distinct_rows(text)
    cosines = image @ gallery.T
    ranks, closest, own = rankdata(cosines, axis=0), cosines.argmax(axis=1), np.bincount(code)
    everyone, lowest, comparisons = np.arange(len(code)), (own * (own + 1) / 2).sum(), max(1, (own * (len(code) - own)).sum())

    def score(texts: np.ndarray) -> tuple[float, float]:
        """Return the AUC and recall@1 if these were the texts (n,) of the images."""
        return float((ranks[everyone, texts].sum() - lowest) / comparisons), float((closest == texts).mean())

    found, null = score(code), np.array([score(rng.permutation(code)) for _ in range(SHUFFLES)])
    return {"pairs": len(image), "auc": found[0], "suspicion": _suspicion(*found, *null.T) if len(image) >= FEWEST_PAIRS else None}


def _suspicion(area: float, recall: float, shuffled_area: np.ndarray, shuffled_recall: np.ndarray) -> str | None:
    """Return one sentence if neither the AUC nor recall@1 of pairs is above that of every shuffle, else None."""
    if area > shuffled_area.max() or recall > shuffled_recall.max():
        return None
    finding = "less similar than" if area < shuffled_area.min() else "no more similar than"
    return (
        f"Matched pairs are {finding} shuffled ones (AUC {area:.2f}): the encoder may not know this domain, its weights may not be "
        "loaded, the modalities may be swapped, or images and texts may be in different orders."
    )
