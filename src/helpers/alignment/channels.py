"""Define the channels through which an alignment reaches a linear probe.

Every alignment here turns row i of a modality into ``scale_i * (x_i + shift)``, with one shift vector for all rows. This form lets
the probe engine train all alignments on one unshifted matrix.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..arrays import choose
from .shift import steps

CHANNELS = ("shift", "common-scale", "scale-ratio", "spread")
PAIRS = tuple("+".join(pair) for pair in combinations(CHANNELS, 2))
WITHOUT = tuple(f"without-{channel}" for channel in CHANNELS)
STORED_AS = {"centring": "centred"}  # stored sweeps and the tables of the book hold the former name
SWEPT = ("lambda", *CHANNELS, *WITHOUT, *STORED_AS.values())  # what a grid sweeps unless told otherwise
FACTORIAL = ("lambda", *CHANNELS, *PAIRS, *WITHOUT)  # every subset of the channels but the empty one, which is lambda = 0


@dataclass(frozen=True)
class Alignment:
    """One way to move both modalities.

    ``lambda`` is Eq. 5: shift, then renormalise. It acts through four channels: ``shift`` (no renormalising), ``common-scale``
    (both modalities times one number), ``scale-ratio`` (the modalities times r and 1/r), ``spread`` (each row times its own
    factor, of mean 1 within its modality). ``shift+spread`` and its like switch on two of them, ``without-shift`` and so on three.
    ``centring`` subtracts each modality's own mean and renormalises; it has no lambda.

    Args:
        name: one of ``SWEPT`` or ``PAIRS``, or ``centring``.
        lambda_image, lambda_text: how far each modality moves, as a fraction of half the gap; equal in Eq. 5.
    """

    name: str = "lambda"
    lambda_image: float = 0.0
    lambda_text: float = 0.0

    def __post_init__(self):
        name = STORED_AS.get(self.name, self.name)
        object.__setattr__(self, "name", choose(name, (*SWEPT, *PAIRS), "alignment"))
        for field in ("lambda_image", "lambda_text"):
            value = float(getattr(self, field))
            if not np.isfinite(value):
                raise ValueError(f"{field} must be a finite number, got {value}")
            if not self.has_lambda and value != 0:
                raise ValueError(f"alignment 'centring' has no lambda; leave {field} at 0, got {value}")
            object.__setattr__(self, field, value)

    @property
    def has_lambda(self) -> bool:
        """Return whether the alignment depends on a lambda."""
        return self.name not in STORED_AS.values()

    @property
    def channels(self) -> tuple[str, ...]:
        """Return the channels that are switched on."""
        if self.name in (*CHANNELS, *PAIRS):
            return tuple(self.name.split("+"))
        return tuple(channel for channel in CHANNELS if self.name != f"without-{channel}")

    @property
    def moves(self) -> bool:
        """Return whether the probe sees the shift itself, or only scales that derive from it."""
        return "shift" in self.channels

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
        """Return the product of the factors that are switched on; all three are 1 / norm, without rounding twice."""
        factors = {"common-scale": common, "scale-ratio": inverse_mean / common, "spread": 1 / (norm * inverse_mean)}
        active = [factor for channel, factor in factors.items() if channel in self.channels]
        if len(active) == len(factors):
            return 1 / norm
        scale = np.ones_like(norm)
        for factor in active:
            scale = (scale * factor).astype(norm.dtype, copy=False)
        return scale
