"""Heavy tests run only when asked for: ``pytest -m heavy tests/faults``."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "extraction"))  # what extraction's own tests draw and compare


def pytest_configure(config):
    config.addinivalue_line("markers", "heavy: many cases, the number in FUZZ_CASES; run with -m heavy")


def pytest_collection_modifyitems(config, items):
    if "heavy" in (config.option.markexpr or ""):
        return
    for item in items:
        if item.get_closest_marker("heavy"):
            item.add_marker(pytest.mark.skip(reason="heavy; run with -m heavy"))
