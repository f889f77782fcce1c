r"""Measure what information a set holds against the alignment strength: about the label, between the modalities, and Eq. 2.

Predictive V-information of linear probes (Xu et al., ICLR 2020) is :math:`I_V(X \to Y) = H_V(Y) - H_V(Y \mid X)`: the log loss of
the best constant minus that of the best linear probe. Both are fitted on training rows and scored on test rows, so an estimate can
be negative. Tables have the columns ``lambda, quantity, value, low, high, change, change_low, change_high``; changes are from the
first lambda. Intervals are of a bootstrap over groups of test rows and hold the fits fixed.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from .alignment.shift import align
from .arrays import unit_both
from .geometry import gap_vector
from .metrics import log_losses
from .probing.protocol import PROTOCOLS
from .probing.result import SweepResult
from .probing.sweep import sweep
from .statistics import bootstrap_counts, percentile_interval
from .store.embeddings import EmbeddingSet

SOURCES = {"image": "image", "text": "text", "joint": "both"}
LIKELIHOOD = PROTOCOLS["converged"].replace(name="unweighted", weighting="none")
SHARES = ("unique_image", "unique_text", "redundant", "synergistic")
STRENGTHS = np.logspace(-5, 2, 29)  # of the ridge, in units of the mean variance of a feature
RIDGES = np.logspace(-5, 1, 13)  # of the canonical correlations, in the same unit
COLUMNS = ["lambda", "quantity", "value", "low", "high", "change", "change_low", "change_high"]


def label_information(embeddings: EmbeddingSet, lambdas: Sequence[float], n_boot=1000, protocol=LIKELIHOOD) -> pd.DataFrame:
    """Return the bits of image, text and both about the label for a converged linear probe, and their shares.

    Labels of a multi-label task are predicted one by one and their information is summed. The protocol has no class weights, or the
    log loss is no likelihood. Quantities: ``entropy`` (of the class frequencies), ``image``, ``text``, ``both``, the shares of
    :func:`information_shares` and the ends of each share over all definitions, ``least_...`` and ``most_...``.
    """
    result = sweep(embeddings, lambdas, seeds=[0], protocol=protocol, features=tuple(SOURCES), workers=1, progress=False)
    null, losses = _losses(embeddings, result)
    weights = _counts(len(null), n_boot, result.groups)
    weights /= weights.sum(axis=1, keepdims=True)
    found = {}
    for lam in map(float, lambdas):
        means = {name: weights @ (null - losses[features, lam]) for features, name in SOURCES.items()}
        found[lam] = {"entropy": weights @ null, **means, **information_shares(**means), **share_bounds(**means)}
    return _against_first(found)


def information_shares(image, text, both, redundant=None) -> dict[str, np.ndarray]:
    """Return unique, redundant and synergistic information, which add up to ``both``, from that of each source and of both.

    Both tell what is redundant up to the smaller of the two: minimum mutual information (Barrett, Physical Review E 91, 2015).
    """
    redundant = np.minimum(image, text) if redundant is None else redundant
    return dict(zip(SHARES, (image - redundant, text - redundant, redundant, both - image - text + redundant), strict=True))


def share_bounds(image, text, both) -> dict[str, np.ndarray]:
    r"""Return the smallest and the largest value of each share over all definitions without a negative share.

    These have :math:`\max(0, I_v + I_t - I_{vt}) \le R \le \min(I_v, I_t)`; Barrett's redundancy is the largest.
    """
    least = np.minimum(np.maximum(0, image + text - both), np.minimum(image, text))  # estimates may be inconsistent by their error
    a, b = information_shares(image, text, both, least), information_shares(image, text, both)
    return {f"{end}_{n}": of(a[n], b[n]) for n in SHARES for end, of in (("least", np.minimum), ("most", np.maximum))}


def modality_information(embeddings: EmbeddingSet, lambdas: Sequence[float], n_boot=1000, components=10) -> pd.DataFrame:
    r"""Return what linear maps predict of one modality from the other; labels are not used.

    Quantities: ``ridge_text_from_image`` and ``ridge_image_from_text``, the share of the held-out variance that a ridge regression
    explains; ``cca``, the Gaussian information :math:`-\frac12 \sum_k \log_2 (1 - \rho_k^2)` in bits of the first canonical
    pairs, with :math:`\rho_k` their held-out correlations. Validation rows choose the ridges, or training rows if there are none.
    """
    fit, val, test = (embeddings.rows(split) for split in ("train", "val", "test"))
    rows = fit, val if len(val) else fit, test
    counts = _counts(len(test), n_boot, embeddings.pairs["group"].to_numpy()[test])
    image, text = embeddings.image_of().astype(np.float64), embeddings.text_of().astype(np.float64)
    gap = gap_vector(image[fit], text[fit])
    found = {}
    for lam in map(float, lambdas):
        v, t = align(image, text, gap, lam)
        found[lam] = {
            "ridge_text_from_image": explained_share(v, t, *rows, counts),
            "ridge_image_from_text": explained_share(t, v, *rows, counts),
            "cca": gaussian_information(*canonical_scores(v, t, *rows, components), counts),
        }
    return _against_first(found)


def explained_share(x, y, fit, val, test, counts: np.ndarray) -> np.ndarray:
    """Return the test variance of y (n, e) that a ridge on x (n, d), chosen on ``val``, explains, per weighting (b, n_test)."""
    x_mean, y_mean = x[fit].mean(axis=0), y[fit].mean(axis=0)
    values, directions = np.linalg.eigh(np.cov(x[fit], rowvar=False, bias=True))
    values = values.clip(min=0)
    projected = directions.T @ ((x[fit] - x_mean).T @ (y[fit] - y_mean)) / len(fit)
    moved = (x - x_mean) @ directions

    def errors(rows, strength) -> np.ndarray:
        return np.square(y[rows] - y_mean - (moved[rows] / (values + strength * values.mean())) @ projected).sum(axis=1)

    best = min(STRENGTHS, key=lambda strength: errors(val, strength).sum())
    return 1 - (counts @ errors(test, best)) / (counts @ np.square(y[test] - y_mean).sum(axis=1))


def canonical_scores(image, text, fit, val, test, components: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of test rows on the first canonical pairs of the rows fitted on, (n_test, components) each.

    Covariances within a modality have a ridge, so that fewer rows than dimensions will do; ``val`` rows choose it.
    """
    means = image[fit].mean(axis=0), text[fit].mean(axis=0)
    spectra = [np.linalg.eigh(np.cov(x[fit], rowvar=False, bias=True)) for x in (image, text)]
    cross = (image[fit] - means[0]).T @ (text[fit] - means[1]) / len(fit)

    def scores(rows, strength) -> tuple[np.ndarray, np.ndarray]:
        whiteners = [directions / np.sqrt(values.clip(min=0) + strength * values.mean()) for values, directions in spectra]
        left, _, right = np.linalg.svd(whiteners[0].T @ cross @ whiteners[1], full_matrices=False)
        maps = whiteners[0] @ left[:, :components], whiteners[1] @ right[:components].T
        return (image[rows] - means[0]) @ maps[0], (text[rows] - means[1]) @ maps[1]

    return scores(test, max(RIDGES, key=lambda ridge: gaussian_information(*scores(val, ridge), np.ones((1, len(val))))[0]))


def gaussian_information(a: np.ndarray, b: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the summed bits of Gaussian pairs of columns of a and b (n, k), (m,), under each weighting of the rows (m, n)."""
    weights = counts / counts.sum(axis=1, keepdims=True)
    mean_a, mean_b = weights @ a, weights @ b
    covariance = weights @ (a * b) - mean_a * mean_b
    spread = (weights @ np.square(a) - np.square(mean_a)) * (weights @ np.square(b) - np.square(mean_b))
    correlation = np.where(spread > 0, covariance / np.sqrt(np.where(spread > 0, spread, 1)), 0).clip(
        0, 1 - 1e-12
    )  # a negative one is none
    return -np.log2(1 - np.square(correlation)).sum(axis=1) / 2


def contrastive_terms(image, text, temperature: float) -> dict[str, float]:
    r"""Return both forces of Eq. 2 in both directions and the loss, their mean, in nats, and the bound on information in bits.

    The bound :math:`\log B - \text{loss}` of B independent pairs is at most their mutual information (van den Oord et al., 2018).
    A pair is its only positive: a repeated text is a negative of the others, as the bound requires.
    """
    logits = scaled_cosines(image, text, temperature)
    attraction = -float(np.diagonal(logits).mean())
    there, back = (float(logsumexp(logits, axis=axis).mean()) for axis in (1, 0))
    loss = attraction + (there + back) / 2
    terms = {"attraction": attraction, "repulsion_image_to_text": there, "repulsion_text_to_image": back, "loss": loss}
    return terms | {"bound": (np.log(len(logits)) - loss) / np.log(2)}


def scaled_cosines(image, text, temperature: float) -> np.ndarray:
    """Return the cosine of every image with every text of some pairs over the temperature, (n, n) float64."""
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature must be positive and finite, got {temperature}; CLIP ends its training at 0.01")
    image, text = unit_both(np.asarray(image, dtype=np.float64), np.asarray(text, dtype=np.float64), pairs=True)
    return image @ text.T / temperature


def _losses(embeddings: EmbeddingSet, result: SweepResult) -> tuple[np.ndarray, dict[tuple[str, float], np.ndarray]]:
    """Return the log loss in bits on every test row (n_test,) of the training rows' class frequencies, and that of each probe."""
    multiclass, train, test = result.task.kind == "multiclass", embeddings.targets[embeddings.rows("train")], result.targets
    learned, outputs = (slice(None), 1) if multiclass else (result.learned, int(result.learned.sum()))
    shares = (train.sum(axis=0) + 0.5) / (len(train) + (train.shape[1] / 2 if multiclass else 1))  # no zero
    null = -np.where(test == 1, np.log2(shares), 0 if multiclass else np.log2(1 - shares))[:, learned].sum(axis=1)
    return null, {
        (run.features, run.lambda_image): outputs * log_losses(s[:, learned], test[:, learned], multiclass) / np.log(2)
        for run, s in zip(result.runs.itertuples(), result.scores, strict=True)
    }


def _counts(n: int, n_boot: int, groups) -> np.ndarray:
    """Return how often each row counts, (1 + n_boot, n): once, and in each bootstrap replicate."""
    return np.concatenate([np.ones((1, n)), bootstrap_counts(n, n_boot, groups=groups)])


def _against_first(found: Mapping[float, Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """Return each quantity and its change from the first lambda with intervals; arrays hold the value and then its replicates."""
    first, rows = next(iter(found.values())), []
    for lam, quantities in found.items():
        for name, draws in quantities.items():
            change = draws - first[name]
            ends = percentile_interval(draws[1:]), percentile_interval(change[1:])
            rows.append((lam, name, draws[0], *ends[0], change[0], *ends[1]))
    return pd.DataFrame(rows, columns=COLUMNS)
