r"""The regularised probe solved to a certified optimum, for every alignment side by side.

Each problem, with an unpenalised bias, is to minimise

.. math:: f(W, b) = \frac{1}{\sum_i w_i} \sum_i w_i\, l_i + \frac{\alpha}{2} \lVert W \rVert^2 .

The solver is L-BFGS (Nocedal and Wright, 2006, ch. 7) with a strong Wolfe search and three things that make it short:

* it works in centred features, where the bias does not couple to the weights, and is preconditioned by the inverse of
  :math:`h C + \alpha I` with C the covariance of the unaligned features (one eigendecomposition serves all alignments and
  strengths, since an alignment hardly changes a centred covariance);
* the logits of a search direction are linear in the step, so the search costs no product with the data;
* the first iterations run in float32, and the curvature they learned goes on into float64.

Minimised over b, f is alpha-strongly convex in W, hence :math:`f - \min f \le \lVert \nabla f \rVert^2 / 2\alpha`. That bound, as a
fraction of f, is the reported *optimality*. The bias gradient is counted in the norm, which covers what b lacks where f curves in
b by at least alpha; at stronger alpha the part of b is a measure and no bound.
"""

import warnings
from collections import deque
from dataclasses import dataclass, replace
from functools import cached_property

from .descent import validation_loss
from .objective import Objective
from .protocol import Protocol
from .views import View

MEMORY = 20
SUFFICIENT_DECREASE, CURVATURE = 1e-4, 0.5
SINGLE_TOLERANCE = 1e-7
LOOK_AHEAD = 3
SINGLE_NOISE = 1e-6  # gradient norm below which float32 sums over unit vectors no longer resolve


@dataclass(frozen=True)
class Solution:
    """Probes at one strength each.

    Args:
        parameters: (K, A, n_features + 1), bias last.
        objective: (A,) value of f, summed over the labels of a multi-label task.
        optimality: (A,) certified bound on (f - min f) / f; the worst label's for a multi-label task.
        iterations: L-BFGS iterations, two passes over the data each.
    """

    parameters: "torch.Tensor"  # noqa: F821
    objective: "torch.Tensor"  # noqa: F821
    optimality: "torch.Tensor"  # noqa: F821
    iterations: int


class Problem:
    """The objective on fixed rows, its gradient and its preconditioner, in centred features.

    Losses are separate for each label of a binary or multi-label task and joint for softmax: arrays that hold one number per
    problem are (K, A, 1) or (1, A, 1).
    """

    def __init__(self, view: View, targets, objective: Objective, rows):
        import torch

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
        """The same problem in float32."""
        import torch

        return Problem(self.view.to(torch.float32), self.all_targets.float(), self.objective, self.rows)

    def _spectrum(self):
        """Eigendecomposition of the weighted covariance of the unaligned features."""
        import torch

        features = torch.cat([x for x, _ in self.batch], dim=1)
        weights = self.weights.mean(dim=(0, 1))
        mean = weights @ features
        covariance = features.T @ (features * weights[:, None]) - mean[:, None] * mean
        values, vectors = torch.linalg.eigh(covariance)
        return values.clamp(min=0), vectors

    def zeros(self):
        """Where every path of strengths starts."""
        return self.targets.new_zeros(len(self.targets), self.view.n_alignments, self.view.n_features + 1)

    def native(self, centred):
        """Parameters for the features as they are, from those for centred features."""
        native = centred.clone()
        native[..., -1] -= (centred[..., :-1] * self.mean).sum(dim=-1)
        return native

    def centred(self, native):
        """The inverse of :meth:`native`."""
        centred = native.clone()
        centred[..., -1] += (native[..., :-1] * self.mean).sum(dim=-1)
        return centred

    def logits(self, centred):
        return self.view.logits(self.batch, self.native(centred))

    def loss_and_residual(self, logits):
        """Weighted mean loss of each problem, and its gradient with respect to the logits (K, A, n)."""
        loss = (self.objective.losses(logits, self.targets) * self.weights).sum(dim=-1, keepdim=True)
        return loss, self.objective.residual(logits, self.targets).mul_(self.weights)

    def gradient(self, residual, centred, strength):
        gradient = self.view.gradient(self.batch, residual)
        gradient[..., :-1] += strength * centred[..., :-1] - self.mean * gradient[..., -1:]
        return gradient

    def native_norm_squared(self, gradient):
        """Squared norm of the gradient in the native parameters, one number per problem."""
        weights = gradient[..., :-1] + self.mean * gradient[..., -1:]
        return self.total(weights.square()) + self.total(gradient[..., -1:].square())

    def precondition(self, gradient, strength):
        """Approximate inverse Hessian times a gradient."""
        out = gradient / self.curvature
        rotated = gradient[..., :-1] @ self.directions
        out[..., :-1] = (rotated / (self.curvature * self.variances + strength)) @ self.directions.T
        return out

    def total(self, x):
        """Sum over everything that belongs to one problem."""
        return x.sum(dim=self.axes, keepdim=True)


def minimise(problem: Problem, start, strength, tolerance: float, max_iterations: int = 1000) -> Solution:
    """Solve every problem at its strength.

    Args:
        problem: in float64.
        start: (K, A, n_features + 1) native parameters.
        strength: alpha, one number or (A,).
        tolerance: stop when the certified relative gap of every problem is below this.
    """
    import torch

    strength = torch.as_tensor(strength, dtype=start.dtype, device=start.device).reshape(1, -1, 1)
    coarse, history = _lbfgs(problem.single, start.float(), strength.float(), SINGLE_TOLERANCE, max_iterations // 3, deque())
    history = deque([tuple(x.double() for x in pair) for pair in history])
    left = max_iterations - coarse.iterations
    fine, _ = _lbfgs(problem, coarse.parameters.double(), strength, tolerance, left, history)
    return replace(fine, iterations=coarse.iterations + fine.iterations)


def _lbfgs(problem: Problem, start, strength, tolerance: float, max_iterations: int, history: deque):
    """Iterate from native parameters with the curvature known so far; returns the solution and the curvature pairs."""
    current = problem.centred(start)
    logits = problem.logits(current)
    loss, residual = problem.loss_and_residual(logits)
    gradient = problem.gradient(residual, current, strength)
    for iteration in range(max_iterations + 1):
        value = loss + strength / 2 * problem.total(current[..., :-1].square())
        optimality = problem.native_norm_squared(gradient) / (2 * strength * value)
        running = optimality > (problem.noise**2 / (2 * strength * value)).clamp(min=tolerance)
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


@dataclass(frozen=True)
class Chosen:
    """The strength of each alignment's lowest validation loss (between the values tried), and the probe there; arrays are (A,).

    ``strength_relative`` is alpha in units of the mean variance of a centred aligned feature on the fit rows: what survives when
    alignments only rescale. ``strength_at_edge`` tells that no stronger or no weaker value was tried.
    """

    parameters: "torch.Tensor"  # noqa: F821
    validation_loss: "torch.Tensor"  # noqa: F821
    strength: "torch.Tensor"  # noqa: F821
    strength_relative: "torch.Tensor"  # noqa: F821
    optimality: "torch.Tensor"  # noqa: F821
    strength_at_edge: "torch.Tensor"  # noqa: F821


def choose_strength(view: View, targets, objective: Objective, fit, val, protocol: Protocol, max_iterations: int = 1000) -> Chosen:
    """Find each alignment's strength on a path from strong to weak, then solve the problems there to the protocol's tolerance.

    Args:
        view: in float64.
        targets: (K, n_pairs) 0/1 tensor, float64.
        fit, val: row numbers (tensors).

    Raises:
        RuntimeError: a chosen problem could not be solved to the tolerance; its probe may not be called converged.
    """

    problem = Problem(view, targets, objective, fit)
    strength, edge, start = _follow_path(problem, val, protocol, max_iterations)
    solution = minimise(problem, start, strength, protocol.tolerance, max_iterations)
    worst = int(solution.optimality.argmax())
    if solution.optimality[worst] > protocol.tolerance:
        raise RuntimeError(
            f"a probe of strength {strength[worst]:.1e} is not converged: the certified gap is {solution.optimality[worst]:.1e} "
            f"of the objective, asked for {protocol.tolerance:.0e}; raise Protocol.tolerance or leave out the weakest strengths"
        )
    loss = validation_loss(view, targets, objective, val, solution.parameters)
    return Chosen(solution.parameters, loss, strength, strength / _feature_variance(view, fit), solution.optimality, edge)


def _follow_path(problem: Problem, val, protocol: Protocol, max_iterations: int):
    """Strength of lowest validation loss (A,), whether it is at an end of what was tried, and parameters near it.

    An alignment is settled once its validation loss has not fallen for LOOK_AHEAD strengths, so that its choice does not depend
    on its neighbours; the path ends when all are, or before the first strength that is not solved.
    """
    import torch

    losses, best, current = [], None, problem.zeros()
    chosen = current
    for strength in protocol.strengths:
        solution = minimise(problem, current, strength, protocol.tolerance, max_iterations)
        if (solution.optimality > protocol.tolerance).any():
            warnings.warn(f"strength {strength:.1e} and weaker ones were not solved and are not considered", stacklevel=4)
            break
        current = solution.parameters
        losses.append(validation_loss(problem.view, problem.all_targets, problem.objective, val, current).cpu())
        best = _settled_minimum(torch.stack(losses))
        chosen = torch.where((best == len(losses) - 1).to(current.device)[None, :, None], current, chosen)
        if (len(losses) - 1 - best).min() >= LOOK_AHEAD:
            break
    if best is None:
        raise RuntimeError(
            f"not even strength {protocol.strengths[0]:.1e} could be solved; are the embeddings what they should be?"
        )
    strength = _interpolated_minimum(torch.tensor(protocol.strengths[: len(losses)]).double().log(), torch.stack(losses), best)
    return strength.exp(), (best == 0) | (best == len(losses) - 1), chosen


def _settled_minimum(losses):
    """Position of the first minimum (A,) of losses (p, A) that is not undercut within LOOK_AHEAD positions."""
    import torch

    best = torch.zeros(losses.shape[1], dtype=torch.int64)
    for position in range(1, len(losses)):
        lower = losses[position] < losses[best, torch.arange(losses.shape[1])]
        best[lower & (position - best <= LOOK_AHEAD)] = position
    return best


def _interpolated_minimum(x, losses, best):
    """Vertex (A,) of the parabola through the lowest loss and its neighbours; the lowest itself at an end.

    On a grid the choice jumps from one value to the next when an alignment changes nothing but the last digits, and a jump moves
    the AUC more than lambda does; the vertex moves as little as the losses do.
    """
    import torch

    inner = (best > 0) & (best < len(losses) - 1)
    middle = torch.where(inner, best, 0)
    left, right = (middle - 1).clamp(min=0), (middle + 1).clamp(max=len(losses) - 1)
    column = torch.arange(losses.shape[1])
    rise_left, rise_right = losses[left, column] - losses[middle, column], losses[right, column] - losses[middle, column]
    to_left, to_right = x[left] - x[middle], x[right] - x[middle]
    top = to_right**2 * rise_left - to_left**2 * rise_right
    bottom = to_right * rise_left - to_left * rise_right
    vertex = x[middle] + torch.where(bottom == 0, 0, top / (2 * bottom))
    return torch.where(inner, vertex, x[best])


def _feature_variance(view: View, rows):
    """Mean variance of a centred aligned feature, (A,): total variance over the number of features."""
    total = 0
    for m, (x, scale) in zip(view.modalities, view.gather(rows), strict=True):
        squared = x.square().sum(dim=1) + 2 * m.shift @ x.T + m.shift.square().sum(dim=1, keepdim=True)
        mean = (scale @ x + scale.sum(dim=1, keepdim=True) * m.shift) / len(x)
        total = total + (scale.square() * squared).mean(dim=1) - mean.square().sum(dim=1)
    return total.cpu() / view.n_features


def _curvature_pair(problem: Problem, s, y):
    """A step, the change of gradient along it, and the inverse of their product; 0 where a problem did not move."""
    import torch

    product = problem.total(s * y)
    return s, y, torch.where(product > 0, 1 / product, 0)


def _two_loop(problem: Problem, gradient, history, strength):
    """L-BFGS product of the approximate inverse Hessian with the gradient."""
    q, coefficients = gradient.clone(), []
    for s, y, inverse in reversed(history):
        coefficients.append(inverse * problem.total(s * q))
        q.addcmul_(coefficients[-1], y, value=-1)
    q = problem.precondition(q, strength)
    for (s, y, inverse), coefficient in zip(history, reversed(coefficients), strict=True):
        q.addcmul_(coefficient - inverse * problem.total(y * q), s)
    return q


class _Search:
    """Strong Wolfe step of each problem along its direction, by secants and bisection on the derivative of a convex function."""

    def __init__(self, problem: Problem, logits, direction_logits, current, direction, gradient, value, strength):
        self.problem, self.logits, self.direction_logits, self.value = problem, logits, direction_logits, value
        weights, move = current[..., :-1], direction[..., :-1]
        self.slope0 = problem.total(gradient * direction)
        self.start = strength / 2 * problem.total(weights.square())
        self.cross, self.square = strength * problem.total(weights * move), strength * problem.total(move.square())

    def run(self, rounds: int = 30):
        """Steps, and the logits, loss and residual there."""
        import torch

        step, low, high = torch.ones_like(self.value), torch.zeros_like(self.value), torch.full_like(self.value, torch.inf)
        low_slope, high_slope = self.slope0, torch.zeros_like(self.value)
        for _ in range(rounds):
            logits = torch.addcmul(self.logits, step, self.direction_logits)
            loss, residual = self.problem.loss_and_residual(logits)
            slope = self.problem.total(residual * self.direction_logits) + self.cross + step * self.square
            decrease = loss + self.start + step * self.cross + step.square() / 2 * self.square - self.value
            # Near the optimum a true decrease drowns in rounding; the slope condition alone then decides.
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
