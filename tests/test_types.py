"""Annotations hold, as mypy sees them; the settings are in `pyproject.toml`."""

import subprocess
import sys
from pathlib import Path

from conftest import ROOT


def mypy(*arguments: str | Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "mypy", "--no-error-summary", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_types_of_the_package_hold():
    assert (ROOT / "src/helpers/py.typed").is_file()
    run = mypy()
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_wrong_call_of_a_public_function_is_found(tmp_path):
    caller = tmp_path / "caller.py"
    caller.write_text("from helpers.geometry import gap_vector\n\ngap_vector(1, 2, 3, 4)\n")
    run = mypy(caller)
    assert run.returncode != 0 and "caller.py:3" in run.stdout
