"""The gap alignment as an estimator: fitted on training rows, applied to any rows."""

from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..checks import same_dimension, unit_rows
from ..files import replacing
from ..geometry import mean_direction
from .channels import Alignment


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
