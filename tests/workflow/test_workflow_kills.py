"""The whole workflow, killed at random moments: a restart ends in the same results, and the printed command clears the lock."""

import os
import random
import shutil
import signal
import subprocess
import time

import miniatures as miniature
import pytest
from small_project import RESULTS, SET, SWEEP, hashes, small_project, start

pytestmark = pytest.mark.heavy
CONE = "runs/cones/ham10000/clean/lit-natural.csv"
TARGETS = (f"{SWEEP}/settings.json", CONE)
KILLS = int(os.environ.get("KILLS", "10"))


def run(project, *arguments: str, seconds: float | None = None) -> int | None:
    """Return the exit code of the workflow, or None if it ran longer than ``seconds`` and its process group was killed."""
    process = start(project, "local", *arguments, targets=TARGETS)
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None


def is_locked(project) -> bool:
    return any((project / ".snakemake/locks").glob("*"))


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


def test_a_workflow_killed_at_random_moments_ends_as_one_that_was_not(projects):
    whole, killed = projects
    began = time.monotonic()
    assert run(whole) == 0, (whole / "said.txt").read_text()
    length = time.monotonic() - began

    moments, cut_off = random.Random(0), 0
    while not is_locked(killed) and cut_off < KILLS:
        cut_off += run(killed, seconds=moments.uniform(0.2, 0.4) * length) is None
    assert run(killed) != 0 and "--unlock" in (killed / "said.txt").read_text().rpartition("Directory cannot be locked")[2]
    assert run(killed, "--unlock") == 0 and not is_locked(killed)
    while cut_off < KILLS:  # without locks, as `make book` runs it; a run that ended before its kill starts from nothing again
        if run(killed, "--nolock", seconds=moments.uniform(0, 0.4) * length) is None:
            cut_off += 1
        else:
            shutil.rmtree(killed / "runs/sweeps")
            (killed / CONE).unlink()
            length *= 0.8
    assert run(killed) == 0, (killed / "said.txt").read_text()
    assert hashes(killed, (*RESULTS, CONE)) == hashes(whole, (*RESULTS, CONE))
    folder = killed / "runs/embeddings/ham10000/clean"
    assert [path.name for path in folder.iterdir()] == ["lit-natural"]  # no marker, no work folder, nothing unfinished
    assert not list((killed / "runs").rglob("*.unfinished"))
