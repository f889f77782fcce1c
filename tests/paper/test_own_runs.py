"""Our runs stand beside the published numbers and decide only what these cannot."""

import numpy as np
import pandas as pd
import pytest
from ledgers import GAPS, geometry, of_the_paper, published_ledger, sweep

from helpers.paper.claims import evidence, ledger


def test_our_runs_stand_beside_and_never_decide():
    alone, beside = ledger(), ledger(geometry(), sweep())
    pd.testing.assert_frame_equal(alone.drop(columns="our_evidence"), beside.drop(columns="our_evidence"))
    ours = beside.set_index("claim")["our_evidence"]
    means = ours.filter(like="on average").item()
    assert means == "R of images under lit-natural (test bench): medical 0.700 (1), natural 0.250 (1) (number of data sets)"
    assert (
        "effective rank of images: 31.500 (HAM10000, the authors' text, lit-natural (test bench)), 1 set"
        in ours.filter(like="lower dimension").item()
    )
    assert "+0.0100" in ours.filter(like="always desirable").item() and "+0.0200" in ours.filter(like="Moderate").item()
    assert (
        "of 1 curve 0 peak at lambda 0 and 0 at the largest; largest drop from the peak 0.0100 (HAM10000, clean"
        in ours.filter(like="intermediate").item()
    )
    ends = ours.filter(like="Across").item()
    assert "0.250 (Flickr8k, the authors'" in ends and "0.700 (HAM10000, the authors'" in ends
    assert ours.filter(like="principal").isna().all() and ours.filter(like="selected").isna().all()


def test_our_gains_are_in_the_headline_metric_of_their_protocol():
    hard = {"metric": "auc_hard", "scores": (0.80, 0.82, 0.85)}
    runs = pd.concat([sweep(p, **kind) for p in ("authors-code", "converged") for kind in ({}, hard)])
    ours = ledger(geometry(), runs).set_index("claim")["our_evidence"]
    named = "HAM10000, clean text, lit-derm (test bench)"
    assert ours.filter(like="always desirable").item() == (
        f"authors-code: +0.0500 ({named}; AUC of hard arg-max predictions), 1 curve; converged: +0.0100 ({named}), 1 curve"
    )
    peaks = ours.filter(like="intermediate").item()
    assert "authors-code: of 1 curve 0 peak at lambda 0 and 1 at the largest; largest drop from the peak 0.0000" in peaks


def test_our_runs_of_the_papers_encoders_decide_what_was_not_published():
    row = ledger(of_the_paper({**GAPS, "flickr8k": (0.1, 0.9)})).set_index("claim").filter(like="smaller gaps", axis=0).iloc[0]
    effect = evidence.mean_effect([0.2, 0.3, 0.1])
    assert row["verdict"] == "not resolved" and row["effect"] == pytest.approx(effect.value) and row["p"] == pytest.approx(effect.p)
    assert "our runs of 3 data sets under 2 of the paper's encoders" in row["why"] and "0 of 32" in row["published_evidence"]
    clear = {name: (pair[0] + 5, pair[1]) for name, pair in zip(GAPS, ((1, 0.98), (1.001, 0.98), (1.002, 0.98)), strict=True)}
    assert (ledger(of_the_paper(clear))["verdict"] == "holds").sum() == (published_ledger()["verdict"] == "holds").sum() + 1


@pytest.mark.parametrize(
    "runs",
    [
        of_the_paper({"brset": (2.0, 0.8)}),
        of_the_paper(GAPS, variant="clean"),
        of_the_paper(dict.fromkeys(GAPS, (0.99, 0.98)), "cos_gap_pc1").replace({"clip": "lit-natural", "medsiglip": "lit-derm"}),
        of_the_paper(GAPS).replace({"medsiglip": "siglip"}),
        of_the_paper({"flickr8k": (2.0, 0.8), "own": (2.1, 0.8)}),
    ],
    ids=["one set", "other texts", "test bench", "generalists only", "other sets"],
)
def test_other_runs_decide_nothing(runs):
    assert ledger(runs)["verdict"].tolist() == published_ledger()["verdict"].tolist()


def test_sensitivity_is_decided_by_gains_on_medical_and_natural_sets():
    top = {"brset": 0.951, "mbrset": 0.949, "daquar": 0.911, "coco_qa": 0.909}
    common = {"variant": "common", "backbone": "clip"}
    runs = [sweep("authors-code", scores=(0.90, 0.92, last)).assign(dataset=d, **common) for d, last in top.items()]
    table = ledger(None, pd.concat(runs))
    row = table[table["claim"].str.contains("more sensitive")].iloc[0]
    assert row["verdict"] == "not resolved" and row["effect"] == pytest.approx(0.04)  # two sets against two: p = 1/3
    alone = ledger(None, pd.concat(runs[:3]))["verdict"]
    assert alone.tolist() == published_ledger()["verdict"].tolist()


def test_diversity_measured_without_an_encoder_stands_beside_the_cones():
    rows = ledger(geometry()).set_index("claim")
    evidence = rows["our_evidence"].filter(like="causes").item()
    assert "Flickr8k: variance of a pixel over images 0.0602, share of distinct texts 1.000" in evidence
    assert "HAM10000: variance of a pixel over images 0.0187, share of distinct texts 0.068" in evidence
    assert "R of images: 0.250" in evidence


def seeds_table() -> pd.DataFrame:
    """Three seeds that differ much in level and little in the difference between lambdas."""
    levels = {0: 0.80, 1: 0.84, 2: 0.88}
    frames = [sweep(scores=(level, level + 0.01, level + 0.02 + 0.001 * seed)).assign(seed=seed) for seed, level in levels.items()]
    return pd.concat(frames)


def test_resolution_of_published_spreads_comes_from_our_paired_seeds():
    evidence_of = ledger(sweep=seeds_table()).set_index("claim")["our_evidence"]
    sentence = evidence_of.filter(like="declines slightly").item()
    paired, unpaired = 0.001, np.hypot(0.04, np.std([0.82, 0.861, 0.902], ddof=1))
    assert f"{unpaired / paired:.1f} times the paired one" in sentence
    assert "times the paired one" not in str(evidence_of.filter(like="Moderate").item())


def test_the_correlation_of_gap_and_gain_is_given_over_our_sets():
    runs = [sweep(scores=(0.9, 0.9, 0.9 + 0.01 * i)).assign(dataset=d, variant="authors") for i, d in enumerate(GAPS, start=1)]
    gaps = of_the_paper(GAPS).query("backbone == 'clip'").assign(backbone="lit-derm", value=[0.3, 0.2, 0.1])
    row = ledger(gaps, pd.concat(runs)).set_index("claim").filter(like="initial gap", axis=0).iloc[0]
    assert row["our_evidence"].startswith("rank correlation of gap and gain, converged: -1.00 over 3 sets")
    assert row["verdict"] == "not testable here"


def test_the_choice_of_lambda_is_answered_by_validation_not_by_test_peaks():
    row = dict(dataset="ham10000", backbone="lit-derm", protocol="converged", features="joint", lambda_image=0.4)
    selected = pd.DataFrame([{**row, "difference": 0.003, "low": 0.001, "high": 0.005}])
    sentence = ledger(selected=selected).set_index("claim")["our_evidence"].filter(like="selected").item()
    assert "converged: chosen λ from 0.4 to 0.4, gain on test +0.0030" in sentence and "1 of 1 intervals" in sentence
