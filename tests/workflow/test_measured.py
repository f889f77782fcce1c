"""`make measured`: a rule a study, made from the constants at its top."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

pytestmark = pytest.mark.heavy
STUDY = '''
"""Double a table."""
import os, sys
from pathlib import Path

from helpers.geometry import gap_norm

INPUTS = {inputs}
OUT = "data/measured/{name}.csv"
COMMANDS = [["--one", "a b"], ["--two"]]

if __name__ == "__main__":
    with open(OUT, "a") as out:
        print(*sys.argv[1:], sep=",", file=out)
'''


@pytest.fixture
def project(tmp_path):
    for name in ("workflow", "src"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("studies", "data/measured", "data/source/deep", "vectors"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "data/source/deep/x.csv").write_text("x\n1\n")
    (tmp_path / "studies/common.py").write_text("SHARED = 1\n")
    for name, inputs in (("shipped", ["data/source"]), ("vectors", ["data/source/*/x.csv", "$MEASURED_ROOT/*.npy"])):
        (tmp_path / f"studies/{name}.py").write_text(STUDY.format(name=name, inputs=inputs))
    return tmp_path


def run(project, *arguments: str, **environment: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--snakefile", "workflow/measured.smk", "--cores", "1", "--nolock", *arguments]
    here = {name: value for name, value in os.environ.items() if name != "MEASURED_ROOT"} | {"PYTHONPATH": str(project / "src")}
    done = subprocess.run(command, cwd=project, env=here | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def change(path) -> None:
    path.write_text(path.read_text() + "\n")


def test_each_study_runs_its_commands_and_again_only_when_an_input_or_a_module_changed(project):
    out = project / "data/measured/shipped.csv"
    out.write_text("before\n")
    assert "[skipped]  vectors (data/measured/vectors.csv): $MEASURED_ROOT/*.npy is not there" in run(project)
    assert out.read_text() == "before\n--one,a b\n--two\n" and not (project / "data/measured/vectors.csv").exists()
    assert "Nothing to be done" in run(project)
    change(project / "src/helpers/datasets/metadata.py")
    assert "Nothing to be done" in run(project)
    for changed in ("src/helpers/geometry.py", "data/source/deep/x.csv", "studies/shipped.py"):
        change(project / changed)
        assert "study_shipped" in run(project, "-n"), changed
        run(project, "--touch")
    (project / "vectors/a.npy").touch()
    assert "study_vectors" in run(project, "-n", MEASURED_ROOT=str(project / "vectors"))
    assert "study_vectors" in run(project, MEASURED_ROOT="vectors")
