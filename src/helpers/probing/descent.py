"""Train many probes at once by SGD or AdamW, with the same initial weights and batch order for every alignment of a seed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from .objective import Objective
from .protocol import Protocol
from .views import View


@dataclass(frozen=True)
class Fitted:
    """Probes after training.

    Args:
        parameters: (K, A, n_features + 1) of the epoch with the lowest validation loss; the last column is the bias.
        validation_loss: (A,) weighted loss there.
        epochs: (A,) number of that epoch, counted from 1.
        trained: (A,) number of epochs until patience or the limit ended the training.
    """

    parameters: torch.Tensor
    validation_loss: torch.Tensor
    epochs: torch.Tensor
    trained: torch.Tensor


def initial_parameters(n_features: int, n_outputs: int, generator, dtype=None):
    """Return weights and bias of one probe, (K, n_features + 1), uniform in +-1/sqrt(n_features) as in ``torch.nn.Linear``."""
    draw = torch.rand(n_outputs, n_features + 1, generator=generator, dtype=torch.float32)
    return ((2 * draw - 1) / n_features**0.5).to(dtype or torch.float32)


def train(view: View, targets, objective: Objective, fit, val, seed: int, protocol: Protocol) -> Fitted:
    """Train one probe per alignment of the view.

    Each probe stops early as if it were trained alone: it returns the weights of its lowest validation loss and ends ``patience``
    epochs later. ``targets`` is a (K, n_pairs) 0/1 tensor of the view's dtype, ``fit`` and ``val`` are row numbers.
    """
    device, dtype = targets.device, targets.dtype
    generator = torch.Generator().manual_seed(seed)
    first = initial_parameters(view.n_features, len(targets), generator, dtype).to(device)
    parameters = first[:, None].repeat(1, view.n_alignments, 1)
    step, loss_of = _stepper(parameters, protocol), validation_loss(view, targets, objective, val)
    best = parameters.clone()
    best_loss = torch.full((view.n_alignments,), torch.inf, dtype=torch.float64, device=device)
    best_epoch = torch.zeros(view.n_alignments, dtype=torch.int64, device=device)
    trained = torch.zeros_like(best_epoch)
    running = torch.ones(view.n_alignments, dtype=torch.bool, device=device)
    for epoch in range(1, protocol.max_epochs + 1):
        order = fit[torch.randperm(len(fit), generator=generator).to(device)]
        for batch in batches(view, targets, objective, order, protocol.batch_size):
            step(gradient(view, objective, parameters, *batch))
        loss = loss_of(parameters)
        better = running & (loss < best_loss)
        best[:, better] = parameters[:, better]
        best_loss[better], best_epoch[better] = loss[better], epoch
        trained[running] = epoch
        running &= epoch - best_epoch < protocol.patience
        if not running.any():
            break
    return Fitted(best, best_loss, best_epoch, trained)


def validation_loss(view: View, targets, objective: Objective, rows, chunk: int = 8192) -> Callable:
    """Return a function from parameters to the weighted mean loss of each probe over rows, (A,) in float64.

    Rows that fit in one chunk are gathered once; more are gathered chunk by chunk at each call, so that memory stays small.
    """

    def parts():
        return ((view.gather(part), targets[:, part]) for part in rows.split(chunk))

    gathered = list(parts()) if len(rows) <= chunk else None

    def loss(parameters):
        losses = (objective.summed(view.logits(batch, parameters), target) for batch, target in gathered or parts())
        return sum(losses) / len(rows)

    return loss


def batches(view: View, targets, objective: Objective, rows, size: int) -> Iterator[tuple]:
    """Yield gathered rows, their targets (K, b) and the weights of their losses, batch by batch."""
    targets = targets.index_select(1, rows)
    parts = targets.split(size, dim=1), objective.weights(targets).split(size, dim=-1)
    for batch, target, weights in zip(view.batches(rows, size), *parts, strict=True):
        yield batch, target, objective.batch_weights(weights)


def gradient(view: View, objective: Objective, parameters, batch, target, weights):
    """Return the gradient (K, A, n_features + 1) of each probe's loss of a batch."""
    residual = objective.residual(view.logits(batch, parameters), target)
    return view.gradient(batch, residual.mul_(weights))


def _stepper(parameters, protocol: Protocol):
    """Return a function that takes a gradient and makes one step of the library's optimiser, in place.

    The optimiser acts entry by entry, so one step on the stacked probes is a step on each.
    """
    rate = {"lr": protocol.lr, "weight_decay": protocol.weight_decay, "maximize": False, "fused": True}
    if protocol.optimizer == "sgd":
        buffer: list = [None]
        return lambda g: sgd([parameters], [g], buffer, momentum=0.9, dampening=0, nesterov=False, **rate)
    mean, square, taken = torch.zeros_like(parameters), torch.zeros_like(parameters), torch.zeros((), device=parameters.device)
    constants = {"amsgrad": False, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    return lambda g: adamw([parameters], [g], [mean], [square], [], [taken], **constants, **rate)
