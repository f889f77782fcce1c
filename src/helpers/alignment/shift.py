"""Shift embeddings along the modality gap (Eq. 5) and its channels, and measure the gap that remains."""

from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..arrays import choose, mean_of, unit_blocks, unit_both, unit_rows
from ..geometry import gap_vector, mean_direction

CHANNELS = ("shift", "common-scale", "scale-ratio", "spread")
PAIRS = tuple("+".join(pair) for pair in combinations(CHANNELS, 2))
WITHOUT = tuple(f"without-{channel}" for channel in CHANNELS)
STORED_AS = {"centring": "centred"}  # stored sweeps and the tables of the book hold the former name
SWEPT = ("lambda", *CHANNELS, *WITHOUT, *STORED_AS.values())  # what a grid sweeps unless told otherwise
LARGEST_LAMBDA = 2  # in absolute value
FACTORIAL = ("lambda", *CHANNELS, *PAIRS, *WITHOUT)  # every subset of the channels but the empty one, which is lambda = 0


def checked_lambda(lam: float, what: str = "lambda") -> float:
    """Return an alignment strength as a float in [-2, 2]; far beyond, a shift leaves rounding alone."""
    with suppress(TypeError, ValueError, OverflowError):  # of what is no number, and of integers beyond floats
        if not isinstance(lam, bool | np.bool_) and abs(value := float(lam)) <= LARGEST_LAMBDA:  # which NaN is not
            return value
    raise ValueError(f"{what} must be a finite number between -2 and 2, got {lam!s:.40}; 1 already makes the means meet")


def steps(gap: np.ndarray, lam: float, lam_text: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    r"""Return what Eq. 5 adds to image rows and to text rows before it renormalises them: :math:`\mp\frac\lambda2 \Delta`."""
    lam, lam_text = checked_lambda(lam), checked_lambda(lam if lam_text is None else lam_text)
    return -0.5 * lam * gap, 0.5 * lam_text * gap


def align(image, text, gap, lam: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Return both modalities shifted towards each other and renormalised (Eq. 5), float64 for float64 input, else float32.

    .. math:: v' = \frac{v - \frac\lambda2 \Delta}{\lVert v - \frac\lambda2 \Delta \rVert}, \qquad
              t' = \frac{t + \frac\lambda2 \Delta}{\lVert t + \frac\lambda2 \Delta \rVert}

    Args:
        image, text: (n, d) and (m, d) vectors; brought to unit norm first.
        gap: (d,), see :func:`helpers.gap_vector`.
        lam: 0 leaves the vectors unchanged; 1 makes the means meet before renormalisation.
    """
    image, text = unit_both(image, text)
    if np.shape(gap) != image.shape[1:]:
        raise ValueError(f"gap must have shape {image.shape[1:]}, got {np.shape(gap)}")
    image_step, text_step = steps(np.asarray(gap), lam)
    return _moved(image, image_step, "image"), _moved(text, text_step, "text")


def _moved(unit: np.ndarray, step: np.ndarray, what: str) -> np.ndarray:
    return unit_rows(unit + step.astype(unit.dtype), f"shifted {what}")


def residual_gap(image, text, lam: float, gap=None) -> float:
    """Return the norm of the gap that remains after aligning with ``gap`` (d,), by default the rows' own (Eq. 1 after Eq. 5)."""
    gap = gap_vector(image, text) if gap is None else gap
    parts = zip((image, text), steps(gap, lam), ("image", "text"), strict=True)
    image, text = (mean_of(_moved(unit, step, what) for unit in unit_blocks(x, what)) for x, step, what in parts)
    return float(np.linalg.norm(image - text))


def predicted_residual_gap(image, text, lam: float) -> float:
    r"""Return the leading-order prediction of :func:`residual_gap` from the two means alone.

    A shifted modality of mean :math:`m` has mean squared norm :math:`\lVert m \rVert^2 + 1 - R^2`, and renormalising divides
    :math:`m` by about its root. At lambda = 1 both m coincide, and the gap closes only if both R are equal.
    """
    means = mean_direction(image), mean_direction(text)
    shifted = [mean + step for mean, step in zip(means, steps(means[0] - means[1], lam), strict=True)]
    image, text = (m / np.sqrt(m @ m + 1 - mean @ mean) for m, mean in zip(shifted, means, strict=True))
    return float(np.linalg.norm(image - text))


@dataclass(frozen=True)
class Alignment:
    """One way to turn row i into ``scale_i * (x_i + shift)``, with lambdas that are fractions of half the gap; equal in Eq. 5.

    ``lambda`` is Eq. 5: shift, then renormalise. It acts through four channels: ``shift`` (no renormalising), ``common-scale``
    (both modalities times one number), ``scale-ratio`` (the modalities times r and 1/r), ``spread`` (each row times its own
    factor, of mean 1 within its modality). ``shift+spread`` and its like switch on two of them, ``without-shift`` and so on three.
    ``centring`` subtracts each modality's own mean and renormalises; it has no lambda.
    """

    name: str = "lambda"
    lambda_image: float = 0.0
    lambda_text: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "name", choose(STORED_AS.get(self.name, self.name), (*SWEPT, *PAIRS), "alignment"))
        for field in ("lambda_image", "lambda_text"):
            value = checked_lambda(getattr(self, field), field)
            if not self.has_lambda and value != 0:
                raise ValueError(f"alignment 'centring' has no lambda; leave {field} at 0, got {value}")
            object.__setattr__(self, field, value)

    @property
    def has_lambda(self) -> bool:
        """Tell whether the alignment depends on a lambda."""
        return self.name not in STORED_AS.values()

    @property
    def channels(self) -> tuple[str, ...]:
        """Return the channels that are switched on."""
        named = self.name in (*CHANNELS, *PAIRS)
        return tuple(self.name.split("+")) if named else tuple(c for c in CHANNELS if self.name != f"without-{c}")

    def shifts(self, image_mean: np.ndarray, text_mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the vectors (d,) added to image rows and to text rows before scaling, given the means of unit rows."""
        if not self.has_lambda:
            return -image_mean, -text_mean
        return steps(image_mean - text_mean, self.lambda_image, self.lambda_text)

    def scales(
        self, image_norm: np.ndarray, text_norm: np.ndarray, image_inverse_mean: float, text_inverse_mean: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the factors of rows with norms ``||x + shift||`` (any shape), given the mean inverse norms of the fit rows."""
        common = np.sqrt(image_inverse_mean * text_inverse_mean)
        return self._scale(image_norm, image_inverse_mean, common), self._scale(text_norm, text_inverse_mean, common)

    def _scale(self, norm: np.ndarray, inverse_mean: float, common: float) -> np.ndarray:
        if {*CHANNELS[1:]} <= {*self.channels}:
            return 1 / norm  # the product of all three, without rounding twice
        factors = {"common-scale": common, "scale-ratio": inverse_mean / common, "spread": 1 / (norm * inverse_mean)}
        scale = np.ones_like(norm)
        for channel in CHANNELS[1:]:
            if channel in self.channels:
                scale = (scale * factors[channel]).astype(norm.dtype, copy=False)
        return scale
