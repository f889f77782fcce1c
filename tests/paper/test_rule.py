"""The decision table and the small-sample tests that feed it."""

import numpy as np
import pytest
from scipy import stats

from helpers.paper.claims import VERDICTS, decision_table, evidence, rule
from helpers.statistics import permutation_p


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
