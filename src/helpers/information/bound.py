"""Read the contrastive objective as two forces (Eq. 2) and as a bound on information; compute SigLIP's sigmoid loss."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, logsumexp

from ..arrays import embedding_matrix, same_dimension, unit_rows

DIRECTIONS = ("image_to_text", "text_to_image")
BIAS_RANGE = (-200.0, 200.0)


def info_nce(image, text, temperature: float):
    """Return the InfoNCE of a batch, split into attraction and repulsion (Eq. 2): loss_i = attraction_i + repulsion_i.

    attraction_i = -v_i . t_i / tau and repulsion_i = log sum_j exp(v_i . t_j / tau), for images against texts. Exchange
    the arguments for the other direction.

    Args:
        image, text: (n, d) vectors; row i of one is the pair of row i of the other. Normalised here.
        temperature: tau > 0.

    Returns:
        (attraction, repulsion), each float64 (n,).

    Raises:
        ValueError: unequal shapes, zero-norm or non-finite rows, a temperature that is not positive.
    """
    logits = cosines(image, text) / positive_temperature(temperature)
    return -np.diagonal(logits).copy(), logsumexp(logits, axis=1)


def contrastive_terms(image, text, temperature: float) -> dict[str, float]:
    r"""Return both forces of Eq. 2 in both directions, the loss, and the bound on information that it implies.

    The bound :math:`\log B - \text{loss}` of B independent pairs is at most their mutual information (van den Oord et al., 2018),
    for any critic. Here the critic is the cosine over tau, and the loss is the mean of both directions. A pair is its only
    positive: a repeated text is a negative of the others, as the bound requires.

    Args:
        image, text: (n, d) vectors of pairs.
        temperature: tau > 0.

    Returns:
        ``attraction``, ``repulsion_image_to_text``, ``repulsion_text_to_image``, ``loss`` in nats and ``bound`` in bits.
    """
    logits = cosines(image, text) / positive_temperature(temperature)
    attraction = -float(np.diagonal(logits).mean())
    repulsion = [float(logsumexp(logits, axis=axis).mean()) for axis in (1, 0)]
    loss = attraction + sum(repulsion) / 2
    terms = {f"repulsion_{direction}": value for direction, value in zip(DIRECTIONS, repulsion, strict=True)}
    return {"attraction": attraction, **terms, "loss": loss, "bound": (np.log(len(logits)) - loss) / np.log(2)}


def best_temperature(image, text, low: float = 1e-3, high: float = 10.0) -> float:
    """Return the temperature of the lowest InfoNCE of some pairs, between ``low`` and ``high``."""
    found = minimize_scalar(
        lambda log: contrastive_terms(image, text, np.exp(log))["loss"], bounds=np.log([low, high]), method="bounded"
    )
    return float(np.exp(found.x))


def sigmoid_loss(image, text, temperature: float, bias: float) -> float:
    r"""Return SigLIP's loss per pair (Zhai et al., ICCV 2023): every image with every text is one decision, pair or no pair.

    :math:`-\frac1B \sum_{ij} \log \sigma(z_{ij} (v_i \cdot t_j / \tau + b))` with z = 1 for pairs and -1 otherwise, in nats.

    Raises:
        ValueError: as :func:`info_nce`, or a bias that is not finite.
    """
    if not np.isfinite(bias):
        raise ValueError(f"bias must be a finite number, got {bias}")
    logits = cosines(image, text) / positive_temperature(temperature) + bias
    signs = 2 * np.eye(len(logits)) - 1
    return float(-log_expit(signs * logits).sum() / len(logits))


def best_bias(image, text, temperature: float) -> float:
    """Return the bias of the lowest :func:`sigmoid_loss` of some pairs, at which training with it would end."""
    found = minimize_scalar(lambda bias: sigmoid_loss(image, text, temperature, bias), bounds=BIAS_RANGE, method="bounded")
    return float(found.x)


def alignment_loss(image, text) -> float:
    """Return the mean squared distance of pairs as unit vectors, in [0, 4] (Wang and Isola, ICML 2020); smaller is closer."""
    image, text = paired(image, text)
    return float(np.square(image - text).sum(axis=1).mean())


def uniformity(x) -> float:
    """Return the log of the mean of exp(-2 ||x_i - x_j||^2) over distinct rows as unit vectors (Wang and Isola, ICML 2020).

    0 for equal rows; the more evenly they cover the sphere, the smaller.

    Raises:
        ValueError: fewer than two rows.
    """
    x = unit_rows(np.asarray(x, dtype=np.float64))
    if len(x) < 2:
        raise ValueError(f"uniformity needs at least 2 rows, got {len(x)}")
    squared = 2 - 2 * (x @ x.T)[np.triu_indices(len(x), k=1)]
    return float(logsumexp(-2 * squared) - np.log(len(squared)))


def cosines(image, text) -> np.ndarray:
    """Return the cosine of every image with every text of some pairs, (n, n) float64."""
    image, text = paired(image, text)
    return image @ text.T


def paired(image, text) -> tuple[np.ndarray, np.ndarray]:
    """Return both modalities of pairs as unit rows in float64.

    Raises:
        ValueError: unequal shapes, zero-norm or non-finite rows.
    """
    image, text = (embedding_matrix(np.asarray(x, dtype=np.float64), what) for x, what in ((image, "image"), (text, "text")))
    same_dimension(image, text)
    if len(image) != len(text):
        raise ValueError(f"image has {len(image)} rows and text {len(text)}; InfoNCE needs one text per image")
    return unit_rows(image, "image"), unit_rows(text, "text")


def positive_temperature(temperature: float) -> float:
    """Return ``temperature`` if it is valid.

    Raises:
        ValueError: it is not a finite number above 0.
    """
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature must be positive and finite, got {temperature}; CLIP ends its training at 0.01")
    return float(temperature)
