"""Measure how far two modalities lie apart or mix: relative gap, held-out classifier, neighbours, clusters, histograms.

Every function takes image and text vectors and, unless it says otherwise, brings them to unit norm. Rows are pairs where stated.
"""

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import v_measure_score
from sklearn.model_selection import GroupKFold

from .arrays import embedding_matrix, mean_of, same_dimension, unit_blocks, unit_rows
from .metrics import auc
from .neighbours import (
    distinct_codes,
    enough_rows,
    first_rows,
    nearest,
    nearest_of_units,
    same_number,
    similarity_blocks,
    unit_pair_blocks,
    unit_pairs,
)

STRENGTHS = np.logspace(-1, 5, 7)  # inverse penalties C among which the modality classifier chooses


def relative_modality_gap(image, text) -> float:
    r"""Return the relative modality gap of n pairs, :math:`\bar d_{vt} / (\bar d_{vt} + (\bar d_{vv} + \bar d_{tt}) / 2)`.

    The distance is :math:`d = (1 - \cos) / 2`, averaged over pairs in :math:`\bar d_{vt}` and over any two different rows of one
    modality in the others. The result is 0.5 when pairs are no closer than random rows of one modality, 0 when pairs coincide and
    1 when each modality is a single point. Schrodi et al., "Two effects, one trigger", ICLR 2025.

    Args:
        image, text: (n, d) vectors of pairs.

    Returns:
        float in [0, 1].

    Raises:
        ValueError: different numbers of rows, fewer than two, or all vectors equal.

    Example:
        >>> relative_modality_gap([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]])
        0.0
    """
    cosines = np.concatenate([np.einsum("ij,ij->i", v, t, dtype=np.float64) for v, t in unit_pair_blocks(image, text)])
    if len(cosines) < 2:
        raise ValueError("the relative modality gap needs at least 2 pairs, got 1")
    across = (1 - cosines.mean()) / 2
    within = (_mean_distance(image) + _mean_distance(text)) / 2
    if across + within < 1e-12:
        raise ValueError("all vectors are equal, so that the relative modality gap is not defined; check the encoder")
    return float(max(across, 0.0) / (max(across, 0.0) + within))


def _mean_distance(x: np.ndarray) -> float:
    """Return the mean of (1 - cos) / 2 over any two different rows: (1 - R^2) n / (2 (n - 1))."""
    mean = mean_of(unit_rows(block) for block in unit_blocks(x))
    return max((1 - mean @ mean) * len(x) / (len(x) - 1) / 2, 0.0)


def modality_auc(fit_image, fit_text, image, text, fit_groups=None) -> float:
    """Return the AUC with which a linear classifier tells images from texts on rows that it has not seen.

    Vectors are not renormalised, because that can make a modality visible again. One factor for all rows brings the mean squared
    length of the fit rows to 1, so that a strength means the same after every alignment. The classifier is a logistic regression,
    solved until it converges. Log loss in three grouped folds of the fit rows decides its strength.

    Args:
        fit_image, fit_text: (n, d) and (n, d) vectors of the pairs to learn from.
        image, text: vectors to score.
        fit_groups: (n,) groups of pairs that stay in one fold; pairs with an equal image or text always do.

    Returns:
        float; 0.5 is chance, 1 is complete separation.

    Raises:
        ValueError: fewer than three groups among the fit rows.
    """
    fit_image, fit_text, image, text = (embedding_matrix(x) for x in (fit_image, fit_text, image, text))
    same_number(fit_image, fit_text)
    groups = tied_groups(fit_image, fit_text, fit_groups)
    x, y = np.concatenate([fit_image, fit_text]).astype(np.float64), np.repeat([1, 0], len(fit_image))
    scale = np.sqrt((x**2).sum(axis=1).mean()) or 1.0
    folds = list(GroupKFold(3).split(x, y, np.tile(_check_groups(groups, 3), 2)))
    model = LogisticRegressionCV(
        Cs=STRENGTHS,
        cv=folds,
        solver="lbfgs",
        scoring="neg_log_loss",
        max_iter=10_000,
        tol=1e-6,
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
    ).fit(x / scale, y)
    return float(auc(model.decision_function(np.concatenate([image, text]) / scale), np.repeat([1, 0], [len(image), len(text)])))


def held_out_modality_auc(image, text, groups=None, n_folds: int = 5) -> np.ndarray:
    """Return :func:`modality_auc` of each of ``n_folds`` grouped folds; no classifier scores a pair that it has seen.

    Args:
        image, text: (n, d) vectors of pairs.
        groups: (n,) groups of pairs that stay in one fold, such as one patient's.

    Returns:
        (n_folds,) AUCs, to be averaged. Scores of different folds are not comparable, so rows must not be pooled.

    Raises:
        ValueError: fewer groups than folds; equal images or texts tie their pairs into one group.
    """
    image, text = unit_pairs(image, text)
    groups = _check_groups(tied_groups(image, text, groups), n_folds)
    folds = GroupKFold(n_folds).split(image, groups=groups)
    return np.array([modality_auc(image[a], text[a], image[b], text[b], groups[a]) for a, b in folds])


def tied_groups(image, text, groups=None) -> np.ndarray:
    """Return group numbers (n,) that put pairs with an equal image, an equal text or the same given group in one group."""
    n = len(image)
    codes = [distinct_codes(np.asarray(x))[1] for x in (image, text)]
    codes += [] if groups is None else [np.unique(np.asarray(groups).astype(str), return_inverse=True)[1]]
    offsets, start = [], n
    for code in codes:
        offsets.append(code + start)
        start += code.max() + 1
    columns = np.concatenate(offsets)
    graph = coo_matrix((np.ones(len(columns), bool), (np.tile(np.arange(n), len(codes)), columns)), shape=(start, start))
    return connected_components(graph, directed=False)[1][:n]


def half_of_groups(groups: np.ndarray, random_state: int) -> np.ndarray:
    """Return a mask (n,) of the rows of a random half of the groups (n,)."""
    names = np.random.default_rng(random_state).permutation(np.unique(groups))
    sizes = pd.Series(groups).value_counts()[names].cumsum()
    return np.isin(groups, names[: max(1, int((sizes <= len(groups) / 2).sum()))])


def mixing_at_k(image, text, k: int = 10, most: int | None = None, random_state: int = 0) -> float:
    """Return the share of the other modality among the k nearest neighbours of each distinct vector, divided by its chance.

    The result is 1 when modalities mix as by chance, 0 when no neighbour is of the other modality. A repeated vector counts once,
    because its copies would fill its own neighbourhood; :func:`repeated_rows` counts them.

    Args:
        image, text: (n, d) and (m, d) vectors.
        k: number of neighbours by cosine.
        most: number of distinct vectors, drawn, whose neighbours are sought among all; all of them when None.

    Raises:
        ValueError: k larger than the number of other distinct rows.
    """
    pooled, sizes = _distinct_pool(image, text)
    is_text, rows = np.repeat([0, 1], sizes), np.arange(len(pooled))
    if most is not None and most < len(rows):
        rows = np.sort(np.random.default_rng(random_state).permutation(len(rows))[:most])
    neighbours = nearest_of_units(pooled[rows], pooled, k, own=rows)
    other = (is_text[neighbours] != is_text[rows][:, None]).mean(axis=1)
    chance = sizes[1 - is_text[rows]] / (len(pooled) - 1)
    return float((other / chance).mean())


def _distinct_pool(image, text) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct unit rows of images and then of texts in one matrix, and the number of each.

    At 150,000 pairs memory is short of copies of the vectors, so each modality is written to its place before the next is made.
    """
    image, text = embedding_matrix(image, "image"), embedding_matrix(text, "text")
    same_dimension(image, text)
    n = len(image)
    pooled = np.empty((n + len(text), image.shape[1]), dtype=np.result_type(image, text))
    pooled[:n] = unit_rows(image, "image")
    pooled[n:] = unit_rows(text, "text")
    pooled += 0.0  # turns -0.0 into 0.0, which has other bytes and the same value
    first = [first_rows(pooled[:n])[0], n + first_rows(pooled[n:])[0]]
    sizes = np.array([len(rows) for rows in first])
    return (pooled if sizes.sum() == len(pooled) else pooled[np.concatenate(first)]), sizes


def repeated_rows(x) -> int:
    """Return how many rows of ``x`` (n, d) repeat an earlier one exactly."""
    x = np.asarray(x)
    return len(x) - len(distinct_codes(x)[0])


def modality_v_measure(image, text, random_state: int = 0) -> float:
    """Return the V-measure of two k-means clusters against the modality.

    It is 1 when the clusters are the modalities and 0 when they are independent of them. Rosenberg and Hirschberg, "V-measure",
    EMNLP 2007.
    """
    image, text = unit_rows(image, "image"), unit_rows(text, "text")
    same_dimension(image, text)
    pooled = np.concatenate([image, text])
    if len(distinct_codes(pooled)[0]) < 2:
        raise ValueError("all vectors are equal and form no two clusters; check the encoder")
    clusters = KMeans(2, n_init=10, random_state=random_state).fit_predict(pooled)
    return float(v_measure_score(np.repeat([0, 1], [len(image), len(text)]), clusters))


def cosine_histograms(image, text, bins: int = 100) -> dict[str, np.ndarray]:
    """Count the cosines of pairs, of non-pairs, and of any two different rows within each modality.

    Args:
        image, text: (n, d) vectors of pairs. An image and a text equal to its own are not counted as a non-pair.
        bins: number of equal bins over [-1, 1].

    Returns:
        ``edges`` (bins + 1,) and counts (bins,) ``pair``, ``non_pair``, ``image``, ``text``.
    """
    image, text = unit_pairs(image, text)
    edges = np.linspace(-1, 1, bins + 1)
    counts = {name: np.zeros(bins, dtype=np.int64) for name in ("pair", "non_pair", "image", "text")}
    image_code, text_code = distinct_codes(image)[1], distinct_codes(text)[1]
    counts["pair"] = np.histogram(np.einsum("ij,ij->i", image, text).clip(-1, 1), edges)[0]
    for rows, cosines in similarity_blocks(image, text):
        same = (text_code[rows][:, None] == text_code[None]) | (image_code[rows][:, None] == image_code[None])
        counts["non_pair"] += np.histogram(cosines[~same].clip(-1, 1), edges)[0]
    for name, x in (("image", image), ("text", text)):
        for rows, cosines in similarity_blocks(x, x):
            later = np.arange(len(x))[None] > rows[:, None]
            counts[name] += np.histogram(cosines[later].clip(-1, 1), edges)[0]
    return {"edges": edges, **counts}


def uniformity(x, t: float = 2.0) -> float:
    r"""Return the uniformity :math:`\log \mathbb{E}_{i \ne j} \exp(-t \lVert x_i - x_j \rVert^2)` of unit rows (n, d).

    A lower value is more uniform. Wang and Isola, "Understanding contrastive representation learning through alignment and
    uniformity on the hypersphere", ICML 2020.
    """
    x = unit_rows(x)
    enough_rows(1, len(x) - 1)
    total = sum(np.exp(2 * t * (cosines.astype(np.float64) - 1)).sum() for _, cosines in similarity_blocks(x, x))
    return float(np.log((total - len(x)) / (len(x) * (len(x) - 1))))


def pair_distance(image, text) -> float:
    r"""Return the alignment :math:`\mathbb{E} \lVert v_i - t_i \rVert^2` of n pairs of unit vectors, in [0, 4] (Wang and Isola)."""
    squares = [((v - t).astype(np.float64) ** 2).sum(axis=1) for v, t in unit_pair_blocks(image, text)]
    return float(np.concatenate(squares).mean())


def mutual_knn(image, text, k: int = 10, n_permutations: int = 1000, random_state: int = 0) -> tuple[float, float]:
    """Return the share of the k neighbours that pairs have in common in both modalities, and its permutation p-value.

    Neighbours are found within a modality, so the two may have different dimensions. The null shuffles the pairs, and the p-value
    counts the observed value itself. Huh et al., "The platonic representation hypothesis", ICML 2024.

    Args:
        image, text: (n, d) and (n, d') vectors of pairs.

    Returns:
        share in [0, 1] and p-value.

    Raises:
        ValueError: k is not below the number of pairs.
    """
    same_number(image, text)
    graphs = [_neighbour_graph(x, k) for x in (image, text)]
    n, rng = len(image), np.random.default_rng(random_state)
    observed = graphs[0].multiply(graphs[1]).sum()
    at_least = 0
    for _ in range(n_permutations):
        order = rng.permutation(n)
        at_least += graphs[0].multiply(graphs[1][order][:, order]).sum() >= observed
    return float(observed / (n * k)), float((1 + at_least) / (1 + n_permutations))


def _neighbour_graph(x, k: int) -> csr_matrix:
    neighbours = nearest(x, x, k, exclude_self=True)
    n = len(neighbours)
    return csr_matrix((np.ones(n * k, dtype=np.int64), neighbours.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))


def _check_groups(groups: np.ndarray, least: int) -> np.ndarray:
    found = len(np.unique(groups))
    if found < least:
        raise ValueError(
            f"the pairs form {found} group(s) once equal images and texts are tied, and {least} folds need as many; "
            "give more distinct pairs"
        )
    return groups
