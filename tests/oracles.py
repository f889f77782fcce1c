"""A probe as one would write it for a single alignment: materialised features, ``torch.nn.Linear``, the library's losses."""

import numpy as np
import torch
from torch.nn import functional as F

from helpers import GapAlignment
from helpers.probing.descent import initial_parameters
from helpers.probing.objective import Objective
from helpers.probing.solver import Problem
from helpers.probing.views import build_view


def features_of(embeddings, alignment, gap_rows, fit_rows, features="joint"):
    """Return aligned features in float64, text before image, computed row by row of the pairs."""
    gap_part = GapAlignment(alignment.lambda_image, alignment.lambda_text, alignment.name)
    image, text = (embeddings.image_of().astype(np.float64), embeddings.text_of().astype(np.float64))
    image, text = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (image, text))
    fitted = gap_part.fit(image[gap_rows], text[gap_rows])
    shifts = alignment.shifts(fitted.image_mean_, fitted.text_mean_)
    fitted.image_inverse_norm_, fitted.text_inverse_norm_ = (
        (1 / np.linalg.norm(x[fit_rows] + s, axis=1)).mean() for x, s in zip((image, text), shifts, strict=True)
    )
    image, text = fitted.transform(image, text)
    return {"joint": np.concatenate([text, image], axis=1), "image": image, "text": text}[features]


def problem_of(embeddings, alignments, dtype=torch.float64, weighting="balanced", gap_rows=None) -> Problem:
    """Return the problem of the training rows, with its view, targets and objective."""
    fit = embeddings.rows("train")
    view = build_view(embeddings, alignments, fit if gap_rows is None else gap_rows, fit, dtype, "cpu")
    objective = Objective.of(embeddings.task, weighting, embeddings.targets[fit])
    return Problem(view, torch.tensor(embeddings.targets.T).to(dtype), objective, torch.tensor(fit))


def loss_of(task, weighting, targets):
    """Return the framework's own loss, with class weights computed by hand."""
    n, k = targets.shape
    ones = torch.as_tensor(targets.sum(axis=0), dtype=torch.float64)
    zeros = n - ones

    def loss(logits, y):
        dtype = logits.dtype
        if task.kind == "multiclass":
            weight = None if weighting == "paper" else (n / (k * ones)).to(dtype)
            if weighting == "authors-code-normalised":
                return F.cross_entropy(logits, y.argmax(dim=1), weight=weight)  # class numbers: divides by the sum of weights
            return F.cross_entropy(logits, y, weight=weight)  # probabilities as targets: the mean divides by the batch size
        if weighting == "balanced":
            return F.binary_cross_entropy_with_logits(logits, y, weight=(n / 2 * (y / ones + (1 - y) / zeros)).to(dtype))
        if weighting.startswith("authors-code") and task.kind == "multilabel":
            return F.binary_cross_entropy_with_logits(logits, y, weight=(n / (k * ones)).to(dtype))
        return F.binary_cross_entropy_with_logits(logits, y, pos_weight=(zeros / ones).to(dtype))

    return loss


class OneProbe:
    """A linear probe at its initial weights, its optimiser, its data, and the generator of its batches."""

    def __init__(self, x, targets, task, fit, seed, protocol, dtype):
        self.generator = torch.Generator().manual_seed(seed)
        self.model = torch.nn.Linear(x.shape[1], targets.shape[1]).to(dtype)
        first = initial_parameters(x.shape[1], targets.shape[1], self.generator, dtype)
        self.model.load_state_dict({"weight": first[:, :-1], "bias": first[:, -1]})
        options = {"lr": protocol.lr, "weight_decay": protocol.weight_decay}
        sgd = protocol.optimizer == "sgd"
        make = torch.optim.SGD if sgd else torch.optim.AdamW
        self.optimizer = make(self.model.parameters(), **options | ({"momentum": 0.9} if sgd else {}))
        self.loss_of_logits = loss_of(task, protocol.weighting, targets[fit])
        self.x, self.y = torch.as_tensor(x).to(dtype), torch.as_tensor(targets).to(dtype)
        self.fit, self.batch_size = torch.as_tensor(fit), protocol.batch_size

    def loss(self, rows):
        return self.loss_of_logits(self.model(self.x[rows]), self.y[rows])

    def train(self, updates=None):
        """Train for one epoch, or for its first updates; return their number."""
        batches = self.fit[torch.randperm(len(self.fit), generator=self.generator)].split(self.batch_size)[:updates]
        for rows in batches:
            self.optimizer.zero_grad()
            self.loss(rows).backward()
            self.optimizer.step()
        return len(batches)

    def parameters(self):
        """Return weight and bias as (K, d + 1)."""
        return torch.cat([self.model.weight.detach(), self.model.bias.detach()[:, None]], dim=1)


def train_one(x, targets, task, fit, val, seed, protocol, dtype):
    """One probe alone; returns weight and bias as (K, d + 1), the best epoch and the epochs run."""
    probe = OneProbe(x, targets, task, fit, seed, protocol, dtype)
    best, best_loss, best_epoch = None, float("inf"), 0
    for epoch in range(1, protocol.max_epochs + 1):
        probe.train()
        with torch.no_grad():
            current = float(probe.loss(torch.as_tensor(val)))
        if current < best_loss:
            best, best_loss, best_epoch = probe.parameters(), current, epoch
        if epoch - best_epoch >= protocol.patience:
            break
    return best, best_epoch, epoch


def train_updates(x, targets, task, fit, seed, protocol, dtype, updates):
    """One probe alone that stops after so many updates; returns weight and bias as (K, d + 1)."""
    probe = OneProbe(x, targets, task, fit, seed, protocol, dtype)
    while updates:
        updates -= probe.train(updates)
    return probe.parameters()
