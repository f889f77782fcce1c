"""The workflow's extraction in shards, really run: a miniature of HAM10000 to a stored set, and nothing left over."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import miniatures as miniature
import pytest
from conftest import ROOT

from helpers import EmbeddingSet

pytestmark = pytest.mark.heavy
SET = "runs/embeddings/ham10000/clean/lit-natural"


def snakemake(project: Path, data: Path, shards: int = 2) -> str:
    """Run the workflow up to the stored set, all shards at once; returns what it said."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--nolock", "--set-threads", "extract=1"]
    lists = ["datasets=[ham10000]", "backbones=[lit-natural]", "variants=[clean]"]
    settings = ["--configfile", "config/paper.yml", "--config", f"data_root={data}", f"shards={shards}", *lists]
    here = {"XDG_CACHE_HOME": str(project / ".cache"), "PYTHONPATH": str(project / "src"), "OMP_NUM_THREADS": "1"}
    target = ["--", f"{SET}/provenance.json"]
    done = subprocess.run([*command, *settings, *target], capture_output=True, text=True, cwd=project, env=os.environ | here)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_shards_of_the_workflow_end_as_one_set(tmp_path):
    project, data = tmp_path / "project", tmp_path / "data"
    for name in ("config", "notebooks", "src", "data/heads", "data/published"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "Snakefile", project)
    miniature.write("ham10000", data / "ham10000", n=300)  # two chunks of images
    snakemake(project, data)
    logs = project / "runs/logs"
    assert all(f"part {k}/2 is done" in (logs / f"extract-ham10000-clean-lit-natural-{k}-of-2.log").read_text() for k in (1, 2))
    assert "300" in (project / "runs/checks/ham10000/clean.txt").read_text()
    folder = project / SET
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]  # no marker, no work folder
    record = json.loads((folder / "provenance.json").read_text())
    assert record["run"]["command"].startswith(
        "python -m helpers extract ham10000 --backbone lit-natural --variant clean --root ROOT"
    )
    assert "Nothing to be done" in snakemake(project, data)
    joined = EmbeddingSet.load(folder)
    assert len(joined) == len(joined.image) == 300
    before = (folder / "provenance.json").stat().st_mtime_ns
    with open(project / "src/helpers/extraction/encoding.py", "a") as module:
        module.write("\n")
    again = snakemake(project, data, shards=1)
    assert "gather" in again and (folder / "provenance.json").stat().st_mtime_ns > before
    assert (
        EmbeddingSet.load(folder).fingerprint == joined.fingerprint
        and json.loads((folder / "provenance.json").read_text()) == record
    )
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
