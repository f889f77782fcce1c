r"""Solve the regularised probe to a measured optimum, for every alignment side by side.

Each problem, with an unpenalised bias, minimises

.. math:: f(W, b) = \frac{1}{\sum_i w_i} \sum_i w_i\, l_i + \frac{\alpha}{2} \lVert W \rVert^2 .

The solver is L-BFGS (Nocedal and Wright, 2006, ch. 7) with a strong Wolfe search. It works in centred features, where the bias does
not couple to the weights, and is preconditioned by the inverse of :math:`h C + \alpha I` with C the covariance of the unaligned
features, which an alignment hardly changes, and h the mean curvature of an output's loss at the start. A search costs no product
with the data, as logits are linear in the step. The first iterations run in float32, and float64 reuses their curvature.

For a given b, f is alpha-strongly convex in W, hence :math:`f - \min_W f \le \lVert \nabla_W f \rVert^2 / 2\alpha`. The iterations
stop by the *optimality*, this quantity as a fraction of f with the gradient in b counted in the norm. It is no bound where f curves
in b by less than alpha; :mod:`helpers.probing.strength` bounds W and b together, and decides whether a probe has converged.
"""

from collections import deque
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import add

import torch

from .objective import Objective
from .views import Blocks, MappedVectors, Modality, View, concatenate

MEMORY, ROUNDS = 20, 30  # curvature pairs, and steps tried in a search
SUFFICIENT_DECREASE, CURVATURE = 1e-4, 0.5
SINGLE_TOLERANCE = 1e-7
SINGLE_STRETCH = 1e3  # above this scale of rows, float32 has too few digits left after the shift
SINGLE_NOISE = 1e-6  # below this gradient norm, float32 sums over unit vectors are rounding


class Problem:
    """The objective on fixed rows, its gradient and its preconditioner, in centred features.

    Arrays with one number per problem are (K, A, 1), or (1, A, 1) for softmax, whose loss is joint over the outputs.
    """

    def __init__(self, view: View, targets, objective: Objective, rows):
        self.view, self.objective, self.rows, self.all_targets = view, objective, rows, targets
        self.blocks = Blocks(view, rows, held=not any(isinstance(m.vectors, MappedVectors) for m in view.modalities))
        self.targets = targets.index_select(1, rows)
        weights = objective.weights(self.targets)
        self.weights = weights / weights.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
        self.axes = (0, 2) if objective.softmax else (2,)
        spread = self.weights.expand(len(self.weights), view.n_alignments, -1).contiguous()
        self.mean = self._gradient(spread)[..., :-1]
        self.variances, self.directions = self._spectrum()
        self.rounding = 10 * torch.finfo(weights.dtype).eps
        self.noise = SINGLE_NOISE if weights.dtype == torch.float32 else 0.0

    @cached_property
    def single(self) -> "Problem":
        """Return the same problem in float32."""
        return Problem(self.view.to(torch.float32), self.all_targets.float(), self.objective, self.rows)

    def _spectrum(self):
        """Return eigenvalues (r,) and eigenvectors (d, r) of the weighted covariance of the unaligned features; r is min(n, d)."""
        weights = self.weights.mean(dim=(0, 1))
        if len(self.rows) < self.view.n_features:  # where an eigendecomposition of (d, d) would take longer than the probe
            features = torch.cat([concatenate([x for x, _ in batch]) for _, batch in self.blocks])
            _, roots, vectors = torch.linalg.svd((features - weights @ features) * weights[:, None].sqrt(), full_matrices=False)
            return roots.square(), vectors.T
        mean = moment = weights.new_zeros(())
        for part, batch in self.blocks:
            features = concatenate([x for x, _ in batch])
            mean = mean + weights[part] @ features
            moment = moment + features.T @ (features * weights[part, None])
        values, vectors = torch.linalg.eigh(moment - mean[:, None] * mean)
        return values.clamp(min=0), vectors

    @property
    def fits_single(self) -> bool:
        """Return whether float32 holds the features; it does not if near-identical rows are moved close to zero and stretched."""
        return all(m.scale.index_select(0, m.item[self.rows]).max() < SINGLE_STRETCH for m in self.view.modalities)

    def zeros(self):
        return self.targets.new_zeros(len(self.targets), self.view.n_alignments, self.view.n_features + 1)

    def native(self, centred):
        """Return the parameters for uncentred features."""
        native = centred.clone()
        native[..., -1] -= (centred[..., :-1] * self.mean).sum(dim=-1)
        return native

    def centred(self, native):
        """Return the parameters for centred features."""
        centred = native.clone()
        centred[..., -1] += (native[..., :-1] * self.mean).sum(dim=-1)
        return centred

    def logits(self, centred):
        native = self.native(centred)
        return concatenate([self.view.logits(batch, native) for _, batch in self.blocks])

    def _gradient(self, residual):
        return reduce(add, (self.view.gradient(batch, residual[..., part]) for part, batch in self.blocks))

    def loss_and_residual(self, logits):
        """Return the weighted mean loss of each problem, and its gradient with respect to the logits (K, A, n)."""
        loss = (self.objective.losses(logits, self.targets) * self.weights).sum(dim=-1, keepdim=True)
        return loss, self.objective.residual(logits, self.targets).mul_(self.weights)

    def gradient(self, residual, centred, strength):
        """Return the gradient of loss and penalty in centred parameters."""
        gradient = self._gradient(residual)
        gradient[..., :-1] += strength * centred[..., :-1] - self.mean * gradient[..., -1:]
        return gradient

    def native_norm_squared(self, gradient):
        """Return the squared norm of the gradient in the uncentred parameters."""
        weights = gradient[..., :-1] + self.mean * gradient[..., -1:]
        return self.total(weights.square()) + self.total(gradient[..., -1:].square())

    def curvature(self, logits):
        """Return the weighted mean second derivative of each output's loss with respect to its logit, (K, A, 1)."""
        chance = self.objective.prediction(logits)
        return (chance * (1 - chance) * self.weights).sum(dim=-1, keepdim=True).clamp(min=torch.finfo(logits.dtype).eps)

    def precondition(self, gradient, strength, curvature):
        out = gradient / curvature
        rotated = gradient[..., :-1] @ self.directions
        outside = (gradient[..., :-1] - rotated @ self.directions.T) / strength if len(self.variances) < len(self.directions) else 0
        out[..., :-1] = (rotated / (curvature * self.variances + strength)) @ self.directions.T + outside
        return self.balanced(out)

    def balanced(self, x):
        """Return parameters without what a softmax has in common for all classes, which changes no probability."""
        return x - x.mean(dim=0) if self.objective.softmax else x

    def total(self, x):  # over all entries of each problem
        return x.sum(dim=self.axes, keepdim=True)


def feature_variance(blocks: Blocks) -> torch.Tensor:
    """Return the mean variance of a centred aligned feature on all rows, (A,): total variance over the number of features."""
    modalities, n, total = blocks.view.modalities, len(blocks.rows), 0
    found = [[_moments(m, x, scale) for m, (x, scale) in zip(modalities, batch, strict=True)] for _, batch in blocks]
    for of_modality in zip(*found, strict=True):
        squares, sums = (reduce(add, moments) for moments in zip(*of_modality, strict=True))
        total = total + squares / n - (sums / n).square().sum(dim=1)
    return total / blocks.view.n_features


def _moments(m: Modality, x, scale):
    """Return sums over gathered rows: of squared norms (A,) and of vectors (A, d)."""
    squared = x.square().sum(dim=1) + 2 * m.shift @ x.T + m.shift.square().sum(dim=1, keepdim=True)
    return (scale.square() * squared).sum(dim=1), scale @ x + scale.sum(dim=1, keepdim=True) * m.shift


@dataclass(frozen=True)
class Solution:
    """Probes at one strength each."""

    parameters: torch.Tensor  # (K, A, n_features + 1), bias last
    objective: torch.Tensor  # (A,) value of f, summed over the labels of a multi-label task
    optimality: torch.Tensor  # (A,) as above; the worst label's for a multi-label task
    iterations: int  # two passes over the data each


def minimise(problem: Problem, start, strength, tolerance: float, max_iterations: int = 1000) -> Solution:
    """Solve every problem (in float64) at its strength, one number or (A,), from uncentred parameters (K, A, n_features + 1)."""
    strength = torch.as_tensor(strength, dtype=start.dtype, device=start.device).reshape(1, -1, 1)
    if not problem.fits_single:
        return _lbfgs(problem, start, strength, tolerance, max_iterations)[0]
    coarse, history = _lbfgs(problem.single, start.float(), strength.float(), SINGLE_TOLERANCE, max_iterations // 3)
    history = [tuple(x.double() for x in pair) for pair in history]
    fine, _ = _lbfgs(problem, coarse.parameters.double(), strength, tolerance, max_iterations - coarse.iterations, history)
    return replace(fine, iterations=coarse.iterations + fine.iterations)


def _lbfgs(problem: Problem, start, strength, tolerance: float, max_iterations: int, history=()):
    """Return the solution and its curvature pairs (step, change of gradient, inverse product), from those known so far."""
    history, current = deque(history, MEMORY), problem.centred(problem.balanced(start))
    logits = problem.logits(current)
    loss, residual = problem.loss_and_residual(logits)
    gradient, curvature = problem.gradient(residual, current, strength), problem.curvature(logits)
    for iteration in range(max_iterations + 1):
        value = loss + strength / 2 * problem.total(current[..., :-1].square())
        bound = (2 * strength * value).clamp(min=torch.finfo(value.dtype).tiny)  # a label that weighs nothing has no loss
        optimality = problem.native_norm_squared(gradient) / bound
        running = optimality > (problem.noise**2 / bound).clamp(min=tolerance)
        if iteration == max_iterations or not running.any():
            break
        direction = _two_loop(problem, gradient, history, strength, curvature).neg_().mul_(running)
        along = problem.logits(direction)
        step, logits, loss, residual = _search(problem, logits, along, current, direction, gradient, value, strength)
        move = step * direction
        current = current + move
        if iteration % 50 == 49:
            logits = problem.logits(current)  # the running sum of steps would drift
            loss, residual = problem.loss_and_residual(logits)
        new_gradient = problem.gradient(residual, current, strength)
        change = new_gradient - gradient
        product = problem.total(move * change)
        history.append((move, change, torch.where(product > 0, 1 / product, 0)))  # 0 for a problem that did not move
        gradient = new_gradient
    return Solution(problem.native(current), value.sum(dim=0)[:, 0], optimality.amax(dim=0)[:, 0], iteration), history


def _two_loop(problem: Problem, gradient, history, strength, curvature):
    """Return the product of the approximate inverse Hessian with the gradient."""
    q, coefficients = gradient.clone(), []
    for s, y, inverse in reversed(history):
        coefficients.append(inverse * problem.total(s * q))
        q.addcmul_(coefficients[-1], y, value=-1)
    q = problem.precondition(q, strength, curvature)
    for (s, y, inverse), coefficient in zip(history, reversed(coefficients), strict=True):
        q.addcmul_(coefficient - inverse * problem.total(y * q), s)
    return q


def _search(problem: Problem, logits, along, current, direction, gradient, value, strength):
    """Return a strong Wolfe step of each problem, by secants and bisection on a convex function; logits, loss, residual there."""
    weights, move, start_logits = current[..., :-1], direction[..., :-1], logits
    slope0, start = problem.total(gradient * direction), strength / 2 * problem.total(weights.square())
    cross, square = strength * problem.total(weights * move), strength * problem.total(move.square())
    step, low, high = torch.ones_like(value), torch.zeros_like(value), torch.full_like(value, torch.inf)
    low_slope, high_slope = slope0, torch.zeros_like(value)
    for _ in range(ROUNDS):
        logits = torch.addcmul(start_logits, step, along)
        loss, residual = problem.loss_and_residual(logits)
        slope = problem.total(residual * along) + cross + step * square
        decrease = loss + start + step * cross + step.square() / 2 * square - value
        # Near the optimum, rounding hides a true decrease; then the slope condition alone decides.
        short_enough = decrease <= SUFFICIENT_DECREASE * step * slope0 + problem.rounding * value
        done = short_enough & (slope.abs() <= CURVATURE * slope0.abs())
        if done.all():
            break
        over = ~done & ((slope > 0) | ~short_enough)
        under = ~done & ~over
        high, high_slope = torch.where(over, step, high), torch.where(over, slope, high_slope)
        low, low_slope = torch.where(under, step, low), torch.where(under, slope, low_slope)
        width = high - low
        secant = low + width * low_slope / (low_slope - high_slope)
        usable = (high_slope > 0) & (secant > low + 0.05 * width) & (secant < high - 0.05 * width)
        inside = torch.where(usable, secant, (low + high) / 2)
        step = torch.where(done, step, torch.where(torch.isinf(high), 2 * step, inside))
    return step, logits, loss, residual
