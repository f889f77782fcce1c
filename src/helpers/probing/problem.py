"""Define the regularised problem that a converged probe solves, for many alignments side by side."""

from functools import cached_property, reduce
from operator import add

import torch

from .objective import Objective
from .views import Modality, View, concatenate

SINGLE_STRETCH = 1e3  # above this scale of rows, float32 has too few digits left after the shift
SINGLE_NOISE = 1e-6  # below this gradient norm, float32 sums over unit vectors are rounding


class Problem:
    """The objective on fixed rows, its gradient and its preconditioner, in centred features.

    Losses are separate for each label of a binary or multi-label task and joint for softmax: arrays that hold one number per
    problem are (K, A, 1) or (1, A, 1).
    """

    def __init__(self, view: View, targets, objective: Objective, rows):
        self.view, self.objective = view, objective
        self.blocks, self.targets = view.blocks(rows), targets.index_select(1, rows)
        weights = objective.weights(self.targets)
        self.weights = weights / weights.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
        self.axes = (0, 2) if objective.softmax else (2,)
        spread = self.weights.expand(len(self.weights), view.n_alignments, -1).contiguous()
        self.mean = self._gradient(spread)[..., :-1]
        self.variances, self.directions = self._spectrum()
        self.curvature = 1 / len(self.targets) if objective.softmax else 0.25
        self.rounding = 10 * torch.finfo(weights.dtype).eps
        self.noise = SINGLE_NOISE if weights.dtype == torch.float32 else 0.0
        self.rows, self.all_targets = rows, targets

    @cached_property
    def single(self) -> "Problem":
        """Return the same problem in float32."""
        return Problem(self.view.to(torch.float32), self.all_targets.float(), self.objective, self.rows)

    def _spectrum(self):
        """Return eigenvalues (d,) and eigenvectors (d, d) of the weighted covariance of the unaligned features."""
        weights = self.weights.mean(dim=(0, 1))
        mean = moment = weights.new_zeros(())
        for part, batch in self.blocks:
            features = concatenate([x for x, _ in batch])
            mean = mean + weights[part] @ features
            moment = moment + features.T @ (features * weights[part, None])
        values, vectors = torch.linalg.eigh(moment - mean[:, None] * mean)
        return values.clamp(min=0), vectors

    @property
    def fits_single(self) -> bool:
        """Return whether float32 can hold the features; it cannot if near-identical rows are moved close to zero and stretched."""
        return all(m.scale.index_select(0, m.item[self.rows]).max() < SINGLE_STRETCH for m in self.view.modalities)

    def zeros(self):
        return self.targets.new_zeros(len(self.targets), self.view.n_alignments, self.view.n_features + 1)

    def native(self, centred):
        """Return the parameters for uncentred features, from those for centred features."""
        native = centred.clone()
        native[..., -1] -= (centred[..., :-1] * self.mean).sum(dim=-1)
        return native

    def centred(self, native):
        """Return the parameters for centred features; the inverse of :meth:`native`."""
        centred = native.clone()
        centred[..., -1] += (native[..., :-1] * self.mean).sum(dim=-1)
        return centred

    def logits(self, centred):
        """Return the logits (K, A, n) of the fit rows."""
        native = self.native(centred)
        return concatenate([self.view.logits(batch, native) for _, batch in self.blocks])

    def _gradient(self, residual):
        """Return the gradient of the view, (K, A, n_features + 1), for a residual (K, A, n) of the fit rows."""
        return reduce(add, (self.view.gradient(batch, residual[..., part]) for part, batch in self.blocks))

    def loss_and_residual(self, logits):
        """Return the weighted mean loss of each problem, and its gradient with respect to the logits (K, A, n)."""
        loss = (self.objective.losses(logits, self.targets) * self.weights).sum(dim=-1, keepdim=True)
        return loss, self.objective.residual(logits, self.targets).mul_(self.weights)

    def gradient(self, residual, centred, strength):
        """Return the gradient of loss and penalty in centred parameters, (K, A, n_features + 1)."""
        gradient = self._gradient(residual)
        gradient[..., :-1] += strength * centred[..., :-1] - self.mean * gradient[..., -1:]
        return gradient

    def native_norm_squared(self, gradient):
        """Return the squared norm of the gradient in the native parameters, one number per problem."""
        weights = gradient[..., :-1] + self.mean * gradient[..., -1:]
        return self.total(weights.square()) + self.total(gradient[..., -1:].square())

    def precondition(self, gradient, strength):
        """Return the approximate inverse Hessian times a gradient."""
        out = gradient / self.curvature
        rotated = gradient[..., :-1] @ self.directions
        out[..., :-1] = (rotated / (self.curvature * self.variances + strength)) @ self.directions.T
        return out

    def total(self, x):  # over all entries of each problem
        return x.sum(dim=self.axes, keepdim=True)


def feature_variance(view: View, blocks) -> torch.Tensor:
    """Return the mean variance of a centred aligned feature on the rows of all blocks, (A,): total variance over their number."""
    n, found = 0, []
    for part, batch in blocks:
        n = part.stop
        found.append([_moments(m, x, scale) for m, (x, scale) in zip(view.modalities, batch, strict=True)])
    total = 0
    for of_modality in zip(*found, strict=True):
        squares, sums = (reduce(add, moments) for moments in zip(*of_modality, strict=True))
        total = total + squares / n - (sums / n).square().sum(dim=1)
    return total / view.n_features


def _moments(m: Modality, x, scale):
    """Return the sums over gathered rows of the squared norms (A,) and of the vectors (A, d) under each alignment."""
    squared = x.square().sum(dim=1) + 2 * m.shift @ x.T + m.shift.square().sum(dim=1, keepdim=True)
    return (scale.square() * squared).sum(dim=1), scale @ x + scale.sum(dim=1, keepdim=True) * m.shift
