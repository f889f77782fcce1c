"""Credentialed data in steps that fail: no text, id or file name in a traceback, an executed notebook, a log or ``.snakemake``."""

import json
import subprocess
import sys
from pathlib import Path

import miniatures as miniature
import pytest
from checkout import copied_project, snakemake
from conftest import ROOT
from miniatures import edit

from helpers.datasets import load_dataset

pytestmark = pytest.mark.heavy
MARKER = "Zebrafinch77"


def holding_marker(*folders: Path) -> list[Path]:
    return [p for folder in folders for p in folder.rglob("*") if p.is_file() and MARKER.encode() in p.read_bytes()]


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """A table of one's own whose ids, texts, groups and image paths all hold the marker."""
    root = miniature.write("brset", tmp_path_factory.mktemp("raw") / "brset", n=80, marker=MARKER)
    rows = load_dataset("brset", root, "clean").rows
    rows["text"] += [f" {MARKER} {i}." for i in range(len(rows))]
    rows["odd split"] = rows["text"]
    rows[["image", "text", "label", "group", "odd split", "pair_id"]].to_csv(root / "own.csv", index=False)
    return root / "own.csv"


FAULTS = {
    "reports as labels": {"label_column": "text"},
    "a report as split": {"split_column": "odd split"},
    "a text as image": {"image_column": "text"},
    "no such encoder": {"backbone": "clipp"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_notebook_shows_no_cell(fault, table, tmp_path):
    parameters = {"table": str(table), "group_column": "group", "credentialed": True, "results": str(tmp_path / "results")}
    words = [sys.executable, "-m", "papermill", str(ROOT / "notebooks/08_adapt.ipynb"), str(tmp_path / "out.ipynb")]
    given = ["--log-output", "-y", json.dumps(parameters | FAULTS[fault])]
    run = subprocess.run([*words, *given], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode != 0 and "Error" in run.stderr
    assert MARKER not in run.stdout + run.stderr and holding_marker(tmp_path) == []


def remove_image(root: Path) -> None:
    (root / load_dataset("brset", root, "clean").rows["image"][5]).unlink()


def spoil_header(root: Path) -> None:
    edit(root / "labels_brset.csv", lambda t: t.iloc[1:].set_axis(t.iloc[0].tolist(), axis=1))


def cut_image(root: Path) -> None:
    path = root / load_dataset("brset", root, "clean").rows["image"][5]
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize("spoil", [remove_image, spoil_header, cut_image])
def test_a_failing_workflow_shows_no_cell(spoil, tmp_path):
    project, root = copied_project(tmp_path / "project"), tmp_path / "raw" / "brset"
    spoil(miniature.write("brset", root, n=40, marker=MARKER))
    settings = [f"data_root={root.parent}", "datasets=[brset]", "backbones=[lit-natural]", "variants=[clean]"]
    target = "runs/embeddings/brset/clean/lit-natural/provenance.json"
    run = snakemake(project, "--configfile", "config/paper.yml", "--config", *settings, "--", target)
    assert run.returncode != 0 and "brset" in run.stdout + run.stderr
    assert MARKER not in run.stdout + run.stderr
    assert holding_marker(project / "runs/logs", project / ".snakemake") == []  # ids belong to the store
