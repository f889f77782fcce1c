"""Probes along their training: every checkpoint is the end of a run of its own."""

import numpy as np
import pytest
import torch
from oracles import features_of, train_updates
from samples import embedding_set

from helpers import metrics
from helpers.alignment.channels import Alignment
from helpers.probing.descent import Descent, log_checkpoints, path_scores, train, train_path
from helpers.probing.objective import Objective
from helpers.probing.protocol import PROTOCOLS, Protocol
from helpers.probing.sweep import alignment_grid
from helpers.probing.views import build_view

ALIGNMENTS = alignment_grid([0, 1.0], ("lambda", "shift", "common-scale", "scale-ratio", "spread"))
CHECKPOINTS = (1, 4, 11, 23)  # within and at the end of epochs of 5 batches
BATCH = 16


def problem(kind, dtype, weighting="paper"):
    embeddings = embedding_set(kind)
    fit = embeddings.rows("train")
    view = build_view(embeddings, ALIGNMENTS, fit, fit, dtype, "cpu")
    targets = torch.tensor(embeddings.targets.T).to(dtype)
    return embeddings, view, targets, Objective.of(embeddings.task, weighting, embeddings.targets[fit]), torch.tensor(fit)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_checkpoint_is_what_a_single_run_stopped_there_gives(optimizer, kind, dtype, tolerance):
    embeddings, view, targets, objective, fit = problem(kind, dtype)
    rates = (0.02, 0.005)
    n = view.n_alignments
    fused = view.chunk([*range(n), *range(n)])
    lr = torch.tensor(np.repeat(rates, n), dtype=dtype)[None, :, None]
    path = train_path(fused, targets, objective, fit, 7, Descent(optimizer, lr, weight_decay=0.01), CHECKPOINTS, BATCH)
    for updates, parameters in path:
        for r, rate in enumerate(rates):
            protocol = Protocol(optimizer=optimizer, lr=rate, weight_decay=0.01, batch_size=BATCH)
            for a in (0, n - 1):
                x = features_of(embeddings, ALIGNMENTS[a], fit, fit)
                alone = train_updates(x, embeddings.targets, embeddings.task, fit, 7, protocol, dtype, updates)
                np.testing.assert_allclose(parameters[:, r * n + a], alone, rtol=0, atol=tolerance * max(1, alone.abs().max()))


@pytest.mark.parametrize("name", ["paper", "authors-code"])
def test_a_checkpoint_at_the_end_of_an_epoch_is_the_probe_of_the_protocol(name):
    _, view, targets, objective, fit = problem("multiclass", torch.float64)
    protocol = PROTOCOLS[name].replace(batch_size=BATCH, max_epochs=3)
    fitted = train(view, targets, objective, fit, fit, 7, protocol)
    assert (fitted.epochs == 3).all()  # the loss on the fit rows falls, so the last epoch is the best
    descent = Descent(protocol.optimizer, protocol.lr, protocol.weight_decay)
    ((_, parameters),) = train_path(view, targets, objective, fit, 7, descent, [15], BATCH)
    np.testing.assert_allclose(parameters, fitted.parameters, rtol=0, atol=1e-12)


def test_checkpoints_are_evenly_spaced_on_a_logarithmic_axis():
    assert log_checkpoints(1000, per_decade=3) == (10, 22, 46, 100, 215, 464, 1000)
    assert log_checkpoints(10) == (10,)
    with pytest.raises(ValueError, match="last checkpoint is 9, before the first, 10"):
        log_checkpoints(9)


def test_the_initial_probe_is_a_checkpoint_too():
    _, view, targets, objective, fit = problem("binary", torch.float64)
    paths = [train_path(view, targets, objective, fit, seed, Descent("sgd", 0.1), [0], BATCH) for seed in (7, 7, 8)]
    first, again, other = (next(path)[1] for path in paths)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_checkpoints_that_no_run_has_are_refused():
    _, view, targets, objective, fit = problem("binary", torch.float32)
    for checkpoints in ([], [-1]):
        with pytest.raises(ValueError, match="give numbers of updates"):
            next(train_path(view, targets, objective, fit, 7, Descent("sgd", 0.1), checkpoints, BATCH))


def test_scores_along_a_path_are_those_of_single_runs():
    embeddings = embedding_set()
    fit, test, one = embeddings.rows("train"), embeddings.rows("test"), Alignment("lambda", 1.0, 1.0)
    protocol = Protocol(optimizer="adamw", lr=0.003, batch_size=BATCH, weighting="authors-code")  # for classes as balanced
    found = path_scores(embeddings, "adamw", [(0.03, Alignment()), (0.003, one)], (3, 9), 1, batch_size=BATCH)
    x = features_of(embeddings, one, fit, fit)
    alone = train_updates(x, embeddings.targets, embeddings.task, fit, 1, protocol, torch.float64, 9).numpy()
    np.testing.assert_allclose(found[1, 1], metrics.softmax(x[test] @ alone[:, :-1].T + alone[:, -1]), atol=1e-5)
    assert found.shape == (2, 2, len(test), 3)


@pytest.mark.parametrize("rate", [0, -1e-3, float("nan"), float("inf"), [0.1, 0]])
def test_a_rate_that_is_not_positive_is_refused(rate):
    with pytest.raises(ValueError, match="learning rate is (0|-0.001|nan|inf); give positive, finite rates"):
        Descent("adamw", rate)
