"""The channels through which an alignment can reach a linear probe.

Every alignment here has one form per modality: row i becomes ``scale_i * (x_i + shift)``, with one shift vector for all rows. That
form is what lets the probe engine train all alignments on one unshifted matrix.
"""

from dataclasses import dataclass

import numpy as np

from ..checks import choose

KINDS = ("lambda", "shift", "common-scale", "scale-ratio", "spread", "centred")
CHANNELS = KINDS[1:5]


@dataclass(frozen=True)
class Alignment:
    """One way to move both modalities.

    Kinds: ``lambda`` is Eq. 5, shift then renormalise. Its scale factors as common x ratio x spread, and each of its four parts
    can act alone: ``shift`` (no renormalising), ``common-scale`` (both modalities times one number), ``scale-ratio`` (the
    modalities times r and 1/r), ``spread`` (each row by its own factor, of mean 1 within its modality). ``centred`` subtracts from
    each modality its own mean and renormalises; it has no lambda.

    Args:
        kind: see above.
        lambda_image, lambda_text: how far each modality moves, as a fraction of half the gap; Eq. 5 has them equal.

    Raises:
        ValueError: unknown kind, non-finite lambda, or a lambda given to ``centred``.
    """

    kind: str = "lambda"
    lambda_image: float = 0.0
    lambda_text: float = 0.0

    def __post_init__(self):
        choose(self.kind, KINDS, "alignment")
        for name in ("lambda_image", "lambda_text"):
            value = float(getattr(self, name))
            if not np.isfinite(value):
                raise ValueError(f"{name} must be a finite number, got {value}")
            if self.kind == "centred" and value != 0:
                raise ValueError(f"alignment 'centred' has no lambda; leave {name} at 0, got {value}")
            object.__setattr__(self, name, value)

    def shifts(self, image_mean: np.ndarray, text_mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vectors (d,) added to image rows and to text rows before scaling, given the means of unit rows."""
        if self.kind == "centred":
            return -image_mean, -text_mean
        gap = image_mean - text_mean
        return -0.5 * self.lambda_image * gap, 0.5 * self.lambda_text * gap

    @property
    def moves(self) -> bool:
        """Whether the probe sees the shift itself, or only scales that derive from it."""
        return self.kind in ("lambda", "shift", "centred")

    def scales(self, image_norm, text_norm, image_inverse_mean: float, text_inverse_mean: float):
        """Factors of the rows, from the norms ``||x + shift||`` and the mean inverse norms on the rows the alignment was fitted on.

        Args:
            image_norm, text_norm: arrays of any shape.

        Returns:
            two arrays of the same shapes.
        """
        common = np.sqrt(image_inverse_mean * text_inverse_mean)
        return tuple(
            self._scale(norm, inverse_mean, common)
            for norm, inverse_mean in ((image_norm, image_inverse_mean), (text_norm, text_inverse_mean))
        )

    def _scale(self, norm, inverse_mean, common):
        if self.kind == "shift":
            return np.ones_like(norm)
        if self.kind == "common-scale":
            return np.full_like(norm, common)
        if self.kind == "scale-ratio":
            return np.full_like(norm, inverse_mean / common)
        if self.kind == "spread":
            return 1 / (norm * inverse_mean)
        return 1 / norm
