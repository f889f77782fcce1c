"""The simulation of shards on several machines, against cases that can be worked out by hand."""

import importlib.util
import json
import sys

import numpy as np
import pytest
from conftest import ROOT

spec = importlib.util.spec_from_file_location("paper_cost", ROOT / "benchmarks/paper_cost.py")
cost = sys.modules["paper_cost"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cost)
EQUAL = cost.Assumptions(spread=0.0, start=100.0)


@pytest.mark.parametrize(("machines", "rounds"), [(1, 16), (5, 4), (16, 1), (20, 1)])
def test_equal_shards_take_as_many_rounds_as_the_machines_need(machines, rounds):
    found = cost.simulate(16 * 3500.0, 16, machines, 0.0, EQUAL, np.random.default_rng(0))
    assert found["hours"] == pytest.approx(rounds) and found["machine_hours"] == pytest.approx(16) and found["restarts"] == 0


def test_failures_cost_what_theory_says_where_nothing_is_kept_and_less_where_chunks_are():
    p, rng = 0.2, np.random.default_rng(0)
    lost, kept = ([cost.simulate(36_000.0, 10, 4, p, EQUAL, rng, n)["machine_hours"] for _ in range(1500)] for n in (1, 1000))
    expected = 10 * 3700 * (1 + p / (1 - p) / 2) / 3600  # each failure costs half an attempt, p/(1-p) of them a shard
    assert np.mean(lost) == pytest.approx(expected, rel=0.02) and np.mean(kept) < np.mean(lost)


def test_the_stored_table_holds_every_set_of_the_paper_and_its_own_arithmetic():
    assert cost.operations(12, 768, 3072, 197) == pytest.approx(35e9, rel=0.05)  # ViT-B/16: 17.5 G multiply-adds
    found = json.loads((ROOT / "benchmarks/results/paper_cost.json").read_text())
    assert cost.table(found["megapixels_per_second"], cost.Assumptions(**found["assumptions"])) == found["rows"]
    for row in found["failures"]:
        assert row["cost"] == pytest.approx(found["assumptions"]["price"] * row["machine_hours"])
