"""Compute weighted losses of many probes side by side, and their gradients with respect to the logits.

Logits are (K, A, b): K outputs, A probes, b rows; targets are 0/1 indicators (K, b). With one weight per entry both losses have the
gradient ``weight * (prediction - target)``.

====================  =======================================  ==============================================  ===================
task                  ``paper``                                ``authors-code``                                ``balanced``
====================  =======================================  ==============================================  ===================
binary                positives n0/n1                          positives n0/n1                                 N/(2 n0), N/(2 n1)
multi-label           positives n0/n1 of each label            N/(K n_k) on positives and negatives of label   as binary, per label
multi-class           none                                     N/(K n_k), divided by the batch size            N/(K n_k)
====================  =======================================  ==============================================  ===================

``text`` has the weights of ``balanced``, but none for a multi-class task, as the paper's text. ``authors-code-normalised`` divides
the multi-class loss of a batch by the sum of its weights. ``none`` weighs every entry alike, whatever the task: the loss is then a
log likelihood.
"""

from dataclasses import dataclass

import numpy as np
from torch.nn.functional import softplus

from ..tasks import Task


@dataclass(frozen=True)
class Objective:
    """A task's loss with the class weights of training targets; a label with its own loss weighs 0 if it cannot be learned."""

    softmax: bool  # cross-entropy over the outputs, or one binary cross-entropy per output
    positive: np.ndarray  # (K,) weight of an entry whose target is 1
    negative: np.ndarray  # (K,) weight of an entry whose target is 0, unused by cross-entropy
    absent: tuple[str, ...] = ()  # classes without a positive training row, which no probe can learn
    saturated: tuple[str, ...] = ()  # labels that are positive in every training row, nor these
    normalised: bool = False  # whether the loss of a batch is divided by the sum of its weights, not by its number of entries

    @classmethod
    def of(cls, task: Task, weighting: str, targets: np.ndarray) -> "Objective":
        """Return the objective with weights from the training targets (n, K)."""
        n, ones, softmax = len(targets), targets.sum(axis=0).astype(np.float64), task.kind == "multiclass"
        zeros = n - ones
        learnable = (ones > 0) if softmax else (ones > 0) & (zeros > 0)
        if learnable.sum() < (2 if softmax else 1):
            raise ValueError(f"the {n} training rows hold one class only; a probe needs at least two")
        absent, saturated = (tuple(np.array(task.outputs, dtype=object)[count == 0]) for count in (ones, zeros))
        positive, negative = _class_weights(task.kind, weighting, ones, zeros)
        if softmax:
            return cls(True, positive, negative, absent, saturated, weighting == "authors-code-normalised")
        return cls(False, np.where(learnable, positive, 0), np.where(learnable, negative, 0), absent, saturated)

    def weights(self, targets):
        """Return the weight of each row, (1, 1, b), or of each entry, (K, 1, b), as a tensor like ``targets`` (K, b)."""
        positive = targets.new_tensor(self.positive)
        if self.softmax:
            return (positive @ targets)[None, None]
        negative = targets.new_tensor(self.negative)
        return (targets * positive[:, None] + (1 - targets) * negative[:, None])[:, None]

    def batch_weights(self, weights):
        """Return the weights of a batch, divided so that weighted losses add up to the loss that a descent steps on."""
        return weights / (weights.sum() if self.normalised else weights.numel())

    def prediction(self, logits):
        return logits.softmax(dim=0) if self.softmax else logits.sigmoid()

    def residual(self, logits, targets):
        """Return the gradient of the unweighted losses with respect to the logits: prediction - target, (K, A, b)."""
        return self.prediction(logits).sub_(targets[:, None])

    def losses(self, logits, targets):
        """Return the unweighted loss of each row, (1, A, b), or of each entry, (K, A, b)."""
        if self.softmax:
            return logits.logsumexp(dim=0, keepdim=True) - (logits * targets[:, None]).sum(dim=0, keepdim=True)
        return softplus(logits * (1 - 2 * targets)[:, None])

    def summed(self, logits, targets):
        """Return the weighted loss of each probe summed over the rows, (A,) float64; binary losses are averaged over outputs."""
        weighted = self.losses(logits, targets).mul_(self.weights(targets))
        return weighted.sum(dim=-1).double().mean(dim=0)


def _class_weights(kind: str, weighting: str, ones: np.ndarray, zeros: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights (K,) of positive and of negative entries, as in the table above; 0 where there is no such entry."""
    n, k = ones + zeros, len(ones)

    def over(numerator, denominator):
        return np.divide(numerator, denominator, out=np.zeros(k), where=denominator > 0)

    none, label_weight = np.ones(k), over(n / k, ones)
    if weighting == "none":
        return none, none
    if kind == "multiclass":
        return (none if weighting in ("paper", "text") else label_weight), none
    if weighting in ("balanced", "text"):
        return over(n / 2, ones), over(n / 2, zeros)
    if weighting.startswith("authors-code") and kind == "multilabel":
        return label_weight, label_weight
    return over(zeros, ones), none
