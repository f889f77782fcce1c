"""Choose the regularisation strength of a converged probe on validation loss."""

import warnings

import torch

from .certificate import certified_distance
from .descent import Fitted, validation_loss
from .objective import Objective
from .problem import Problem, feature_variance
from .protocol import Protocol
from .solver import minimise
from .views import View

LOOK_AHEAD = 3
ATTEMPTS = 4


def choose_strength(view: View, targets, objective: Objective, fit, val, protocol: Protocol, max_iterations: int = 1000) -> Fitted:
    """Find each alignment's strength on a path from strong to weak, then solve the problems there to the protocol's tolerance.

    View and targets (K, n_pairs) are in float64; ``fit`` and ``val`` are row numbers (tensors).
    """
    problem = Problem(view, targets, objective, fit)
    strength, edge, start = _follow_path(problem, val, protocol, max_iterations)
    parameters, distance = _solve_certified(problem, start, strength, protocol.tolerance, max_iterations)
    worst = int(distance.argmax())
    if distance[worst] > protocol.tolerance:
        raise RuntimeError(
            f"a probe of strength {strength[worst]:.1e} is not solved: it may lie {distance[worst]:.1e} above the minimum "
            f"(relative), not at most {protocol.tolerance:.0e}; raise Protocol.tolerance or exclude the weakest strengths"
        )
    facts = {"validation_loss": validation_loss(view, targets, objective, val)(parameters), "strength": strength}
    facts["strength_relative"] = strength / feature_variance(view, problem.blocks).cpu()
    return Fitted(parameters, facts | {"optimality": distance, "strength_at_edge": edge})


def _solve_certified(problem: Problem, start, strength, tolerance: float, max_iterations: int):
    """Return parameters and their certified distance from the minimum; tighten the solver until this is in tolerance."""
    aim, parameters = tolerance, start
    for _ in range(ATTEMPTS):
        parameters = minimise(problem, parameters, strength, aim, max_iterations).parameters
        distance = certified_distance(problem, parameters, strength)
        if (distance <= tolerance).all():
            break
        aim /= 10
    return parameters, distance


def _follow_path(problem: Problem, val, protocol: Protocol, max_iterations: int):
    """Return the strength of lowest validation loss (A,), whether it is the first or last one tried, and parameters near it.

    An alignment is settled once its validation loss has not fallen for LOOK_AHEAD strengths, so its choice does not depend on the
    other alignments. The path ends when all are settled, or before the first strength that is not solved.
    """
    losses, best, current = [], None, problem.zeros()
    chosen = current
    for strength in protocol.strengths:
        solution = minimise(problem, current, strength, protocol.tolerance, max_iterations)
        if (solution.optimality > protocol.tolerance).any():
            warnings.warn(f"strength {strength:.1e} and weaker ones were not solved and are not considered", stacklevel=4)
            break
        current = solution.parameters
        losses.append(validation_loss(problem.view, problem.all_targets, problem.objective, val)(current).cpu())
        best = _settled_minimum(torch.stack(losses))
        chosen = torch.where((best == len(losses) - 1).to(current.device)[None, :, None], current, chosen)
        if (len(losses) - 1 - best).min() >= LOOK_AHEAD:
            break
    if best is None:
        raise RuntimeError(f"not even strength {protocol.strengths[0]:.1e} could be solved; check the embeddings for strange rows")
    strength = _interpolated_minimum(torch.tensor(protocol.strengths[: len(losses)]).double().log(), torch.stack(losses), best)
    return strength.exp(), (best == 0) | (best == len(losses) - 1), chosen


def _settled_minimum(losses):
    """Return the position of the first minimum (A,) of losses (p, A) that is not undercut within LOOK_AHEAD positions."""
    best = torch.zeros(losses.shape[1], dtype=torch.int64)
    for position in range(1, len(losses)):
        lower = losses[position] < losses[best, torch.arange(losses.shape[1])]
        best[lower & (position - best <= LOOK_AHEAD)] = position
    return best


def _interpolated_minimum(x, losses, best):
    """Return the vertex (A,) of the parabola through the lowest loss and its neighbours; the lowest loss itself at an end.

    On a grid, the choice can jump to the next value when an alignment changes only the last digits, and such a jump changes the AUC
    more than lambda does. The vertex moves as little as the losses do.
    """
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
