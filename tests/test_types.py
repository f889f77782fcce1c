"""Annotations hold, as mypy sees them; the settings are in `pyproject.toml`."""

import subprocess
import sys

from conftest import ROOT


def test_the_types_of_the_package_hold_and_a_wrong_call_is_found(tmp_path):
    assert (ROOT / "src/helpers/py.typed").is_file()
    (tmp_path / "caller.py").write_text("from helpers.geometry import gap_vector\n\ngap_vector(1, 2, 3, 4)\n")
    for arguments, said in ([], ""), ([str(tmp_path / "caller.py")], "caller.py:3"):
        command = [sys.executable, "-m", "mypy", "--no-error-summary", *arguments]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert said in run.stdout if said else run.returncode == 0, run.stdout + run.stderr
