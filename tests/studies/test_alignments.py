"""What alignments close and cost on held-out halves and in galleries of every size: known answers, and the stored tables."""

import alignments as study
import alignments_public
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from scipy.stats import t

from helpers import gap_norm
from helpers.alignment.registry import make_alignment
from helpers.separation import half_of_groups
from helpers.statistics import corrected_interval

SET = ["dataset", "variant", "backbone"]


def pairs(n=120, d=6, noise=0.3, gap=3.0):
    rng = np.random.default_rng(0)
    common, noises = rng.normal(size=(n, d)), noise * rng.normal(size=(2, n, d))
    return common + noises[0] + gap * np.eye(d)[0], common + noises[1] - gap * np.eye(d)[0]


def test_centring_closes_the_gap_and_without_unit_length_only_classifier_and_inner_products_are_measured():
    comparison = study.compare_alignments(*pairs(), moves=[("none", True), ("centring", True), ("leace", False)], n_splits=3)
    value = study.summarise(comparison).set_index(["alignment", "measure"])["value"]
    assert value["none", "modality_auc"] == 1 and value["centring", "gap"] < 0.3 * value["none", "gap"]
    assert value["centring", "recall_image_to_text"] > value["none", "recall_image_to_text"] - 0.1
    assert abs(value["leace", "modality_auc"] - 0.5) < 0.2
    left = comparison[~comparison["renormalise"]]
    assert set(left["measure"]) == {"modality_auc", "recall_image_to_text", "recall_text_to_image"}
    image, text = pairs()
    fit = half_of_groups(np.arange(120), 0)
    v, u = make_alignment("leace", renormalise=False).fit(image[fit], text[fit]).transform(image[~fit], text[~fit])
    recalled = [(x.argmax(axis=1) == np.arange(60)).mean() for x in (v @ u.T, u @ v.T)]
    found = left[left["split"] == 0].set_index("measure")["value"]
    assert found[["recall_image_to_text", "recall_text_to_image"]].tolist() == recalled


def test_summaries_have_the_interval_of_nadeau_and_bengio_and_count_failed_splits():
    values = {"none": [0.1, 0.2, 0.4], "centring": [1.1, 1.2, 1.4], "cca": [1.1, np.nan, 1.4], "whitening": [np.nan] * 3}
    cells = [(name, split, value) for name, of in values.items() for split, value in enumerate(of)]
    rows = [(n, True, i, None if np.isnan(v) else "gap", v, "too few rows" * int(np.isnan(v))) for n, i, v in cells]
    columns = ["alignment", "renormalise", "split", "measure", "value", "reason"]
    table = study.summarise(pd.DataFrame(rows, columns=columns)).set_index("alignment")
    half = t.ppf(0.975, 2) * np.std(values["none"], ddof=1) * np.sqrt(1 / 3 + 1)
    assert table.loc["none", "high"] - table.loc["none", "value"] == pytest.approx(half)
    assert table.loc["centring", ["change", "change_low", "change_high"]].tolist() == pytest.approx([1, 1, 1])
    assert table.loc["cca", "change"] == pytest.approx(1) and table.loc["cca", "value"] == pytest.approx(1.25)
    assert table["splits"].to_dict() == {"none": 3, "centring": 3, "cca": 2, "whitening": 0}
    assert table["reason"].to_dict() == {"none": "", "centring": "", "cca": "too few rows", "whitening": "too few rows"}


def cones_of_one_width(rng, groups, d=8):
    """Pairs of two cones that differ in the sign of one coordinate alone: without it no gap is left. Groups share directions."""
    cones = []
    for sign in (1, -1):
        across = rng.normal(size=(groups.max() + 1, d - 1))[groups] + rng.normal(size=(len(groups), d - 1))
        across *= 0.6 / np.linalg.norm(across, axis=1, keepdims=True)
        cones.append(np.column_stack([np.full(len(groups), 0.8 * sign), across]))
    return cones


@pytest.mark.parametrize("name", ["lambda-1", "centring"])
def test_the_null_of_a_gap_is_as_large_as_the_gap_of_the_same_procedure_where_none_is_left(name):
    """Its 95 % quantile holds its level; the noise of held-out rows alone, each a group of its own, is half of it."""
    groups, gaps, nulls, rows_alone = np.repeat(np.arange(60), 4), [], [], []
    for seed in range(25):
        image, text = cones_of_one_width(np.random.default_rng(seed), groups)
        fit = half_of_groups(groups, 0)
        v, u = make_alignment(name).fit(image[fit], text[fit]).transform(image[~fit], text[~fit])
        gaps.append(gap_norm(v, u))
        nulls.append(study.null_gaps(name, image, text, groups, fit, 10))
        rows_alone.append(np.sqrt((v - u).var(axis=0, ddof=1).sum() / len(v)))
    assert np.sqrt(np.mean(np.square(nulls))) == pytest.approx(np.sqrt(np.mean(np.square(gaps))), rel=0.12)
    above = np.array(gaps) > np.quantile(nulls, 0.95)
    assert above.sum() <= 4 and np.mean(rows_alone) < 0.6 * np.mean(gaps)  # chance exceeds 4 of 25 once in thirty times


def test_a_gap_that_is_left_does_not_widen_its_null_and_too_few_rows_have_none():
    image, text = cones_of_one_width(np.random.default_rng(0), groups := np.repeat(np.arange(60), 4))
    fit = half_of_groups(groups, 0)
    left, closed = (study.null_gaps(name, image, text, groups, fit, 10).mean() for name in ("none", "lambda-1"))
    assert gap_norm(image, text) > 1.5 and left < closed < 0.4
    table = study.compare_alignments(image[::12], text[::12], moves=[("none", True), ("procrustes", True)], n_splits=1)
    measured = table[table["measure"].notna()].groupby("alignment")["measure"].agg(set)
    assert {"gap_null", "gap_null_95"} <= measured["none"] and "gap" in measured["procrustes"]
    assert not {"gap_null", "gap_null_95"} & measured["procrustes"]  # ten rows suffice for eight dimensions, and five do not


def test_the_stored_noise_is_that_which_others_found_on_these_vectors():
    """Shares of the gap without alignment after λ = 1, gap and noise alone; that of ConVIRT is real."""
    table = (
        pd.read_csv(ROOT / alignments_public.OUT[0]).query("renormalise").set_index(["backbone", "alignment", "measure"])["value"]
    )
    published = {"CLIP ViT-B/16": (0.100, 0.094), "CLASP": (0.180, 0.180), "VideoCLIP": (0.200, 0.180)}
    for encoder, shares in published.items():
        of = table[encoder]
        assert [of["lambda-1", m] / of["none", "gap"] for m in ("gap", "gap_null")] == pytest.approx(shares, abs=0.005)
        assert of["lambda-1", "gap"] < of["lambda-1", "gap_null_95"]
    assert table["ConVIRT", "lambda-1", "gap"] > 1.5 * table["ConVIRT", "lambda-1", "gap_null_95"]


def test_the_largest_gallery_holds_all_other_pairs_and_agrees_with_a_full_sort():
    image, text = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in pairs(noise=0.6))
    table = study.gallery_changes(image, text, alignments=["lambda-1"], sizes=[20, 80], n_fit=40, n_draws=3)
    table = table.set_index(["alignment", "measure", "gallery"]).sort_index()
    found = []
    for draw in range(3):
        fit, held = np.split(np.random.default_rng([0, draw]).permutation(120), [40])
        fitted = make_alignment("lambda-1").fit(image[fit], text[fit])
        for v, u in ((image, text), fitted.transform(image, text)):
            found.append(((v[held] @ u[held].T).argmax(axis=1) == np.arange(80)).mean())
    base, moved = np.reshape(found, (3, 2)).T
    row = table.loc["lambda-1", "recall_image_to_text", 80]
    assert row["value"] == pytest.approx(moved.mean()) and row["change"] == pytest.approx((moved - base).mean())
    assert row[["change_low", "change_high"]].tolist() == pytest.approx(corrected_interval(moved - base, 80 / 40))
    assert row["relative"] == pytest.approx(moved.mean() / base.mean() - 1)
    assert (table.loc["none", ["change", "relative", "growth", "change_low", "growth_high"]] == 0).all(axis=None)


def test_no_group_is_on_both_sides_and_a_recall_of_zero_has_no_relative_change():
    for fit, held in study.draws(groups := np.repeat(np.arange(40), 3), 40, 4):
        assert len(fit) <= 40 and not set(groups[fit]) & set(groups[held]) and len(fit) + len(held) == 120
    table = study.gallery_changes(np.eye(60), np.roll(np.eye(60), 1, axis=0), sizes=[20], n_fit=20, n_draws=3)
    assert table["relative"].isna().all() and (table["value"] < 0.2).all()


def test_every_stored_set_has_every_alignment_measured_or_explained():
    both = zip(study.OUT, alignments_public.OUT, strict=True)
    measured, galleries = (pd.concat([pd.read_csv(ROOT / file) for file in files]) for files in both)
    tasks = pd.read_csv(ROOT / "data/measured/alignments_tasks.csv")
    shipped = set(measured.loc[measured["rows"] == "validation and test", SET].itertuples(index=False, name=None))
    assert measured.groupby([*SET, "renormalise"])["alignment"].nunique().nunique() == 1
    assert all(table.loc[table["measure"].isna(), "reason"].notna().all() for table in (measured, tasks))
    assert shipped == set(tasks[SET].itertuples(index=False, name=None)) < set(galleries[SET].itertuples(index=False, name=None))
