"""The contrastive objective read as two forces (Eq. 2): what pulls a pair together and what pushes it from the others."""

import numpy as np
from scipy.special import logsumexp

from .checks import same_dimension, unit_rows


def info_nce(image, text, temperature: float):
    """Return the InfoNCE of a batch, split into attraction and repulsion (Eq. 2): loss_i = attraction_i + repulsion_i.

    attraction_i = -v_i . t_i / tau and repulsion_i = log sum_j exp(v_i . t_j / tau), for images against texts.

    Args:
        image, text: (n, d) vectors; row i of one is the pair of row i of the other. Normalised here.
        temperature: tau > 0.

    Returns:
        (attraction, repulsion), each float64 (n,).

    Raises:
        ValueError: unequal shapes, zero-norm or non-finite rows, a temperature that is not positive.
    """
    image, text = (unit_rows(np.asarray(x, dtype=np.float64), what) for x, what in ((image, "image"), (text, "text")))
    same_dimension(image, text)
    if len(image) != len(text):
        raise ValueError(f"image has {len(image)} rows and text {len(text)}; InfoNCE needs one text per image")
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    logits = image @ text.T / temperature
    return -np.diagonal(logits).copy(), logsumexp(logits, axis=1)
