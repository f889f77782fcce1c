"""The sentences of the test bench follow their tables, and hold for the shipped ones."""

import pandas as pd
import pytest

from helpers.files import project_root, read_json
from helpers.testbench import LEARNED, findings
from helpers.testbench.training import Settings


def path(gaps, temperature=0.01, seed=0):
    return [("flickr8k", temperature, 3e-4, seed, epoch, gap) for epoch, gap in zip((0, 30, 400), gaps, strict=True)]


COLUMNS = ["dataset", "temperature", "rate", "random_state", "epoch", "gap"]
TESTS = pd.DataFrame(
    [("flickr8k", "exact", p, "gap", 10, 0.9, v) for p, v in (("paper", 0.001), ("converged", 0.5))],
    columns=["dataset", "dial", "protocol", "cause", "n", "correlation", "p"],
)


@pytest.mark.parametrize(
    ("gaps", "verdict"), [((0.6, 0.9, 0.3), "a transient"), ((0.6, 0.9, 0.7), "has not settled"), ((0.6, 0.9, 0.9), "has settled")]
)
def test_the_first_sentence_judges_the_lowest_temperature_by_its_last_change(gaps, verdict):
    study = pd.DataFrame([*path(gaps), *path(gaps, seed=1), *path((0.6, 0.6, 0.6), 0.07)], columns=COLUMNS)
    sentence = findings.answer(study, TESTS)[0]
    assert verdict in sentence and "of 2 heads" in sentence and f"{gaps[2]:.2f} at epoch 400" in sentence


def test_the_second_sentence_counts_clear_tests_of_the_exact_dial():
    study = pd.DataFrame(path((0.6, 0.9, 0.3)), columns=COLUMNS)
    sentence = findings.answer(study, TESTS)[1]
    assert "in 1 of 2 combinations" in sentence and "under paper" in sentence and "under converged" not in sentence
    assert "nowhere" in findings.answer(study, TESTS.assign(p=0.5))[1]


def test_heads_are_compared_seed_by_seed():
    rows = [("flickr8k", t, s, g, r) for t, g, r in (("0.01", 0.8, 0.5), ("learned", 0.1, 0.6)) for s in (0, 1)]
    heads = pd.DataFrame(rows, columns=["dataset", "temperature", "random_state", "gap", "recall"]).assign(epoch=30, rate=1e-3)
    sentence = findings.heads_sentence(pd.concat([heads, heads.assign(epoch=5, gap=9.0)]))
    assert (
        "at rate 0.001: the gap is 0.80 to 0.80 at temperature 0.01, 0.10 to 0.10 at a learned temperature over 2 training seeds"
        in sentence
    )
    assert "0.01 changes recall@10 by -0.100 (-0.100 to -0.100)" in sentence
    assert "recall" not in findings.heads_sentence(heads[heads["temperature"] == "0.01"])
    table = findings.over_seeds(heads, ["gap"], ["temperature", "epoch"])
    assert table["gap"].tolist() == ["0.80 (0.80 to 0.80)", "0.10 (0.10 to 0.10)"] and table["heads"].tolist() == [2, 2]


def test_the_shipped_tables_give_the_answer_and_the_evidence():
    both = findings.answer(findings.shipped("gap_study"), findings.shipped("gap_dials_tests"))
    assert len(both) == 2 and all(s.endswith(".") for s in both)
    assert "test-bench evidence" in findings.dial_evidence()


@pytest.mark.parametrize("dataset", ["flickr8k", "ham10000"])
def test_heads_at_the_shipped_rate_have_a_gap_and_keep_their_recall(dataset):
    heads = findings.shipped("gap_heads").query("dataset == @dataset and rate == @Settings.rate")
    fixed, learned = (rows.set_index("random_state") for _, rows in heads.groupby(heads["temperature"] == LEARNED))
    assert len(fixed) >= 5 and fixed["gap"].min() >= 0.6
    assert (learned["recall"] - fixed["recall"]).mean() <= 0.07


def test_shipped_heads_and_the_page_that_trains_heads_have_the_default_settings():
    default = Settings()
    for name in ("lit-natural", "lit-derm"):
        objective = read_json(project_root() / f"data/heads/{name}.json")["objective"]
        assert [objective[key] for key in ("temperature", "rate", "epochs")] == [default.temperature, default.rate, default.epochs]
    source = (project_root() / "notebooks/10_where_the_gap_comes_from.py").read_text(encoding="utf-8")
    assert f"rates = [{default.rate}]" in source and f"temperatures = [{default.temperature}]" in source
