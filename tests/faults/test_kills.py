"""A kill before any file-system call: what was there stays whole, a second run ends with the same bytes, nothing is left over."""

import pytest
from kills import KILLED

STEPS = {"a save": 5, "an extraction": 13, "a sweep": 9}


@pytest.mark.parametrize("work", KILLED)
def test_some_kills(work, tmp_path):
    assert KILLED[work](tmp_path, STEPS[work]) >= 2 * STEPS[work]


@pytest.mark.heavy
@pytest.mark.parametrize("work", KILLED)
def test_every_kill(work, tmp_path):
    assert KILLED[work](tmp_path) >= 10
