"""Fit the gap alignment on training rows and apply it to any rows, as a scikit-learn estimator."""

import warnings
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..arrays import same_dimension, unit_rows
from ..geometry import mean_direction
from .channels import Alignment
from .stored import read_arrays, unusable, write_arrays

FORMAT = "2"
FORMER = {"kind", "lam", "lam_text"}  # metadata of files written before checksums were added
ZERO_NORM = 1e-8
RENAMED = "GapAlignment(kind=...) is now called alignment=...; the old name goes away in the next version"


class GapAlignment(BaseEstimator):
    """Learn the modality gap on training rows and apply the alignment to any rows.

    ``fit`` and ``transform`` take two matrices, images and texts. Parameters are read, set and cloned as in scikit-learn.

    Args:
        lam: strength of the shift of both modalities, or of images alone if ``lam_text`` is given.
        lam_text: strength of the shift of texts, if it differs.
        alignment: name of the alignment, see :class:`Alignment`.
        kind: the former name of ``alignment``.

    Attributes:
        gap_: (d,) modality gap of the rows given to ``fit``.
        image_mean_, text_mean_: (d,) means of unit rows.
        image_inverse_norm_, text_inverse_norm_: mean inverse norms after the shift, which single channels need.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> v, t = rng.normal(size=(9, 4)), rng.normal(size=(9, 4)) + 1
        >>> v1, t1 = GapAlignment(lam=1.0).fit(v, t).transform(v, t)
    """

    def __init__(self, lam: float = 1.0, lam_text: float | None = None, alignment: str = "lambda", kind: str = "deprecated"):
        self.lam = lam
        self.lam_text = lam_text
        self.alignment = alignment
        self.kind = kind
        if kind != "deprecated":
            warnings.warn(RENAMED, FutureWarning, stacklevel=2)

    def fit(self, image, text) -> "GapAlignment":
        """Learn the means on (n, d) image and text rows; replace any earlier fit.

        Raises:
            ValueError: unequal dimensions, non-finite or zero-norm rows, unknown alignment.
        """
        self._resolved()
        image, text = unit_rows(image, "image"), unit_rows(text, "text")
        same_dimension(image, text)
        self.n_features_in_ = image.shape[1]
        self.image_mean_, self.text_mean_ = mean_direction(image), mean_direction(text)
        self.gap_ = self.image_mean_ - self.text_mean_
        self.image_inverse_norm_, self.text_inverse_norm_ = (
            float((1 / self._norms(x + shift, what)).mean())
            for what, x, shift in zip(("image", "text"), (image, text), self._shifts(), strict=True)
        )
        return self

    def transform(self, image, text) -> tuple[np.ndarray, np.ndarray]:
        """Apply the learned alignment to image (n, d) and text (m, d); float64 stays float64, other types become float32.

        Raises:
            ValueError: the dimension differs from that at fit, or the shift sends a row to zero.
        """
        check_is_fitted(self)
        alignment = self._resolved()
        moved, norms = [], []
        for what, x, shift in zip(("image", "text"), (image, text), self._shifts(), strict=True):
            x = unit_rows(x, what)
            if x.shape[1] != self.n_features_in_:
                raise ValueError(f"{what} has {x.shape[1]} dimensions, the alignment was fitted on {self.n_features_in_}")
            shifted = x + shift.astype(x.dtype)
            norms.append(self._norms(shifted, what))
            moved.append(shifted if alignment.moves else x)
        image_norm, text_norm = norms
        scales = alignment.scales(image_norm, text_norm, self.image_inverse_norm_, self.text_inverse_norm_)
        image, text = (s * x for s, x in zip(scales, moved, strict=True))
        return image, text

    def save(self, path) -> Path:
        """Write the fitted alignment as one safetensors file with a checksum."""
        check_is_fitted(self)
        arrays = {
            "image_mean": self.image_mean_,
            "text_mean": self.text_mean_,
            "inverse_norm": np.array([self.image_inverse_norm_, self.text_inverse_norm_]),
        }
        name = self._resolved().name
        metadata = {"format": FORMAT, "alignment": name, "lam": repr(float(self.lam)), "lam_text": repr(self.lam_text)}
        return write_arrays(path, arrays, metadata)

    @classmethod
    def load(cls, path) -> "GapAlignment":
        """Read an alignment written by :meth:`save`.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged or holds no alignment; names it.
        """
        arrays, metadata, sealed = read_arrays(path)
        if not sealed and set(metadata) != FORMER:
            raise unusable(path, "it has no checksum")
        try:
            alignment, lam_text = metadata.get("alignment") or metadata["kind"], metadata["lam_text"]
            self = cls(float(metadata["lam"]), None if lam_text == "None" else float(lam_text), alignment)
            self._resolved()
            self.image_mean_, self.text_mean_ = arrays["image_mean"], arrays["text_mean"]
            self.image_inverse_norm_, self.text_inverse_norm_ = map(float, arrays["inverse_norm"])
        except (KeyError, TypeError, ValueError) as error:
            raise unusable(path, str(error)) from None
        if self.image_mean_.ndim != 1 or self.image_mean_.shape != self.text_mean_.shape:
            raise unusable(path, "its two means are not vectors of one length")
        self.gap_ = self.image_mean_ - self.text_mean_
        self.n_features_in_ = len(self.gap_)
        return self

    def _resolved(self) -> Alignment:
        name = self.alignment if self.kind == "deprecated" else self.kind
        lam = 0.0 if name == "centred" else self.lam
        return Alignment(name, lam, lam if self.lam_text is None else self.lam_text)

    def _shifts(self) -> tuple[np.ndarray, np.ndarray]:
        return self._resolved().shifts(self.image_mean_, self.text_mean_)

    def _norms(self, shifted: np.ndarray, what: str) -> np.ndarray:
        """Return the norms (n, 1) of shifted rows.

        Raises:
            ValueError: the shift sends a row to zero, and the alignment divides by its norm.
        """
        norm = np.linalg.norm(shifted, axis=1, keepdims=True)
        if self._resolved().channels != ("shift",) and norm.min() < ZERO_NORM:
            raise ValueError(f"{what} row {norm.argmin()} is sent to zero by this shift; use a smaller lambda")
        return norm.clip(min=ZERO_NORM)


class PairAlignment(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Align pairs given as one matrix ``[image | text | others]``, so that a pipeline or a grid search can choose the strength.

    ``fit`` learns the gap on the rows it is given, so within cross-validation it sees training rows only. The image and the text of
    a row are brought to unit norm first; one of norm zero has no direction and raises.

    Args:
        n_text: dimension d of a text and of an image: the first d columns are the image, the next d the text, and further columns,
            such as age, stay as they are. When None, an image and a text fill all columns.
        lam: strength of the shift; see :class:`GapAlignment`.
        alignment: name of the alignment; see :class:`Alignment`.

    Attributes:
        alignment_: the fitted :class:`GapAlignment`.
        n_features_in_: number of columns.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.model_selection import GridSearchCV
        >>> from sklearn.pipeline import make_pipeline
        >>> pipeline = make_pipeline(PairAlignment(), LogisticRegression())
        >>> search = GridSearchCV(pipeline, {"pairalignment__lam": [0.0, 0.5, 1.0]})
    """

    def __init__(self, n_text: int | None = None, lam: float = 1.0, alignment: str = "lambda"):
        self.n_text = n_text
        self.lam = lam
        self.alignment = alignment

    def fit(self, X, y=None) -> "PairAlignment":
        """Learn the gap on rows (n, 2 d or more).

        Raises:
            ValueError: too few or an odd number of columns, non-finite values, a part of norm zero, unknown alignment.
        """
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_features=2)
        image, text, _ = self._parts(X)
        self.alignment_ = GapAlignment(self.lam, alignment=self.alignment).fit(image, text)
        return self

    def transform(self, X) -> np.ndarray:
        """Return aligned rows of the shape of ``X``, float64 for float64 input, else float32."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        image, text, others = self._parts(X)
        return np.hstack([*self.alignment_.transform(image, text), others])

    def _parts(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        columns = X.shape[1]
        if self.n_text is None and columns % 2:
            raise ValueError(f"X has {columns} columns, which are not an image and a text of one dimension; set n_text to it")
        d = columns // 2 if self.n_text is None else self.n_text
        if not 1 <= d <= columns // 2:
            raise ValueError(f"X has {columns} columns and n_text is {d}; expected n_text from 1 to {columns // 2}")
        return X[:, :d], X[:, d : 2 * d], X[:, 2 * d :]
