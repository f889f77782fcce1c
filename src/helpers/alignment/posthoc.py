"""Align vectors after training: one affine map per modality, with or without renormalising."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from scipy.linalg import orthogonal_procrustes
from sklearn.linear_model import RidgeCV

from ..arrays import distinct_rows, unit_rows
from .estimator import StoredAlignment, fit_rows

RIDGE_STRENGTHS = np.logspace(-4, 3, 15)
RANK = 1e-10  # variances below this share of the largest are rounding


class AffineAlignment(StoredAlignment):
    r"""Learn one map :math:`x' = x A + b` per modality on training rows and apply it to any rows.

    A is ``image_map_`` or ``text_map_``, (d, d') or a diagonal (d,), and b is ``image_shift_`` or ``text_shift_`` (d',). To
    ``renormalise`` brings moved rows back to unit length, which can undo a property that the map itself guarantees.
    """

    needs: ClassVar[str]  # pairs: row i of both modalities; spread: two distinct vectors in each; rows: as many as dimensions
    arrays: ClassVar[tuple[str, ...]] = ("image_map", "image_shift", "text_map", "text_shift")
    _solve: ClassVar[Callable]  # from unit rows of both modalities in float64 to the arrays

    def __init_subclass__(cls, name: str, needs: str = ""):
        super().__init_subclass__()
        cls.name, cls.needs = name, needs

    def __init__(self, renormalise: bool = True):
        self.renormalise = renormalise

    def fit(self, image, text) -> "AffineAlignment":
        """Learn both maps on (n, d) image and (m, d) text rows, brought to unit norm first; replace any earlier fit."""
        image, text = (x.astype(np.float64) for x in fit_rows(image, text, "pairs" in self.needs))
        for what, x in (("image", image), ("text", text)):
            if "spread" in self.needs and (x == x[0]).all():
                raise ValueError(f"{self.name} cannot be fitted: {what} has one distinct vector in {len(x)} rows; use centring")
            if "rows" in self.needs and len(x) < (d := x.shape[1]):
                raise ValueError(f"{self.name} needs at least as many rows as dimensions, {what} has {len(x)} of {d}; use centring")
        self.n_features_in_ = image.shape[1]
        self.image_map_, self.image_shift_, self.text_map_, self.text_shift_ = self._solve(image, text)
        return self

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        super()._restore(arrays)
        maps = (self.image_map_, self.image_shift_), (self.text_map_, self.text_shift_)
        if len(maps[0][0]) != len(maps[1][0]) or not all(a.ndim in (1, 2) and a.shape[-1:] == b.shape for a, b in maps):
            raise ValueError("its maps and shifts have different dimensions")
        self.n_features_in_ = len(self.image_map_)

    def _move(self, x, what: str) -> np.ndarray:
        x = self._checked(x, what)
        matrix, shift = (getattr(self, f"{what}_{part}_").astype(x.dtype) for part in ("map", "shift"))
        x, row = distinct_rows(x)  # a matrix product rounds equal rows differently, depending on their place
        moved = (x @ matrix if matrix.ndim == 2 else x * matrix) + shift
        return (unit_rows(moved, f"aligned {what}") if self.renormalise else moved)[row]

    def _check_count(self, k: int, most: int) -> None:
        if not 1 <= k <= most:
            raise ValueError(f"{self.name}: got {k} directions, expected between 1 and {most}; choose a number in this range")


class Unaligned(AffineAlignment, name="none"):
    """Bring rows to unit norm, unless told otherwise, and change nothing else: the control of every comparison."""

    def _solve(self, image, text):
        one, zero = np.ones(image.shape[1]), np.zeros(image.shape[1])
        return one, zero, one, zero


class Centring(AffineAlignment, name="centring"):
    """Subtract each modality's own mean; but for one constant vector this is oracle LEACE (Belrose et al.) if not renormalised."""

    def _solve(self, image, text):
        one = np.ones(image.shape[1])
        return one, -image.mean(axis=0), one, -text.mean(axis=0)


class ZScores(AffineAlignment, name="z-scores", needs="spread"):
    """Centre each modality and divide each coordinate by its standard deviation; a constant coordinate becomes 0."""

    def _solve(self, image, text):
        deviations = image.std(axis=0), text.std(axis=0)
        return _centred(image, text, *(np.divide(1, sd, out=np.zeros_like(sd), where=sd > 1e-12) for sd in deviations))


class ReAlign(AffineAlignment, name="realign", needs="spread"):
    r"""Move texts to :math:`\mu_v + \sqrt{\mathrm{tr}\,\Sigma_v / \mathrm{tr}\,\Sigma_t}\,(t - \mu_t)`, and to :math:`\mu_v` again
    after renormalising; images stay (ReAlign, 2026).
    """

    arrays = (*AffineAlignment.arrays, "recentre")

    def _solve(self, image, text):
        scale = np.sqrt(image.var(axis=0).sum() / text.var(axis=0).sum())
        one, shift = np.ones(image.shape[1]), image.mean(axis=0) - scale * text.mean(axis=0)
        self.recentre_ = image.mean(axis=0) - unit_rows(scale * text + shift, "aligned text").mean(axis=0)
        return one, np.zeros(image.shape[1]), scale * one, shift

    def _move(self, x, what):
        moved, again = super()._move(x, what), self.renormalise and what == "text"
        return unit_rows(moved + self.recentre_.astype(moved.dtype), "aligned text") if again else moved


class Leace(AffineAlignment, name="leace"):
    r"""Erase the modality by least-squares concept erasure: after one map for both, no linear classifier finds the modality.

    With :math:`\delta = \mu_v - \mu_t` and the covariance :math:`\Sigma` of all rows, :math:`x' = x - \delta\, \delta^\top \Sigma^+
    (x - \mu) / (\delta^\top \Sigma^+ \delta)` (Belrose et al., NeurIPS 2023). Renormalising does not preserve it.
    """

    def _solve(self, image, text):
        gap = image.mean(axis=0) - text.mean(axis=0)
        pooled = np.concatenate([image, text])
        centred = pooled - pooled.mean(axis=0)
        values, vectors = np.linalg.eigh(centred.T @ centred / len(pooled))
        usable = values > RANK * values[-1]
        along = vectors[:, usable] @ ((vectors[:, usable].T @ gap) / values[usable])
        size = along @ gap
        weight = along / size if size > 0 else np.zeros_like(gap)
        matrix, shift = np.eye(len(gap)) - np.outer(weight, gap), (pooled.mean(axis=0) @ weight) * gap
        return matrix, shift, matrix, shift


class Procrustes(AffineAlignment, name="procrustes", needs="pairs spread rows"):
    """Centre both modalities and rotate images onto their texts by the orthogonal map of least squares (Schönemann, 1966)."""

    def _solve(self, image, text):
        rotation, _ = orthogonal_procrustes(image - image.mean(axis=0), text - text.mean(axis=0))
        return _centred(image, text, rotation, np.ones(image.shape[1]))


class RidgeMap(AffineAlignment, name="ridge", needs="pairs spread"):
    """Predict texts from images by ridge regression, with the strength of least leave-one-out error on the fit rows."""

    def _solve(self, image, text):
        model = RidgeCV(RIDGE_STRENGTHS).fit(image, text)
        return model.coef_.T, model.intercept_, np.ones(image.shape[1]), np.zeros(image.shape[1])


class CCA(AffineAlignment, name="cca", needs="pairs spread rows"):
    """Project on leading canonical directions of unit variance, half of d unless told otherwise (Hotelling, 1936; Vinod, 1976)."""

    def __init__(self, n_components: int | None = None, regularisation: float = 0.1, renormalise: bool = True):
        super().__init__(renormalise)
        self.n_components = n_components
        self.regularisation = regularisation

    def _solve(self, image, text):
        k = max(1, image.shape[1] // 2) if self.n_components is None else self.n_components
        self._check_count(k, image.shape[1])
        whiten_image, whiten_text = (_inverse_root(x, self.regularisation) for x in (image, text))
        covariance = (image - image.mean(axis=0)).T @ (text - text.mean(axis=0)) / len(image)
        left, self.correlations_, right = np.linalg.svd(whiten_image @ covariance @ whiten_text)
        return _centred(image, text, whiten_image @ left[:, :k], whiten_text @ right[:k].T)


class Whitening(AffineAlignment, name="whitening", needs="spread rows"):
    """Centre each modality and make its covariance the identity; directions without variance become 0."""

    def _solve(self, image, text):
        return _centred(image, text, _inverse_root(image), _inverse_root(text))


class TopRemoval(AffineAlignment, name="top-removal", needs="spread"):
    """Centre each modality and remove its ``k`` leading principal directions (Mu and Viswanath, ICLR 2018)."""

    def __init__(self, k: int = 1, renormalise: bool = True):
        super().__init__(renormalise)
        self.k = k

    def _solve(self, image, text):
        self._check_count(self.k, min(len(image), len(text), image.shape[1] - 1))
        centred = (x - x.mean(axis=0) for x in (image, text))
        tops = (np.linalg.eigh(x.T @ x)[1][:, -self.k :] for x in centred)
        return _centred(image, text, *(np.eye(image.shape[1]) - top @ top.T for top in tops))


def _centred(image: np.ndarray, text: np.ndarray, image_map: np.ndarray, text_map: np.ndarray):
    """Return maps and shifts that subtract the mean of a modality before they map it."""
    shifts = (-x.mean(axis=0) @ a if a.ndim == 2 else -x.mean(axis=0) * a for x, a in ((image, image_map), (text, text_map)))
    return image_map, next(shifts), text_map, next(shifts)


def _inverse_root(x: np.ndarray, regularisation: float = 0.0) -> np.ndarray:
    """Return the symmetric inverse square root of the covariance, (d, d)."""
    centred = x - x.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x))
    values = values.clip(min=0) + regularisation * values.clip(min=0).mean()
    inverse = np.divide(1, np.sqrt(values), out=np.zeros_like(values), where=values > RANK * values[-1])
    return (vectors * inverse) @ vectors.T
