"""A copy of what a build needs, in a path with blanks and non-ASCII letters, and Snakemake run in it for real."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from conftest import ROOT, small_set

SWEEP = {"protocol": ["authors-code"], "lambdas": [0.0, 1.0], "seeds": [1]}
NEEDED = ("config", "notebooks", "src", "workflow", "data/diversity", "data/heads", "data/measured", "data/published")


def copied_project(folder: Path) -> Path:
    """Copy this project to ``folder`` with a short sweep and one good set, whose encoder has a non-ASCII name."""
    ignored = shutil.ignore_patterns("executed", "generated", "__pycache__", "*.egg-info")
    for name in NEEDED:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    small_set("ham10000", "clean", "Zoë", False, seed=1).save(folder / "data/embeddings/ham10000/clean/Zoë")
    config = yaml.safe_load((ROOT / "config/demo.yml").read_text())
    known = {name: value for name, value in SWEEP.items() if name in config["sweep"]}
    few = {name: [] for name in config["sweep"] if name in ("channels", "alignments")}
    config["sweep"] |= {**known, **few}
    (folder / "config/demo.yml").write_text(yaml.safe_dump(config))
    return folder


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Snakemake in a copied project."""
    here = {"XDG_CACHE_HOME": str(folder / ".cache"), "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--nolock", "--show-failed-logs", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=os.environ | here)
