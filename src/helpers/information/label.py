r"""Measure the predictive V-information of the modalities about the label, for linear probes (Xu et al., ICLR 2020).

.. math:: I_V(X \to Y) = H_V(Y) - H_V(Y \mid X)

where :math:`H_V(Y \mid X)` is the log loss of the best linear probe and :math:`H_V(Y)` that of the best constant, the class
frequencies. Both are fitted on training rows and scored on test rows, so an estimate can be negative. Labels of a multi-label
task are predicted one by one and their information is summed. Unit: bits.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import log_expit, log_softmax

from ..probing.protocol import PROTOCOLS, Protocol
from ..probing.result import SweepResult
from ..probing.sweep import sweep
from ..statistics import bootstrap_counts
from ..store.embeddings import EmbeddingSet
from .decomposition import SHARES, information_shares, share_bounds
from .tables import against_first

SOURCES = {"image": "image", "text": "text", "joint": "both"}
LIKELIHOOD = PROTOCOLS["converged"].replace(name="unweighted", weighting="none")


def label_information(
    embeddings: EmbeddingSet,
    lambdas: Sequence[float],
    n_boot: int = 1000,
    random_state: int = 0,
    protocol: Protocol = LIKELIHOOD,
) -> pd.DataFrame:
    """Return the information of image, text and both about the label for a converged linear probe, against lambda, and its shares.

    Args:
        embeddings: a labelled set with train and test rows.
        lambdas: strengths of Eq. 5; the first is the reference, such as 0.
        n_boot: bootstrap replicates over groups of test rows. Intervals hold the fitted probes fixed.
        protocol: how probes are fitted; without class weights, or the log loss is no likelihood.

    Returns:
        ``lambda, quantity, value, low, high, change, change_low, change_high`` in bits. Quantities are ``entropy`` (that of the
        class frequencies), ``image``, ``text``, ``both``, the shares of :mod:`helpers.information.decomposition`, and each
        share's ends ``least_...`` and ``most_...``.
    """
    result = sweep(embeddings, lambdas, seeds=[0], protocol=protocol, features=tuple(SOURCES), workers=1, progress=False)
    null = null_losses(embeddings, result)
    losses = {(run.features, run.lambda_image): row for run, row in zip(result.runs.itertuples(), log_losses(result), strict=True)}
    counts = bootstrap_counts(len(null), n_boot, random_state, result.groups)
    weights = np.concatenate([np.ones((1, len(null))), counts])
    weights /= weights.sum(axis=1, keepdims=True)
    found = {}
    for lam in map(float, lambdas):
        means = {name: weights @ (null - losses[features, lam]) for features, name in SOURCES.items()}
        quantities = {"entropy": weights @ null, **means, **information_shares(**means)}
        ends = share_bounds(**means)
        for name in SHARES:
            quantities |= {f"least_{name}": ends[name][0], f"most_{name}": ends[name][1]}
        found[lam] = quantities
    return against_first(found)


def log_losses(result: SweepResult) -> np.ndarray:
    """Return the log loss of every run on every test row in bits, (n_runs, n_test); those of several labels are summed."""
    scores, targets = result.scores.astype(np.float64), result.targets
    if result.task.kind == "multiclass":
        return -(log_softmax(scores, axis=-1) * targets).sum(axis=-1) / np.log(2)
    signed = scores * (2 * targets - 1)
    return -log_expit(signed)[..., result.learned].sum(axis=-1) / np.log(2)


def null_losses(embeddings: EmbeddingSet, result: SweepResult) -> np.ndarray:
    """Return the log loss of the class frequencies of the training rows on every test row in bits, (n_test,).

    Half a row is added to every class, so that a class without training rows has a finite loss.
    """
    train, test = embeddings.targets[embeddings.rows("train")], result.targets
    if result.task.kind == "multiclass":
        shares = (train.sum(axis=0) + 0.5) / (len(train) + train.shape[1] / 2)
        return -(np.log2(shares) * test).sum(axis=1)
    shares = (train.sum(axis=0) + 0.5) / (len(train) + 1)
    losses = -np.where(test == 1, np.log2(shares), np.log2(1 - shares))
    return losses[:, result.learned].sum(axis=1)
