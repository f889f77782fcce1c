"""Define the regularised problem that a converged probe solves, for many alignments side by side."""

from functools import cached_property

import torch

from .objective import Objective
from .views import View

SINGLE_STRETCH = 1e3  # above this scale of rows, float32 has too few digits left after the shift
SINGLE_NOISE = 1e-6  # below this gradient norm, float32 sums over unit vectors are rounding


class Problem:
    """The objective on fixed rows, its gradient and its preconditioner, in centred features.

    Losses are separate for each label of a binary or multi-label task and joint for softmax: arrays that hold one number per
    problem are (K, A, 1) or (1, A, 1).
    """

    def __init__(self, view: View, targets, objective: Objective, rows):
        self.view, self.objective = view, objective
        self.batch, self.targets = view.gather(rows), targets.index_select(1, rows)
        weights = objective.weights(self.targets)
        self.weights = weights / weights.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
        self.axes = (0, 2) if objective.softmax else (2,)
        spread = self.weights.expand(len(self.weights), view.n_alignments, -1).contiguous()
        self.mean = view.gradient(self.batch, spread)[..., :-1]
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
        features = torch.cat([x for x, _ in self.batch], dim=1)
        weights = self.weights.mean(dim=(0, 1))
        mean = weights @ features
        covariance = features.T @ (features * weights[:, None]) - mean[:, None] * mean
        values, vectors = torch.linalg.eigh(covariance)
        return values.clamp(min=0), vectors

    @property
    def fits_single(self) -> bool:
        """Return whether float32 can hold the features; it cannot if near-identical rows move close to zero and are stretched."""
        return all(scale.max() < SINGLE_STRETCH for _, scale in self.batch)

    def zeros(self):
        """Return the initial parameters of every path of strengths."""
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
        return self.view.logits(self.batch, self.native(centred))

    def loss_and_residual(self, logits):
        """Return the weighted mean loss of each problem, and its gradient with respect to the logits (K, A, n)."""
        loss = (self.objective.losses(logits, self.targets) * self.weights).sum(dim=-1, keepdim=True)
        return loss, self.objective.residual(logits, self.targets).mul_(self.weights)

    def gradient(self, residual, centred, strength):
        """Return the gradient of loss and penalty in centred parameters, (K, A, n_features + 1)."""
        gradient = self.view.gradient(self.batch, residual)
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

    def total(self, x):
        """Return the sum over all entries of each problem."""
        return x.sum(dim=self.axes, keepdim=True)


def feature_variance(view: View, batch) -> torch.Tensor:
    """Return the mean variance of a centred aligned feature on gathered rows, (A,): total variance over the number of features."""
    total = 0
    for m, (x, scale) in zip(view.modalities, batch, strict=True):
        squared = x.square().sum(dim=1) + 2 * m.shift @ x.T + m.shift.square().sum(dim=1, keepdim=True)
        mean = (scale @ x + scale.sum(dim=1, keepdim=True) * m.shift) / len(x)
        total = total + (scale.square() * squared).mean(dim=1) - mean.square().sum(dim=1)
    return total / view.n_features
