"""Train many probes at once by SGD or AdamW, with the same initial weights and batch order for every alignment of a seed."""

from dataclasses import dataclass

import torch

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
    epochs later. The run ends with the last probe.

    Args:
        targets: (K, n_pairs) 0/1 tensor of the view's dtype.
        fit, val: row numbers (tensors).
    """
    device, dtype = targets.device, targets.dtype
    generator = torch.Generator().manual_seed(seed)
    first = initial_parameters(view.n_features, len(targets), generator, dtype).to(device)
    parameters = first[:, None].repeat(1, view.n_alignments, 1)
    parameters.grad = torch.zeros_like(parameters)
    optimizer = _optimizer(parameters, protocol)
    best = parameters.clone()
    best_loss = torch.full((view.n_alignments,), torch.inf, dtype=torch.float64, device=device)
    best_epoch = torch.zeros(view.n_alignments, dtype=torch.int64, device=device)
    trained = torch.zeros_like(best_epoch)
    running = torch.ones(view.n_alignments, dtype=torch.bool, device=device)
    for epoch in range(1, protocol.max_epochs + 1):
        order = fit[torch.randperm(len(fit), generator=generator).to(device)]
        for rows in order.split(protocol.batch_size):
            _step(view, targets, objective, rows, parameters, optimizer)
        loss = validation_loss(view, targets, objective, val, parameters)
        better = running & (loss < best_loss)
        best[:, better] = parameters[:, better]
        best_loss[better], best_epoch[better] = loss[better], epoch
        trained[running] = epoch
        running &= epoch - best_epoch < protocol.patience
        if not running.any():
            break
    return Fitted(best, best_loss, best_epoch, trained)


def validation_loss(view: View, targets, objective: Objective, rows, parameters, chunk: int = 8192):
    """Return the weighted mean loss of each probe over rows, (A,) in float64."""
    total = 0
    for part in rows.split(chunk):
        total = total + objective.summed(view.logits(view.gather(part), parameters), targets[:, part])
    return total / len(rows)


def _step(view: View, targets, objective: Objective, rows, parameters, optimizer) -> None:
    batch, target = view.gather(rows), targets.index_select(1, rows)
    residual = objective.residual(view.logits(batch, parameters), target)
    parameters.grad = view.gradient(batch, residual.mul_(objective.batch_weights(target)))
    optimizer.step()


def _optimizer(parameters, protocol: Protocol):
    """Return the library's optimiser; it acts entry by entry, so one step on the stacked probes is a step on each."""
    if protocol.optimizer == "sgd":
        return torch.optim.SGD([parameters], lr=protocol.lr, momentum=0.9, weight_decay=protocol.weight_decay, fused=True)
    return torch.optim.AdamW([parameters], lr=protocol.lr, weight_decay=protocol.weight_decay, fused=True)
