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
    image, text = (x.astype(np.float64) for x in (embeddings.image_of(), embeddings.text_of()))
    image, text = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (image, text))
    fitted = GapAlignment(alignment.lambda_image, alignment.lambda_text, alignment.name).fit(image[gap_rows], text[gap_rows])
    shifts = alignment.shifts(fitted.image_mean_, fitted.text_mean_)
    fitted.image_inverse_norm_ = (1 / np.linalg.norm(image[fit_rows] + shifts[0], axis=1)).mean()
    fitted.text_inverse_norm_ = (1 / np.linalg.norm(text[fit_rows] + shifts[1], axis=1)).mean()
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
    (n, k), ones = targets.shape, torch.as_tensor(targets.sum(axis=0), dtype=torch.float64)

    def loss(logits, y):
        balanced = (n / (k * ones)).to(logits.dtype)
        if task.kind == "multiclass":
            # Class numbers as targets: the mean divides by the sum of weights; probabilities: it divides by the batch size.
            y = y.argmax(dim=1) if weighting == "authors-code-normalised" else y
            return F.cross_entropy(logits, y, weight=None if weighting in ("paper", "text") else balanced)
        if weighting in ("balanced", "text"):
            return F.binary_cross_entropy_with_logits(
                logits, y, weight=(n / 2 * (y / ones + (1 - y) / (n - ones))).to(logits.dtype)
            )
        if weighting.startswith("authors-code") and task.kind == "multilabel":
            return F.binary_cross_entropy_with_logits(logits, y, weight=balanced)
        return F.binary_cross_entropy_with_logits(logits, y, pos_weight=((n - ones) / ones).to(logits.dtype))

    return loss


class OneProbe:
    def __init__(self, x, targets, task, fit, seed, protocol, dtype):
        self.generator = torch.Generator().manual_seed(seed)
        self.model = torch.nn.Linear(x.shape[1], targets.shape[1]).to(dtype)
        first = initial_parameters(x.shape[1], targets.shape[1], self.generator, dtype)
        self.model.load_state_dict({"weight": first[:, :-1], "bias": first[:, -1]})
        make, momentum = (torch.optim.SGD, {"momentum": 0.9}) if protocol.optimizer == "sgd" else (torch.optim.AdamW, {})
        self.optimizer = make(self.model.parameters(), lr=protocol.lr, weight_decay=protocol.weight_decay, **momentum)
        self.loss_of_logits = loss_of(task, protocol.weighting, targets[fit])
        self.x, self.y = torch.as_tensor(x).to(dtype), torch.as_tensor(targets).to(dtype)
        self.fit, self.batch_size = torch.as_tensor(fit), protocol.batch_size

    def loss(self, rows):
        return self.loss_of_logits(self.model(self.x[rows]), self.y[rows])

    def train(self, updates=None):
        batches = self.fit[torch.randperm(len(self.fit), generator=self.generator)].split(self.batch_size)[:updates]
        for rows in batches:
            self.optimizer.zero_grad()
            self.loss(rows).backward()
            self.optimizer.step()
        return len(batches)

    def parameters(self):
        return torch.cat([self.model.weight.detach(), self.model.bias.detach()[:, None]], dim=1)


def train_one(x, targets, task, fit, val, seed, protocol, dtype):
    """Train one probe alone; return weight and bias as (K, d + 1), the best epoch and the epochs run."""
    probe, (best, best_loss, best_epoch) = OneProbe(x, targets, task, fit, seed, protocol, dtype), (None, float("inf"), 0)
    for epoch in range(1, protocol.max_epochs + 1):
        probe.train()
        current = float(probe.loss(torch.as_tensor(val)).detach())
        if current < best_loss:
            best, best_loss, best_epoch = probe.parameters(), current, epoch
        if epoch - best_epoch >= protocol.patience:
            break
    return best, best_epoch, epoch


def train_updates(x, targets, task, fit, seed, protocol, dtype, updates):
    """Train one probe alone for so many updates; return weight and bias as (K, d + 1)."""
    probe = OneProbe(x, targets, task, fit, seed, protocol, dtype)
    while updates:
        updates -= probe.train(updates)
    return probe.parameters()
