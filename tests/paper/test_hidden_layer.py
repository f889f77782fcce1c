"""The relation of gain and deficit, computed once more from the published files by code that shares none with the page."""

import csv
import itertools

import pytest
from conftest import ROOT

PUBLISHED = ROOT / "data" / "published"


def rows(name: str) -> list[dict]:
    with open(PUBLISHED / name, newline="") as file:
        return list(csv.DictReader(file))


def correlation(x, y) -> float:
    """Spearman's, of ranks."""
    x, y = ([sorted(of).index(v) + (list(of).count(v) + 1) / 2 for v in of] for of in (x, y))
    mx, my = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
    return above / (sum((a - mx) ** 2 for a in x) * sum((b - my) ** 2 for b in y)) ** 0.5


@pytest.fixture(scope="module")
def cells() -> dict[tuple, tuple]:
    """(deficit, gain) by data set and encoder."""
    stored = rows("authors_lambda_sweep.csv")
    linear = {(r["dataset"].removesuffix("_multi_label"), r["backbone"], float(r["lambda"])): float(r["auc_mean"]) for r in stored}
    hidden = [r for r in rows("authors_hidden_layer.csv") if r["fusion"] == "early"]
    early = {(r["dataset"], r["encoder"], float(r["lambda"])): float(r["auc"]) for r in hidden}
    return {p: (early[*p, 0.0] - linear[*p, 0.0], linear[*p, 1.0] - linear[*p, 0.0]) for p in {key[:2] for key in linear}}


def test_the_linear_probe_gains_everywhere_and_the_hidden_layer_in_half_of_its_runs(cells):
    assert sum(gain > 0 for _, gain in cells.values()) == len(cells) == 16
    hidden = rows("authors_hidden_layer.csv")
    ends = {(r["dataset"], r["encoder"], r["fusion"], float(r["lambda"])): float(r["auc"]) for r in hidden}
    runs = {key[:3] for key in ends}
    assert len(ends) == len(hidden) == 352 and len(rows("authors_fusion_heads.csv")) == 48
    assert len(runs) == 32 and sum(ends[*run, 1.0] > ends[*run, 0.0] for run in runs) == 18


def test_the_gain_follows_the_deficit_over_and_within_data_sets(cells):
    assert correlation(*zip(*cells.values(), strict=True)) == pytest.approx(0.9118, abs=5e-5)
    null, observed = [0.0], 0.0
    for dataset, expected in {"brset": 0.9231, "ham10000": 0.9231, "mimic": 0.8531, "mbrset": 0.8741}.items():
        others = [value for key, value in cells.items() if key[0] != dataset]
        assert correlation(*zip(*others, strict=True)) == pytest.approx(expected, abs=5e-5)
        deficit, gain = zip(*[value for key, value in cells.items() if key[0] == dataset], strict=True)
        observed += correlation(deficit, gain) / 4
        null = [a + b for a in null for b in (correlation(p, gain) / 4 for p in itertools.permutations(deficit))]
    assert observed == pytest.approx(0.75)
    assert sum(abs(v) >= observed - 1e-9 for v in null) / len(null) == pytest.approx(0.0077, abs=5e-5)


def test_longer_training_raises_the_auc_and_lowers_the_gain_of_every_encoder():
    short, longer = (rows(f"authors_lambda_sweep{name}.csv") for name in ("", "_brset_longer"))
    ends = [
        {(r["backbone"], float(r["lambda"])): float(r["auc_mean"]) for r in of if r["dataset"] == "brset"} for of in (short, longer)
    ]
    for encoder in ("CLIP", "SigLIP", "BioMedCLIP", "MedSigLIP"):
        (auc, gain), (longer_auc, longer_gain) = ((of[encoder, 0.0], of[encoder, 1.0] - of[encoder, 0.0]) for of in ends)
        assert longer_auc > auc and longer_gain < gain
