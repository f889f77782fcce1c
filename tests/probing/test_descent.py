"""A probe trained among others is the probe that a single loop gives, at its end and at every checkpoint along its training."""

import numpy as np
import pytest
import torch
from oracles import features_of, problem_of, train_one, train_updates
from samples import embedding_set
from training_gain import Descent, train_path

from helpers import PROTOCOLS, Protocol
from helpers.alignment.shift import Alignment
from helpers.probing.descent import train
from helpers.probing.sweep import alignment_grid
from helpers.probing.views import build_view

ALIGNMENTS = alignment_grid([0, 0.5, 1.0], ("lambda", "shift", "common-scale", "scale-ratio", "spread", "centred"))[::2] + [
    Alignment("lambda", -0.5, 0.8)
]
# Steps large enough that a few epochs learn, overfit and stop early at different epochs.
FAST = {"sgd": {"lr": 0.5}, "adamw": {"lr": 0.05}}
BATCH = 16


def both(kind, protocol, dtype=torch.float64, features="joint", seed=7, **sample):
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
        both(kind, base.replace(batch_size=BATCH, max_epochs=4, lr=0.05), repeat=3)  # images shared by several pairs
        both(kind, base.replace(batch_size=10_000, max_epochs=4, lr=0.05))  # batches larger than the data


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_a_loss_may_be_divided_by_the_weights_of_its_batch(kind):
    protocol = PROTOCOLS["authors-code"].replace(batch_size=BATCH, max_epochs=3, lr=0.05)
    divided, plain = (both(kind, protocol.replace(weighting=f"authors-code{end}"))[0] for end in ("-normalised", ""))
    assert torch.equal(divided.parameters, plain.parameters) == (kind == "multilabel")


@pytest.mark.parametrize("patience", [1, 2])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("name", ["paper", "authors-code"])
def test_early_stopping_of_each_probe_is_its_own(name, kind, patience):
    base = PROTOCOLS[name]
    lr = {"sgd": 6.0, "adamw": 0.4}[base.optimizer]
    fitted, epochs = both(kind, base.replace(batch_size=BATCH, max_epochs=40, patience=patience, lr=lr), d=4)
    assert torch.stack([fitted.facts["epochs"], fitted.facts["trained"]], dim=1).tolist() == epochs
    assert max(last for _, last in epochs) < 40


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-11)])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_checkpoint_is_what_a_single_run_stopped_there_gives(optimizer, kind, dtype, tolerance):
    embeddings, rates, grid = embedding_set(kind), (0.02, 0.005), alignment_grid([0, 1.0], ("lambda", "spread"))
    fit, test = embeddings.rows("train"), embeddings.rows("test")
    view = build_view(embeddings, grid, fit, fit, dtype, "cpu").chunk([0, 1, 2, 0, 1, 2])
    descent = Descent(optimizer, torch.tensor(np.repeat(rates, 3), dtype=dtype)[None, :, None])
    for updates, logits in zip((1, 5, 13), train_path(embeddings, view, descent, (1, 5, 13), 7, BATCH), strict=True):
        for r, rate in enumerate(rates):
            protocol = Protocol(optimizer=optimizer, lr=rate, batch_size=BATCH, weighting="text")
            for a in (0, 2):
                x = features_of(embeddings, grid[a], fit, fit)
                alone = train_updates(x, embeddings.targets, embeddings.task, fit, 7, protocol, dtype, updates).numpy()
                expected = x[test] @ alone[:, :-1].T + alone[:, -1]
                np.testing.assert_allclose(logits[r * 3 + a], expected, rtol=0, atol=tolerance * max(1, np.abs(alone).max()))


@pytest.mark.parametrize("name", ["paper", "authors-code"])
def test_a_checkpoint_at_the_end_of_an_epoch_is_the_probe_of_the_protocol(name):
    protocol = PROTOCOLS[name].replace(batch_size=BATCH, max_epochs=3, weight_decay=0)
    embeddings = embedding_set()
    p, test = problem_of(embeddings, alignment_grid([0, 1.0]), weighting="text"), torch.tensor(embeddings.rows("test"))
    fitted = train(p.view, p.all_targets, p.objective, p.rows, p.rows, 7, protocol)
    assert (fitted.facts["epochs"] == 3).all()  # the loss on the fit rows falls, so the last epoch is the best
    found = next(train_path(embeddings, p.view, Descent(protocol.optimizer, protocol.lr), [15], 7, BATCH))
    np.testing.assert_allclose(found, p.view.predict(test, fitted.parameters).permute(1, 2, 0), rtol=0, atol=1e-12)
