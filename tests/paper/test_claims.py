import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.paper.claims import CLAIMS, VERDICTS, Finding, counted, downstream, evidence, ledger
from helpers.paper.claims import geometry as cone
from helpers.paper.published import table1


def verdict(fragment: str) -> pd.Series:
    table = ledger()
    rows = table[table["claim"].str.contains(fragment, regex=False)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_ledger_is_complete():
    table = ledger()
    assert len(table) == len(CLAIMS) and table["claim"].is_unique
    assert set(table["verdict"]) <= set(VERDICTS)
    assert table["our_evidence"].isna().all()
    text = table[["where", "test", "published_evidence", "why"]]
    assert not text.isna().any().any() and (text.map(len) > 0).all().all()
    with_interval = table.dropna(subset=["low"])
    assert ((with_interval["low"] <= with_interval["effect"]) & (with_interval["effect"] <= with_interval["high"])).all()


def test_unknown_verdict_is_refused():
    with pytest.raises(ValueError, match="did you mean 'within noise'"):
        Finding("", "within the noise", "")


def test_verdict_rule():
    assert evidence.verdict_of([1, 2], 0.5, 2) == "holds"
    assert evidence.verdict_of([1, -0.1], 0.5, 2) == "holds on average only"
    assert evidence.verdict_of([1, 2], -0.5, 2) == "within noise"
    assert evidence.verdict_of([-1, -2], -2, -0.5) == "contradicted"


def test_intervals_against_hand_computation():
    mean, low, high = evidence.mean_interval([1.0, 2.0, 3.0])
    assert mean == 2 and high - mean == pytest.approx(4.302652729911275 / np.sqrt(3)) and low == pytest.approx(4 - high)
    difference, low, high = evidence.difference_interval([1.0, 3.0], [0.0, 0.0, 0.0])
    assert difference == 2 and high - difference == pytest.approx(stats.t.ppf(0.975, 1) * 1.0)


def test_permutation_and_sign_tests_against_counting():
    assert evidence.permutation_p([3, 4], [1, 2]) == pytest.approx(1 / 6)
    assert evidence.permutation_p([2, 4], [1, 3]) == pytest.approx(2 / 6)
    assert evidence.sign_p([1, 1, 1, 1]) == pytest.approx(1 / 16) and evidence.sign_p([1, 0]) == pytest.approx(3 / 4)


def test_medical_r_is_higher_on_average_and_fails_in_seven_pairs():
    assert verdict("(on average)")["verdict"] == "holds"
    assert "8 of 8" in verdict("(on average)")["published_evidence"]
    pairs = verdict("(set by set)")
    assert pairs["verdict"] == "holds on average only"
    assert "121 of 128" in pairs["published_evidence"] and "MedSigLIP 7" in pairs["published_evidence"]


def test_domain_difference_against_plain_arithmetic():
    table = table1()
    means = [
        table[table.dataset == d].R.mean()
        for d in ("MIMIC-CXR", "HAM10000", "BRSET", "mBRSET", "COCO-QA", "Fakeddit", "Recipes5k", "DAQUAR")
    ]
    assert verdict("(on average)")["effect"] == pytest.approx(np.mean(means[:4]) - np.mean(means[4:]))
    assert "p = 0.014" in verdict("(on average)")["why"]  # 1/70: no relabelling of the eight sets does better


def test_drops_near_one_are_below_two_standard_errors():
    curves = downstream.summary()
    assert (curves["best"] == 1).sum() == 11
    named = curves[curves["medical"] & curves["dataset"].isin(["BRSET", "mBRSET"])].set_index(["dataset", "backbone"])["drop"]
    expected = {
        ("BRSET", "BioMedCLIP"): 0.00019,
        ("BRSET", "MedSigLIP"): 0.00003,
        ("mBRSET", "BioMedCLIP"): 0.00004,
        ("mBRSET", "MedSigLIP"): 0.00035,
    }
    for key, value in expected.items():
        assert named[key] == pytest.approx(value, abs=6e-6)
    assert curves.loc[curves["drop"].idxmax(), ["dataset", "backbone"]].tolist() == ["HAM10000", "CLIP"]
    assert curves.set_index(["dataset", "backbone"])["se"]["mBRSET", "MedSigLIP"] == pytest.approx(0.000275, abs=1e-6)
    assert (curves["drop"] < 2 * curves["se"]).all()
    assert verdict("declines slightly")["verdict"] == verdict("intermediate")["verdict"] == "within noise"


def test_one_clear_exception_contradicts_always():
    row = verdict("always desirable")
    assert (
        row["verdict"] == "contradicted"
        and "16 of 16" in row["published_evidence"]
        and "MedSigLIP -0.0005" in row["published_evidence"]
        and "5.6 standard errors over seeds, on these test rows" in row["why"]
    )
    half = verdict("Moderate")
    assert half["verdict"] == "holds on average only"  # the exception at 0.5 is within two standard errors


def test_generalists_gain_more_on_every_set():
    row = verdict("gain more")
    assert row["verdict"] == "holds" and "4 of 4" in row["published_evidence"] and row["n"] == 4


def test_what_was_not_published_is_not_judged():
    for fragment in (
        "smaller gaps",
        "first principal",
        "lower dimension",
        "more sensitive",
        "initial gap",
        "diversity",
        "selected as",
    ):
        assert verdict(fragment)["verdict"] == "not testable here", fragment


def test_gap_bounds_by_hand():
    bounds = cone.gap_bounds().set_index(["dataset", "backbone"])
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
    assert row["verdict"] == "contradicted" and row["effect"] == pytest.approx((0.990 + 0.986) / 2 + 0.0005)


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
    assert ours.filter(like="principal").isna().all()


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
    mean, low, high = evidence.mean_interval([0.2, 0.3, 0.1])
    assert row["verdict"] == "within noise" and (row["effect"], row["low"], row["high"]) == pytest.approx((mean, low, high))
    assert "our runs of 3 data sets under 2 of the paper's encoders" in row["why"] and "0 of 32" in row["published_evidence"]
    clear = {name: (pair[0] + 1, pair[1]) for name, pair in GAPS.items()}
    assert (ledger(of_the_paper(clear))["verdict"] == "holds").sum() == (ledger()["verdict"] == "holds").sum() + 1
    steep = ledger(of_the_paper(dict.fromkeys(GAPS, (0.99, 0.98)) | {"brset": (0.97, 0.99)}, "cos_gap_pc1"))
    row = steep[steep["claim"].str.contains("first principal")].iloc[0]
    assert row["verdict"] == "holds" and row["effect"] == pytest.approx(
        np.mean([(0.97**2 + 0.99**2) / 2, *[(0.99**2 + 0.98**2) / 2] * 2]) - 0.5
    )


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
    assert ledger(runs)["verdict"].tolist() == ledger()["verdict"].tolist()


def test_sensitivity_is_decided_by_gains_on_medical_and_natural_sets():
    top = {"brset": 0.951, "mbrset": 0.949, "daquar": 0.911, "coco_qa": 0.909}
    common = {"variant": "common", "backbone": "clip"}
    runs = [sweep("authors-code", scores=(0.90, 0.92, last)).assign(dataset=d, **common) for d, last in top.items()]
    table = ledger(None, pd.concat(runs))
    row = table[table["claim"].str.contains("more sensitive")].iloc[0]
    assert row["verdict"] == "holds" and row["effect"] == pytest.approx(0.04)
    alone = ledger(None, pd.concat(runs[:3]))["verdict"]
    assert alone.tolist() == ledger()["verdict"].tolist()


def test_diversity_measured_without_an_encoder_stands_beside_the_cones():
    evidence = ledger(geometry())["our_evidence"][3]
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
    from helpers.paper.claims import as_markdown

    table = ledger()
    blocks = as_markdown(table).split("\n\n**")
    assert len(blocks) == len(table)
    first = table.iloc[1]
    assert f"2. {first['claim']}" in blocks[1] and first["verdict"] in blocks[1]
    assert f"{first['effect']:.4f} [{first['low']:.4f}, {first['high']:.4f}], n = {first['n']}" in blocks[1]
    assert "Our runs" not in as_markdown(table)
    ours = as_markdown(table.assign(our_evidence=["first", "seen", *["seen"] * (len(table) - 2)]))
    assert ours.count("- Our runs: seen") == 1 and ours.count("- Our runs: as under claim 2") == len(table) - 2
