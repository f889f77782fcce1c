"""The regularised probe solved to a certified optimum, for every alignment side by side.

Each problem is :math:`f(W, b) = \\frac{1}{\\sum_i w_i} \\sum_i w_i\\, l_i + \\frac{\\alpha}{2} \\lVert W \\rVert^2` with an unpenalised bias. The
solver is L-BFGS (Nocedal and Wright, 2006, ch. 7) with a strong Wolfe search and two things that make it short:

* it works in centred features, where the bias does not couple to the weights, and is preconditioned by the inverse of
  :math:`h C + \\alpha I` with C the covariance of the unaligned features (one eigendecomposition serves all alignments and
  strengths, since an alignment hardly changes a centred covariance);
* the logits of a search direction are linear in the step, so the search costs no product with the data.

f is alpha-strongly convex in W, hence :math:`f - \\min f \\le \\lVert \\nabla f \\rVert^2 / 2\\alpha`. That bound, as a fraction of f, is the
reported *optimality* (the bias gradient is counted in the norm, as it vanishes at the same rate).
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from .descent import validation_loss
from .objective import Objective
from .protocol import Protocol
from .views import View

MEMORY = 20
SUFFICIENT_DECREASE, CURVATURE = 1e-4, 0.5


@dataclass(frozen=True)
class Solution:
    """Probes at one strength.

    Args:
        strength: alpha.
        parameters: (K, A, n_features + 1), bias last.
        objective: (A,) value of f, summed over the labels of a multi-label task.
        optimality: (A,) certified bound on (f - min f) / f; the worst label's for a multi-label task.
        iterations: L-BFGS iterations, two passes over the data each.
    """

    strength: float
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
        self.view, self.objective = view, objective
        self.batch, self.targets = view.gather(rows), targets.index_select(1, rows)
        weights = objective.weights(self.targets)
        self.weights = weights / weights.sum(dim=-1, keepdim=True).clamp(min=1e-300)
        self.axes = (0, 2) if objective.softmax else (2,)
        spread = self.weights.expand(len(self.weights), view.n_alignments, -1).contiguous()
        self.mean = view.gradient(self.batch, spread)[..., :-1]
        self.variances, self.directions = self._spectrum()
        self.curvature = 1 / len(self.targets) if objective.softmax else 0.25

    def _spectrum(self):
        """Eigendecomposition of the weighted covariance of the unaligned features."""
        import torch

        features = torch.cat([x for x, _ in self.batch], dim=1)
        weights = self.weights.mean(dim=(0, 1))
        mean = weights @ features
        covariance = features.T @ (features * weights[:, None]) - mean[:, None] * mean
        values, vectors = torch.linalg.eigh(covariance)
        return values.clamp(min=0), vectors

    def native(self, centred):
        """Parameters for the features as they are, from those for centred features."""
        native = centred.clone()
        native[..., -1] -= (centred[..., :-1] * self.mean).sum(dim=-1)
        return native

    def logits(self, centred):
        return self.view.logits(self.batch, self.native(centred))

    def loss(self, logits):
        """Weighted mean loss of each problem."""
        return (self.weights * self.objective.losses(logits, self.targets)).sum(dim=-1, keepdim=True)

    def slope(self, logits, direction_logits):
        """Derivative of the loss along a direction."""
        return self.total(self.weights * self.objective.residual(logits, self.targets) * direction_logits)

    def gradient(self, logits, centred, strength: float):
        gradient = self.view.gradient(self.batch, self.weights * self.objective.residual(logits, self.targets))
        gradient[..., :-1] += strength * centred[..., :-1] - self.mean * gradient[..., -1:]
        return gradient

    def native_norm_squared(self, gradient):
        """Squared norm of the gradient in the native parameters, one number per problem."""
        weights = gradient[..., :-1] + self.mean * gradient[..., -1:]
        return self.total(weights.square()) + self.total(gradient[..., -1:].square())

    def precondition(self, gradient, strength: float):
        """Approximate inverse Hessian times a gradient."""
        out = gradient / self.curvature
        rotated = gradient[..., :-1] @ self.directions
        out[..., :-1] = (rotated / (self.curvature * self.variances + strength)) @ self.directions.T
        return out

    def total(self, x):
        """Sum over everything that belongs to one problem."""
        return x.sum(dim=self.axes, keepdim=True)


def minimise(
    view: View, targets, objective: Objective, rows, strengths, tolerance: float, max_iterations: int = 1000
) -> Iterator[Solution]:
    """Solve every problem of the view at each strength in turn, each started from the one before.

    Args:
        targets: (K, n_pairs) 0/1 tensor, float64 like the view.
        rows: pairs to fit on.
        strengths: alphas, strongest first.
        tolerance: stop when the certified relative gap of every problem is below this.

    Yields:
        one :class:`Solution` per strength.
    """
    problem = Problem(view, targets, objective, rows)
    current = targets.new_zeros(len(targets), view.n_alignments, view.n_features + 1)
    for strength in strengths:
        current, value, optimality, iterations = _lbfgs(problem, current, strength, tolerance, max_iterations)
        yield Solution(strength, problem.native(current), value.sum(dim=0)[:, 0], optimality.amax(dim=0)[:, 0], iterations)


@dataclass(frozen=True)
class Chosen:
    """The strength of each alignment's lowest validation loss, and the probe there; every array is (A,).

    ``strength_relative`` is alpha in units of the mean variance of a centred aligned feature on the fit rows: what survives when
    alignments only rescale. ``strength_at_edge`` tells that no stronger or no weaker value was tried.
    """

    parameters: "torch.Tensor"  # noqa: F821
    validation_loss: "torch.Tensor"  # noqa: F821
    strength: "torch.Tensor"  # noqa: F821
    strength_relative: "torch.Tensor"  # noqa: F821
    optimality: "torch.Tensor"  # noqa: F821
    strength_at_edge: "torch.Tensor"  # noqa: F821


def choose_strength(view: View, targets, objective: Objective, fit, val, protocol: Protocol, look_ahead: int = 4) -> Chosen:
    """Follow the path of strengths until every alignment's validation loss has not fallen for ``look_ahead`` values in a row.

    Raises:
        RuntimeError: a problem was not solved to the tolerance, so that its probe may not be called converged.
    """
    import torch

    n = view.n_alignments
    loss = torch.full((n,), torch.inf, dtype=torch.float64)
    strength, optimality, tried = (torch.zeros(n, dtype=torch.float64) for _ in range(3))
    parameters = None
    for position, solution in enumerate(minimise(view, targets, objective, fit, protocol.strengths, protocol.tolerance)):
        if (solution.optimality > protocol.tolerance).any():
            raise RuntimeError(
                f"strength {solution.strength:.1e} was not solved: the certified gap is {solution.optimality.max():.1e} of the objective, "
                f"asked for {protocol.tolerance:.0e}; leave out the weakest strengths or raise Protocol.tolerance"
            )
        parameters = solution.parameters.clone() if parameters is None else parameters
        current = validation_loss(view, targets, objective, val, solution.parameters).cpu()
        # An alignment that has looked ahead far enough is settled, so that its choice does not depend on its neighbours.
        better = (current < loss) & (position - tried <= look_ahead)
        parameters[:, better] = solution.parameters[:, better]
        loss[better], strength[better], tried[better] = current[better], solution.strength, float(position)
        optimality[better] = solution.optimality.cpu()[better]
        if (position - tried).min() >= look_ahead:
            break
    edge = (tried == 0) | (tried == len(protocol.strengths) - 1)
    return Chosen(parameters, loss, strength, strength / _feature_variance(view, fit), optimality, edge)


def _feature_variance(view: View, rows):
    """Mean variance of a centred aligned feature, (A,): total variance over the number of features."""
    total = 0
    for m, (x, scale) in zip(view.modalities, view.gather(rows), strict=True):
        squared = x.square().sum(dim=1) + 2 * m.shift @ x.T + m.shift.square().sum(dim=1, keepdim=True)
        mean = (scale @ x + scale.sum(dim=1, keepdim=True) * m.shift) / len(x)
        total = total + (scale.square() * squared).mean(dim=1) - mean.square().sum(dim=1)
    return total.cpu() / view.n_features


def _lbfgs(problem: Problem, current, strength: float, tolerance: float, max_iterations: int):
    logits = problem.logits(current)
    history: deque = deque(maxlen=MEMORY)
    gradient = problem.gradient(logits, current, strength)
    for iteration in range(max_iterations + 1):
        value = _penalised(problem, logits, current, strength)
        optimality = problem.native_norm_squared(gradient) / (2 * strength * value)
        running = optimality > tolerance
        if iteration == max_iterations or not running.any():
            return current, value, optimality, iteration
        direction = -_two_loop(problem, gradient, history, strength) * running
        direction_logits = problem.logits(direction)
        step = _wolfe_step(problem, logits, direction_logits, current, direction, gradient, value, strength) * running
        current = current + step * direction
        logits = logits + step * direction_logits
        if iteration % 50 == 49:
            logits = problem.logits(current)  # the running sum of steps would drift
        new_gradient = problem.gradient(logits, current, strength)
        history.append((step * direction, new_gradient - gradient))
        gradient = new_gradient


def _penalised(problem: Problem, logits, current, strength: float):
    return problem.loss(logits) + strength / 2 * problem.total(current[..., :-1].square())


def _two_loop(problem: Problem, gradient, history, strength: float):
    """L-BFGS product of the approximate inverse Hessian with the gradient; pairs without curvature are passed over."""
    import torch

    q, coefficients = gradient.clone(), []
    for s, y in reversed(history):
        curvature = problem.total(s * y)
        inverse = torch.where(curvature > 0, 1 / curvature, 0)
        coefficient = inverse * problem.total(s * q)
        q -= coefficient * y
        coefficients.append((coefficient, inverse))
    q = problem.precondition(q, strength)
    for (s, y), (coefficient, inverse) in zip(history, reversed(coefficients), strict=True):
        q += (coefficient - inverse * problem.total(y * q)) * s
    return q


def _wolfe_step(problem: Problem, logits, direction_logits, current, direction, gradient, value, strength: float, rounds: int = 30):
    """A step per problem that meets the strong Wolfe conditions, by bisection and secants on the derivative of a convex function."""
    import torch

    slope0 = problem.total(gradient * direction)
    weights, move = current[..., :-1], direction[..., :-1]
    cross, square = strength * problem.total(weights * move), strength * problem.total(move.square())
    step, low, high = torch.ones_like(value), torch.zeros_like(value), torch.full_like(value, torch.inf)
    low_slope, high_slope = slope0.clone(), torch.zeros_like(value)
    for _ in range(rounds):
        moved = logits + step * direction_logits
        slope = problem.slope(moved, direction_logits) + cross + step * square
        penalty = strength / 2 * problem.total(weights.square()) + step * cross + step.square() / 2 * square
        decrease = problem.loss(moved) + penalty - value
        # Near the optimum a true decrease drowns in rounding; the slope condition alone then decides.
        short_enough = decrease <= SUFFICIENT_DECREASE * step * slope0 + 1e-14 * value
        done = short_enough & (slope.abs() <= CURVATURE * slope0.abs())
        if done.all():
            break
        over = ~done & ((slope > 0) | ~short_enough)
        under = ~done & ~over
        high, high_slope = torch.where(over, step, high), torch.where(over, slope, high_slope)
        low, low_slope = torch.where(under, step, low), torch.where(under, slope, low_slope)
        secant = low + (high - low) * low_slope / (low_slope - high_slope)
        inside = torch.where(
            (secant > low + 0.05 * (high - low)) & (secant < high - 0.05 * (high - low)) & (high_slope > 0), secant, (low + high) / 2
        )
        step = torch.where(done, step, torch.where(torch.isinf(high), 2 * step, inside))
    return step
