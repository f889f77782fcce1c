"""The workflow on a real SLURM of one node: four shards and a sweep through ``profiles/slurm``, one job killed on the way."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from helpers.datasets import miniatures as miniature

pytestmark = pytest.mark.heavy
SCRIPT, CANNOT_RUN = ROOT / ".ci/slurm", 3
SET, SWEEP = "runs/embeddings/ham10000/clean/lit-natural", "runs/sweeps/ham10000/clean/lit-natural/authors-code/lambda"
RESULTS = (f"{SET}/image.safetensors", f"{SET}/text.safetensors", f"{SET}/pairs.parquet", f"{SWEEP}/table.parquet")
ROWS, SHARDS = 800, 4  # four chunks of images, one a shard
SMALL = {
    "store": "runs/embeddings",
    "datasets": ["ham10000"],
    "backbones": ["lit-natural"],
    "variants": ["clean"],
    "shards": SHARDS,
    "sweep": {"protocol": ["authors-code"], "lambdas": [0.0, 1.0], "seeds": [1], "alignments": [], "features": ["joint"]},
    "notebooks": {},
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The environment in which SLURM's commands find a cluster of this machine, which ends with the test."""
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([SCRIPT, "start", folder], capture_output=True, text=True)
    if started.returncode == CANNOT_RUN:
        pytest.skip(started.stderr.strip().splitlines()[-1])
    try:
        assert started.returncode == 0, started.stderr
        yield {"SLURM_CONF": str(folder / "slurm.conf")}
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=True)


def project(folder: Path, data: Path) -> Path:
    """A copy of what the workflow reads, with a configuration of one small set."""
    for name in ("config", "notebooks", "profiles", "src", "data/heads", "data/published"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "Snakefile", folder)
    (folder / "config/small.yml").write_text(yaml.safe_dump(SMALL | {"data_root": str(data)}))
    return folder


def start(folder: Path, profile: str, *arguments: str, **environment: str) -> subprocess.Popen:
    """Start the workflow up to the sweep; what it says goes to ``said.txt``."""
    command = [sys.executable, "-m", "snakemake", "--profile", f"profiles/{profile}", "--configfile", "config/small.yml"]
    one_core = ["--set-threads", "extract=1", "gather=1"]
    own = {"HOME": str(folder / "home"), "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}
    with open(folder / "said.txt", "a") as said:
        return subprocess.Popen(
            [*command, *one_core, *arguments, "--", f"{SWEEP}/settings.json"],
            cwd=folder, env=os.environ | own | environment, stdout=said, stderr=said, text=True,
        )  # fmt: skip


def by_hand(folder: Path, data: Path) -> Path:
    """The same results by two commands, without shards, without the workflow and without a cluster."""
    folder.mkdir()
    extract = ["extract", "ham10000", "--variant", "clean", "--backbone", "lit-natural", "--root", data, "--out", folder / SET]
    sweep = ["sweep", "ham10000", "lit-natural", "--settings", json.dumps(SMALL["sweep"]), "--store", folder / "runs/embeddings"]
    for command in (extract, [*sweep, "--sweeps", folder / "runs/sweeps"]):
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-m", "helpers", *command], check=True, cwd=ROOT, env=environment)
    return folder


def hashes(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in RESULTS}


def queue(cluster: dict) -> dict[str, str]:
    """Numbers of the running jobs, by their comment, which names the rule and its wildcards."""
    asked = ["squeue", "--noheader", "--states=RUNNING", "--format=%i %k"]
    lines = subprocess.run(asked, env=os.environ | cluster, capture_output=True, text=True, check=True).stdout.splitlines()
    return {comment: number for number, _, comment in (line.partition(" ") for line in lines)}


def test_shards_and_a_sweep_on_a_cluster_end_as_without_it_although_a_job_was_killed(cluster, tmp_path):
    data = tmp_path / "data"
    miniature.write("ham10000", data / "ham10000", n=ROWS)
    shared = project(tmp_path / "shared Ordner", data)
    quick = ("--slurm-init-seconds-before-status-checks", "3", "--jobs", "4")
    first = start(shared, "slurm", *quick, "--retries", "0", **cluster)
    work = shared / f"{SET}.work"
    killed = None
    while first.poll() is None and killed is None:  # as soon as a shard has encoded something
        shards = {comment: number for comment, number in queue(cluster).items() if "extract" in comment}
        if len(shards) == SHARDS and list(work.glob("*.safetensors")):
            killed = max(shards.values(), key=int)
            subprocess.run(["scancel", "--signal=KILL", "--full", killed], env=os.environ | cluster, check=True)
        time.sleep(0.2)
    assert killed is not None, (shared / "said.txt").read_text()
    assert first.wait() != 0
    assert not (shared / SET / "provenance.json").is_file()
    assert start(shared, "slurm", *quick, **cluster).wait() == 0, (shared / "said.txt").read_text()
    assert hashes(shared) == hashes(by_hand(tmp_path / "alone", data))
    assert not (shared / "home").exists() or not any((shared / "home").iterdir())
