"""Fit the gap alignment on training rows and apply it to any rows, as a scikit-learn estimator."""

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..arrays import same_dimension, unit_rows
from ..geometry import mean_direction
from .channels import Alignment
from .stored import StoredAlignment

ZERO_NORM = 1e-8


class GapAlignment(StoredAlignment):
    """Learn the modality gap on training rows and apply the alignment to any rows.

    ``fit`` and ``transform`` take two matrices, images and texts. Parameters are read, set and cloned as in scikit-learn.

    Args:
        lam: alignment strength of both modalities, or of images alone if ``lam_text`` is given.
        lam_text: alignment strength of texts, if it differs.
        alignment: name of the alignment, see :class:`~helpers.alignment.channels.Alignment`.

    Attributes:
        gap_: (d,) modality gap of the rows given to ``fit``.
        image_mean_, text_mean_: (d,) means of unit rows.
        image_inverse_norm_, text_inverse_norm_: mean inverse norms after the shift, which single channels need.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> v, t = rng.normal(size=(9, 4)), rng.normal(size=(9, 4)) + 1
        >>> v1, t1 = GapAlignment(lam=1.0).fit(v, t).transform(v, t)
    """

    name = "gap"
    arrays = ("image_mean", "text_mean", "image_inverse_norm", "text_inverse_norm")

    def __init__(self, lam: float = 1.0, lam_text: float | None = None, alignment: str = "lambda"):
        self.lam = lam
        self.lam_text = lam_text
        self.alignment = alignment

    def fit(self, image, text) -> "GapAlignment":
        """Learn the means on (n, d) image and text rows; replace any earlier fit."""
        alignment = self._resolved()
        image, text = unit_rows(image, "image"), unit_rows(text, "text")
        same_dimension(image, text)
        self.n_features_in_ = image.shape[1]
        self.image_mean_, self.text_mean_ = mean_direction(image), mean_direction(text)
        self.gap_ = self.image_mean_ - self.text_mean_
        self.image_inverse_norm_, self.text_inverse_norm_ = (
            float((1 / _norms(x + shift, what, alignment)).mean())
            for what, x, shift in zip(("image", "text"), (image, text), self._shifts(alignment), strict=True)
        )
        return self

    def transform(self, image, text) -> tuple[np.ndarray, np.ndarray]:
        """Apply the learned alignment to image (n, d) and text (m, d); float64 stays float64, other types become float32."""
        check_is_fitted(self)
        alignment = self._resolved()
        moved, norms = [], []
        for what, x, shift in zip(("image", "text"), (image, text), self._shifts(alignment), strict=True):
            x = unit_rows(x, what)
            if x.shape[1] != self.n_features_in_:
                raise ValueError(f"{what} has {x.shape[1]} dimensions, the alignment was fitted on {self.n_features_in_}")
            shifted = x + shift.astype(x.dtype)
            norms.append(_norms(shifted, what, alignment))
            moved.append(shifted if alignment.moves else x)
        scales = alignment.scales(norms[0], norms[1], self.image_inverse_norm_, self.text_inverse_norm_)
        image, text = (s * x for s, x in zip(scales, moved, strict=True))
        return image, text

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        self._resolved()
        super()._restore(arrays)
        if self.image_mean_.ndim != 1 or self.image_mean_.shape != self.text_mean_.shape:
            raise ValueError("its two means are not vectors of one length")
        self.image_inverse_norm_, self.text_inverse_norm_ = (arrays[name].item() for name in self.arrays[2:])
        self.gap_ = self.image_mean_ - self.text_mean_
        self.n_features_in_ = len(self.gap_)

    def _resolved(self) -> Alignment:
        if not Alignment(self.alignment).has_lambda:
            return Alignment(self.alignment)
        return Alignment(self.alignment, self.lam, self.lam if self.lam_text is None else self.lam_text)

    def _shifts(self, alignment: Alignment) -> tuple[np.ndarray, np.ndarray]:
        return alignment.shifts(self.image_mean_, self.text_mean_)


def _norms(shifted: np.ndarray, what: str, alignment: Alignment) -> np.ndarray:
    """Return the norms (n, 1) of shifted rows; refuse a row of norm 0 if the alignment divides by it."""
    norm = np.linalg.norm(shifted, axis=1, keepdims=True)
    if alignment.channels != ("shift",) and norm.min() < ZERO_NORM:
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
        alignment: name of the alignment; see :class:`~helpers.alignment.channels.Alignment`.

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
        """Learn the gap on rows (n, 2 d or more)."""
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
