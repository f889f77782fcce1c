"""Define the alignments other than the shift along the gap, one affine map per modality: :mod:`helpers.alignment.affine`."""

import numpy as np
from scipy.linalg import orthogonal_procrustes
from sklearn.linear_model import RidgeCV

from ..checks import choose, unit_rows
from .affine import AffineAlignment

RIDGE_STRENGTHS = np.logspace(-4, 3, 15)
RANK = 1e-10  # variances below this share of the largest are rounding


class Unaligned(AffineAlignment):
    """Leave both modalities unchanged: the control of every comparison."""

    name = "none"

    def _solve(self, image, text):
        one, zero = np.ones(image.shape[1]), np.zeros(image.shape[1])
        return one, zero, one, zero


class Centring(AffineAlignment):
    r"""Subtract each modality's own mean, or move both means to the common mean.

    Args:
        target: ``zero``, or ``common``, the mean of all rows of both modalities. ``common`` without renormalising is oracle LEACE
            (Belrose et al., NeurIPS 2023), which uses the modality of the rows it moves.
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
        return *_z_score(image), *_z_score(text)


def _z_score(x: np.ndarray):
    sd = x.std(axis=0)
    inverse = np.divide(1, sd, out=np.zeros_like(sd), where=sd > 1e-12)
    return inverse, -x.mean(axis=0) * inverse


class ReAlign(AffineAlignment):
    r"""Move texts to the images: equal mean, equal total variance, and equal mean again after renormalising.

    Texts become :math:`\mu_v + \sqrt{\mathrm{tr}\,\Sigma_v / \mathrm{tr}\,\Sigma_t}\,(t - \mu_t)`. Renormalising displaces their
    mean, so they move to the images' mean again and are renormalised. Images stay. After ReAlign (2026).
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
    :math:`x' = x - \delta\, \delta^\top \Sigma^+ (x - \mu) / (\delta^\top \Sigma^+ \delta)`. This is the smallest mean squared
    change that makes the covariance of x' with the modality zero. Renormalising does not preserve this property.

    Belrose et al., "LEACE: perfect linear concept erasure in closed form", NeurIPS 2023.
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
    r"""Centre both modalities and rotate images onto their texts, :math:`\min_Q \lVert V Q - T \rVert_F` over orthogonal Q.

    Schönemann, "A generalized solution of the orthogonal Procrustes problem", Psychometrika 1966.
    """

    name = "procrustes"
    paired, needs_spread, needs_rows = True, True, True

    def _solve(self, image, text):
        rotation, _ = orthogonal_procrustes(image - image.mean(axis=0), text - text.mean(axis=0))
        return rotation, -image.mean(axis=0) @ rotation, np.ones(image.shape[1]), -text.mean(axis=0)


class RidgeMap(AffineAlignment):
    """Predict texts from images by ridge regression, with the strength of least leave-one-out error on the fit rows."""

    name = "ridge"
    paired, needs_spread = True, True

    def _solve(self, image, text):
        model = RidgeCV(RIDGE_STRENGTHS).fit(image, text)
        return model.coef_.T, model.intercept_, np.ones(image.shape[1]), np.zeros(image.shape[1])


class CCA(AffineAlignment):
    r"""Project both modalities on their leading canonical directions, each of unit variance.

    Args:
        n_components: number of directions; half the dimensions when None.
        regularisation: multiple of a modality's mean variance to add to each of its variances.

    Hotelling, "Relations between two sets of variates", Biometrika 1936; regularised as in Vinod, 1976.
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
        image_map, text_map = whiten_image @ left[:, :k], whiten_text @ right[:k].T
        return image_map, -image.mean(axis=0) @ image_map, text_map, -text.mean(axis=0) @ text_map


class Whitening(AffineAlignment):
    r"""Centre each modality and make its covariance the identity, :math:`x' = (x - \mu) \Sigma^{-1/2}`.

    Directions without variance become 0.
    """

    name = "whitening"
    needs_spread, needs_rows = True, True

    def _solve(self, image, text):
        maps = [_inverse_root(x) for x in (image, text)]
        return maps[0], -image.mean(axis=0) @ maps[0], maps[1], -text.mean(axis=0) @ maps[1]


class TopRemoval(AffineAlignment):
    """Centre each modality and remove its k leading principal directions.

    Mu and Viswanath, "All-but-the-top", ICLR 2018.

    Args:
        k: number of directions to remove from each modality.
    """

    name = "top-removal"
    needs_spread = True

    def __init__(self, k: int = 1, renormalise: bool = True):
        super().__init__(renormalise)
        self.k = k

    def _solve(self, image, text):
        _check_count(self.k, min(len(image), len(text), image.shape[1] - 1), self.name)
        result = []
        for x in (image, text):
            centred = x - x.mean(axis=0)
            top = np.linalg.eigh(centred.T @ centred)[1][:, -self.k :]
            matrix = np.eye(x.shape[1]) - top @ top.T
            result += [matrix, -x.mean(axis=0) @ matrix]
        return result


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
