"""What published numbers say of single claims, and the bounds behind it."""

import numpy as np
import pandas as pd
import pytest
from ledgers import verdict

from helpers.paper.authors_gap import gap_bounds
from helpers.paper.claims import downstream
from helpers.paper.claims import geometry as cone
from helpers.published import LONGER, authors_curves, table1


def test_medical_r_is_higher_on_average_and_fails_in_seven_pairs():
    assert "8 of 8" in verdict("(on average)")["published_evidence"]
    pairs = verdict("(set by set)")
    assert "121 of 128" in pairs["published_evidence"] and "MedSigLIP 7" in pairs["published_evidence"]
    assert "0.155" in pairs["why"]
    assert pairs["verdict"] == verdict("(on average)")["verdict"] == "suggested"  # p = 0.011 alone, not after Holm
    assert pairs["p"] < 0.05 < pairs["p_holm"]


def test_domain_difference_against_plain_arithmetic():
    table = table1()
    means = [
        table[table.dataset == d].R.mean()
        for d in ("MIMIC-CXR", "HAM10000", "BRSET", "mBRSET", "COCO-QA", "Fakeddit", "Recipes5k", "DAQUAR")
    ]
    assert verdict("(on average)")["effect"] == pytest.approx(np.mean(means[:4]) - np.mean(means[4:]))
    assert "p = 0.014" in verdict("(on average)")["why"]  # 1/70: no relabelling of the eight sets does better


def test_pairs_of_encoders_are_judged_one_by_one():
    row = verdict("alleviates")
    assert (row["verdict"], row["scope"]) == ("suggested", "SigLIP to MedSigLIP only")
    assert "+0.0091 [-0.0159, +0.0341]" in row["why"] and "+0.0706 [+0.0068, +0.1344]" in row["why"]
    gains = verdict("gain more")
    assert gains["verdict"] == "not resolved" and "4 of 4" in gains["published_evidence"]
    assert "CLIP against BioMedCLIP" in gains["why"] and "Two encoders against two" in gains["why"]


def test_narrow_is_an_angle():
    row = verdict("narrow regions")
    assert "9 of 64 cells are wider than 45 degrees" in row["published_evidence"] and "53 degrees" in row["why"]


def test_gap_bounds_by_hand():
    bounds = cone.resultant_bounds().set_index(["dataset", "backbone"])
    row = bounds.loc[("BRSET", "MedSigLIP")]
    assert (row["low"], row["high"]) == pytest.approx((0.980 - 0.731, 0.980 + 0.731)) and len(bounds) == 32


def test_residual_range_against_two_vectors():
    """For given means the residual lies in the range, and equal R leave none."""
    image, text = np.array([0.9, 0.0]), 0.6 * np.array([np.cos(1.0), np.sin(1.0)])
    m = (image + text) / 2
    residual = np.linalg.norm(m / np.sqrt(m @ m + 1 - 0.36) - m / np.sqrt(m @ m + 1 - 0.81))
    low, high = cone.residual_range(0.9, 0.6)
    assert 0 < low < residual < high
    assert cone.residual_range(0.7, 0.7) == (0.0, 0.0)
    assert cone.residual_range(0.9, 0.6, steps=2) == pytest.approx(
        (
            0.15 * abs(1 / np.sqrt(0.0225 + 0.64) - 1 / np.sqrt(0.0225 + 0.19)),
            0.75 * abs(1 / np.sqrt(0.5625 + 0.64) - 1 / np.sqrt(0.5625 + 0.19)),
        )
    )


def test_map_is_invertible_in_every_cell():
    row = verdict("removes modality-specific")
    assert row["verdict"] == "contradicted" and f"{(0.990 + 0.986) / 2 + 0.0005:.4f}" in row["published_evidence"]


def test_lambda_one_is_decided_on_lower_bounds():
    row = verdict("closes the gap fully")
    assert row["verdict"] == "contradicted" and row["effect"] == pytest.approx(-0.19, abs=0.005)
    assert "BRSET under MedSigLIP keeps at least 0.19" in row["why"]


def test_gap_bounds_of_the_authors_projections():
    bounds = gap_bounds()
    assert (bounds["low"] <= bounds["high"]).all() and len(bounds) == 25
    unshifted = bounds[bounds["lambda"] == 0].set_index("dataset")
    expected = {"HAM10000": 1.095, "BRSET": 1.1344, "COCO-QA": 0.9265, "Fakeddit": 0.813, "Recipes5k": 0.943}
    for dataset, gap in expected.items():
        assert unshifted.loc[dataset, "low"] - 6e-4 <= gap <= unshifted.loc[dataset, "high"] + 6e-4
    assert (unshifted["cosine_low"] > 0.995).all()
    wide = bounds[bounds["high"] - bounds["low"] > 0.1]
    assert wide["lambda"].tolist() == [0.8, 0.9, 1.0]


def test_gap_bounds_hold_for_two_clouds():
    """Bounds computed from two components contain the gap of random clouds in more dimensions."""
    rng = np.random.default_rng(0)
    for size in (0.05, 0.4, 2.0):
        clouds = rng.normal(size=(2, 400, 6)) * [0.5, 0.4, 0.3, 0.2, 0.2, 0.1]
        clouds[0] += rng.normal(size=6) * size
        pooled = np.concatenate(clouds)
        plane = np.linalg.eigh(np.cov(pooled.T, bias=True))[1][:, ::-1][:, :2]
        rows = [
            dict(dataset="BRSET", backbone="CLIP", modality=name, n=400)
            | {"lambda": 0.0}
            | dict(zip(("mean_pc1", "mean_pc2"), (cloud - pooled.mean(axis=0)).mean(axis=0) @ plane, strict=True))
            | dict(zip(("var_pc1", "var_pc2"), (cloud @ plane).var(axis=0), strict=True))
            for name, cloud in zip(("image", "text"), clouds, strict=True)
        ]
        bound = gap_bounds(pd.DataFrame(rows)).iloc[0]
        gap = np.linalg.norm(clouds[0].mean(axis=0) - clouds[1].mean(axis=0))
        assert bound["low"] <= gap <= bound["high"]


def test_claims_on_the_gap_reach_as_far_as_the_projections():
    larger, along, control = verdict("gap is larger"), verdict("first principal"), verdict("Lambda controls")
    assert larger["verdict"] == "not resolved" and "6 of 6 pairs" in larger["why"] and "p is 0.1" in larger["why"]
    assert (along["verdict"], along["scope"]) == ("holds", "CLIP, 5 data sets")
    assert control["verdict"] == "holds" and "HAM10000 under CLIP" in control["scope"]


def test_variance_of_unit_vectors_tests_equation_four():
    row = verdict("(Eq. 4)")
    assert "variance of images 0.160 on medical, 0.443 on natural" in row["published_evidence"] and row["p"] < 0.05


def test_drops_near_one_of_all_stored_curves():
    curves = downstream.summary(authors_curves()).set_index(["dataset", "backbone", "probe"])
    assert len(curves) == 20 and (curves["best"] == 1).sum() == 13
    assert curves.loc[("BRSET", "MedSigLIP", LONGER), "drop"] == pytest.approx(0.00055, abs=6e-6)
    ratio = curves["drop"] / curves["se"]
    assert ratio[ratio > 2].index.tolist() == [("BRSET", "MedSigLIP", LONGER)] and ratio.max() == pytest.approx(5.6, abs=0.05)
    assert ratio["BRSET", "BioMedCLIP", LONGER] == pytest.approx(0.67, abs=0.01)
    assert (curves.loc[[("BRSET", "CLIP", LONGER), ("BRSET", "SigLIP", LONGER)], "best"] == 1).all()
    decline = verdict("declines slightly")
    assert decline["verdict"] == verdict("intermediate")["verdict"] == "not resolved"
    assert "2 of 2 generalists peak" in decline["published_evidence"] and "unpaired" in decline["why"]


def test_longer_trained_curves_bear_on_every_downstream_claim():
    for fragment in ("Moderate", "always desirable", "intermediate", "declines slightly", "gain steadily"):
        row = verdict(fragment)
        assert "longer-trained" in row["published_evidence"] or "10 gains" in row["published_evidence"], fragment


def test_one_exception_on_stored_test_rows_does_not_contradict_always():
    row = verdict("always desirable")
    assert row["verdict"] == "not resolved" and "16 of 16" in row["published_evidence"]
    assert "MedSigLIP -0.0005" in row["published_evidence"]
    assert "5.6 standard errors over seeds" in row["why"] and "one fixed test set" in row["why"]


def test_gains_are_given_with_and_without_hard_labels_and_relative_to_headroom():
    for fragment in ("Moderate", "always desirable", "Generalist", "gain less", "gain steadily"):
        why = verdict(fragment)["why"]
        assert "3 without hard labels: +" in why and "of headroom, 4 data sets: +" in why, fragment


def test_what_was_not_published_is_not_judged():
    for fragment in (
        "smaller gaps",
        "lower dimension",
        "more sensitive",
        "initial gap",
        "diversity",
        "selected as",
    ):
        assert verdict(fragment)["verdict"] == "not testable here", fragment
