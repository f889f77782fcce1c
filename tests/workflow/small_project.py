"""A copy of the project with one small data set, on which the heavy tests run the whole workflow."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml
from conftest import ROOT

SET, SWEEP = "runs/embeddings/ham10000/clean/lit-natural", "runs/sweeps/ham10000/clean/lit-natural/authors-code/lambda"
RESULTS = (f"{SET}/image.safetensors", f"{SET}/text.safetensors", f"{SET}/pairs.parquet", f"{SWEEP}/table.parquet")
SETTINGS = {"protocol": ["authors-code"], "lambdas": [0.0, 1.0], "seeds": [1], "alignments": [], "features": ["joint"]}


def small_project(folder: Path, data: Path, shards: int) -> Path:
    """Copy what the workflow reads, with a configuration of one set: HAM10000 in ``data`` under lit-natural."""
    for name in ("config", "notebooks", "src", "workflow", "data/heads", "data/published"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    config = {"store": "runs/embeddings", "data_root": str(data), "datasets": ["ham10000"], "backbones": ["lit-natural"]}
    config |= {"variants": ["clean"], "shards": shards, "sweep": SETTINGS, "notebooks": {}}
    (folder / "config/small.yml").write_text(yaml.safe_dump(config))
    return folder


def start(folder: Path, profile: str, *arguments: str, targets=(f"{SWEEP}/settings.json",)) -> subprocess.Popen:
    """Start the workflow as a process group of its own, by default up to the sweep; what it says goes to ``said.txt``."""
    command = [sys.executable, "-m", "snakemake", "--profile", f"workflow/profiles/{profile}", "--configfile", "config/small.yml"]
    command += ["--set-threads", "extract=1", "gather=1", *arguments, "--", *targets]
    own = {"HOME": str(folder / "home"), "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}
    inherited = {name: value for name, value in os.environ.items() if name not in ("XDG_CACHE_HOME", "MPLCONFIGDIR")}
    with open(folder / "said.txt", "a") as said:
        return subprocess.Popen(command, cwd=folder, env=inherited | own, stdout=said, stderr=said, start_new_session=True)


@contextmanager
def started(*arguments, **options) -> Iterator[subprocess.Popen]:
    """As :func:`start`; nothing that it started outlives the block."""
    process = start(*arguments, **options)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def made_by_hand(folder: Path, data: Path) -> Path:
    """Make the same results by two commands, without shards, without the workflow and without a cluster."""
    folder.mkdir()
    extract = ["extract", "ham10000", "--variant", "clean", "--backbone", "lit-natural", "--root", data, "--out", folder / SET]
    sweep = ["sweep", "ham10000", "lit-natural", "--settings", json.dumps(SETTINGS), "--store", folder / "runs/embeddings"]
    for command in (extract, [*sweep, "--sweeps", folder / "runs/sweeps", "--workers", "1"]):
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-m", "helpers", *command], check=True, cwd=ROOT, env=environment)
    return folder


def hashes(folder: Path, names=RESULTS) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
