"""The simulation of shards on several machines, against cases that can be worked out by hand."""

import importlib.util
import json
import sys

import numpy as np
import pytest
from conftest import ROOT


@pytest.fixture(scope="module")
def cost():
    spec = importlib.util.spec_from_file_location("paper_cost", ROOT / "benchmarks/paper_cost.py")
    module = sys.modules["paper_cost"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def equal(cost):
    return cost.Assumptions(spread=0.0, start=100.0)


@pytest.mark.parametrize(("machines", "rounds"), [(1, 16), (4, 4), (5, 4), (8, 2), (16, 1), (20, 1)])
def test_equal_shards_take_as_many_rounds_as_the_machines_need(cost, machines, rounds):
    found = cost.simulate(16 * 3500.0, 16, machines, 0.0, equal(cost), np.random.default_rng(0))
    assert found["hours"] == pytest.approx(rounds) and found["machine_hours"] == pytest.approx(16) and found["restarts"] == 0


def test_failures_cost_what_theory_says_where_nothing_is_kept(cost):
    given, p, rng = equal(cost), 0.2, np.random.default_rng(0)
    paid = [cost.simulate(36_000.0, 10, 4, p, given, rng, chunks=1)["machine_hours"] for _ in range(1500)]
    expected = 10 * 3700 * (1 + p / (1 - p) / 2) / 3600  # each failure costs half an attempt, p/(1-p) of them a shard
    assert np.mean(paid) == pytest.approx(expected, rel=0.02)


def test_chunks_that_are_kept_make_failures_cheaper_and_stragglers_make_the_whole_longer(cost):
    rng = np.random.default_rng(0)
    kept, lost = (
        np.mean([cost.simulate(36_000.0, 10, 4, 0.3, equal(cost), rng, chunks=n)["machine_hours"] for _ in range(300)])
        for n in (1000, 1)
    )
    assert kept < lost
    uneven = np.mean([cost.simulate(36_000.0, 16, 16, 0.0, cost.Assumptions(), rng)["hours"] for _ in range(200)])
    assert uneven > cost.simulate(36_000.0, 16, 16, 0.0, equal(cost), rng)["hours"]


def test_the_slower_of_decoding_and_encoding_bounds_a_set(cost):
    few, many = (cost.rates("mimic_cxr", "clip", 60.0, cost.Assumptions(cores=n)) for n in (1, 128))
    assert few[0] < few[1] and many[0] > many[1] and few[1] == many[1]
    assert cost.Tower(12, 768, 3072, 197).operations == pytest.approx(35e9, rel=0.05)  # ViT-B/16: 17.5 G multiply-adds


def test_the_stored_table_holds_every_set_of_the_paper_and_its_own_arithmetic(cost):
    found = json.loads((ROOT / "benchmarks/results/paper_cost.json").read_text())
    assert {(r["dataset"], r["encoder"]) for r in found["rows"]} == {(d, e) for d in cost.MEGAPIXELS for e in cost.ENCODERS}
    for row in found["rows"]:
        assert row["seconds"] == pytest.approx(row["pairs"] / row["pairs_per_s"])
        assert row["seconds"] / 3600 < row["hours_one"] * 1.5 and row["hours_eight"] < row["hours_one"]
    assert [row["failing"] for row in found["failures"]] == [0.0, 0.01, 0.05]
    for row in found["failures"]:
        assert row["cost"] == pytest.approx(found["assumptions"]["price"] * row["machine_hours"])
