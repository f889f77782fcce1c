"""The shift along the modality gap (Eq. 5, 6), its inverse, and the channels through which it can reach a linear probe.

Every alignment here has one form per modality: row i becomes ``scale_i * (x_i + shift)``, with one shift vector for all rows. That
form is what lets the probe engine train all alignments on one unshifted matrix.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .checks import choose, embedding_matrix, same_dimension, unit_rows
from .geometry import mean_direction

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


def align(image, text, gap, lam: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Shift both modalities towards each other and renormalise (Eq. 5).

    .. math:: v' = \frac{v - \frac\lambda2 \Delta}{\lVert v - \frac\lambda2 \Delta \rVert}, \qquad
              t' = \frac{t + \frac\lambda2 \Delta}{\lVert t + \frac\lambda2 \Delta \rVert}

    Args:
        image, text: (n, d) and (m, d) vectors; brought to unit norm first.
        gap: (d,), see :func:`helpers.gap_vector`.
        lam: 0 leaves the vectors as they are; 1 makes the means meet before renormalisation.

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
    return (
        unit_rows(image - step.astype(image.dtype), "shifted image"),
        unit_rows(text + step.astype(text.dtype), "shifted text"),
    )


def unalign(image, text, gap, lam: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Closed-form inverse of :func:`align`.

    With :math:`c = \pm\frac\lambda2 \Delta` the shift of a modality and :math:`\lVert c \rVert < 1`, an aligned vector x' came from
    :math:`x = s x' - c`, :math:`s = x' \cdot c + \sqrt{(x' \cdot c)^2 + 1 - \lVert c \rVert^2}`. The map being a bijection of the
    sphere, no information is lost, whatever lambda.

    Raises:
        ValueError: the shift is not shorter than 1, so that the map is not one-to-one.
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
    """Norm of the gap that is left after aligning with the rows' own gap (Eq. 1 of Eq. 5)."""
    image_mean, text_mean = mean_direction(image), mean_direction(text)
    image, text = align(image, text, image_mean - text_mean, lam)
    return float(np.linalg.norm(mean_direction(image) - mean_direction(text)))


def predicted_residual_gap(image, text, lam: float) -> float:
    r"""First-order prediction of :func:`residual_gap` from the two means alone.

    A shifted modality has mean :math:`m` and mean squared norm :math:`\lVert m \rVert^2 + 1 - R^2`, so renormalising brings the
    mean to about :math:`m / \sqrt{\lVert m \rVert^2 + 1 - R^2}`. At lambda = 1 both m coincide, and the gap closes only if both
    R do.
    """
    image_mean, text_mean = mean_direction(image), mean_direction(text)
    shifted = Alignment("lambda", lam, lam).shifts(image_mean, text_mean)
    moved = []
    for mean, shift in zip((image_mean, text_mean), shifted, strict=True):
        m = mean + shift
        moved.append(m / np.sqrt(m @ m + 1 - mean @ mean))
    return float(np.linalg.norm(moved[0] - moved[1]))


class GapAlignment(BaseEstimator):
    """The alignment as an estimator: learn the gap on training rows, apply it to any rows.

    Args:
        lam: strength of the shift; of both modalities, or of images alone where ``lam_text`` is given.
        lam_text: strength for texts, if it differs.
        kind: see :class:`Alignment`.

    Attributes:
        gap_: (d,) modality gap of the rows given to ``fit``.
        image_mean_, text_mean_: (d,) means of unit rows.
        image_inverse_norm_, text_inverse_norm_: mean inverse norms after the shift, which the single channels need.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> v, t = rng.normal(size=(9, 4)), rng.normal(size=(9, 4)) + 1
        >>> v1, t1 = GapAlignment(lam=1.0).fit(v, t).transform(v, t)
    """

    def __init__(self, lam: float = 1.0, lam_text: float | None = None, kind: str = "lambda"):
        self.lam = lam
        self.lam_text = lam_text
        self.kind = kind

    def fit(self, image, text) -> "GapAlignment":
        """Learn the means on (n, d) image and text rows; forgets any earlier fit.

        Raises:
            ValueError: unequal dimensions, non-finite or zero-norm rows, unknown kind.
        """
        self._alignment()
        image, text = unit_rows(image, "image"), unit_rows(text, "text")
        same_dimension(image, text)
        self.n_features_in_ = image.shape[1]
        self.image_mean_, self.text_mean_ = mean_direction(image), mean_direction(text)
        self.gap_ = self.image_mean_ - self.text_mean_
        self.image_inverse_norm_, self.text_inverse_norm_ = (
            float((1 / np.linalg.norm(x + shift, axis=1)).mean()) for x, shift in zip((image, text), self._shifts(), strict=True)
        )
        return self

    def transform(self, image, text) -> tuple[np.ndarray, np.ndarray]:
        """Apply the learned alignment to image (n, d) and text (m, d); float64 in, float64 out, otherwise float32.

        Raises:
            ValueError: another dimension than at fit, or a row that the shift sends to zero.
        """
        check_is_fitted(self)
        alignment = self._alignment()
        moved, norms = [], []
        for what, x, shift in zip(("image", "text"), (image, text), self._shifts(), strict=True):
            x = unit_rows(x, what)
            if x.shape[1] != self.n_features_in_:
                raise ValueError(f"{what} has {x.shape[1]} dimensions, the alignment was fitted on {self.n_features_in_}")
            shifted = x + shift.astype(x.dtype)
            norm = np.linalg.norm(shifted, axis=1, keepdims=True)
            if alignment.kind != "shift" and norm.min() < 1e-8:
                raise ValueError(f"{what} row {norm.argmin()} is sent to zero by this shift; use a smaller lambda")
            moved.append(shifted if alignment.moves else x)
            norms.append(norm)
        scales = alignment.scales(*norms, self.image_inverse_norm_, self.text_inverse_norm_)
        return tuple(s * x for s, x in zip(scales, moved, strict=True))

    def save(self, path) -> Path:
        """Write the fitted alignment as one safetensors file."""
        from safetensors.numpy import save_file

        from .files import replacing

        check_is_fitted(self)
        arrays = {
            "image_mean": self.image_mean_,
            "text_mean": self.text_mean_,
            "inverse_norm": np.array([self.image_inverse_norm_, self.text_inverse_norm_]),
        }
        metadata = {"kind": self.kind, "lam": repr(float(self.lam)), "lam_text": repr(self.lam_text)}
        with replacing(path) as temporary:
            save_file(arrays, temporary, metadata=metadata)
        return Path(path)

    @classmethod
    def load(cls, path) -> "GapAlignment":
        """Read an alignment written by :meth:`save`."""
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as stream:
            metadata = stream.metadata()
            arrays = {key: stream.get_tensor(key) for key in stream.keys()}
        lam_text = None if metadata["lam_text"] == "None" else float(metadata["lam_text"])
        self = cls(float(metadata["lam"]), lam_text, metadata["kind"])
        self.image_mean_, self.text_mean_ = arrays["image_mean"], arrays["text_mean"]
        self.gap_ = self.image_mean_ - self.text_mean_
        self.n_features_in_ = len(self.gap_)
        self.image_inverse_norm_, self.text_inverse_norm_ = map(float, arrays["inverse_norm"])
        return self

    def _alignment(self) -> Alignment:
        lam = 0.0 if self.kind == "centred" else self.lam
        return Alignment(self.kind, lam, lam if self.lam_text is None else self.lam_text)

    def _shifts(self) -> tuple[np.ndarray, np.ndarray]:
        return self._alignment().shifts(self.image_mean_, self.text_mean_)
