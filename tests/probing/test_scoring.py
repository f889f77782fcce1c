"""Scores of many probes at once are those of each probe alone."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss

from helpers.probing import scoring
from helpers.tasks import Task

TASKS = [Task("binary", ("no", "yes")), Task("multiclass", tuple("abc")), Task("multilabel", tuple("abc"))]
KINDS = {task.kind: task for task in TASKS}


def probes(kind, n=40, seed=0):
    """Five probes on one set of rows and three on another, with ties between scores."""
    rng, task = np.random.default_rng(seed), KINDS[kind]
    logits = [rng.integers(-4, 5, (rows, task.n_outputs)).astype(np.float32) / 2 for rows in [n] * 5 + [n + 7] * 3]
    targets = []
    for rows in (n, n + 7):
        codes = rng.integers(0, 3, rows)
        targets.append((codes[:, None] == np.arange(3)).astype(np.int8)[:, : task.n_outputs])
    return task, logits, [targets[0]] * 5 + [targets[1]] * 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [1, 250, 10**6])
def test_a_probe_scores_the_same_alone_and_among_others(kind, block, monkeypatch):
    task, logits, targets = probes(kind)
    learned = np.ones(task.n_outputs, dtype=bool)
    monkeypatch.setattr(scoring, "BLOCK", block)
    together = scoring.metrics_table(task, learned, logits, targets)
    for i, (z, y) in enumerate(zip(logits, targets, strict=True)):
        alone = scoring.metrics_table(task, learned, [z], [y]).drop(columns="run")
        own = together[together["run"] == i].drop(columns="run").reset_index(drop=True)
        pd.testing.assert_frame_equal(own, alone, rtol=0, atol=1e-12)


def test_whole_metrics_are_those_of_scikit_learn():
    task, logits, targets = probes("multiclass")
    table = scoring.metrics_table(task, np.ones(3, dtype=bool), logits, targets).set_index(["run", "metric"])["value"]
    for i, (z, y) in enumerate(zip(logits, targets, strict=True)):
        probability = np.exp(z.astype(np.float64)) / np.exp(z.astype(np.float64)).sum(axis=1, keepdims=True)
        assert table[i, "accuracy"].item() == pytest.approx(accuracy_score(y.argmax(axis=1), z.argmax(axis=1)))
        assert table[i, "log_loss"].item() == pytest.approx(log_loss(y.argmax(axis=1), probability))
