"""What alignments close and cost on held-out halves: known answers, and the interval over splits."""

import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from scipy.stats import t

from helpers.alignment.registry import make_alignment
from helpers.separation import half_of_groups

sys.path.insert(0, str(ROOT / "studies"))
import alignments as study  # noqa: E402


def pairs(n=120, d=6, seed=0):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, d))
    noise = 0.3 * rng.normal(size=(2, n, d))
    return common + noise[0] + 3 * np.eye(d)[0], common + noise[1] - 3 * np.eye(d)[0]


@pytest.fixture(scope="module")
def comparison():
    return study.compare_alignments(*pairs(), moves=[("none", True), ("centring", True), ("leace", False)], n_splits=3)


def test_centring_closes_the_gap_and_keeps_retrieval(comparison):
    table = study.summarise(comparison).set_index(["alignment", "measure"])
    assert table.loc[("none", "modality_auc"), "value"] == 1
    assert table.loc[("centring", "gap"), "value"] < 0.3 * table.loc[("none", "gap"), "value"]
    assert table.loc[("centring", "recall_image_to_text"), "change"] > -0.1
    assert abs(table.loc[("leace", "modality_auc"), "value"] - 0.5) < 0.2


def test_without_unit_length_only_the_classifier_and_inner_products_are_measured(comparison):
    left = comparison[~comparison["renormalise"]]
    assert set(left["measure"]) == {"modality_auc", "recall_image_to_text", "recall_text_to_image"}
    image, text = pairs()
    fit = half_of_groups(np.arange(120), 0)
    v, u = make_alignment("leace", renormalise=False).fit(image[fit], text[fit]).transform(image[~fit], text[~fit])
    found = left[left["split"] == 0].set_index("measure")["value"]
    assert found["recall_image_to_text"] == ((v @ u.T).argmax(axis=1) == np.arange(60)).mean()
    assert found["recall_text_to_image"] == ((u @ v.T).argmax(axis=1) == np.arange(60)).mean()


def test_summaries_have_the_interval_of_nadeau_and_bengio_and_count_failed_splits():
    values = {"none": [0.1, 0.2, 0.4], "centring": [1.1, 1.2, 1.4], "cca": [1.1, np.nan, 1.4], "whitening": [np.nan] * 3}
    rows = [
        (n, True, i, None if np.isnan(v) else "gap", v, "too few rows" * int(np.isnan(v)))
        for n in values
        for i, v in enumerate(values[n])
    ]
    table = study.summarise(
        pd.DataFrame(rows, columns=["alignment", "renormalise", "split", "measure", "value", "reason"])
    ).set_index("alignment")
    half = t.ppf(0.975, 2) * np.std(values["none"], ddof=1) * np.sqrt(1 / 3 + 1)
    assert table.loc["none", "high"] - table.loc["none", "value"] == pytest.approx(half)
    assert table.loc["centring", ["change", "change_low", "change_high"]].tolist() == pytest.approx([1, 1, 1])
    assert table.loc["cca", "change"] == pytest.approx(1) and table.loc["cca", "value"] == pytest.approx(1.25)
    assert table["splits"].to_dict() == {"none": 3, "centring": 3, "cca": 2, "whitening": 0}
    assert table["reason"].to_dict() == {"none": "", "centring": "", "cca": "too few rows", "whitening": "too few rows"}


def test_a_zero_gap_shows_this_much_on_finite_rows():
    rng = np.random.default_rng(0)
    gaps, expected = [], []
    for _ in range(200):
        v, u = rng.normal(size=(2, 50, 4))
        v, u = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (v, v + u))
        gaps.append(np.linalg.norm(v.mean(axis=0) - u.mean(axis=0)))
        expected.append(study.expected_gap(v, u))
    assert np.sqrt(np.mean(np.square(gaps))) == pytest.approx(np.mean(expected), rel=0.08)
