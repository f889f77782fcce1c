"""Shift embeddings along the modality gap (Eq. 5), undo the shift, and measure the gap that remains."""

import numpy as np

from ..arrays import embedding_matrix, mean_of, unit_blocks, unit_both, unit_rows
from ..geometry import gap_vector, mean_direction


def steps(gap: np.ndarray, lam: float, lam_text: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    r"""Return what Eq. 5 adds to image rows and to text rows before it renormalises them: :math:`\mp\frac\lambda2 \Delta`."""
    return -0.5 * lam * gap, 0.5 * (lam if lam_text is None else lam_text) * gap


def align(image, text, gap, lam: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Shift both modalities towards each other and renormalise (Eq. 5).

    .. math:: v' = \frac{v - \frac\lambda2 \Delta}{\lVert v - \frac\lambda2 \Delta \rVert}, \qquad
              t' = \frac{t + \frac\lambda2 \Delta}{\lVert t + \frac\lambda2 \Delta \rVert}

    Args:
        image, text: (n, d) and (m, d) vectors; brought to unit norm first.
        gap: (d,), see :func:`helpers.gap_vector`.
        lam: 0 leaves the vectors unchanged; 1 makes the means meet before renormalisation.

    Returns:
        aligned image and text, unit rows, float64 where the input is float64, else float32.
    """
    image, text = unit_both(image, text)
    gap = np.asarray(gap)
    if gap.shape != (image.shape[1],):
        raise ValueError(f"gap must have shape ({image.shape[1]},), got {gap.shape}")
    image_step, text_step = steps(gap, float(lam))
    return _moved(image, image_step, "image"), _moved(text, text_step, "text")


def _moved(unit: np.ndarray, step: np.ndarray, what: str) -> np.ndarray:
    return unit_rows(unit + step.astype(unit.dtype), f"shifted {what}")


def unalign(image, text, gap, lam: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the vectors that :func:`align` moved, by its closed-form inverse.

    With :math:`c = \pm\frac\lambda2 \Delta` the shift of a modality and :math:`\lVert c \rVert < 1`, an aligned vector x' came from
    :math:`x = s x' - c`, :math:`s = x' \cdot c + \sqrt{(x' \cdot c)^2 + 1 - \lVert c \rVert^2}`. The map is a bijection of the
    sphere, so it loses no information at any such lambda.
    """
    image_step, text_step = steps(np.asarray(gap, dtype=np.float64), float(lam))
    if np.linalg.norm(text_step) >= 1:
        raise ValueError(f"|lambda| ||gap|| / 2 is {np.linalg.norm(text_step):.3f}; the map can be undone only below 1")
    return _unmoved(embedding_matrix(image, "image"), image_step), _unmoved(embedding_matrix(text, "text"), text_step)


def _unmoved(x: np.ndarray, step: np.ndarray) -> np.ndarray:
    along = x @ step
    scale = along + np.sqrt(along**2 + 1 - step @ step)
    return scale[:, None] * x - step


def residual_gap(image, text, lam: float) -> float:
    """Return the norm of the gap that remains after aligning with the rows' own gap (Eq. 1 after Eq. 5)."""
    image_step, text_step = steps(gap_vector(image, text), float(lam))
    return float(np.linalg.norm(_mean_after(image, image_step, "image") - _mean_after(text, text_step, "text")))


def _mean_after(x, step: np.ndarray, what: str) -> np.ndarray:
    """Return the mean (d,) of the unit vectors of ``x`` after a shift, without holding the shifted vectors."""
    return mean_of(unit_rows(_moved(unit, step, what)) for unit in unit_blocks(x, what))


def predicted_residual_gap(image, text, lam: float) -> float:
    r"""Return the leading-order prediction of :func:`residual_gap` from the two means alone.

    A shifted modality has mean :math:`m` and mean squared norm :math:`\lVert m \rVert^2 + 1 - R^2`, so renormalising brings the
    mean to about :math:`m / \sqrt{\lVert m \rVert^2 + 1 - R^2}`. At lambda = 1 both m coincide, and the gap closes only if both
    R are equal.
    """
    means = mean_direction(image), mean_direction(text)
    shifted = [mean + step for mean, step in zip(means, steps(means[0] - means[1], float(lam)), strict=True)]
    image, text = (m / np.sqrt(m @ m + 1 - mean @ mean) for m, mean in zip(shifted, means, strict=True))
    return float(np.linalg.norm(image - text))
