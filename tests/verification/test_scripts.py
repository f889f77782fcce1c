"""Intervals cover and tests reject about as often as they promise, and mutation runs are of modules that exist."""

import json
from pathlib import Path

import interval_coverage as simulation
import mutations
import numpy as np
import pytest

STORED = json.loads((Path(__file__).parent / "results/coverage.json").read_text("utf-8"))["results"]
COVERED = [name for name in STORED if name.startswith("paired") or name.endswith(("R of n rows", "resampling groups"))]


def test_stored_coverage_and_type_one_error_are_what_is_promised_and_what_is_not_covered_is_seen():
    assert len(COVERED) == 5 and all(STORED[name]["share"] >= 0.95 - 3 * STORED[name]["error"] - 0.02 for name in COVERED)
    found = STORED["type I error of the max-t statement"]
    assert found["share"] <= 0.05 + 3 * found["error"]
    for name in ("R small (0.05), R of the population", "R 0.7, resampling rows, though groups share vectors"):
        assert STORED[name]["share"] < 0.9


def test_a_short_simulation_agrees_with_the_stored_one():
    found = simulation.simulate(simulation.of_probes, 30, 200) | simulation.simulate(simulation.of_cones, 60, 200)
    assert set(found) == set(STORED)
    for name, values in found.items():
        expected = STORED[name]["share"]
        tolerance = 4 * (max(expected * (1 - expected), 0.01) / values["simulations"]) ** 0.5
        assert values["share"] == pytest.approx(expected, abs=tolerance), name


@pytest.mark.parametrize(("r", "group"), [(0.95, 1), (0.05, 1), (0.7, 5)])
def test_simulated_cones_have_the_resultant_they_claim(r, group):
    x = simulation.cone(np.random.default_rng(0), r, 50_000, group)
    assert np.linalg.norm(x, axis=1) == pytest.approx(1)
    assert np.linalg.norm(x.mean(axis=0)) == pytest.approx(r, abs=0.02)


def test_modules_of_the_mutation_runs_and_their_tests_are_there_and_stored_runs_are_of_them():
    for module, tests in mutations.MODULES.items():
        assert (mutations.ROOT / mutations.PACKAGE / module).is_file()
        assert all((mutations.ROOT / path).exists() for path in tests)
    stored = json.loads((mutations.ROOT / "tests/verification/results/mutations.json").read_text("utf-8"))
    assert set(stored) <= set(mutations.MODULES)


def test_every_kind_of_fault_is_put_in():
    source = "def f(x):\n    if x > 1:\n        return x + 1\n    return True\n"
    made = [what for _, what, _ in mutations.mutants(source)]
    wanted = "x > 1 -> x >= 1", "x + 1 -> x - 1", "return x + 1 -> return None", "True -> False", "1 -> 2"
    assert {*wanted, "if x > 1: -> if not x > 1:"} <= {*made}
    assert all(faulty != source for _, _, faulty in mutations.mutants(source))
