"""The workflow on a real SLURM of one node: four shards and a sweep, with a killed job and a lost node on the way."""

import socket
import subprocess
import time

import miniatures as miniature
import pytest
from conftest import ROOT
from small_project import SET, hashes, made_by_hand, small_project, started

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


def running_shards(run: subprocess.Popen, least: int) -> list[str]:
    """Wait until so many jobs extract a shard; return their numbers, or fewer if the run ended. A job's comment names its rule."""
    asked, shards = ["squeue", "--noheader", "--states=RUNNING", "--format=%i %k"], []
    while run.poll() is None and len(shards) < least:
        time.sleep(0.1)
        lines = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
        shards = [line.split()[0] for line in lines if "extract" in line]
    return shards


def lose_node() -> None:
    """Take the only node away with all that runs on it, and bring it back."""
    update = ["scontrol", "update", f"NodeName={socket.gethostname()}"]
    subprocess.run([*update, "State=DOWN", "Reason=lost"], check=True)
    while subprocess.run([*update, "State=RESUME"], capture_output=True).returncode:  # refused until the jobs are cleared away
        time.sleep(0.5)


def test_shards_and_a_sweep_on_a_cluster_end_as_without_it_after_a_killed_job_and_a_lost_node(cluster, tmp_path):
    data = tmp_path / "data"
    miniature.write("ham10000", data / "ham10000", n=ROWS)
    project = small_project(tmp_path / "shared Ordner é", data, SHARDS)
    with started(project, "slurm", *QUICK, "--retries", "0") as first:
        shards = running_shards(first, SHARDS)
        assert len(shards) == SHARDS, (project / "said.txt").read_text()
        subprocess.run(["scancel", "--signal=KILL", "--full", max(shards, key=int)], check=True)
        assert first.wait() != 0
    assert not (project / SET / "provenance.json").is_file()
    with started(project, "slurm", *QUICK) as second:  # SLURM puts the jobs of a lost node back into its queue
        assert running_shards(second, 1), (project / "said.txt").read_text()
        lose_node()
        assert second.wait() == 0, (project / "said.txt").read_text()
    assert hashes(project) == hashes(made_by_hand(tmp_path / "alone", data))
    assert not [path for path in (project / "home").rglob("*") if path.is_file()]  # Snakemake makes an empty folder there
