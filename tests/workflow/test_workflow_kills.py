"""The whole workflow, killed at each moment at which a step puts a file in place: a restart ends in the same results."""

import shutil

import miniatures as miniature
import pytest
from small_project import RESULTS, SET, SWEEP, hashes, small_project, start

pytestmark = pytest.mark.heavy
CONE = "runs/cones/ham10000/clean/lit-natural.csv"
KILLER = """
import os, signal, sys

def kill(event, arguments):
    "End the workflow with all its steps before a step renames a file to a name at which it was not killed before."
    if event == "os.rename" and "helpers" in sys.orig_argv:
        with open(os.environ["KILLED_AT"], "a+") as seen:
            seen.seek(0)
            name = os.path.basename(os.fsdecode(arguments[1]))
            if name not in seen.read().split():
                print(name, file=seen, flush=True)
                os.killpg(0, signal.SIGKILL)

sys.addaudithook(kill)
"""


def run(project, *arguments: str) -> int:
    """Return the exit code of the workflow; negative if it was killed."""
    return start(project, "local", *arguments, targets=(f"{SWEEP}/settings.json", CONE)).wait()


@pytest.fixture(params=["stored", "raw"])
def projects(request, store, tmp_path):
    """Two equal projects: of a set that is stored, or of raw data that is to be checked and extracted in two shards first."""
    if request.param == "raw":
        miniature.write("ham10000", tmp_path / "data/ham10000", n=300)
    pair = [small_project(tmp_path / name, tmp_path / "data", shards=2) for name in ("whole", "killed")]
    for project in pair if request.param == "stored" else ():
        shutil.copytree(store / "ham10000/clean/lit-natural", project / SET)
        config = project / "config/small.yml"
        config.write_text(config.read_text().replace(f"data_root: {tmp_path / 'data'}", "data_root: null"))
    return pair


def test_a_workflow_killed_before_each_of_its_files_ends_as_one_that_was_not(projects, monkeypatch):
    whole, killed = projects
    assert run(whole) == 0, (whole / "said.txt").read_text()
    (killed / "src/sitecustomize.py").write_text(KILLER)
    monkeypatch.setenv("KILLED_AT", str(killed / "killed.txt"))
    codes = [-9]
    while codes[-1] < 0:  # without locks, as `make book` runs it
        codes.append(run(killed, "--nolock"))
    assert codes[-1] == 0 and len(codes) > 3, (killed / "said.txt").read_text()
    assert hashes(killed, (*RESULTS, CONE)) == hashes(whole, (*RESULTS, CONE))
    folder = killed / "runs/embeddings/ham10000/clean"
    assert [path.name for path in folder.iterdir()] == ["lit-natural"]  # no marker, no work folder, nothing unfinished
    assert not list((killed / "runs").rglob("*.unfinished"))
