"""SigLIP's loss, the best temperature and the critic's estimate where the truth is known; the stored table."""

import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from helpers.information import SHARES, contrastive_terms

sys.path.insert(0, str(ROOT / "studies"))
import information as study  # noqa: E402


def test_sigmoid_loss_is_a_loop_over_decisions_and_the_fitted_parameters_are_best():
    pairs = np.random.default_rng(0).normal(size=(2, 40, 6))
    image, text = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in pairs)
    total = sum(np.logaddexp(0, -(1 if i == j else -1) * (image[i] @ text[j] / 0.1 - 3)) for i in range(40) for j in range(40))
    assert study.sigmoid_loss(*pairs, 0.1, -3.0) == pytest.approx(total / 40)
    bias, near = study.best_bias(*pairs, 0.1), pairs[0] + pairs[1]
    assert abs(study.sigmoid_loss(*pairs, 0.1, bias + 0.01) - study.sigmoid_loss(*pairs, 0.1, bias - 0.01)) < 1e-3
    tau = study.best_temperature(pairs[0], near)
    losses = [contrastive_terms(pairs[0], near, t)["loss"] for t in (tau, 0.8 * tau, 1.25 * tau)]
    assert losses[0] < min(losses[1:])


def test_a_critic_comes_near_a_known_gaussian_information_and_finds_none_where_there_is_none():
    rng, rho = np.random.default_rng(0), 0.9
    x, noise = rng.normal(size=(2, 2000, 1))
    y, truth = rho * x + np.sqrt(1 - rho**2) * noise, -np.log2(1 - rho**2) / 2
    found = study.neural_information(x[:1500], y[:1500], x[1500:], y[1500:], [200])[0]
    assert 0.6 * truth < found < truth + 0.15  # 500 test pairs: standard error 0.05
    assert study.neural_information(x[:1500], noise[:1500], x[1500:], noise[1500:], [50])[0] < 0.05


def test_eq_5_is_undone_and_shares_add_up_in_the_stored_table():
    table = pd.read_csv(ROOT / study.OUT)
    assert (table.loc[table["quantity"] == "recovered", "value"] < 1e-6).all()
    keys = ["dataset", "variant", "backbone", "lambda"]
    wide = table[table["study"] == "label"].pivot(index=keys, columns="quantity", values="value")
    assert (wide[list(SHARES)].sum(axis=1) - wide["both"]).abs().max() < 2e-3
