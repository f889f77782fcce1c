"""Channels of the alignment as other rates, strengths and starting points: predicted runs match those that are seen."""

import numpy as np
import pytest
import torch
from samples import embedding_set
from scipy.optimize import minimize
from scipy.special import log_softmax

from helpers.alignment.channels import Alignment
from helpers.probing.equivalence import PREDICTABLE, equivalence_paths, equivalent_descent, feature_scales
from helpers.probing.objective import Objective
from helpers.probing.paths import Descent, train_path
from helpers.probing.problem import Problem
from helpers.probing.solver import minimise
from helpers.probing.views import build_view

LAM = 0.8


def views(name, kind="multiclass"):
    embeddings = embedding_set(kind)
    fit = embeddings.rows("train")
    both = build_view(embeddings, [Alignment(), Alignment(name, LAM, LAM)], fit, fit, torch.float64, "cpu")
    objective = Objective.of(embeddings.task, "balanced", embeddings.targets[fit])
    return both.chunk([0]), both.chunk([1]), torch.tensor(embeddings.targets.T).double(), objective, torch.tensor(fit)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize(("optimizer", "channel"), PREDICTABLE)
def test_a_channel_is_an_unaligned_probe_with_other_rates(optimizer, channel, kind):
    plain, aligned, targets, objective, fit = views(channel, kind)
    lr, decay = {"sgd": (0.3, 0.01), "adamw": (0.02, 0.1)}[optimizer]
    decay = 0.0 if channel == "shift" else decay  # a decay of the weights alone is no decay of weights and bias mixed
    no_decay_of_bias = torch.tensor([decay] * plain.n_features + [0.0], dtype=torch.float64)
    descents = Descent(optimizer, lr, no_decay_of_bias), equivalent_descent(aligned, optimizer, lr, no_decay_of_bias)
    paths = [
        train_path(view, targets, objective, fit, 7, descent, [0, 1, 10, 40], 16, 8)
        for view, descent in zip((aligned, plain), descents, strict=True)
    ]
    unlike = train_path(plain, targets, objective, fit, 7, descents[0], [0, 1, 10, 40], 16, 8)
    rows = torch.arange(targets.shape[1])
    for (updates, seen), (_, predicted), (_, other) in zip(*paths, unlike, strict=True):
        seen, predicted, other = (v.predict(rows, p) for v, p in ((aligned, seen), (plain, predicted), (plain, other)))
        np.testing.assert_allclose(predicted, seen, rtol=0, atol=1e-10)
        assert updates == 0 or (other - seen).abs().max() > 1e-6  # the channel does something


def test_adamw_has_no_equivalent_of_a_shift_nor_any_rate_of_the_spread():
    with pytest.raises(ValueError, match="a shift is equivalent to no other rate"):
        equivalent_descent(views("shift")[1], "adamw", 0.1)
    with pytest.raises(ValueError, match="text rows have different scales"):
        equivalent_descent(views("spread")[1], "sgd", 0.1)
    with pytest.raises(ValueError, match="view has 2 alignments"):
        feature_scales(views("shift")[1].chunk([0, 0]))


@pytest.mark.parametrize("channel", ["common-scale", "scale-ratio"])
def test_a_scale_of_a_modality_is_its_own_strength_at_the_minimum(channel):
    plain, aligned, targets, objective, fit = views(channel)
    strength = 0.01
    problem = Problem(aligned, targets, objective, fit)
    solved = minimise(problem, problem.zeros(), strength, 1e-12, 2000).parameters
    seen = aligned.predict(fit, solved)[:, 0].T.numpy()
    x = torch.cat([v for v, _ in plain.gather(fit)], dim=1).numpy()
    y, weight = targets[:, fit].T.numpy(), objective.weights(targets[:, fit])[0, 0].numpy()
    penalties = strength / feature_scales(aligned).numpy()[:-1] ** 2
    k = y.shape[1]

    def loss(flat):
        w, b = flat[: k * x.shape[1]].reshape(k, -1), flat[k * x.shape[1] :]
        log_p = log_softmax(x @ w.T + b, axis=1)
        residual = weight[:, None] * (np.exp(log_p) - y) / weight.sum()
        value = -(weight * (log_p * y).sum(axis=1)).sum() / weight.sum() + (penalties * w**2).sum() / 2
        return value, np.concatenate([(residual.T @ x + penalties * w).ravel(), residual.sum(axis=0)])

    options = {"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-9}
    found = minimize(loss, np.zeros(k * x.shape[1] + k), jac=True, method="L-BFGS-B", options=options)
    w, b = found.x[: k * x.shape[1]].reshape(k, -1), found.x[k * x.shape[1] :]
    predicted = x @ w.T + b
    # the bias of a softmax is free up to a constant
    np.testing.assert_allclose(predicted - predicted.mean(1, keepdims=True), seen - seen.mean(1, keepdims=True), rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_a_shift_is_free_at_the_minimum(kind):
    plain, aligned, targets, objective, fit = views("shift", kind)
    logits = []
    for view in (plain, aligned):
        problem = Problem(view, targets, objective, fit)
        logits.append(view.predict(fit, minimise(problem, problem.zeros(), 0.01, 1e-12, 2000).parameters))
    centred = [z - z.mean(dim=0) if objective.softmax else z for z in logits]
    np.testing.assert_allclose(centred[0], centred[1], rtol=0, atol=1e-5)


def test_the_study_sees_what_it_predicts():
    table = equivalence_paths(embedding_set(), (2, 10), {"sgd": 0.3, "adamw": 0.02}, batch_size=16)
    assert list(zip(table["optimizer"], table["channel"], strict=True)) == [pair for pair in PREDICTABLE for _ in range(2)]
    assert (table["largest"] < 1e-10).all() and (table["seen"] == table["predicted"]).all()
