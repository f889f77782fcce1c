"""Parts of the variance against planted components and against networks whose mean and variance are known."""

import numpy as np
import pytest
import random_networks as study


def planted(rng, networks, items, data, both, weights, d=3) -> np.ndarray:
    """Outputs with these variances, summed over d dimensions, about a mean that is not zero."""
    parts = ((weights, (networks, 1, d)), (data, (1, items, d)), (both, (networks, items, d)))
    return 2 + sum(np.sqrt(variance / d) * rng.normal(size=size) for variance, size in parts)


def test_estimates_of_planted_components_are_unbiased_and_their_intervals_cover():
    outputs = planted(np.random.default_rng(1), 6, 9, 2.0, 0.5, 1.0)  # the data-induced part is the variance over items
    assert study.variance_parts(outputs)[3] == pytest.approx(outputs.var(axis=1, ddof=1).sum(axis=1).mean())
    rng, truth, covered = np.random.default_rng(0), np.array([2.0, 0.5, 1.0, 2.5]), np.zeros(4)
    found = np.array([study.variance_parts(planted(rng, 5, 8, 2.0, 0.5, 1.0)) for _ in range(2000)])
    assert (np.abs(found.mean(axis=0) - truth) < 4 * found.std(axis=0) / np.sqrt(len(found))).all()
    for _ in range(60):
        estimate = study.Estimate.of(planted(rng, 12, 40, 2.0, 0.5, 1.0, d=30))
        _, low, high = study.interval_over_both(lambda parts: parts, estimate)
        covered += (low <= truth) & (truth <= high)
    assert (covered >= 52).all()  # 95 % of 60 is 57, give or take 2


def test_a_linear_network_has_the_known_parts():
    """With h = W x and independent weights of variance 1 / d: mean 0, data-induced part tr Cov(x), weight-induced ||mean x||^2."""
    x = np.random.default_rng(0).normal(size=(50, 20)) + 1
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    [outputs] = study.mlp_outputs([x], "linear", 1, 400, width=64)
    parts = study.variance_parts(outputs)  # rows of norm root 20, weights of variance 1 / 20, 64 outputs
    assert parts[3] == pytest.approx(64 * unit.var(axis=0, ddof=1).sum(), rel=0.05)
    # the mean over 50 items is longer than that of their population by the variance over 50
    length = np.square(unit.mean(axis=0)).sum() - unit.var(axis=0, ddof=1).sum() / 50
    assert parts[2] == pytest.approx(64 * length, rel=0.05)


def test_relu_brings_rows_together_as_its_kernel_says():
    """One layer of He weights turns an angle a into cosine (sin a + (pi - a) cos a) / pi (Cho and Saul, NeurIPS 2009)."""
    angle = 2.0
    [outputs] = study.mlp_outputs([np.array([[1.0, 0], [np.cos(angle), np.sin(angle)]])], "relu", 1, 300)
    unit = outputs / np.linalg.norm(outputs, axis=-1, keepdims=True)
    expected = (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / np.pi
    assert (unit[:, 0] * unit[:, 1]).sum(axis=1).mean() == pytest.approx(expected, abs=0.02)


def test_the_ratio_of_two_kinds_of_data_is_the_planted_one_and_pairs_networks():
    rng = np.random.default_rng(3)
    scale = np.exp(0.4 * rng.normal(size=(20, 1, 1)))  # a network that spreads everything more: common to both kinds of data
    table = study.compare_outputs(scale * 0.5 * rng.normal(size=(20, 60, 5)), scale * rng.normal(size=(20, 60, 5)))
    row = table[(table["output"] == "unnormalised") & (table["data"] == study.RATIO)].iloc[0]
    assert row["low"] < 0.25 < row["high"] < 0.35 and row["value"] == pytest.approx(0.25, rel=0.15)
    parts = table[table["part"].isin(study.PARTS[:3])]
    assert parts.groupby(["output", "data"])["share"].sum().to_numpy() == pytest.approx(1)
