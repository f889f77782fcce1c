"""Page 04: what published numbers say of single claims, the rule, and own runs, which decide only what was not published."""

import numpy as np
import pandas as pd
import pytest
from pages import GAPS, claim, definitions, geometry, ledger, of_the_paper, published_ledger, sweep
from scipy import stats

from helpers.published import HARD_AUC, authors_pca

PAGE = definitions("04_discussion")
GAP_BOUNDS = definitions("01_cone_effect")["gap_bounds"]


def test_the_table_of_claims_is_complete_and_states_the_published_numbers():
    table = published_ledger()
    assert "variance of images 0.160 on medical, 0.443 on natural" in claim(table, "(Eq. 4)")["published_evidence"]
    assert "R is 0.96 with ReLU, but 0.05 with tanh" in claim(table, "all non-linear")["why"]
    assert "on 0 of 8 data sets" in claim(table, "cone concentration")["published_evidence"]
    assert len(table) == 27 and table["claim"].is_unique and set(table["verdict"]) <= set(PAGE["VERDICTS"])
    assert not table[["where", "test", "published_evidence", "why"]].map(lambda words: not words or "{" in words).any(axis=None)
    interval = table.dropna(subset=["low"])
    assert ((interval["low"] <= interval["effect"]) & (interval["effect"] <= interval["high"])).all()
    assert claim(table, "(on average)")["p"] < 0.05 < claim(table, "(on average)")["p_holm"]  # p = 0.011 alone, not after Holm


def part(effect: float, p: float, cases=(), universal: bool = False):
    return PAGE["part"]([PAGE["Effect"](effect, np.nan, np.nan, p, 8)], PAGE["within"](cases) if len(cases) else (), universal)


@pytest.mark.parametrize(
    "tested, p_holm, expected",
    [
        (part(1, 0.001, [1, 2], True), 0.01, "holds"),
        (part(1, 0.001, [1, -2], True), 0.01, "holds on average only"),
        (part(1, 0.001, [1, -2]), 0.01, "holds"),
        (part(-1, 0.001), 0.01, "contradicted"),
        (part(1, 0.01), 0.2, "suggested"),
        (part(-1, 0.01), 0.2, "points the other way"),
        (part(1, 0.01, [1, -2], True), 0.2, "suggested on average only"),
        (PAGE["part"](part(1, 0.001).effects + part(2, 0.3).effects), 0.9, "not resolved"),  # the weakest analysis decides
        (PAGE["part"](part(1, 0.001).effects + part(-1, 0.001).effects), 0.001, "not resolved"),  # analyses of opposite sign
        (PAGE["part"](cases=[(1, 2), (-3, -1)], universal=True), np.nan, "contradicted"),
        (PAGE["part"](cases=[(1, 2), (-3, -1)]), np.nan, "contradicted where decided"),
        (PAGE["part"](cases=[(1, 2), (-3, 1)]), np.nan, "holds where decided"),
        (PAGE["part"](cases=[(-3, 1)]), np.nan, "not resolved"),
        (PAGE["part"](), np.nan, "not testable here"),
    ],
)
def test_the_rule(tested, p_holm, expected):
    assert PAGE["verdict_of"](tested, p_holm) == expected


def stored(values, cases=(), universal: bool = False):
    return PAGE["part"](part(1, 0.1).effects, cases, universal, stored=None if values is None else PAGE["within"](values))


@pytest.mark.parametrize(
    "tested, expected",
    [
        (stored([1, -1], universal=True, cases=[(-1, 3), (-3, 1)]), "no, 1 of 2"),  # the spread over seeds does not count
        (stored([2, -1]), "yes, 1 of 2"),  # a sentence about an average
        (stored(None, universal=True, cases=[(0.1, 0.2), (-0.1, 0.3)]), "yes, 2 of 2"),
        (stored(None, universal=True, cases=[(0.1, 0.2), (-0.3, 0.1)]), "undecided, 1 of 2"),  # within rounding
        (PAGE["part"](cases=[(0.1, 0.2), (-0.1, 0.3)]), "yes where decided, 1 of 2"),
        (PAGE["part"](cases=[(0.1, 0.2)]), "yes, 1 of 1"), (part(-1, 0.1), "no"), (PAGE["part"](), "no number"),
    ],
)  # fmt: skip
def test_the_rule_of_the_first_column(tested, expected):
    assert PAGE["own_numbers"](tested) == expected


def test_intervals_and_small_sample_tests_against_hand_computation():
    effect = PAGE["mean_effect"]([1.0, 2.0, 3.0])
    assert effect.value == 2 and effect.high - 2 == pytest.approx(4.302652729911275 / np.sqrt(3))
    assert effect.low == pytest.approx(4 - effect.high) and effect.p == pytest.approx(2 * stats.t.sf(2 * np.sqrt(3), 2))
    effect = PAGE["difference_effect"]([1.0, 3.0, 5.0], [0.0, 0.0, 0.0])
    assert effect.value == 3 and effect.high - 3 == pytest.approx(stats.t.ppf(0.975, 2) * 2 / np.sqrt(3))
    few = PAGE["difference_effect"]([3.0, 4.0], [0.0, 1.0, 2.0])
    assert few.p == pytest.approx(0.2) and np.isnan(few.low)  # two of ten relabellings differ as much, one on either side


def test_gap_bounds_of_the_authors_projections_and_of_two_clouds():
    bounds = GAP_BOUNDS(authors_pca())
    assert (bounds["low"] <= bounds["high"]).all() and len(bounds) == 25
    assert (bounds.loc[bounds["lambda"] == 0, "cosine_low"] > 0.995).all()
    assert bounds.loc[bounds["high"] - bounds["low"] > 0.1, "lambda"].tolist() == [0.8, 0.9, 1.0]
    rng = np.random.default_rng(0)  # bounds from two components contain the gap of random clouds in more dimensions
    for size in (0.05, 0.4, 2.0):
        clouds = rng.normal(size=(2, 400, 6)) * [0.5, 0.4, 0.3, 0.2, 0.2, 0.1]
        clouds[0] += rng.normal(size=6) * size
        pooled = np.concatenate(clouds)
        plane = np.linalg.eigh(np.cov(pooled.T, bias=True))[1][:, ::-1][:, :2]
        rows = [
            {"dataset": "BRSET", "backbone": "CLIP", "modality": name, "lambda": 0.0}
            | dict(zip(("mean_pc1", "mean_pc2"), (cloud - pooled.mean(axis=0)).mean(axis=0) @ plane, strict=True))
            | dict(zip(("var_pc1", "var_pc2"), (cloud @ plane).var(axis=0), strict=True))
            for name, cloud in zip(("image", "text"), clouds, strict=True)
        ]
        bound = GAP_BOUNDS(pd.DataFrame(rows)).iloc[0]
        assert bound["low"] <= np.linalg.norm(clouds[0].mean(axis=0) - clouds[1].mean(axis=0)) <= bound["high"]


def test_own_runs_stand_beside_and_never_decide():
    hard = {"metric": "auc_hard", "scores": (0.80, 0.82, 0.85)}
    runs = pd.concat([sweep(p, **kind) for p in ("authors-code", "converged") for kind in ({}, hard)])
    table = ledger(geometry(), runs)
    pd.testing.assert_frame_equal(published_ledger().drop(columns="our_evidence"), table.drop(columns="our_evidence"))
    named = "HAM10000, clean text, lit-derm (test bench)"
    expected = {
        "Closing the gap is always": f"authors-code: +0.0500 ({named}; {HARD_AUC}), curves: 1; converged: +0.0100",
        "selected as": "converged: chosen λ 0.4, gain on test +0.0030",
        "causes the narrower": "under networks with random weights",
        "more sensitive": "HAM10000 minus Flickr8k",
        "initial gap": "slope of the gain in a gap set by hand",
    }
    for fragment, words in expected.items():
        assert words in claim(table, fragment)["our_evidence"], fragment
    assert pd.isna(claim(table, "principal")["our_evidence"])


def test_own_runs_of_the_papers_encoders_decide_what_was_not_published():
    row = claim(ledger(of_the_paper({**GAPS, "flickr8k": (0.1, 0.9)})), "smaller gaps")
    effect = PAGE["mean_effect"]([0.2, 0.3, 0.1])
    assert row["verdict"] == "not resolved" and row["effect"] == pytest.approx(effect.value) and row["p"] == pytest.approx(effect.p)
    assert "our runs of 3 data sets under 2 of the paper's encoders" in row["why"] and "0 of 32" in row["published_evidence"]
    clear = dict(zip(GAPS, ((1.98, 0.1), (1.981, 0.1), (1.982, 0.1)), strict=True))
    assert claim(ledger(of_the_paper(clear)), "smaller gaps")["verdict"] == "holds"
    top = {"brset": 0.951, "mbrset": 0.949, "daquar": 0.911, "coco_qa": 0.909}  # sensitivity is decided by gains
    common = {"variant": "common", "backbone": "clip"}
    runs = [sweep("authors-code", scores=(0.90, 0.92, last)).assign(dataset=d, **common) for d, last in top.items()]
    row = claim(ledger(sweep=pd.concat(runs)), "more sensitive")
    assert row["verdict"] == "not resolved" and row["effect"] == pytest.approx(0.04)  # two sets against two: p = 1/3
    assert claim(ledger(sweep=pd.concat(runs[:3])), "more sensitive")["verdict"] == "not testable here"


def test_other_runs_decide_nothing():
    generalists = of_the_paper(GAPS).replace({"medsiglip": "siglip"})
    other_sets = of_the_paper({"flickr8k": (2.0, 0.8), "own": (1.9, 0.8)})
    for runs in (of_the_paper({"brset": (2.0, 0.8)}), of_the_paper(GAPS, variant="clean"), generalists, other_sets):
        assert ledger(runs)["verdict"].tolist() == published_ledger()["verdict"].tolist()


def test_seeds_of_own_sweeps_are_summarised():
    """Three seeds differ much in level and little between lambdas."""
    levels = {0: 0.80, 1: 0.84, 2: 0.88}
    seeds = [sweep(scores=(level, level + 0.01, level + 0.02 + 0.001 * seed)).assign(seed=seed) for seed, level in levels.items()]
    unpaired = np.hypot(0.04, np.std([0.82, 0.861, 0.902], ddof=1))
    found = claim(ledger(sweep=pd.concat(seeds)), "declines slightly")["our_evidence"]
    assert f"{unpaired / 0.001:.1f} times the paired one" in found
