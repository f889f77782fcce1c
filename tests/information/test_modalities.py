"""Linear readers of the other modality against Gaussians whose information is known."""

import numpy as np
import pytest
from samples import embedding_set

from helpers.information.modalities import (
    canonical_scores,
    explained_share,
    gaussian_information,
    modality_information,
    ridge_errors,
)

RHO = np.array([0.9, 0.6, 0.3])
TRUTH = -np.log2(1 - RHO**2).sum() / 2


def gaussians(n, seed=0, d=8):
    """Rows of two modalities, mixed, whose canonical correlations are ``RHO`` and 0."""
    rng = np.random.default_rng(seed)
    x, noise = rng.normal(size=(2, n, d))
    rho = np.concatenate([RHO, np.zeros(d - len(RHO))])
    mixing = np.random.default_rng(99).normal(size=(2, d, d))
    return x @ mixing[0], (rho * x + np.sqrt(1 - rho**2) * noise) @ mixing[1]


def test_canonical_correlations_give_the_gaussian_information():
    image, text = gaussians(9000)
    scores = canonical_scores(image, text, *np.split(np.arange(9000), [4000, 5000]), 3)
    assert gaussian_information(*scores, np.ones((1, 4000)))[0] == pytest.approx(TRUTH, abs=0.08)  # error of 4,000 rows: 0.03


def test_independent_modalities_have_next_to_none():
    image, text = gaussians(5000)[0], np.random.default_rng(5).normal(size=(5000, 8))
    scores = canonical_scores(image, text, *np.split(np.arange(5000), [2000, 3000]), 3)
    assert gaussian_information(*scores, np.ones((1, 2000)))[0] < 0.02


def test_counts_weigh_rows_as_repeating_them_does():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 30, 2))
    counts = rng.integers(0, 4, size=30)
    repeated = np.repeat(np.arange(30), counts)
    expected = gaussian_information(a[repeated], b[repeated], np.ones((1, len(repeated))))
    assert gaussian_information(a, b, counts[None]) == pytest.approx(expected)


def test_ridge_explains_the_planted_share():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 5))
    y = x @ rng.normal(size=(5, 4))
    y = y / y.std() + rng.normal(size=y.shape) * np.sqrt(1 / 3)  # three quarters of the variance, over all columns
    fit, val, test = np.split(np.arange(3000), [1000, 1500])
    share = explained_share(*ridge_errors(x, y, fit, val, test), np.ones((1, 1500)))[0]
    assert share == pytest.approx(0.75, abs=0.02)


def test_the_table_compares_with_lambda_zero():
    table = modality_information(embedding_set(), [0.0, 1.0], n_boot=50, components=2)
    assert list(table["quantity"].unique()) == ["ridge_text_from_image", "ridge_image_from_text", "cca"]
    assert (table.loc[table["lambda"] == 0, "change"] == 0).all()
    assert np.isfinite(table[["value", "low", "high", "change"]].to_numpy()).all()
