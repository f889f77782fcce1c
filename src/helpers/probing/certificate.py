r"""Bound how far a probe is from the minimum of its problem, in weights and bias together, by a duality gap.

For rows :math:`x_i` with weights :math:`w_i` of sum one, targets :math:`y_i` and any predictions :math:`q_i` whose weighted mean is
that of the targets (:math:`\sum_i w_i (q_i - y_i) = 0`, what a free bias asks for),

.. math:: \sum_i w_i H(q_i) - \frac{1}{2\alpha} \Big\lVert \sum_i w_i (q_i - y_i) x_i \Big\rVert^2 \;\le\; \min_{W, b} f(W, b)

with H the entropy: weak duality for the convex conjugate of the loss (Boyd and Vandenberghe, 2004, ch. 5). No curvature in b is
needed. The predictions are the probe's own after a few Newton steps on its bias, mixed with a constant so that their means are
exact. A class of a softmax without a training row is taken out, because its best bias is minus infinity. The bound holds up to
rounding.
"""

import torch

from .problem import Problem

NEWTON_STEPS = 8
NEVER = -1e6  # logit of a class that is taken out


def certified_distance(problem: Problem, parameters, strength) -> torch.Tensor:
    """Return an upper bound of (f - min f) / f for every probe, (A,); the worst label's for a multi-label task.

    The problem is in float64, ``parameters`` are (K, A, n_features + 1), bias last, and ``strength`` is one number or (A,).
    """
    strength = torch.as_tensor(strength, dtype=parameters.dtype, device=parameters.device).reshape(1, -1, 1)
    centred = problem.centred(parameters)
    logits = problem.logits(centred)
    if problem.objective.softmax:
        logits = logits.masked_fill((problem.targets.sum(dim=-1) == 0)[:, None, None], NEVER)
    loss, _ = problem.loss_and_residual(logits)
    value = loss + strength / 2 * problem.total(centred[..., :-1].square())
    prediction = _balanced(problem, _bias_free(problem, logits))
    residual = (prediction - problem.targets[:, None]) * problem.weights
    gradient = problem.gradient(residual, torch.zeros_like(centred), strength)[..., :-1]
    dual = (_entropy(problem, prediction) * problem.weights).sum(dim=-1, keepdim=True)
    dual = dual - problem.total(gradient.square()) / (2 * strength)
    distance = ((value - dual) / value.clamp(min=torch.finfo(value.dtype).tiny)).clamp(min=0)
    return torch.where(value > 0, distance, 0).amax(dim=0)[:, 0]  # a label that weighs nothing has no loss


def _bias_free(problem: Problem, logits) -> torch.Tensor:
    """Return the predictions (K, A, n) at the bias that minimises the loss of these logits, as far as Newton steps reach it."""
    shift = torch.zeros_like(logits[..., :1])
    for _ in range(NEWTON_STEPS):
        prediction = _prediction(problem, logits + shift)
        slope = ((prediction - problem.targets[:, None]) * problem.weights).sum(dim=-1)
        if not problem.objective.softmax:
            curvature = (prediction * (1 - prediction) * problem.weights).sum(dim=-1)
            shift = shift - torch.where(curvature > 0, slope / curvature, 0)[..., None]
            continue
        weighted = (prediction * problem.weights).movedim(1, 0)  # (A, K, n)
        hessian = torch.diag_embed(weighted.sum(dim=-1)) - weighted @ prediction.movedim(1, 0).transpose(1, 2)
        # A constant over the classes changes no softmax: the least-norm step leaves it alone.
        shift = shift - (torch.linalg.pinv(hessian, hermitian=True) @ slope.T[..., None])[..., 0].T[..., None]
    return _prediction(problem, logits + shift)


def _balanced(problem: Problem, prediction) -> torch.Tensor:
    """Return predictions mixed with a constant just so much that their weighted means are those of the targets."""
    mean = (prediction * problem.weights).sum(dim=-1, keepdim=True)
    excess = ((prediction - problem.targets[:, None]) * problem.weights).sum(dim=-1, keepdim=True)
    tiny = torch.finfo(mean.dtype).tiny
    if problem.objective.softmax:
        share = (excess / mean.clamp(min=tiny)).amax(dim=0, keepdim=True).clamp(min=tiny)
    else:
        share = torch.maximum(excess / mean.clamp(min=tiny), -excess / (1 - mean).clamp(min=tiny)).clamp(min=tiny)
    return (1 - share) * prediction + (share * mean - excess)


def _prediction(problem: Problem, logits):
    return logits.softmax(dim=0) if problem.objective.softmax else logits.sigmoid()


def _entropy(problem: Problem, prediction):
    """Return the entropy of each row's prediction, (1, A, n) for softmax and (K, A, n) otherwise."""
    prediction = prediction.clamp(0, 1)
    if problem.objective.softmax:
        return torch.special.entr(prediction).sum(dim=0, keepdim=True)
    return torch.special.entr(prediction) + torch.special.entr(1 - prediction)
