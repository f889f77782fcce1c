"""The verification scripts that run too long for a test: what they start from is there, and their smallest steps are right."""

import json

import mutations
import numpy as np
import reproducibility


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


def test_results_are_compared_bit_by_bit_and_by_size():
    first = np.array([1.0, np.nan, 3.0])
    assert reproducibility.compared(first, first) == {"bitwise": True, "largest difference": 0.0}
    assert reproducibility.compared(first, first + [0, 0, 0.5]) == {"bitwise": False, "largest difference": 0.5}
