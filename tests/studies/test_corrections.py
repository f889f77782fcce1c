"""Numbers the book once had wrong: the remaining gap, slopes in the gap, diversity, stability, and the loss for conclusions."""

import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from samples import embedding_set

from helpers import PROTOCOLS, gap_norm, mean_resultant_length
from helpers.arrays import unit_rows
from helpers.probing.objective import Objective

sys.path.insert(0, str(ROOT / "studies"))
import gap_study  # noqa: E402
import matched_sensitivity  # noqa: E402
import residual_gap  # noqa: E402
import robustness  # noqa: E402

MEASURED = ROOT / "data/measured"


def test_the_remaining_gap_has_no_sampling_noise():
    """Two clouds of one distribution have no gap; the difference of their means does not say so, the unbiased estimate does."""
    rng = np.random.default_rng(0)
    squares, naive = [], []
    for _ in range(8):
        image, text = (unit_rows(rng.normal(size=(60, 20))) for _ in range(2))
        squares.append(residual_gap.squared_gaps(image, text, np.arange(60), 20)["none"])
        naive.append(gap_norm(image, text) ** 2)
    assert np.mean(naive) > 0.02 and abs(np.mean(squares)) < 0.2 * np.mean(naive)
    apart = residual_gap.squared_gaps(image, unit_rows(text + 1), np.arange(60), 20)
    assert (
        apart["none"] == pytest.approx(gap_norm(image, unit_rows(text + 1)) ** 2, rel=0.1)
        and apart["lambda-1"] < apart["lambda-0.5"]
    )


def test_the_stored_remaining_gaps_say_what_page_11_says():
    table = pd.read_csv(MEASURED / "residual_gap.csv").pivot_table(
        index=["dataset", "variant", "backbone"], columns="alignment", values=["share", "low", "high"]
    )
    share = table["share"]["lambda-1"]
    assert len(table) == 10 and share.min() < 0.01 and share.max() == pytest.approx(0.30, abs=0.01)
    assert (table["high"]["centring"] < table["low"]["lambda-1"]).sum() >= 4  # centring clearly leaves less


def test_slopes_of_the_gain_in_the_gap(monkeypatch):
    monkeypatch.setattr(gap_study, "class_gains", lambda embeddings, protocol: pd.Series({"a": 0.1, "b": 0.3}) * gap_of(embeddings))
    monkeypatch.setattr(gap_study, "embeddings_for", lambda dataset, encoder: embedding_set("multiclass"))
    monkeypatch.setattr(gap_study, "PROTOCOLS", ("converged",))
    found = pd.DataFrame(gap_study.slopes("flickr8k", n_splits=3))
    assert found["slope"].to_numpy() == pytest.approx(0.2) and (found["low"] < 0.2).all() and (found["high"] > 0.2).all()


def gap_of(embeddings) -> float:
    return gap_norm(embeddings.image_of(), embeddings.text_of())


def test_no_control_of_random_networks_is_true_by_construction():
    """Rows that are centred and then brought to unit length have the same variance whatever their spread."""
    assert not pd.read_csv(MEASURED / "random_networks.csv")["inputs"].str.contains("centred").any()
    x = np.random.default_rng(1).normal(size=(30, 8))
    small = unit_rows(0.01 * (x - x.mean(axis=0)))
    assert mean_resultant_length(small) == pytest.approx(mean_resultant_length(unit_rows(x - x.mean(axis=0))))


def test_coarse_storage_and_noise():
    rng = np.random.default_rng(2)
    image, text = (unit_rows(rng.normal(size=(80, 6)) + shift) for shift in (0, 1))
    coarse = robustness.stored_coarsely(image, text)
    assert len(np.unique(np.concatenate(coarse).round(12))) <= robustness.LEVELS
    shifted, same = robustness.moved("projected shift", False, (image, text), (image, text))
    moved = shifted - image
    centred = text - text.mean(axis=0)
    assert np.allclose(moved, moved[0]) and same is text
    assert abs(centred @ moved[0]).max() < np.linalg.norm(moved[0]) * np.linalg.norm(centred, axis=1).max() * 0.2 + 1e-9


def test_conclusions_follow_the_loss_of_the_text():
    """Plain cross-entropy for several classes, weights for binary and multi-label tasks; the weights of the code have a name."""
    for kind in ("binary", "multiclass", "multilabel"):
        embeddings = embedding_set(kind)
        text, balanced = (
            Objective.of(embeddings.task, PROTOCOLS[name].weighting, embeddings.targets)
            for name in ("converged", "converged-balanced")
        )
        if kind == "multiclass":
            n, k = embeddings.targets.shape
            assert (text.positive == 1).all()
            assert balanced.positive == pytest.approx(n / (k * embeddings.targets.sum(axis=0)))
        else:
            assert text.positive == pytest.approx(balanced.positive) and text.negative == pytest.approx(balanced.negative)


def test_matched_sets_have_equal_rows_and_binary_labels():
    small = matched_sensitivity.matched(embedding_set("multiclass", n=1500))
    assert small.task.kind == "multilabel" and len(small) == matched_sensitivity.ROWS
    values = {"a": np.array([0.02, 0.03, 0.04]), "b": np.array([0.0, 0.01, -0.01])}
    difference, low, high = matched_sensitivity.contrast(values, 0.2)
    half = 4.302652729911275 * np.sqrt(2 * 0.01**2 * (1 / 3 + 0.2))
    assert difference == pytest.approx(0.03) and high - low == pytest.approx(2 * half)
