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


def running_shards() -> list[str]:
    """Numbers of the running jobs that extract a shard; a job's comment names its rule."""
    asked = ["squeue", "--noheader", "--states=RUNNING", "--format=%i %k"]
    lines = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split()[0] for line in lines if "extract" in line]


def once_all_shards_run(run: subprocess.Popen, project) -> list[str]:
    """Wait until every shard is a running job and something is encoded; return their numbers, or none if the run ended before."""
    while run.poll() is None:
        shards = running_shards()
        if len(shards) == SHARDS and list((project / f"{SET}.work").glob("*.safetensors")):
            return shards
        time.sleep(0.1)
    return []


def lose_node() -> None:
    """Take the only node away with all that runs on it, and bring it back."""
    node = f"NodeName={socket.gethostname()}"
    subprocess.run(["scontrol", "update", node, "State=DOWN", "Reason=lost"], check=True)
    for _ in range(1200):  # refused until the jobs are cleared away
        if subprocess.run(["scontrol", "update", node, "State=RESUME"], capture_output=True).returncode == 0:
            return
        time.sleep(0.5)
    pytest.fail("the node did not come back within ten minutes")


def test_shards_and_a_sweep_on_a_cluster_end_as_without_it_after_a_killed_job_and_a_lost_node(cluster, tmp_path):
    data = tmp_path / "data"
    miniature.write("ham10000", data / "ham10000", n=ROWS)
    project = small_project(tmp_path / "shared Ordner é", data, SHARDS)
    with started(project, "slurm", *QUICK, "--retries", "0") as first:
        shards = once_all_shards_run(first, project)
        assert shards, (project / "said.txt").read_text()
        subprocess.run(["scancel", "--signal=KILL", "--full", max(shards, key=int)], check=True)
        assert first.wait() != 0
    assert not (project / SET / "provenance.json").is_file()
    with started(project, "slurm", *QUICK) as second:  # SLURM puts the jobs of a lost node back into its queue
        while second.poll() is None and not running_shards():
            time.sleep(0.1)
        assert second.poll() is None, (project / "said.txt").read_text()
        lose_node()
        assert second.wait() == 0, (project / "said.txt").read_text()
    assert hashes(project) == hashes(made_by_hand(tmp_path / "alone", data))
    assert not [path for path in (project / "home").rglob("*") if path.is_file()]  # Snakemake makes an empty folder there
