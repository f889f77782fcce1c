"""Train many probes at once by SGD or AdamW, with the same initial weights and batch order for every alignment of a seed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from .objective import Objective
from .protocol import Protocol
from .views import ROWS, Blocks, View

MOMENTUM = 0.9
BETAS, EPSILON = (0.9, 0.999), 1e-8  # defaults of torch.optim.AdamW


@dataclass(frozen=True)
class Fitted:
    """Probes after training.

    Facts of a descent are the weighted ``validation_loss``, ``epochs`` (the best, from 1) and ``trained`` (the last). A converged
    probe has ``strength_at_edge`` (first or last tried) and ``strength_relative`` (to the mean variance of a centred feature).
    """

    parameters: torch.Tensor  # (K, A, n_features + 1) of the lowest validation loss, bias last
    facts: dict[str, torch.Tensor]  # (A,) each


def initial_parameters(n_features: int, n_outputs: int, generator, dtype=None):
    """Return weights and bias of one probe, (K, n_features + 1), uniform in +-1/sqrt(n_features) as in ``torch.nn.Linear``."""
    draw = torch.rand(n_outputs, n_features + 1, generator=generator, dtype=torch.float32)
    return ((2 * draw - 1) / n_features**0.5).to(dtype or torch.float32)


def train(view: View, targets, objective: Objective, fit, val, seed: int, protocol: Protocol) -> Fitted:
    """Train one probe per alignment of the view until ``patience`` epochs after its lowest validation loss, as if it were alone."""
    generator, parameters = start(view, targets, seed)
    step, loss_of = _stepper(parameters, protocol), validation_loss(view, targets, objective, val)
    best, best_loss = parameters.clone(), torch.full((view.n_alignments,), torch.inf, dtype=torch.float64, device=targets.device)
    best_epoch, trained = torch.zeros_like(best_loss, dtype=torch.int64), torch.zeros_like(best_loss, dtype=torch.int64)
    running = torch.ones_like(best_loss, dtype=torch.bool)
    for epoch in range(1, protocol.max_epochs + 1):
        for gradient in gradients(view, targets, objective, fit, generator, protocol.batch_size, parameters):
            step(gradient)
        loss = loss_of(parameters)
        better = running & (loss < best_loss)
        best[:, better] = parameters[:, better]
        best_loss[better], best_epoch[better] = loss[better], epoch
        trained[running] = epoch
        running &= epoch - best_epoch < protocol.patience
        if not running.any():
            break
    return Fitted(best, {"validation_loss": best_loss, "epochs": best_epoch, "trained": trained})


def validation_loss(view: View, targets, objective: Objective, rows) -> Callable:
    """Return a function from parameters to the weighted mean loss of each probe over rows, (A,) in float64."""
    blocks, of_rows = Blocks(view, rows, held=len(rows) <= ROWS), targets.index_select(1, rows)

    def loss(parameters):
        losses = (objective.summed(view.logits(batch, parameters), of_rows[:, part]) for part, batch in blocks)
        return sum(losses) / len(rows)

    return loss


def start(view: View, targets, seed: int):
    """Return the generator of the batch order, and the initial parameters (K, A, n_features + 1)."""
    generator = torch.Generator().manual_seed(seed)
    first = initial_parameters(view.n_features, len(targets), generator, targets.dtype).to(targets.device)
    return generator, first[:, None].repeat(1, view.n_alignments, 1)


def gradients(view: View, targets, objective: Objective, fit, generator, size: int, parameters) -> Iterator[torch.Tensor]:
    """Yield the gradient (K, A, n_features + 1) of the loss of each batch, at the parameters of the moment."""
    rows = fit[torch.randperm(len(fit), generator=generator).to(fit.device)]
    targets = targets.index_select(1, rows)
    parts = targets.split(size, dim=1), objective.weights(targets).split(size, dim=-1)
    for batch, target, weights in zip(view.batches(rows, size), *parts, strict=True):
        residual = objective.residual(view.logits(batch, parameters), target)
        yield view.gradient(batch, residual.mul_(objective.batch_weights(weights)))


def _stepper(parameters, protocol: Protocol):
    """Return a function that makes one step of the library's optimiser, in place; it acts on each entry alone."""
    rate = {"lr": protocol.lr, "weight_decay": protocol.weight_decay, "maximize": False, "fused": True}
    if protocol.optimizer == "sgd":
        buffer: list = [None]
        return lambda g: sgd([parameters], [g], buffer, momentum=MOMENTUM, dampening=0, nesterov=False, **rate)
    mean, square, taken = torch.zeros_like(parameters), torch.zeros_like(parameters), torch.zeros((), device=parameters.device)
    constants = {"amsgrad": False, "beta1": BETAS[0], "beta2": BETAS[1], "eps": EPSILON}
    return lambda g: adamw([parameters], [g], [mean], [square], [], [taken], **constants, **rate)
