"""Annotations hold, as mypy sees them; the settings are in `pyproject.toml`."""

import subprocess
import sys

from conftest import ROOT


def mypy(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "mypy", "--no-error-summary", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_types_of_the_package_hold_and_a_wrong_call_is_found(tmp_path):
    assert (ROOT / "src/helpers/py.typed").is_file()
    run = mypy()
    assert run.returncode == 0, run.stdout + run.stderr
    caller = tmp_path / "caller.py"
    caller.write_text("from helpers.geometry import gap_vector\n\ngap_vector(1, 2, 3, 4)\n")
    assert "caller.py:3" in mypy(str(caller)).stdout
