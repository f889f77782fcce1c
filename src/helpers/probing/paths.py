"""Follow probes along their training: one run yields the parameters of every probe at many numbers of updates.

Every probe, and every feature of a probe, may have a learning rate of its own, so that one run covers a grid of rates as well.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..alignment.shift import Alignment
from ..arrays import choose
from ..store.embeddings import EmbeddingSet
from .descent import batches, gradient, initial_parameters
from .objective import Objective
from .protocol import PROTOCOLS, split_rows
from .scoring import ranking_scores
from .views import View, build_view

MOMENTUM = 0.9
BETAS, EPSILON = (0.9, 0.999), 1e-8  # defaults of torch.optim.AdamW


@dataclass(frozen=True)
class Descent:
    """Settings of the descent of one run: numbers for all probes, or tensors that broadcast to (K, A, n_features + 1).

    Args:
        optimizer: ``sgd`` (momentum 0.9) or ``adamw``.
        lr: learning rate.
        weight_decay: as ``torch.optim`` defines it for this optimiser.
        epsilon: of AdamW.
        start: turns the initial parameters (K, A, n_features + 1) into others; left as they are when None.
        adjust: turns each gradient (K, A, n_features + 1) into another; left as it is when None.
    """

    optimizer: str
    lr: float | torch.Tensor
    weight_decay: float | torch.Tensor = 0.0
    epsilon: float | torch.Tensor = EPSILON
    start: Callable[[torch.Tensor], torch.Tensor] | None = None
    adjust: Callable[[torch.Tensor], torch.Tensor] | None = None

    def __post_init__(self):
        choose(self.optimizer, ("sgd", "adamw"), "optimizer of a descent")
        rates = np.asarray(self.lr, dtype=np.float64)
        bad = rates[~((rates > 0) & np.isfinite(rates))]
        if bad.size:
            raise ValueError(f"a learning rate is {bad.flat[0]:g}; give positive, finite rates")


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

    Initial weights and batch order are those of :func:`helpers.probing.descent.train`. Nothing stops the training early, so what is
    yielded equals a run of its own that ends there. The tensor is reused: copy it to keep it.

    Args:
        targets: (K, n_pairs) 0/1 tensor of the view's dtype.
        fit: row numbers (tensor).
        checkpoints: numbers of updates; 0 is the initial probe.
    """
    wanted, done = sorted({int(u) for u in checkpoints}), 0
    if not wanted or wanted[0] < 0:
        raise ValueError(f"checkpoints are {list(checkpoints)}; give numbers of updates, 0 or more")
    generator = torch.Generator().manual_seed(seed)
    first = initial_parameters(view.n_features, len(targets), generator, targets.dtype)
    parameters = first[:, None].repeat(1, view.n_alignments, 1)
    parameters = parameters if descent.start is None else descent.start(parameters)
    step = (_sgd_step if descent.optimizer == "sgd" else _adamw_step)(parameters, descent)
    if 0 in wanted:
        yield 0, parameters
    while done < wanted[-1]:
        order = fit[torch.randperm(len(fit), generator=generator)]
        for batch in batches(view, targets, objective, order, batch_size):
            slope = gradient(view, objective, parameters, *batch)
            step(slope if descent.adjust is None else descent.adjust(slope))
            done += 1
            if done in wanted:
                yield done, parameters
            if done == wanted[-1]:
                return


def _sgd_step(parameters, descent: Descent):
    """Return a function that makes one step of ``torch.optim.SGD``, in place, with rates that broadcast."""
    buffer = torch.zeros_like(parameters)

    def step(gradient):
        buffer.mul_(MOMENTUM).add_(gradient + descent.weight_decay * parameters)
        parameters.sub_(descent.lr * buffer)

    return step


def _adamw_step(parameters, descent: Descent):
    """Return a function that makes one step of ``torch.optim.AdamW``, in place, with rates that broadcast."""
    mean, square = torch.zeros_like(parameters), torch.zeros_like(parameters)
    keep, taken = 1 - descent.lr * descent.weight_decay, 0

    def step(gradient):
        nonlocal taken
        taken += 1
        parameters.mul_(keep)
        mean.lerp_(gradient, 1 - BETAS[0])
        square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        scale = square.sqrt().div_((1 - BETAS[1] ** taken) ** 0.5).add_(descent.epsilon)
        parameters.sub_(descent.lr / (1 - BETAS[0] ** taken) * (mean / scale))

    return step
