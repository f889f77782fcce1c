"""A probe trained among others is the probe that a single loop gives, at its end and at every checkpoint along its training."""

import numpy as np
import pytest
import torch
from oracles import features_of, problem_of, train_one, train_updates
from samples import embedding_set

from helpers import PROTOCOLS, Protocol, metrics
from helpers.alignment.shift import Alignment
from helpers.probing.descent import Descent, log_checkpoints, path_scores, train, train_path
from helpers.probing.sweep import alignment_grid

ALIGNMENTS = alignment_grid([0, 0.5, 1.0], ("lambda", "shift", "common-scale", "scale-ratio", "spread", "centred"))[::2] + [
    Alignment("lambda", -0.5, 0.8)
]
# Steps large enough that a few epochs learn, overfit and stop early at different epochs.
FAST = {"sgd": {"lr": 0.5}, "adamw": {"lr": 0.05}}
BATCH = 16


def both(kind, protocol, dtype=torch.float64, features="joint", seed=7, **sample):
    """Return the facts of the fused engine and of single probes, once their parameters are found to agree."""
    embeddings = embedding_set(kind, **sample)
    fit, val = embeddings.rows("train"), embeddings.rows("val")
    gap_rows = embeddings.rows() if protocol.gap_rows == "all" else fit
    p = problem_of(embeddings, ALIGNMENTS, dtype, protocol.weighting, gap_rows)
    fitted = train(p.view.only(features), p.all_targets, p.objective, p.rows, torch.tensor(val), seed, protocol)
    targets, task, tolerance = embeddings.targets, embeddings.task, 1e-6 if dtype == torch.float32 else 1e-12
    epochs = []
    for a, alignment in enumerate(ALIGNMENTS):
        x = features_of(embeddings, alignment, gap_rows, fit, features)
        parameters, *of_one = train_one(x, targets, task, fit, val, seed, protocol, dtype)
        scale = max(1, parameters.abs().max())
        np.testing.assert_allclose(fitted.parameters[:, a], parameters, rtol=0, atol=tolerance * scale)
        epochs.append(of_one)
    return fitted, epochs


@pytest.mark.parametrize("features", ["joint", "image", "text"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("name", ["paper", "authors-code"])
def test_every_probe_is_what_a_single_loop_gives(name, kind, features):
    base = PROTOCOLS[name]
    fitted, epochs = both(kind, base.replace(batch_size=BATCH, max_epochs=6, **FAST[base.optimizer]), features=features)
    assert fitted.facts["epochs"].tolist() == [best for best, _ in epochs]
    if features == "joint" and kind == "multiclass":
        both(kind, base.replace(batch_size=32, max_epochs=5), torch.float32)


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_a_loss_may_be_divided_by_the_weights_of_its_batch(kind):
    protocol = PROTOCOLS["authors-code"].replace(batch_size=BATCH, max_epochs=3, lr=0.05, weighting="authors-code-normalised")
    divided, _ = both(kind, protocol)
    plain, _ = both(kind, protocol.replace(weighting="authors-code"))
    assert torch.equal(divided.parameters, plain.parameters) == (kind == "multilabel")


@pytest.mark.parametrize("patience", [1, 2])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("name", ["paper", "authors-code"])
def test_early_stopping_of_each_probe_is_its_own(name, kind, patience):
    base = PROTOCOLS[name]
    lr = {"sgd": 6.0, "adamw": 0.4}[base.optimizer]
    fitted, epochs = both(kind, base.replace(batch_size=BATCH, max_epochs=40, patience=patience, lr=lr), d=4)
    assert list(zip(fitted.facts["epochs"].tolist(), fitted.facts["trained"].tolist(), strict=True)) == list(map(tuple, epochs))
    assert max(last for _, last in epochs) < 40


@pytest.mark.parametrize(("batch_size", "repeat"), [(BATCH, 3), (10_000, 1)])
def test_images_shared_by_several_pairs_and_batches_larger_than_the_data(batch_size, repeat):
    both("multiclass", PROTOCOLS["authors-code"].replace(batch_size=batch_size, max_epochs=4, lr=0.05), repeat=repeat)


def path(kind, descent, checkpoints, seed=7, dtype=torch.float64, weighting="paper", times=1):
    """Return the problem of a path, and the path; the alignments are repeated so many ``times``."""
    grid = alignment_grid([0, 1.0], ("lambda", "spread"))
    p = problem_of(embedding_set(kind), grid, dtype, weighting)
    view = p.view.chunk([*range(len(grid))] * times)
    return p, grid, train_path(view, p.all_targets, p.objective, p.rows, seed, descent, checkpoints, BATCH)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_checkpoint_is_what_a_single_run_stopped_there_gives(optimizer, kind, dtype, tolerance):
    embeddings, rates = embedding_set(kind), (0.02, 0.005)
    descent = Descent(optimizer, torch.tensor(np.repeat(rates, 3), dtype=dtype)[None, :, None])
    p, grid, found = path(kind, descent, (1, 5, 13), dtype=dtype, times=2)
    for updates, parameters in found:
        for r, rate in enumerate(rates):
            protocol = Protocol(optimizer=optimizer, lr=rate, batch_size=BATCH)
            for a in (0, 2):
                x = features_of(embeddings, grid[a], p.rows, p.rows)
                alone = train_updates(x, embeddings.targets, embeddings.task, p.rows, 7, protocol, dtype, updates)
                np.testing.assert_allclose(parameters[:, r * 3 + a], alone, rtol=0, atol=tolerance * max(1, alone.abs().max()))


@pytest.mark.parametrize("name", ["paper", "authors-code"])
def test_a_checkpoint_at_the_end_of_an_epoch_is_the_probe_of_the_protocol(name):
    protocol = PROTOCOLS[name].replace(batch_size=BATCH, max_epochs=3, weight_decay=0)
    p, _, found = path("multiclass", Descent(protocol.optimizer, protocol.lr), [15])
    fitted = train(p.view, p.all_targets, p.objective, p.rows, p.rows, 7, protocol)
    assert (fitted.facts["epochs"] == 3).all()  # the loss on the fit rows falls, so the last epoch is the best
    np.testing.assert_allclose(next(found)[1], fitted.parameters, rtol=0, atol=1e-12)


def test_scores_along_a_path_are_those_of_single_runs():
    embeddings = embedding_set()
    fit, test, one = embeddings.rows("train"), embeddings.rows("test"), Alignment("lambda", 1.0, 1.0)
    protocol = Protocol(optimizer="adamw", lr=0.003, batch_size=BATCH, weighting="authors-code")  # for classes as balanced
    found = path_scores(embeddings, "adamw", [(0.03, Alignment()), (0.003, one)], (3, 9), 1, batch_size=BATCH)
    x = features_of(embeddings, one, fit, fit)
    alone = train_updates(x, embeddings.targets, embeddings.task, fit, 1, protocol, torch.float64, 9).numpy()
    np.testing.assert_allclose(found[1, 1], metrics.softmax(x[test] @ alone[:, :-1].T + alone[:, -1]), atol=1e-5)
    assert found.shape == (2, 2, len(test), 3)


def test_checkpoints_and_rates_that_no_run_has_are_refused():
    assert log_checkpoints(1000, per_decade=3) == (10, 22, 46, 100, 215, 464, 1000) and log_checkpoints(10) == (10,)
    with pytest.raises(ValueError, match="last checkpoint is 9, before the first, 10"):
        log_checkpoints(9)
    first, again, other = (next(path("binary", Descent("sgd", 0.1), [0], seed)[2])[1] for seed in (7, 7, 8))
    assert torch.equal(first, again) and not torch.equal(first, other)
    with pytest.raises(ValueError, match="give numbers of updates"):
        next(path("binary", Descent("sgd", 0.1), [])[2])
    for rate in (0, float("nan"), [0.1, 0]):
        with pytest.raises(ValueError, match="give positive, finite rates"):
            Descent("adamw", rate)
