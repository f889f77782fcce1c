r"""Choose the regularisation strength of a converged probe, and bound how far the probe is from its minimum by a duality gap.

For rows :math:`x_i` with weights :math:`w_i` of sum one, targets :math:`y_i` and any predictions :math:`q_i` whose weighted mean is
that of the targets (:math:`\sum_i w_i (q_i - y_i) = 0`, what a free bias asks for),

.. math:: \sum_i w_i H(q_i) - \frac{1}{2\alpha} \Big\lVert \sum_i w_i (q_i - y_i) x_i \Big\rVert^2 \;\le\; \min_{W, b} f(W, b)

with H the entropy: weak duality for the convex conjugate of the loss (Boyd and Vandenberghe, 2004, ch. 5), up to rounding and
without any curvature in b. The predictions are the probe's own after a few Newton steps on its bias, mixed with a constant so that
their means are exact. A class of a softmax without a training row is taken out, because its best bias is minus infinity.
"""

from math import log, prod

import torch

from .descent import Fitted, validation_loss
from .objective import Objective
from .protocol import Protocol
from .solver import Problem, feature_variance, minimise
from .views import View

LOOK_AHEAD, EXTRAPOLATED, ATTEMPTS, NEWTON_STEPS = 3, 3, 4, 8
LOW_LOSS = 1e-3  # nats a validation row: as a loss is at least 0, weaker penalties can gain no more than this
NEVER = -1e6  # logit of a class that is taken out


def choose_strength(view: View, targets, objective: Objective, fit, val, protocol: Protocol, max_iterations: int = 1000) -> Fitted:
    """Find each alignment's strength of lowest validation loss, then solve there to the protocol's tolerance; all in float64."""
    problem, aim = Problem(view, targets, objective, fit), protocol.tolerance
    strength, edge, parameters, unsolved = _follow_path(problem, val, protocol, max_iterations)
    for _ in range(ATTEMPTS):
        parameters = minimise(problem, parameters, strength, aim, max_iterations).parameters
        distance = certified_distance(problem, parameters, strength)
        if (distance <= protocol.tolerance).all():
            break
        aim /= 10
    worst = int(distance.argmax())
    if distance[worst] > protocol.tolerance:
        raise RuntimeError(
            f"a probe of strength {strength[worst]:.1e} is not solved: it may lie {distance[worst]:.1e} above the minimum "
            f"(relative), not at most {protocol.tolerance:.0e}; raise Protocol.tolerance or exclude the weakest strengths"
        )
    loss = validation_loss(view, targets, objective, val)(parameters)
    facts = {"validation_loss": loss, "strength": strength, "strength_relative": strength / feature_variance(problem.blocks).cpu()}
    return Fitted(parameters, facts | {"optimality": distance, "strength_at_edge": edge, "unsolved": unsolved})


def _follow_path(problem: Problem, val, protocol: Protocol, max_iterations: int):
    """Return the strength of lowest validation loss (A,), whether it is the first or last one tried, and parameters near it.

    An alignment is done once its loss has not fallen for LOOK_AHEAD strengths, or is at most LOW_LOSS, as separable rows send it
    to zero. The path ends when all are done, or before the first strength that is not solved; the last value returned is that
    strength for the alignments whose probe was not, NaN for the others (A,).
    """
    losses, best, path, chosen = [], None, [], problem.zeros()
    unsolved = torch.full((problem.view.n_alignments,), torch.nan, dtype=torch.float64)
    for strength in protocol.strengths:
        solution = minimise(problem, _extrapolated(problem, path, strength), strength, protocol.tolerance, max_iterations)
        if (missed := solution.optimality > protocol.tolerance).any():
            unsolved[missed.cpu()] = strength
            break
        current = solution.parameters
        path = [*path[1 - EXTRAPOLATED :], (log(strength), current)]
        losses.append(validation_loss(problem.view, problem.all_targets, problem.objective, val)(current).cpu())
        best = _settled_minimum(torch.stack(losses))
        chosen = torch.where((best == len(losses) - 1).to(current.device)[None, :, None], current, chosen)
        low = torch.stack(losses).gather(0, best[None])[0] <= LOW_LOSS
        if (low | (len(losses) - 1 - best >= LOOK_AHEAD)).all():
            break
    if best is None:
        raise RuntimeError(f"not even strength {protocol.strengths[0]:.1e} could be solved; check the embeddings for strange rows")
    strength = _interpolated_minimum(torch.tensor(protocol.strengths[: len(losses)]).double().log(), torch.stack(losses), best)
    edge = ~low & ((best == 0) | (best == len(losses) - 1)) & (len(protocol.strengths) > 1)  # one strength leaves no choice
    return strength.exp(), edge, chosen, unsolved


def _extrapolated(problem: Problem, path, strength: float):
    """Return parameters near a strength: a polynomial in its logarithm through those of the path's last strengths."""
    points, start, x = [point for point, _ in path], problem.zeros(), log(strength)
    for point, parameters in path:
        start += prod((x - other) / (point - other) for other in points if other != point) * parameters
    return start


def _settled_minimum(losses):
    """Return the first position (A,) where losses (p, A) are at most LOW_LOSS or not undercut within LOOK_AHEAD positions."""
    losses = losses.clamp(min=LOW_LOSS)
    best = torch.zeros(losses.shape[1], dtype=torch.int64)
    for position in range(1, len(losses)):
        lower = losses[position] < losses[best, torch.arange(losses.shape[1])]
        best[lower & (position - best <= LOOK_AHEAD)] = position
    return best


def _interpolated_minimum(x, losses, best):
    """Return the vertex (A,) of the parabola through the lowest loss and its neighbours, as a choice on the grid would jump."""
    column = torch.arange(losses.shape[1])
    inner = (best > 0) & (best < len(losses) - 1) & (losses[best, column] > LOW_LOSS)
    middle = torch.where(inner, best, 0)
    sides = (middle - 1).clamp(min=0), (middle + 1).clamp(max=len(losses) - 1)
    rise_left, rise_right = (losses[side, column] - losses[middle, column] for side in sides)
    to_left, to_right = (x[side] - x[middle] for side in sides)
    top = to_right**2 * rise_left - to_left**2 * rise_right
    bottom = to_right * rise_left - to_left * rise_right
    vertex = x[middle] + torch.where(bottom == 0, 0, top / (2 * bottom))
    return torch.where(inner, vertex, x[best])


def certified_distance(problem: Problem, parameters, strength) -> torch.Tensor:
    """Return an upper bound of (f - min f) / f for every probe, (A,); the worst label's for a multi-label task.

    All is in float64; ``parameters`` are (K, A, n_features + 1), bias last, and ``strength`` is one number or (A,).
    """
    strength = torch.as_tensor(strength, dtype=parameters.dtype, device=parameters.device).reshape(1, -1, 1)
    centred = problem.centred(parameters)
    logits = problem.logits(centred)
    if problem.objective.softmax:
        logits = logits.masked_fill((problem.targets.sum(dim=-1) == 0)[:, None, None], NEVER)
    loss, _ = problem.loss_and_residual(logits)
    value = loss + strength / 2 * problem.total(centred[..., :-1].square())
    prediction = _balanced(problem, _at_best_bias(problem, logits))
    residual = (prediction - problem.targets[:, None]) * problem.weights
    gradient = problem.gradient(residual, torch.zeros_like(centred), strength)[..., :-1]
    chance = prediction.clamp(0, 1)
    entropy = torch.special.entr(chance)
    entropy = entropy.sum(dim=0, keepdim=True) if problem.objective.softmax else entropy + torch.special.entr(1 - chance)
    dual = (entropy * problem.weights).sum(dim=-1, keepdim=True) - problem.total(gradient.square()) / (2 * strength)
    distance = ((value - dual) / value.clamp(min=torch.finfo(value.dtype).tiny)).clamp(min=0)
    return torch.where(value > 0, distance, 0).amax(dim=0)[:, 0]  # a label that weighs nothing has no loss


def _at_best_bias(problem: Problem, logits) -> torch.Tensor:
    """Return the predictions (K, A, n) at the bias of lowest loss, as far as Newton steps reach it."""
    shift = torch.zeros_like(logits[..., :1])
    for _ in range(NEWTON_STEPS):
        prediction = problem.objective.prediction(logits + shift)
        slope = ((prediction - problem.targets[:, None]) * problem.weights).sum(dim=-1)
        if not problem.objective.softmax:
            curvature = (prediction * (1 - prediction) * problem.weights).sum(dim=-1)
            shift = shift - torch.where(curvature > 0, slope / curvature, 0)[..., None]
            continue
        weighted = (prediction * problem.weights).movedim(1, 0)  # (A, K, n)
        hessian = torch.diag_embed(weighted.sum(dim=-1)) - weighted @ prediction.movedim(1, 0).transpose(1, 2)
        # A constant over the classes changes no softmax: the least-norm step leaves it alone.
        shift = shift - (torch.linalg.pinv(hessian, hermitian=True) @ slope.T[..., None])[..., 0].T[..., None]
    return problem.objective.prediction(logits + shift)


def _balanced(problem: Problem, prediction) -> torch.Tensor:
    """Return predictions mixed with a constant just so much that their weighted means are those of the targets."""
    mean = (prediction * problem.weights).sum(dim=-1, keepdim=True)
    excess = ((prediction - problem.targets[:, None]) * problem.weights).sum(dim=-1, keepdim=True)
    tiny = torch.finfo(mean.dtype).tiny
    above, below = excess / mean.clamp(min=tiny), -excess / (1 - mean).clamp(min=tiny)
    share = above.amax(dim=0, keepdim=True) if problem.objective.softmax else torch.maximum(above, below)
    share = share.clamp(min=tiny)
    return (1 - share) * prediction + (share * mean - excess)
