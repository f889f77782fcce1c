"""Train many probes at once by SGD or AdamW, with the same initial weights and batch order for every alignment of a seed.

:func:`train` stops each probe early, as its protocol says. :func:`train_path` follows the training: one run yields the parameters
at many numbers of updates, and every probe, and every feature of a probe, may have a learning rate of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from ..alignment.shift import Alignment
from ..arrays import choose
from ..store.embeddings import EmbeddingSet
from .objective import Objective
from .protocol import PROTOCOLS, Protocol, split_rows
from .scoring import ranking_scores
from .views import View, build_view

MOMENTUM = 0.9
BETAS, EPSILON = (0.9, 0.999), 1e-8  # defaults of torch.optim.AdamW


@dataclass(frozen=True)
class Fitted:
    """Probes after training.

    Args:
        parameters: (K, A, n_features + 1) of the lowest validation loss; the last column is the bias.
        facts: (A,) each, by name. ``validation_loss`` is weighted. A descent adds ``epochs``, the number of the best epoch from 1,
            and ``trained``, that of the last. A converged probe adds ``strength``, between the values tried, ``strength_at_edge``,
            whether it is the first or last of them, ``strength_relative``, in units of the mean variance of a centred aligned
            feature on the fit rows, so that rescaling does not change it, and ``optimality``.
    """

    parameters: torch.Tensor
    facts: dict[str, torch.Tensor]


@dataclass(frozen=True)
class Descent:
    """Settings of the descent of one run: numbers for all probes, or tensors that broadcast to (K, A, n_features + 1).

    Args:
        optimizer: ``sgd`` (momentum 0.9) or ``adamw``.
        lr: learning rate.
        epsilon: of AdamW.
        start, adjust: turn the initial parameters, and each gradient, into others of their shape.
    """

    optimizer: str
    lr: float | torch.Tensor
    epsilon: float | torch.Tensor = EPSILON
    start: Callable[[torch.Tensor], torch.Tensor] = lambda parameters: parameters
    adjust: Callable[[torch.Tensor], torch.Tensor] = lambda gradient: gradient

    def __post_init__(self):
        choose(self.optimizer, ("sgd", "adamw"), "optimizer of a descent")
        rates = np.asarray(self.lr, dtype=np.float64)
        bad = rates[~((rates > 0) & np.isfinite(rates))]
        if bad.size:
            raise ValueError(f"a learning rate is {bad.flat[0]:g}; give positive, finite rates")


def initial_parameters(n_features: int, n_outputs: int, generator, dtype=None):
    """Return weights and bias of one probe, (K, n_features + 1), uniform in +-1/sqrt(n_features) as in ``torch.nn.Linear``."""
    draw = torch.rand(n_outputs, n_features + 1, generator=generator, dtype=torch.float32)
    return ((2 * draw - 1) / n_features**0.5).to(dtype or torch.float32)


def train(view: View, targets, objective: Objective, fit, val, seed: int, protocol: Protocol) -> Fitted:
    """Train one probe per alignment of the view.

    Each probe stops early as if it were trained alone: it returns the weights of its lowest validation loss and ends ``patience``
    epochs later. ``targets`` is a (K, n_pairs) 0/1 tensor of the view's dtype, ``fit`` and ``val`` are row numbers.
    """
    generator, parameters = _start(view, targets, seed)
    step, loss_of = _stepper(parameters, protocol), validation_loss(view, targets, objective, val)
    best = parameters.clone()
    best_loss = torch.full((view.n_alignments,), torch.inf, dtype=torch.float64, device=targets.device)
    best_epoch = torch.zeros(view.n_alignments, dtype=torch.int64, device=targets.device)
    trained = torch.zeros_like(best_epoch)
    running = torch.ones_like(best_epoch, dtype=torch.bool)
    for epoch in range(1, protocol.max_epochs + 1):
        for gradient in _epoch(view, targets, objective, fit, generator, protocol.batch_size, parameters):
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


def log_checkpoints(last: int, first: int = 10, per_decade: int = 6) -> tuple[int, ...]:
    """Return whole numbers from ``first`` to ``last``, evenly spaced on a logarithmic axis."""
    if last < first:
        raise ValueError(f"the last checkpoint is {last}, before the first, {first}; allow more updates")
    n = round(per_decade * np.log10(last / first)) + 1
    return tuple(dict.fromkeys(round(u) for u in np.geomspace(first, last, n)))


def path_scores(
    embeddings: EmbeddingSet,
    optimizer: str,
    probes: Sequence[tuple[float, Alignment]],
    checkpoints: Sequence[int],
    seed: int,
    batch_size: int = 512,
) -> np.ndarray:
    """Return the ranking scores of test rows along one training run of several probes, (checkpoints, probes, n_test, K) float32.

    Loss and rows of the gap are those of the protocol ``converged``.

    Args:
        probes: learning rate and alignment of each.
        checkpoints: numbers of updates; 0 is the initial probe.
    """
    descent = Descent(optimizer, torch.tensor([rate for rate, _ in probes])[None, :, None])
    alignments, fit = list(dict.fromkeys(alignment for _, alignment in probes)), split_rows(embeddings, seed).fit
    view = build_view(embeddings, alignments, fit, fit, torch.float32, "cpu").chunk([alignments.index(a) for _, a in probes])
    logits = path_logits(embeddings, view, descent, checkpoints, seed, batch_size)
    return np.stack([ranking_scores(z, embeddings.task, "auc").astype(np.float32) for z in logits])


def path_logits(
    embeddings, view: View, descent: Descent, checkpoints: Sequence[int], seed: int, batch_size: int = 512
) -> Iterator[np.ndarray]:
    """Yield the logits (A, n_test, K) of test rows at each checkpoint of one training run on a view of the embeddings."""
    split, dtype = split_rows(embeddings, seed), view.modalities[0].shift.dtype
    targets = torch.from_numpy(np.ascontiguousarray(embeddings.targets.T)).to(dtype)
    objective = Objective.of(embeddings.task, PROTOCOLS["converged"].weighting, embeddings.targets[split.fit])
    fit, test = torch.from_numpy(split.fit), torch.from_numpy(split.test)
    path = train_path(view, targets, objective, fit, seed, descent, checkpoints, batch_size)
    return (view.predict(test, parameters).permute(1, 2, 0).numpy() for _, parameters in path)


def train_path(
    view: View, targets, objective: Objective, fit, seed: int, descent: Descent, checkpoints: Sequence[int], batch_size: int
) -> Iterator[tuple[int, torch.Tensor]]:
    """Train one probe per alignment of the view, and yield (updates, parameters (K, A, n_features + 1)) at each checkpoint.

    Initial weights and batch order are those of :func:`train`. Nothing stops the training early, so what is yielded equals a run of
    its own that ends there. The tensor is reused: copy it to keep it.
    """
    wanted, done = sorted({int(u) for u in checkpoints}), 0
    if not wanted or wanted[0] < 0:
        raise ValueError(f"checkpoints are {list(checkpoints)}; give numbers of updates, 0 or more")
    generator, parameters = _start(view, targets, seed)
    parameters = descent.start(parameters)
    step = (_sgd_step if descent.optimizer == "sgd" else _adamw_step)(parameters, descent)
    if 0 in wanted:
        yield 0, parameters
    while done < wanted[-1]:
        for gradient in _epoch(view, targets, objective, fit, generator, batch_size, parameters):
            step(descent.adjust(gradient))
            done += 1
            if done in wanted:
                yield done, parameters
            if done == wanted[-1]:
                return


def _start(view: View, targets, seed: int):
    """Return the generator of the batch order, and the initial parameters (K, A, n_features + 1)."""
    generator = torch.Generator().manual_seed(seed)
    first = initial_parameters(view.n_features, len(targets), generator, targets.dtype).to(targets.device)
    return generator, first[:, None].repeat(1, view.n_alignments, 1)


def _epoch(view: View, targets, objective: Objective, fit, generator, size: int, parameters) -> Iterator[torch.Tensor]:
    """Yield the gradient (K, A, n_features + 1) of the loss of each batch in turn, at the parameters of the moment."""
    rows = fit[torch.randperm(len(fit), generator=generator).to(fit.device)]
    targets = targets.index_select(1, rows)
    parts = targets.split(size, dim=1), objective.weights(targets).split(size, dim=-1)
    for batch, target, weights in zip(view.batches(rows, size), *parts, strict=True):
        residual = objective.residual(view.logits(batch, parameters), target)
        yield view.gradient(batch, residual.mul_(objective.batch_weights(weights)))


def _stepper(parameters, protocol: Protocol):
    """Return a function that takes a gradient and makes one step of the library's optimiser, in place.

    The optimiser acts entry by entry, so one step on the stacked probes is a step on each.
    """
    rate = {"lr": protocol.lr, "weight_decay": protocol.weight_decay, "maximize": False, "fused": True}
    if protocol.optimizer == "sgd":
        buffer: list = [None]
        return lambda g: sgd([parameters], [g], buffer, momentum=MOMENTUM, dampening=0, nesterov=False, **rate)
    mean, square, taken = torch.zeros_like(parameters), torch.zeros_like(parameters), torch.zeros((), device=parameters.device)
    constants = {"amsgrad": False, "beta1": BETAS[0], "beta2": BETAS[1], "eps": EPSILON}
    return lambda g: adamw([parameters], [g], [mean], [square], [], [taken], **constants, **rate)


def _sgd_step(parameters, descent: Descent):
    """Return a function that makes one step of ``torch.optim.SGD`` without weight decay, in place, with rates that broadcast."""
    buffer = torch.zeros_like(parameters)

    def step(gradient):
        buffer.mul_(MOMENTUM).add_(gradient)
        parameters.sub_(descent.lr * buffer)

    return step


def _adamw_step(parameters, descent: Descent):
    """Return a function that makes one step of ``torch.optim.AdamW`` without decay, in place, with rates that broadcast."""
    mean, square = torch.zeros_like(parameters), torch.zeros_like(parameters)
    taken = 0

    def step(gradient):
        nonlocal taken
        taken += 1
        mean.lerp_(gradient, 1 - BETAS[0])
        square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        scale = square.sqrt().div_((1 - BETAS[1] ** taken) ** 0.5).add_(descent.epsilon)
        parameters.sub_(descent.lr / (1 - BETAS[0] ** taken) * (mean / scale))

    return step
