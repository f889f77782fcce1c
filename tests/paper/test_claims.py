from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.paper.authors_gap import gap_bounds
from helpers.paper.claims import CLAIMS, VERDICTS, as_markdown, counted, decision_table, downstream, evidence, ledger, rule
from helpers.paper.claims import geometry as cone
from helpers.paper.published import LONGER, authors_curves, table1
from helpers.resampling import permutation_p


@cache
def published_ledger() -> pd.DataFrame:
    return ledger()


def verdict(fragment: str) -> pd.Series:
    table = published_ledger()
    rows = table[table["claim"].str.contains(fragment, regex=False)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_ledger_is_complete():
    table = published_ledger()
    assert len(table) == len(CLAIMS) and table["claim"].is_unique
    assert set(table["verdict"]) <= set(VERDICTS)
    assert table["our_evidence"].isna().all()
    text = table[["where", "test", "published_evidence", "why"]]
    assert not text.isna().any().any() and (text.map(len) > 0).all().all()
    with_interval = table.dropna(subset=["low"])
    assert ((with_interval["low"] <= with_interval["effect"]) & (with_interval["effect"] <= with_interval["high"])).all()


def test_every_verdict_of_the_decision_table_is_known_and_the_last_line_always_applies():
    table = decision_table()
    assert set(table["verdict"]) == set(VERDICTS) and table["verdict"].iloc[-1] == "not resolved"
    assert table["what is found"].is_unique


def part(effect: float, p: float, cases=(), universal: bool = False, name: str = "") -> evidence.Part:
    interval = evidence.intervals(np.asarray(cases, dtype=float)) if len(cases) else np.empty((0, 2))
    return evidence.Part((evidence.Effect(effect, np.nan, np.nan, p, 8),), interval, universal, name)


@pytest.mark.parametrize(
    "tested, adjusted, expected",
    [
        (part(1, 0.001, [1, 2], True), 0.01, "holds"),
        (part(1, 0.001, [1, -2], True), 0.01, "holds on average only"),
        (part(1, 0.001, [1, -2]), 0.01, "holds"),
        (part(-1, 0.001), 0.01, "contradicted"),
        (part(1, 0.01), 0.2, "suggested"),
        (part(-1, 0.01), 0.2, "not resolved"),
        (part(1, 0.2), 0.9, "not resolved"),
        (evidence.Part(cases=np.array([[1.0, 2.0], [-3.0, -1.0]])), np.nan, "contradicted"),
        (evidence.Part(cases=np.array([[1.0, 2.0], [-3.0, 1.0]])), np.nan, "holds"),
        (evidence.Part(cases=np.array([[-3.0, 1.0]])), np.nan, "not resolved"),
        (evidence.Part(), np.nan, "not testable here"),
    ],
)
def test_verdict_rule(tested, adjusted, expected):
    assert rule.verdict_of(tested, adjusted) == expected


def test_the_weakest_analysis_decides_and_analyses_must_agree_in_sign():
    clear, unclear, opposite = part(1, 0.001).effects[0], part(2, 0.3).effects[0], part(-1, 0.001).effects[0]
    assert evidence.Part((clear, unclear)).p == 0.3
    assert rule.verdict_of(evidence.Part((clear, opposite)), 0.001) == "not resolved"


def test_parts_that_differ_give_the_strongest_verdict_and_its_limit():
    parts = [part(1, 0.01, name="first"), part(1, 0.5, name="second")]
    assert rule.combined(parts, ["suggested", "not resolved"]) == ("suggested", "first")
    assert rule.combined(parts, ["not resolved", "not resolved"]) == ("not resolved", "")


def test_holm_against_hand_computation():
    adjusted = rule.adjusted([0.01, 0.04, 0.03, 0.01, float("nan")])  # a test that serves two claims counts once
    assert adjusted == pytest.approx({0.01: 0.03, 0.03: 0.06, 0.04: 0.06})


def test_intervals_against_hand_computation():
    effect = evidence.mean_effect([1.0, 2.0, 3.0])
    assert effect.value == 2 and effect.high - 2 == pytest.approx(4.302652729911275 / np.sqrt(3))
    assert effect.low == pytest.approx(4 - effect.high) and effect.p == pytest.approx(2 * stats.t.sf(2 * np.sqrt(3), 2))
    effect = evidence.difference_effect([1.0, 3.0, 5.0], [0.0, 0.0, 0.0])
    assert effect.value == 3 and effect.high - 3 == pytest.approx(stats.t.ppf(0.975, 2) * 2 / np.sqrt(3))
    few = evidence.difference_effect([3.0, 4.0], [0.0, 1.0, 2.0])
    assert few.p == pytest.approx(0.2) and np.isnan(few.low)  # two of ten relabellings differ as much, one on either side


def test_permutation_and_sign_tests_against_counting():
    assert permutation_p([3, 4], [1, 2]) == pytest.approx(1 / 6)
    assert permutation_p([2, 4], [1, 3]) == pytest.approx(2 / 6)
    assert evidence.sign_p([1, 1, 1, 1]) == pytest.approx(1 / 16) and evidence.sign_p([1, 0]) == pytest.approx(3 / 4)


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


def geometry():
    row = dict(variant="authors", backbone="lit-natural", modality="image", low=np.nan, high=np.nan)
    return pd.DataFrame(
        [
            {**row, "dataset": "ham10000", "domain": "medical", "quantity": "R", "value": 0.7},
            {**row, "dataset": "flickr8k", "domain": "natural", "quantity": "R", "value": 0.25},
            {**row, "dataset": "ham10000", "domain": "medical", "quantity": "effective_rank", "value": 31.5},
        ]
    )


def sweep(protocol="converged", metric="auc", scores=(0.90, 0.92, 0.91)):
    rows = []
    for lam, auc in zip((0.0, 0.5, 1.0), scores, strict=True):
        row = dict(
            dataset="ham10000", variant="clean", backbone="lit-derm", protocol=protocol, alignment="lambda", features="joint"
        )
        rows.append(
            {
                **row,
                "lambda_image": lam,
                "lambda_text": lam,
                "seed": 0,
                "split": "test",
                "metric": metric,
                "class": None,
                "value": auc,
            }
        )
    return pd.DataFrame(rows)


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


def of_the_paper(values: dict[str, tuple[float, float]], quantity="gap_norm", **other) -> pd.DataFrame:
    """Our geometry of data sets under CLIP and MedSigLIP."""
    row = dict(variant="authors", domain="", modality="joint", quantity=quantity, low=np.nan, high=np.nan) | other
    cells = [(d, b, v) for d, pair in values.items() for b, v in zip(("clip", "medsiglip"), pair, strict=True)]
    return pd.DataFrame([{**row, "dataset": d, "backbone": b, "value": v} for d, b, v in cells])


GAPS = {"brset": (1.0, 0.8), "ham10000": (1.1, 0.8), "daquar": (0.9, 0.8)}


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


def test_verdicts_are_counted_in_their_order():
    table = pd.DataFrame({"verdict": ["contradicted", "not testable here", "not testable here", "holds"]})
    assert counted(table) == "holds: 1; contradicted: 1; not testable here: 2"


def test_a_missing_column_of_ours_is_named():
    with pytest.raises(ValueError, match="lacks the column 'domain'"):
        ledger(geometry().drop(columns="domain"))


def test_evidence_reads_as_one_block_a_claim():
    table = published_ledger()
    blocks = as_markdown(table).split("\n\n**")
    assert len(blocks) == len(table)
    first = table.iloc[1]
    assert f"2. {first['claim']}" in blocks[1] and first["verdict"] in blocks[1]
    assert f"{first['effect']:.4f} [{first['low']:.4f}, {first['high']:.4f}], n = {first['n']}" in blocks[1]
    assert "Our runs" not in as_markdown(table)
    ours = as_markdown(table.assign(our_evidence=["first", "seen", *["seen"] * (len(table) - 2)]))
    assert ours.count("- Our runs: seen") == 1 and ours.count("- Our runs: as under claim 2") == len(table) - 2


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
    assert row["our_evidence"] == "rank correlation of gap and gain, converged: -1.00 over 3 sets"
    assert row["verdict"] == "not testable here"


def test_the_choice_of_lambda_is_answered_by_validation_not_by_test_peaks():
    row = dict(dataset="ham10000", backbone="lit-derm", protocol="converged", features="joint", lambda_image=0.4)
    selected = pd.DataFrame([{**row, "difference": 0.003, "low": 0.001, "high": 0.005}])
    sentence = ledger(selected=selected).set_index("claim")["our_evidence"].filter(like="selected").item()
    assert "converged: chosen λ from 0.4 to 0.4, gain on test +0.0030" in sentence and "1 of 1 intervals" in sentence
