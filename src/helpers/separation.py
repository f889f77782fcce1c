"""Measure how far image and text vectors, brought to unit norm, lie apart or mix: relative gap, held-out classifier, neighbours."""

from collections.abc import Iterator

import numpy as np
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import NearestNeighbors

from .arrays import as_rows, distinct_rows, embedding_matrix, same_dimension, unit_blocks
from .geometry import mean_direction
from .metrics import auc
from .statistics import group_codes, joined

STRENGTHS = np.logspace(-1, 5, 7)  # inverse penalties C among which the modality classifier chooses
SIMILARITIES = 2**23  # inner products held at a time: 32 MB in float32


def relative_modality_gap(image, text) -> float:
    r"""Return the relative modality gap of n pairs, :math:`\bar d_{vt} / (\bar d_{vt} + (\bar d_{vv} + \bar d_{tt}) / 2)`.

    The distance is :math:`d = (1 - \cos) / 2`, averaged over pairs or over any two rows of one modality: 0 when pairs coincide, 0.5
    when they are no closer than rows of one modality, 1 when each modality is a single point. Schrodi et al., ICLR 2025.

    Example:
        >>> relative_modality_gap([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]])
        0.0
    """
    image, text = as_rows(image, "image"), as_rows(text, "text")
    same_dimension(image, text, pairs=True)
    if len(image) < 2:
        raise ValueError("the relative modality gap needs at least 2 pairs, got 1")
    both = zip(unit_blocks(image, "image"), unit_blocks(text, "text"), strict=True)
    cosines = np.concatenate([np.einsum("ij,ij->i", v, t) for v, t in both])
    across = (1 - cosines.mean()) / 2
    within = (_mean_distance(image) + _mean_distance(text)) / 2
    if across + within < 1e-12:
        raise ValueError("all vectors are equal, so that the relative modality gap is not defined; check the encoder")
    return float(max(across, 0.0) / (max(across, 0.0) + within))


def _mean_distance(x: np.ndarray) -> float:
    """Return the mean of (1 - cos) / 2 over any two different rows: (1 - R^2) n / (2 (n - 1))."""
    mean = mean_direction(x)
    return max((1 - mean @ mean) * len(x) / (len(x) - 1) / 2, 0.0)


def modality_auc(fit_image, fit_text, image, text, fit_groups=None) -> float:
    """Return the AUC with which a linear classifier tells images from texts on rows that it has not seen; 0.5 is chance.

    The classifier is a converged logistic regression; log loss in three grouped folds decides its strength. Vectors are not
    renormalised, because that can make a modality visible again; one factor brings the mean squared length of the fit rows to 1.
    Pairs of one group (n,) of ``fit_groups`` and pairs with an equal image or text stay in one fold.
    """
    fit_image, fit_text, image, text = (embedding_matrix(x) for x in (fit_image, fit_text, image, text))
    same_dimension(fit_image, fit_text, pairs=True)
    groups = tied_groups(fit_image, fit_text, fit_groups)
    if (found := len(np.unique(groups))) < 3:
        raise ValueError(f"the pairs form {found} group(s) once equal images and texts are tied, 3 folds need more distinct pairs")
    x, y = np.concatenate([fit_image, fit_text]).astype(np.float64), np.repeat([1, 0], len(fit_image))
    scale = np.sqrt((x**2).sum(axis=1).mean()) or 1.0
    folds = list(GroupKFold(3).split(x, y, np.tile(groups, 2)))
    options = {"solver": "lbfgs", "max_iter": 10_000, "tol": 1e-6, "l1_ratios": (0.0,), "use_legacy_attributes": False}
    model = LogisticRegressionCV(Cs=STRENGTHS, cv=folds, scoring="neg_log_loss", **options).fit(x / scale, y)
    return float(auc(model.decision_function(np.concatenate([image, text]) / scale), np.repeat([1, 0], [len(image), len(text)])))


def tied_groups(image, text, groups=None) -> np.ndarray:
    """Return group numbers (n,) that put pairs with an equal image, an equal text or the same given group in one group."""
    return joined(*(distinct_rows(x)[1] for x in (image, text)), *([] if groups is None else [group_codes(groups)]))


def half_of_groups(groups: np.ndarray, random_state: int) -> np.ndarray:
    """Return a mask (n,) of the rows of a random half of the groups (n,)."""
    names, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(random_state).permutation(len(names))
    chosen = np.zeros(len(names), dtype=bool)
    chosen[order[: max(1, int((sizes[order].cumsum() <= len(groups) / 2).sum()))]] = True
    return chosen[codes]


def similarity_blocks(queries: np.ndarray, corpus: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield row numbers (b,) and inner products (b, m) of ``queries`` (n, d) with ``corpus`` (m, d), block by block."""
    step = max(1, SIMILARITIES // len(corpus))
    for start in range(0, len(queries), step):
        rows = np.arange(start, min(start + step, len(queries)))
        yield rows, queries[rows] @ corpus.T


def enough_rows(k: int, candidates: int) -> None:
    """Refuse a number of neighbours k that is below 1 or above the number of candidates."""
    if not 1 <= k <= candidates:
        raise ValueError(f"k is {k} and there are {candidates} candidate rows; choose k between 1 and {candidates}")


def nearest(corpus: np.ndarray, k: int, queries: np.ndarray | None = None) -> np.ndarray:
    """Return the row numbers (n, k) of the k nearest rows of ``corpus`` (m, d), nearest first; all rows have unit norm.

    Without ``queries`` the rows of the corpus are the queries, and no row is its own neighbour.
    """
    enough_rows(k, len(corpus) - (queries is None))
    # The order of Euclidean distances of unit vectors is that of cosines; scikit-learn finds it without an (n, m) matrix.
    return NearestNeighbors(n_neighbors=k, algorithm="brute").fit(corpus).kneighbors(queries, return_distance=False)
