"""Comparison of alignments: halves share nothing, known answers, and the interval of a mean over splits."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from helpers.alignment.registry import COMPARED, make_alignment
from helpers.recommend.comparison import compare_alignments, expected_gap, summarise
from helpers.separation import half_of_groups


def pairs(n=120, d=6, seed=0):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, d))
    noise = 0.3 * rng.normal(size=(2, n, d))
    return common + noise[0] + 3 * np.eye(d)[0], common + noise[1] - 3 * np.eye(d)[0]


@pytest.fixture(scope="module")
def comparison():
    return compare_alignments(*pairs(), moves=[("none", True), ("centring", True), ("leace", False)], n_splits=3)


def test_centring_closes_the_gap_and_keeps_retrieval(comparison):
    table = summarise(comparison).set_index(["alignment", "measure"])
    assert table.loc[("none", "modality_auc"), "value"] == 1
    assert table.loc[("centring", "gap"), "value"] < 0.3 * table.loc[("none", "gap"), "value"]
    assert table.loc[("centring", "recall_image_to_text"), "change"] > -0.1
    assert abs(table.loc[("leace", "modality_auc"), "value"] - 0.5) < 0.2


def test_every_alignment_is_measured_with_and_without_renormalising():
    table = compare_alignments(*pairs(), n_splits=1)
    assert table.groupby("alignment")["renormalise"].nunique().eq(2).all() and set(table["alignment"]) == set(COMPARED)


def test_without_unit_length_only_the_classifier_and_inner_products_are_measured(comparison):
    left = comparison[~comparison["renormalise"]]
    assert set(left["measure"]) == {"modality_auc", "recall_image_to_text", "recall_text_to_image"}
    image, text = pairs()
    fit = half_of_groups(np.arange(120), 0)
    v, u = make_alignment("leace", renormalise=False).fit(image[fit], text[fit]).transform(image[~fit], text[~fit])
    found = left[left["split"] == 0].set_index("measure")["value"]
    assert found["recall_image_to_text"] == ((v @ u.T).argmax(axis=1) == np.arange(60)).mean()
    assert found["recall_text_to_image"] == ((u @ v.T).argmax(axis=1) == np.arange(60)).mean()


def table_of(values: dict[str, list[float]]) -> pd.DataFrame:
    """The gap under each alignment, split by split; NaN where the alignment could not be fitted."""
    rows = [
        (name, True, i, None if np.isnan(v) else "gap", v, "too few rows" * int(np.isnan(v)))
        for name, of in values.items()
        for i, v in enumerate(of)
    ]
    return pd.DataFrame(rows, columns=["alignment", "renormalise", "split", "measure", "value", "reason"])


def test_the_interval_is_that_of_nadeau_and_bengio():
    values = np.array([0.1, 0.2, 0.4])
    table = summarise(table_of({"none": values, "centring": values + 1}))
    half = t.ppf(0.975, 2) * np.std(values, ddof=1) * np.sqrt(1 / 3 + 1)
    assert table["high"][0] - table["value"][0] == pytest.approx(half)
    assert table.loc[1, ["change", "change_low", "change_high"]].tolist() == pytest.approx([1, 1, 1])
    assert list(table["splits"]) == [3, 3] and list(table["reason"]) == ["", ""]


def test_a_split_in_which_an_alignment_fails_is_counted_and_explained():
    table = summarise(table_of({"none": [0.1, 0.2, 0.4], "cca": [1.1, np.nan, 1.4], "whitening": [np.nan] * 3}))
    table = table.set_index("alignment")
    assert table.loc["cca", "change"] == pytest.approx(1) and table.loc["cca", "value"] == pytest.approx(1.25)
    assert table["splits"].to_dict() == {"none": 3, "cca": 2, "whitening": 0}
    assert table["reason"].to_dict() == {"none": "", "cca": "too few rows", "whitening": "too few rows"}
    assert np.isnan(table.loc["whitening", "value"])


def test_a_zero_gap_shows_this_much_on_finite_rows():
    rng = np.random.default_rng(0)
    gaps, expected = [], []
    for _ in range(200):
        v, u = rng.normal(size=(2, 50, 4))
        v, u = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (v, v + u))
        gaps.append(np.linalg.norm(v.mean(axis=0) - u.mean(axis=0)))
        expected.append(expected_gap(v, u))
    assert np.sqrt(np.mean(np.square(gaps))) == pytest.approx(np.mean(expected), rel=0.08)


def test_an_alignment_that_the_rows_do_not_allow_says_why():
    moves = [("none", True), ("whitening", True)]
    few = compare_alignments(*pairs(n=24, d=16), moves=moves, n_splits=2)
    failed = few[few["alignment"] == "whitening"]
    assert len(failed) == 2 and failed["value"].isna().all() and failed["reason"].str.contains("rows").all()
    table = summarise(few).set_index("alignment")
    assert table.loc["whitening", "splits"] == 0 and "rows" in table.loc["whitening", "reason"]
    assert set(table.loc[["none"], "measure"]) == set(few["measure"].dropna())


def test_an_unknown_alignment_is_no_reason_but_an_error():
    with pytest.raises(ValueError, match="did you mean 'centring'"):
        compare_alignments(*pairs(), moves=[("none", True), ("centering", True)])
