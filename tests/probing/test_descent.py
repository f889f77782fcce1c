import numpy as np
import pytest
import torch
from oracles import features_of, train_one
from samples import embedding_set

from helpers.alignment.shift import Alignment
from helpers.probing.descent import train
from helpers.probing.objective import Objective
from helpers.probing.protocol import PROTOCOLS
from helpers.probing.sweep import alignment_grid
from helpers.probing.views import build_view

ALIGNMENTS = alignment_grid([0, 0.5, 1.0], ("lambda", "shift", "common-scale", "scale-ratio", "spread", "centred"))[::2] + [
    Alignment("lambda", -0.5, 0.8)
]
# Steps large enough that a few epochs learn, overfit and stop early at different epochs.
FAST = {"sgd": {"lr": 0.5}, "adamw": {"lr": 0.05}}


def both(kind, protocol, dtype, features="joint", seed=7, **sample):
    """Return parameters, best and last epochs of the fused engine and of single probes, for each alignment."""
    embeddings = embedding_set(kind, **sample)
    fit, val = embeddings.rows("train"), embeddings.rows("val")
    gap_rows = embeddings.rows() if protocol.gap_rows == "all" else fit
    targets = embeddings.targets
    view = build_view(embeddings, ALIGNMENTS, gap_rows, fit, dtype, "cpu").only(features)
    objective = Objective.of(embeddings.task, protocol.weighting, targets[fit])
    fitted = train(view, torch.tensor(targets.T).to(dtype), objective, torch.tensor(fit), torch.tensor(val), seed, protocol)
    singles = [
        train_one(features_of(embeddings, a, gap_rows, fit, features), targets, embeddings.task, fit, val, seed, protocol, dtype)
        for a in ALIGNMENTS
    ]
    return fitted, singles


@pytest.mark.parametrize("features", ["joint", "image", "text"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("name", ["paper", "authors-code"])
def test_every_probe_is_what_a_single_loop_gives(name, kind, features):
    base = PROTOCOLS[name]
    protocol = base.replace(batch_size=16, max_epochs=6, **FAST[base.optimizer])
    fitted, singles = both(kind, protocol, torch.float64, features)
    for a, (parameters, best_epoch, _) in enumerate(singles):
        assert fitted.epochs[a] == best_epoch
        np.testing.assert_allclose(fitted.parameters[:, a], parameters, rtol=0, atol=1e-12 * max(1, parameters.abs().max()))


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_a_loss_may_be_divided_by_the_weights_of_its_batch(kind):
    protocol = PROTOCOLS["authors-code"].replace(batch_size=16, max_epochs=3, lr=0.05, weighting="authors-code-normalised")
    fitted, singles = both(kind, protocol, torch.float64)
    divided, _ = both(kind, protocol.replace(weighting="authors-code"), torch.float64)
    for a, (parameters, _, _) in enumerate(singles):
        np.testing.assert_allclose(fitted.parameters[:, a], parameters, rtol=0, atol=1e-12 * max(1, parameters.abs().max()))
    assert torch.equal(fitted.parameters, divided.parameters) == (kind == "multilabel")


@pytest.mark.parametrize("name", ["paper", "authors-code"])
def test_single_precision(name):
    protocol = PROTOCOLS[name].replace(batch_size=32, max_epochs=5)
    fitted, singles = both("multiclass", protocol, torch.float32)
    for a, (parameters, _, _) in enumerate(singles):
        np.testing.assert_allclose(fitted.parameters[:, a], parameters, rtol=0, atol=1e-6)


@pytest.mark.parametrize("patience", [1, 2])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("name", ["paper", "authors-code"])
def test_early_stopping_of_each_probe_is_its_own(name, kind, patience):
    base = PROTOCOLS[name]
    lr = {"sgd": 6.0, "adamw": 0.4}[base.optimizer]
    protocol = base.replace(batch_size=16, max_epochs=40, patience=patience, lr=lr)
    fitted, singles = both(kind, protocol, torch.float64, d=4)
    assert fitted.epochs.tolist() == [s[1] for s in singles]
    assert fitted.trained.tolist() == [s[2] for s in singles]
    assert max(s[2] for s in singles) < 40
    for a, (parameters, _, _) in enumerate(singles):
        np.testing.assert_allclose(fitted.parameters[:, a], parameters, rtol=0, atol=1e-10 * parameters.abs().max())


@pytest.mark.parametrize(("batch_size", "repeat"), [(16, 3), (10_000, 1)])
def test_images_shared_by_several_pairs_and_batches_larger_than_the_data(batch_size, repeat):
    protocol = PROTOCOLS["authors-code"].replace(batch_size=batch_size, max_epochs=4, lr=0.05)
    fitted, singles = both("multiclass", protocol, torch.float64, repeat=repeat)
    for a, (parameters, _, _) in enumerate(singles):
        np.testing.assert_allclose(fitted.parameters[:, a], parameters, rtol=0, atol=1e-12 * max(1, parameters.abs().max()))
