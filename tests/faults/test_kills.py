"""A kill before any file-system call: what was there stays whole, a second run ends with the same bytes, nothing is left over."""

import pytest
from kills import KILLED

STEPS = {"a save": 5, "an extraction": 13, "a sweep": 9}


@pytest.mark.parametrize("step", [pytest.param(None, id="some"), pytest.param(1, id="every", marks=pytest.mark.heavy)])
@pytest.mark.parametrize("work", KILLED)
def test_kills(work, step, tmp_path):
    assert KILLED[work](tmp_path, step or STEPS[work]) >= 2 * STEPS[work]
