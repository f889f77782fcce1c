"""Scores of many probes at once are those of each probe alone, and those of scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss

from helpers.probing import scoring
from helpers.tasks import Task

KINDS = {"binary": ("no", "yes"), "multiclass": tuple("abc"), "multilabel": tuple("abc")}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [1, 250, 10**6])
def test_a_probe_scores_the_same_alone_and_among_others(kind, block, monkeypatch):
    rng, task = np.random.default_rng(0), Task(kind, KINDS[kind])
    sizes, learned = [40] * 5 + [47] * 3, np.ones(task.n_outputs, dtype=bool)  # two sets of rows; scores with ties
    logits = [rng.integers(-4, 5, (rows, task.n_outputs)).astype(np.float32) / 2 for rows in sizes]
    of = {n: (rng.integers(0, 3, n)[:, None] == np.arange(3)).astype(np.int8)[:, : task.n_outputs] for n in (40, 47)}
    monkeypatch.setattr(scoring, "BLOCK", block)
    together = scoring.metrics_table(task, learned, logits, [of[n] for n in sizes])
    for i, (z, y) in enumerate(zip(logits, [of[n] for n in sizes], strict=True)):
        alone = scoring.metrics_table(task, learned, [z], [y]).drop(columns="run")
        own = together[together["run"] == i].drop(columns="run").reset_index(drop=True)
        pd.testing.assert_frame_equal(own, alone, rtol=0, atol=1e-12)
        if kind == "multiclass":
            probability = np.exp(z.astype(np.float64)) / np.exp(z.astype(np.float64)).sum(axis=1, keepdims=True)
            value = own.set_index("metric")["value"]
            assert value["accuracy"] == pytest.approx(accuracy_score(y.argmax(axis=1), z.argmax(axis=1)))
            assert value["log_loss"] == pytest.approx(log_loss(y.argmax(axis=1), probability))
