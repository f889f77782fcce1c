r"""Solve the regularised probe to a measured optimum, for every alignment side by side.

Each problem, with an unpenalised bias, minimises

.. math:: f(W, b) = \frac{1}{\sum_i w_i} \sum_i w_i\, l_i + \frac{\alpha}{2} \lVert W \rVert^2 .

The solver is L-BFGS (Nocedal and Wright, 2006, ch. 7) with a strong Wolfe search and three measures for speed:

* it works in centred features, where the bias does not couple to the weights, and is preconditioned by the inverse of
  :math:`h C + \alpha I` with C the covariance of the unaligned features (one eigendecomposition serves all alignments and
  strengths, since an alignment hardly changes a centred covariance);
* the logits of a search direction are linear in the step, so the search costs no product with the data;
* the first iterations run in float32, and float64 reuses the curvature that they learned.

For a given b, f is alpha-strongly convex in W, hence :math:`f - \min_W f \le \lVert \nabla_W f \rVert^2 / 2\alpha`. The reported
*optimality* is this quantity as a fraction of f, with the gradient in b counted in the norm. It is what the iterations stop by, and
a measure only: where f curves in b by less than alpha, more may be left to gain in b than it says.
:mod:`helpers.probing.certificate` bounds what is left in W and b together, and decides whether a probe may be called converged.
"""

from collections import deque
from dataclasses import dataclass, replace

import torch

from .problem import Problem

MEMORY = 20
SUFFICIENT_DECREASE, CURVATURE = 1e-4, 0.5
SINGLE_TOLERANCE = 1e-7


@dataclass(frozen=True)
class Solution:
    """Probes at one strength each."""

    parameters: torch.Tensor  # (K, A, n_features + 1), bias last
    objective: torch.Tensor  # (A,) value of f, summed over the labels of a multi-label task
    optimality: torch.Tensor  # (A,) as above; the worst label's for a multi-label task
    iterations: int  # two passes over the data each


def minimise(problem: Problem, start, strength, tolerance: float, max_iterations: int = 1000) -> Solution:
    """Solve every problem (in float64) at its strength, one number or (A,), until the optimality of each is within the tolerance.

    ``start`` are native parameters (K, A, n_features + 1).
    """
    strength = torch.as_tensor(strength, dtype=start.dtype, device=start.device).reshape(1, -1, 1)
    if not problem.fits_single:
        return _lbfgs(problem, start, strength, tolerance, max_iterations, deque())[0]
    coarse, history = _lbfgs(problem.single, start.float(), strength.float(), SINGLE_TOLERANCE, max_iterations // 3, deque())
    history = deque([tuple(x.double() for x in pair) for pair in history])
    left = max_iterations - coarse.iterations
    fine, _ = _lbfgs(problem, coarse.parameters.double(), strength, tolerance, left, history)
    return replace(fine, iterations=coarse.iterations + fine.iterations)


def _lbfgs(problem: Problem, start, strength, tolerance: float, max_iterations: int, history: deque):
    """Iterate from native parameters with the curvature known so far; return the solution and the curvature pairs."""
    current = problem.centred(start)
    logits = problem.logits(current)
    loss, residual = problem.loss_and_residual(logits)
    gradient = problem.gradient(residual, current, strength)
    for iteration in range(max_iterations + 1):
        value = loss + strength / 2 * problem.total(current[..., :-1].square())
        bound = (2 * strength * value).clamp(min=torch.finfo(value.dtype).tiny)  # a label that weighs nothing has no loss
        optimality = problem.native_norm_squared(gradient) / bound
        running = optimality > (problem.noise**2 / bound).clamp(min=tolerance)
        if iteration == max_iterations or not running.any():
            break
        direction = _two_loop(problem, gradient, history, strength).neg_().mul_(running)
        search = _Search(problem, logits, problem.logits(direction), current, direction, gradient, value, strength)
        step, logits, loss, residual = search.run()
        move = step * direction
        current = current + move
        if iteration % 50 == 49:
            logits = problem.logits(current)  # the running sum of steps would drift
            loss, residual = problem.loss_and_residual(logits)
        new_gradient = problem.gradient(residual, current, strength)
        history.append(_curvature_pair(problem, move, new_gradient - gradient))
        if len(history) > MEMORY:
            history.popleft()
        gradient = new_gradient
    solution = Solution(problem.native(current), value.sum(dim=0)[:, 0], optimality.amax(dim=0)[:, 0], iteration)
    return solution, history


def _curvature_pair(problem: Problem, s, y):
    """Return a step, the change of gradient along it, and the inverse of their product; 0 for a problem that did not move."""
    product = problem.total(s * y)
    return s, y, torch.where(product > 0, 1 / product, 0)


def _two_loop(problem: Problem, gradient, history, strength):
    """Return the L-BFGS product of the approximate inverse Hessian with the gradient."""
    q, coefficients = gradient.clone(), []
    for s, y, inverse in reversed(history):
        coefficients.append(inverse * problem.total(s * q))
        q.addcmul_(coefficients[-1], y, value=-1)
    q = problem.precondition(q, strength)
    for (s, y, inverse), coefficient in zip(history, reversed(coefficients), strict=True):
        q.addcmul_(coefficient - inverse * problem.total(y * q), s)
    return q


class _Search:
    """Search for a strong Wolfe step of each problem, by secants and bisection on the derivative of a convex function."""

    def __init__(self, problem: Problem, logits, direction_logits, current, direction, gradient, value, strength):
        self.problem, self.logits, self.direction_logits, self.value = problem, logits, direction_logits, value
        weights, move = current[..., :-1], direction[..., :-1]
        self.slope0 = problem.total(gradient * direction)
        self.start = strength / 2 * problem.total(weights.square())
        self.cross, self.square = strength * problem.total(weights * move), strength * problem.total(move.square())

    def run(self, rounds: int = 30):
        """Return the steps, and the logits, loss and residual there."""
        step, low, high = torch.ones_like(self.value), torch.zeros_like(self.value), torch.full_like(self.value, torch.inf)
        low_slope, high_slope = self.slope0, torch.zeros_like(self.value)
        for _ in range(rounds):
            logits = torch.addcmul(self.logits, step, self.direction_logits)
            loss, residual = self.problem.loss_and_residual(logits)
            slope = self.problem.total(residual * self.direction_logits) + self.cross + step * self.square
            decrease = loss + self.start + step * self.cross + step.square() / 2 * self.square - self.value
            # Near the optimum, rounding hides a true decrease; then the slope condition alone decides.
            short_enough = decrease <= SUFFICIENT_DECREASE * step * self.slope0 + self.problem.rounding * self.value
            done = short_enough & (slope.abs() <= CURVATURE * self.slope0.abs())
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
