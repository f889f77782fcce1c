"""Shift embeddings along the modality gap (Eq. 5), undo the shift, and measure the gap that remains."""

import numpy as np

from ..arrays import embedding_matrix, mean_of, same_dimension, unit_blocks, unit_rows
from ..geometry import gap_vector, mean_direction
from .channels import Alignment


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

    Raises:
        ValueError: unequal dimensions, non-finite input, or a row that the shift sends to zero.
    """
    image, text = unit_rows(image, "image"), unit_rows(text, "text")
    same_dimension(image, text)
    gap = np.asarray(gap)
    if gap.shape != (image.shape[1],):
        raise ValueError(f"gap must have shape ({image.shape[1]},), got {gap.shape}")
    step = 0.5 * float(lam) * gap
    return _shifted(image, -step, "image"), _shifted(text, step, "text")


def _shifted(unit: np.ndarray, step: np.ndarray, what: str) -> np.ndarray:
    return unit_rows(unit + step.astype(unit.dtype), f"shifted {what}")


def unalign(image, text, gap, lam: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the vectors that :func:`align` moved, by its closed-form inverse.

    With :math:`c = \pm\frac\lambda2 \Delta` the shift of a modality and :math:`\lVert c \rVert < 1`, an aligned vector x' came from
    :math:`x = s x' - c`, :math:`s = x' \cdot c + \sqrt{(x' \cdot c)^2 + 1 - \lVert c \rVert^2}`. The map is a bijection of the
    sphere, so it loses no information at any such lambda.

    Raises:
        ValueError: the shift has norm 1 or more, so that the map is not one-to-one.
    """
    step = 0.5 * float(lam) * np.asarray(gap, dtype=np.float64)
    if np.linalg.norm(step) >= 1:
        raise ValueError(f"|lambda| ||gap|| / 2 is {np.linalg.norm(step):.3f}; the map can be undone only below 1")
    return _unshift(embedding_matrix(image, "image"), -step), _unshift(embedding_matrix(text, "text"), step)


def _unshift(x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    along = x @ shift
    scale = along + np.sqrt(along**2 + 1 - shift @ shift)
    return scale[:, None] * x - shift


def residual_gap(image, text, lam: float) -> float:
    """Return the norm of the gap that remains after aligning with the rows' own gap (Eq. 1 after Eq. 5)."""
    step = 0.5 * float(lam) * gap_vector(image, text)
    return float(np.linalg.norm(_mean_after(image, -step, "image") - _mean_after(text, step, "text")))


def _mean_after(x, step: np.ndarray, what: str) -> np.ndarray:
    """Return the mean (d,) of the unit vectors of ``x`` after a shift, without holding the shifted vectors."""
    return mean_of(unit_rows(_shifted(unit, step, what)) for unit in unit_blocks(x, what))


def predicted_residual_gap(image, text, lam: float) -> float:
    r"""Return the leading-order prediction of :func:`residual_gap` from the two means alone.

    A shifted modality has mean :math:`m` and mean squared norm :math:`\lVert m \rVert^2 + 1 - R^2`, so renormalising brings the
    mean to about :math:`m / \sqrt{\lVert m \rVert^2 + 1 - R^2}`. At lambda = 1 both m coincide, and the gap closes only if both
    R are equal.
    """
    image_mean, text_mean = mean_direction(image), mean_direction(text)
    shifted = Alignment("lambda", lam, lam).shifts(image_mean, text_mean)
    moved = []
    for mean, shift in zip((image_mean, text_mean), shifted, strict=True):
        m = mean + shift
        moved.append(m / np.sqrt(m @ m + 1 - mean @ mean))
    return float(np.linalg.norm(moved[0] - moved[1]))
