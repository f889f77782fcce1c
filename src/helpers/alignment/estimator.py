"""Fit the gap alignment on training rows and apply it to any rows, as a scikit-learn estimator."""

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..arrays import ZERO_NORM, unit_both, unit_rows
from ..files import write_arrays
from ..geometry import mean_direction
from .shift import Alignment


class StoredAlignment(BaseEstimator):
    """An estimator whose fit consists of arrays: attributes with the names ``arrays`` and a final underscore."""

    name: ClassVar[str]
    arrays: ClassVar[tuple[str, ...]]

    def save(self, path) -> Path:
        """Write the fitted alignment as one file; :func:`helpers.alignment.registry.load_alignment` reads it."""
        check_is_fitted(self)
        arrays = {name: np.ascontiguousarray(getattr(self, f"{name}_")) for name in self.arrays}
        return write_arrays(path, arrays, {"alignment": json.dumps({"name": self.name, "parameters": self.get_params()})})

    def transform(self, image=None, text=None) -> tuple:
        """Apply what was learned to image (n, d) and text (m, d), or to one of them, and return both; the other stays None.

        float64 stays float64, other types become float32. In a pipeline of one matrix, use :class:`PairAlignment`.
        """
        if image is None and text is None:
            raise ValueError("transform got neither image nor text; give rows (n, d) of at least one of them")
        return tuple(None if x is None else self._move(x, what) for x, what in ((image, "image"), (text, "text")))

    def _checked(self, x, what: str) -> np.ndarray:
        """Return unit rows (n, d) of the dimension that ``fit`` saw."""
        check_is_fitted(self)
        x = unit_rows(x, what)
        if x.shape[1] != self.n_features_in_:
            raise ValueError(f"{what} has {x.shape[1]} dimensions, the alignment was fitted on {self.n_features_in_}")
        return x

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Set the fitted attributes; a subclass checks that the arrays fit together."""
        for name in self.arrays:
            setattr(self, f"{name}_", arrays[name])


def fit_rows(image, text, pairs: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return the unit rows that an alignment learns from; labels in the place of the texts are refused with what takes them."""
    if np.ndim(text) != 2:
        raise ValueError(
            f"fit takes image rows (n, d) and text rows (m, d), got a text of shape {np.shape(text)}; in a scikit-learn pipeline, "
            "where the second argument is the labels, use PairAlignment"
        )
    return unit_both(image, text, pairs)


class GapAlignment(StoredAlignment):
    """Learn the modality gap on training rows and apply an alignment to any rows, given as two matrices.

    ``lam`` is the strength for both modalities, or for images if ``lam_text`` is given; ``alignment`` is a name of
    :class:`~helpers.alignment.shift.Alignment`. ``fit`` sets ``gap_``, ``image_mean_`` and ``text_mean_`` (d,).

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
        image, text = fit_rows(image, text)
        self.n_features_in_ = image.shape[1]
        self.image_mean_, self.text_mean_ = mean_direction(image), mean_direction(text)
        self.gap_ = self.image_mean_ - self.text_mean_
        image_shift, text_shift = alignment.shifts(self.image_mean_, self.text_mean_)
        self.image_inverse_norm_ = float((1 / _norms(image + image_shift, "image", alignment)).mean())
        self.text_inverse_norm_ = float((1 / _norms(text + text_shift, "text", alignment)).mean())
        return self

    def _move(self, x, what: str) -> np.ndarray:
        x, alignment, which = self._checked(x, what), self._resolved(), ("image", "text").index(what)
        shifted = x + alignment.shifts(self.image_mean_, self.text_mean_)[which].astype(x.dtype)
        norm = _norms(shifted, what, alignment)
        scale = alignment.scales(norm, norm, self.image_inverse_norm_, self.text_inverse_norm_)[which]
        return scale * (shifted if "shift" in alignment.channels else x)

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        self._resolved()
        super()._restore(arrays)
        if self.image_mean_.ndim != 1 or self.image_mean_.shape != self.text_mean_.shape:
            raise ValueError("its two means are not vectors of one length")
        self.image_inverse_norm_, self.text_inverse_norm_ = (arrays[name].item() for name in self.arrays[2:])
        self.gap_ = self.image_mean_ - self.text_mean_
        self.n_features_in_ = len(self.gap_)

    def _resolved(self) -> Alignment:
        alignment = Alignment(self.alignment)
        lam_text = self.lam if self.lam_text is None else self.lam_text
        return Alignment(self.alignment, self.lam, lam_text) if alignment.has_lambda else alignment


def _norms(shifted: np.ndarray, what: str, alignment: Alignment) -> np.ndarray:
    """Return the norms (n, 1) of shifted rows; refuse a row of norm 0 if the alignment divides by it."""
    norm = np.linalg.norm(shifted, axis=1, keepdims=True)
    if alignment.channels != ("shift",) and norm.min() < ZERO_NORM:
        raise ValueError(f"{what} row {norm.argmin()} is sent to zero by this shift; use a smaller lambda")
    return norm.clip(min=ZERO_NORM)


class PairAlignment(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Align pairs given as one matrix ``[image | text | others]``, so that a pipeline or a grid search can choose the strength.

    The first ``n_text`` columns are the image, the next ``n_text`` the text, and further columns, such as age, stay as they are. If
    None, both fill all columns. ``lam`` and ``alignment`` are those of :class:`GapAlignment`; the fitted one is ``alignment_``.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.model_selection import GridSearchCV
        >>> from sklearn.pipeline import make_pipeline
        >>> search = GridSearchCV(make_pipeline(PairAlignment(), LogisticRegression()), {"pairalignment__lam": [0.0, 0.5, 1.0]})
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
        columns, d = X.shape[1], X.shape[1] // 2 if self.n_text is None else self.n_text
        if not 1 <= d <= columns // 2 or (self.n_text is None and columns % 2):
            raise ValueError(f"X has {columns} columns and n_text is {self.n_text}; expected a dimension from 1 to {columns // 2}")
        return X[:, :d], X[:, d : 2 * d], X[:, 2 * d :]
