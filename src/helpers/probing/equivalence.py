"""Replace a channel of the alignment by an unaligned probe with another descent and the same predictions.

With W the weights of a probe on aligned features ``s (x + c)``, the unaligned probe of the same logits has ``V = s W`` and the bias
``b + W . (s c)``. Written in these, the steps of the aligned probe are steps with other rates:

- a scale s: SGD with s^2 times the rate on the weights, AdamW with s times the rate and 1/s times weight decay and epsilon. The
  rate of the bias stays, initial weights are multiplied by s. A scale per modality is a rate per modality.
- a shift c: SGD whose gradient is multiplied by a matrix that mixes weights and bias. Only the way down changes, not the minimum.

A minimiser of strength alpha on scaled features is one of strength alpha / s^2 without.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch

from .. import metrics
from ..store.embeddings import EmbeddingSet
from .objective import Objective
from .paths import Descent, train_path
from .protocol import PROTOCOLS
from .scoring import ranking_scores
from .sweep import alignment_grid
from .training_gain import LONGEST_RUN
from .validation import split_rows
from .views import View, build_view

PREDICTABLE = (
    ("sgd", "common-scale"),
    ("sgd", "scale-ratio"),
    ("sgd", "shift"),
    ("adamw", "common-scale"),
    ("adamw", "scale-ratio"),
)


def feature_scales(view: View) -> torch.Tensor:
    """Return the scale of each feature under a view's one alignment, and 1 for the bias, (n_features + 1,).

    Raises:
        ValueError: several alignments, or rows of one modality with different scales.
    """
    if view.n_alignments != 1:
        raise ValueError(f"the view has {view.n_alignments} alignments; give one")
    parts = []
    for m in view.modalities:
        if not torch.allclose(m.scale, m.scale[:1]):
            raise ValueError(
                f"the {m.name} rows have different scales, which no rate can replace; use a common scale, a ratio or a shift"
            )
        parts.append(m.scale[0].expand(m.vectors.shape[1]))
    return torch.cat([*parts, torch.ones_like(parts[0][:1])])


def equivalent_descent(view: View, optimizer: str, lr: float, weight_decay: float = 0.0) -> Descent:
    """Return the descent of an unaligned probe whose logits equal those of the probe on the aligned view at every update.

    Args:
        view: one alignment that scales each modality or shifts it.

    Raises:
        ValueError: scales that differ within a modality, or AdamW on shifted features, which has no such equivalent.
    """
    scale = feature_scales(view)
    shift = torch.cat([m.shift[0] * m.scale[0] for m in view.modalities])
    if optimizer == "sgd":
        start, adjust = _mixing(scale, shift)
        return Descent("sgd", lr * scale**2, weight_decay / scale**2, start=start, adjust=adjust)
    if shift.any():
        raise ValueError(
            "AdamW divides every entry of a gradient by its own size, so a shift is equivalent to no other rate; use sgd"
        )
    return Descent("adamw", lr * scale, weight_decay / scale, 1e-8 / scale, start=lambda first: first * scale)


def _mixing(scale, shift) -> tuple[Callable, Callable]:
    """Return how a shift mixes weights and bias: in the initial parameters, and in each gradient before the rates apply."""

    def start(first):
        moved = first * scale
        moved[..., -1] += (first[..., :-1] * shift).sum(dim=-1)
        return moved

    def adjust(gradient):
        if not shift.any():
            return gradient
        weights, bias = gradient[..., :-1], gradient[..., -1:]
        weights = weights + shift * bias
        return torch.cat([weights, bias + (weights * shift).sum(dim=-1, keepdim=True)], dim=-1)

    return start, adjust


def equivalence_paths(
    embeddings: EmbeddingSet, checkpoints: Sequence[int], rates: dict[str, float], seed: int = 42, batch_size: int = 512
) -> pd.DataFrame:
    """Return the change of test AUC that a channel of lambda = 1 makes along training, as seen and as predicted.

    Args:
        rates: learning rate of ``sgd`` and of ``adamw``.

    Returns:
        a row per optimizer, channel and checkpoint: ``seen`` (probe on aligned features), ``predicted`` (unaligned probe under
        :func:`equivalent_descent`), both minus the AUC of the plain unaligned probe, and ``largest`` difference of a logit.
    """
    split = split_rows(embeddings, seed)
    targets = torch.from_numpy(np.ascontiguousarray(embeddings.targets.T)).double()
    objective = Objective.of(embeddings.task, PROTOCOLS["converged"].weighting, embeddings.targets[split.fit])
    fit, test = torch.from_numpy(split.fit), torch.from_numpy(split.test)

    def logits(view: View, descent: Descent) -> list[np.ndarray]:
        path = train_path(view, targets, objective, fit, seed, descent, checkpoints, batch_size, LONGEST_RUN)
        return [view.predict(test, parameters)[:, 0].T.numpy() for _, parameters in path]

    def auc(z: np.ndarray) -> float:
        return float(metrics.macro_auc(ranking_scores(z, embeddings.task, "auc"), embeddings.targets[split.test]))

    rows, plain_runs = [], {}
    for optimizer, channel in (pair for pair in PREDICTABLE if pair[0] in rates):
        grid = alignment_grid([0.0, 1.0], (channel,))
        both = build_view(embeddings, grid, split.fit, split.fit, torch.float64, "cpu")
        plain, aligned, lr = both.chunk([0]), both.chunk([1]), rates[optimizer]
        if optimizer not in plain_runs:
            plain_runs[optimizer] = logits(plain, Descent(optimizer, lr))
        seen_run, predicted_run = logits(aligned, Descent(optimizer, lr)), logits(plain, equivalent_descent(aligned, optimizer, lr))
        for updates, base, seen, predicted in zip(sorted(checkpoints), plain_runs[optimizer], seen_run, predicted_run, strict=True):
            found = {
                "seen": auc(seen) - auc(base),
                "predicted": auc(predicted) - auc(base),
                "largest": np.abs(seen - predicted).max(),
            }
            rows.append({"optimizer": optimizer, "rate": lr, "channel": channel, "updates": updates, **found})
    names = embeddings.identity
    return pd.DataFrame(rows).assign(dataset=names.dataset, variant=names.variant, backbone=names.backbone)
