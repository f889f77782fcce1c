"""Intervals cover and tests reject about as often as they promise: a short simulation, and the stored long one."""

import importlib.util
import json

import pytest
from conftest import ROOT

STORED = json.loads((ROOT / "benchmarks/results/coverage.json").read_text("utf-8"))["results"]
COVERED = [name for name in STORED if name.startswith("paired") or name.endswith(("R of n rows", "resampling groups"))]


@pytest.fixture(scope="module")
def simulation():
    spec = importlib.util.spec_from_file_location("simulated_coverage", ROOT / "benchmarks/coverage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", COVERED)
def test_stored_coverage_is_what_the_interval_promises(name):
    assert STORED[name]["share"] >= 0.95 - 3 * STORED[name]["error"] - 0.02


def test_stored_type_one_error_stays_below_its_level():
    found = STORED["type I error of the max-t statement"]
    assert found["share"] <= 0.05 + 3 * found["error"]


def test_what_the_intervals_do_not_cover_is_seen():
    assert STORED["R small (0.05), R of the population"]["share"] < 0.9
    rows, groups = (STORED[f"R 0.7, resampling {name}"]["share"] for name in ("rows, though groups share vectors", "groups"))
    assert rows < 0.9 < groups


def test_a_short_simulation_agrees_with_the_stored_one(simulation):
    found = {**simulation.of_probes(30, 200), **simulation.of_cones(60, 200)}
    assert set(found) == set(STORED)
    for name, values in found.items():
        expected = STORED[name]["share"]
        tolerance = 4 * (max(expected * (1 - expected), 0.01) / values["simulations"]) ** 0.5
        assert values["share"] == pytest.approx(expected, abs=tolerance), name


def test_simulated_cones_have_the_resultant_they_claim(simulation):
    import numpy as np

    for r, group in ((0.95, 1), (0.05, 1), (0.7, 5)):
        x = simulation.cone(np.random.default_rng(0), r, 50_000, group)
        assert np.linalg.norm(x, axis=1) == pytest.approx(1)
        assert np.linalg.norm(x.mean(axis=0)) == pytest.approx(r, abs=0.02)
