"""The workflow on a real SLURM of one node: four shards and a sweep through ``profiles/slurm``, one job killed on the way."""

import subprocess
import time

import pytest
from conftest import ROOT
from small_project import SET, hashes, made_by_hand, small_project, start

from helpers.datasets import miniatures as miniature

pytestmark = pytest.mark.heavy
SCRIPT, CANNOT_RUN = ROOT / ".ci/slurm", 3
ROWS, SHARDS = 800, 4  # four chunks of images, one a shard
QUICK = ("--slurm-init-seconds-before-status-checks", "3", "--jobs", str(SHARDS))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A SLURM of this machine alone, which ends with the test."""
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([SCRIPT, "start", folder], capture_output=True, text=True)
    if started.returncode == CANNOT_RUN:
        pytest.skip(started.stderr.strip().splitlines()[-1])
    try:
        assert started.returncode == 0, started.stderr
        yield folder
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=True)


def running_shards() -> list[str]:
    """Numbers of the running jobs that extract a shard; a job's comment names its rule."""
    asked = ["squeue", "--noheader", "--states=RUNNING", "--format=%i %k"]
    lines = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split()[0] for line in lines if "extract" in line]


def test_shards_and_a_sweep_on_a_cluster_end_as_without_it_although_a_job_was_killed(cluster, tmp_path):
    data = tmp_path / "data"
    miniature.write("ham10000", data / "ham10000", n=ROWS)
    project = small_project(tmp_path / "shared Ordner é", data, SHARDS)
    first = start(project, "slurm", *QUICK, "--retries", "0")
    killed = None
    while first.poll() is None and killed is None:  # once all shards run and one has encoded something
        shards = running_shards()
        if len(shards) == SHARDS and list((project / f"{SET}.work").glob("*.safetensors")):
            killed = max(shards, key=int)
            subprocess.run(["scancel", "--signal=KILL", "--full", killed], check=True)
        time.sleep(0.1)
    assert killed is not None, (project / "said.txt").read_text()
    assert first.wait() != 0
    assert not (project / SET / "provenance.json").is_file()
    assert start(project, "slurm", *QUICK).wait() == 0, (project / "said.txt").read_text()
    assert hashes(project) == hashes(made_by_hand(tmp_path / "alone", data))
    assert not (project / "home").exists() or not any((project / "home").iterdir())
