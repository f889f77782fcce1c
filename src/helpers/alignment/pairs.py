"""Apply the gap alignment as a scikit-learn transformer to one matrix with an image and a text in every row."""

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .estimator import GapAlignment


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
