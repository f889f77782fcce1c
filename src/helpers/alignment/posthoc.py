"""Align vectors after training: one affine map per modality, with or without renormalising."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from scipy.linalg import orthogonal_procrustes
from sklearn.linear_model import RidgeCV

from ..arrays import choose, distinct_rows, unit_both, unit_rows
from .estimator import StoredAlignment

RIDGE_STRENGTHS = np.logspace(-4, 3, 15)
RANK = 1e-10  # variances below this share of the largest are rounding


class AffineAlignment(StoredAlignment):
    r"""Learn one map :math:`x' = x A + b` per modality on training rows and apply it to any rows.

    Args:
        renormalise: bring moved rows back to unit length; this can undo a property that the map itself guarantees.

    Attributes:
        image_map_, text_map_: (d, d') matrices A, or (d,) diagonals.
        image_shift_, text_shift_: (d',) vectors b.
    """

    paired: ClassVar[bool] = False  # row i of both modalities must be one pair
    needs_spread: ClassVar[bool] = False  # a modality of one distinct vector has no variance to work with
    needs_rows: ClassVar[bool] = False  # fewer rows than dimensions leave the map undetermined
    arrays: ClassVar[tuple[str, ...]] = ("image_map", "image_shift", "text_map", "text_shift")

    def __init__(self, renormalise: bool = True):
        self.renormalise = renormalise

    def fit(self, image, text) -> "AffineAlignment":
        """Learn both maps on (n, d) image and (m, d) text rows, which are brought to unit norm first; replace any earlier fit."""
        image, text = (x.astype(np.float64) for x in unit_both(image, text))
        self._check(image, text)
        self.n_features_in_ = image.shape[1]
        self.image_map_, self.image_shift_, self.text_map_, self.text_shift_ = self._solve(image, text)
        return self

    def transform(self, image, text) -> tuple[np.ndarray, np.ndarray]:
        """Apply the maps to image (n, d) and text (m, d); float64 stays, other types become float32; equal rows stay equal."""
        return self._move(image, "image"), self._move(text, "text")

    def _restore(self, arrays: dict[str, np.ndarray]) -> None:
        super()._restore(arrays)
        maps = [(arrays[f"{m}_map"], arrays[f"{m}_shift"]) for m in ("image", "text")]
        if any(matrix.ndim not in (1, 2) or matrix.shape[-1:] != shift.shape for matrix, shift in maps):
            raise ValueError("map and shift have different dimensions")
        if len(maps[0][0]) != len(maps[1][0]):
            raise ValueError("its two maps take vectors of different dimensions")
        self.n_features_in_ = len(self.image_map_)

    @abstractmethod
    def _solve(self, image: np.ndarray, text: np.ndarray):
        """Return image map, image shift, text map and text shift for float64 unit rows."""

    def _move(self, x, what: str) -> np.ndarray:
        x = self._checked(x, what)
        matrix, shift = (getattr(self, f"{what}_{part}_").astype(x.dtype) for part in ("map", "shift"))
        x, row = distinct_rows(x)  # a matrix product rounds equal rows differently, depending on their place
        moved = (x @ matrix if matrix.ndim == 2 else x * matrix) + shift
        return (unit_rows(moved, f"aligned {what}") if self.renormalise else moved)[row]

    def _check(self, image: np.ndarray, text: np.ndarray) -> None:
        if self.paired and len(image) != len(text):
            raise ValueError(f"{self.name} needs pairs: image has {len(image)} rows and text {len(text)}; give one row per pair")
        for what, x in (("image", image), ("text", text)):
            if self.needs_spread and (x == x[0]).all():
                raise ValueError(f"{self.name} cannot be fitted: {what} has one distinct vector in {len(x)} rows; use centring")
            if self.needs_rows and len(x) < (d := x.shape[1]):
                raise ValueError(f"{self.name} needs at least as many rows as dimensions, {what} has {len(x)} of {d}; use centring")


class Unaligned(AffineAlignment):
    """Leave both modalities unchanged: the control of every comparison."""

    name = "none"

    def _solve(self, image, text):
        one, zero = np.ones(image.shape[1]), np.zeros(image.shape[1])
        return one, zero, one, zero


class Centring(AffineAlignment):
    r"""Subtract each modality's own mean, or move both means to the common mean.

    Args:
        target: ``zero``, or ``common``, the mean of all rows; ``common`` without renormalising is oracle LEACE (Belrose et al.).
    """

    name = "centring"

    def __init__(self, target: str = "zero", renormalise: bool = True):
        super().__init__(renormalise)
        self.target = target

    def _solve(self, image, text):
        choose(self.target, ("zero", "common"), "target")
        one = np.ones(image.shape[1])
        to = np.concatenate([image, text]).mean(axis=0) if self.target == "common" else 0.0
        return one, to - image.mean(axis=0), one, to - text.mean(axis=0)


class ZScores(AffineAlignment):
    """Centre each modality and divide each coordinate by its standard deviation; a constant coordinate becomes 0."""

    name = "z-scores"
    needs_spread = True

    def _solve(self, image, text):
        deviations = image.std(axis=0), text.std(axis=0)
        return _centred(image, text, *(np.divide(1, sd, out=np.zeros_like(sd), where=sd > 1e-12) for sd in deviations))


class ReAlign(AffineAlignment):
    r"""Move texts to the images: equal mean, equal total variance, and equal mean again after renormalising (ReAlign, 2026).

    Texts become :math:`\mu_v + \sqrt{\mathrm{tr}\,\Sigma_v / \mathrm{tr}\,\Sigma_t}\,(t - \mu_t)`; images stay.
    """

    name = "realign"
    needs_spread = True
    arrays = (*AffineAlignment.arrays, "recentre")

    def _solve(self, image, text):
        scale = np.sqrt(image.var(axis=0).sum() / text.var(axis=0).sum())
        one, shift = np.ones(image.shape[1]), image.mean(axis=0) - scale * text.mean(axis=0)
        self.recentre_ = image.mean(axis=0) - unit_rows(scale * text + shift, "aligned text").mean(axis=0)
        return one, np.zeros(image.shape[1]), scale * one, shift

    def _move(self, x, what):
        moved = super()._move(x, what)
        if what == "image" or not self.renormalise:
            return moved
        return unit_rows(moved + self.recentre_.astype(moved.dtype), "aligned text")


class Leace(AffineAlignment):
    r"""Erase the modality by least-squares concept erasure: after one map for both, no linear classifier finds the modality.

    With :math:`\delta = \mu_v - \mu_t` and :math:`\Sigma` the covariance of all rows together,
    :math:`x' = x - \delta\, \delta^\top \Sigma^+ (x - \mu) / (\delta^\top \Sigma^+ \delta)`, the smallest mean squared change
    that makes the covariance of x' with the modality zero (Belrose et al., NeurIPS 2023). Renormalising does not preserve it.
    """

    name = "leace"

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


class Procrustes(AffineAlignment):
    """Centre both modalities and rotate images onto their texts by the orthogonal map of least squares (Schönemann, 1966)."""

    name = "procrustes"
    paired, needs_spread, needs_rows = True, True, True

    def _solve(self, image, text):
        rotation, _ = orthogonal_procrustes(image - image.mean(axis=0), text - text.mean(axis=0))
        return _centred(image, text, rotation, np.ones(image.shape[1]))


class RidgeMap(AffineAlignment):
    """Predict texts from images by ridge regression, with the strength of least leave-one-out error on the fit rows."""

    name = "ridge"
    paired, needs_spread = True, True

    def _solve(self, image, text):
        model = RidgeCV(RIDGE_STRENGTHS).fit(image, text)
        return model.coef_.T, model.intercept_, np.ones(image.shape[1]), np.zeros(image.shape[1])


class CCA(AffineAlignment):
    """Project both modalities on their leading canonical directions, each of unit variance (Hotelling, 1936; Vinod, 1976).

    Args:
        n_components: number of directions; half the dimensions when None.
        regularisation: multiple of a modality's mean variance to add to each of its variances.
    """

    name = "cca"
    paired, needs_spread, needs_rows = True, True, True

    def __init__(self, n_components: int | None = None, regularisation: float = 0.1, renormalise: bool = True):
        super().__init__(renormalise)
        self.n_components = n_components
        self.regularisation = regularisation

    def _solve(self, image, text):
        d = image.shape[1]
        k = max(1, d // 2) if self.n_components is None else self.n_components
        _check_count(k, d, self.name)
        whiten_image, whiten_text = (_inverse_root(x, self.regularisation) for x in (image, text))
        centred = image - image.mean(axis=0), text - text.mean(axis=0)
        left, self.correlations_, right = np.linalg.svd(whiten_image @ (centred[0].T @ centred[1] / len(image)) @ whiten_text)
        return _centred(image, text, whiten_image @ left[:, :k], whiten_text @ right[:k].T)


class Whitening(AffineAlignment):
    """Centre each modality and make its covariance the identity; directions without variance become 0."""

    name = "whitening"
    needs_spread, needs_rows = True, True

    def _solve(self, image, text):
        return _centred(image, text, _inverse_root(image), _inverse_root(text))


class TopRemoval(AffineAlignment):
    """Centre each modality and remove its ``k`` leading principal directions (Mu and Viswanath, ICLR 2018)."""

    name = "top-removal"
    needs_spread = True

    def __init__(self, k: int = 1, renormalise: bool = True):
        super().__init__(renormalise)
        self.k = k

    def _solve(self, image, text):
        _check_count(self.k, min(len(image), len(text), image.shape[1] - 1), self.name)
        maps = []
        for x in (image, text):
            centred = x - x.mean(axis=0)
            top = np.linalg.eigh(centred.T @ centred)[1][:, -self.k :]
            maps.append(np.eye(x.shape[1]) - top @ top.T)
        return _centred(image, text, *maps)


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


def _check_count(k: int, most: int, name: str) -> None:
    if not 1 <= k <= most:
        raise ValueError(f"{name}: got {k} directions, expected between 1 and {most}; choose a number in this range")
