"""Attacks on a real build: names that are commands, a path with blanks, and failing steps, which show no credentialed cell."""

import json
import os
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import miniatures as miniature
import pytest
import yaml
from conftest import ROOT, small_set
from miniatures import edit

from helpers.datasets import load_dataset

MARKER = "Zebrafinch77"
HOSTILE = [
    "My Encoder", "it's", 'say"x"', "$(touch HIT)", "`touch HIT`", "; touch HIT;", "<script>alert(1)", "own{x}",
    "{input}", "two\nlines", "..hidden", "-rf", "x" * 255,
]  # fmt: skip
NEEDED = (
    "config", "notebooks", "src", "studies", "workflow", "book/_static", "data/diversity", "data/heads", "data/measured",
    "data/published",
)  # fmt: skip
STUB = """#!/bin/sh
printf '%s\\n' "$@" >>calls
printf '%s\\n' "$MPLCONFIGDIR" >>calls
"""


@pytest.fixture
def project(tmp_path) -> Path:
    """A copy of this project with a short sweep and one good set, whose encoder has a non-ASCII name."""
    folder = tmp_path / "my bücher & $(touch HIT)"
    for name in NEEDED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("executed", "generated", "__pycache__"))
    small_set("ham10000", "clean", "Zoë", False, seed=1).save(folder / "data/embeddings/ham10000/clean/Zoë")
    config = yaml.safe_load((ROOT / "config/demo.yml").read_text())
    few = {"protocol": ["authors-code"], "lambdas": [0.0, 1.0], "seeds": [1], "channels": [], "alignments": []}
    config["sweep"] |= {name: value for name, value in few.items() if name in config["sweep"]}
    (folder / "config/demo.yml").write_text(yaml.safe_dump(config))
    return folder


def run(folder: Path, *words, **variables: str) -> subprocess.CompletedProcess:
    """Run a command in a folder; no name in it has been run as a command."""
    here = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "MAKE", "XDG", "MPL"))}
    found = subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=folder, env=here | variables)
    assert not list(folder.parent.rglob("HIT*"))
    return found


def snakemake(folder: Path, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--nolock", "--show-failed-logs", *words]
    return run(folder, *command, XDG_CACHE_HOME=f"{folder}/.cache", PYTHONPATH=f"{folder}/src", OMP_NUM_THREADS="1")


def test_make_passes_paths_on_as_they_are(tmp_path):
    """Every command of `make book` and `make test` goes to a stand-in for Python, which notes what it was given."""
    folder = tmp_path / "a clöne x & $(touch HIT)"
    (folder / ".venv/bin").mkdir(parents=True)
    for name in ("Makefile", "requirements.lock", "pyproject.toml", "requirements-test.lock"):
        shutil.copy(ROOT / name, folder)
    for stamp, name in (("lock", "requirements.lock"), ("lock-test", "requirements-test.lock")):
        (folder / f".venv/.{stamp}-{sha256((ROOT / name).read_bytes()).hexdigest()[:16]}").touch()
    (folder / ".venv/bin/python").write_text(STUB)
    (folder / ".venv/bin/python").chmod(0o755)
    for target in ("test", "test-heavy", "book"):
        (folder / "calls").unlink(missing_ok=True)
        made = run(folder, "make", target, CONFIG="my $(touch HIT).yml")
        assert made.returncode == 0 and "[env]" not in made.stdout, made.stderr
        calls = (folder / "calls").read_text().splitlines()
        assert f"{folder}/.snakemake/cache/matplotlib" in calls
        assert target != "book" or "my $(touch HIT).yml" in calls


@pytest.mark.heavy
def test_sets_with_hostile_names_are_named_and_excluded_and_nothing_runs(project):
    good = project / "data/embeddings/ham10000/clean/Zoë"
    for name in HOSTILE:
        shutil.copytree(good, good.parent / name)
    shutil.copytree(good.parents[1], good.parents[2] / "$(touch HIT)")
    made = snakemake(
        project, "--", "book/executed/01_cone_effect.ipynb", "runs/sweeps/ham10000/clean/Zoë/authors-code/lambda/settings.json"
    )
    assert made.returncode == 0, made.stderr[-3000:]
    assert len(re.findall(r"^\[excluded\]", made.stderr, re.M)) >= len(HOSTILE)
    page = (project / "book/executed/01_cone_effect.ipynb").read_text()
    assert "Zo" in page and "under My Encoder" not in page


@pytest.mark.heavy
def test_sets_whose_names_join_alike_and_files_with_braces_stop_no_build(project):
    for dataset, backbone in (("a", "b_clean_c"), ("a_clean_b", "c"), ("a@clean", "d")):
        small_set(dataset, "clean", backbone, False, seed=1).save(project / "data/embeddings" / dataset / "clean" / backbone)
    (project / "data/contributed").mkdir(exist_ok=True)
    for name in ("data/contributed/{x}.json", "data/published/{y}.csv"):
        (project / name).write_text("{}")
    planned = snakemake(project, "-n", "--", "book/executed/02_r_table.ipynb", "book/executed/03_lambda_sweep.ipynb")
    assert planned.returncode == 0, planned.stderr[-3000:]
    assert {"rule sweep_a@clean@b_clean_c:", "rule sweep_a_clean_b@clean@c:"} <= set((planned.stdout + planned.stderr).splitlines())
    for said in ("'a@clean/clean/d'", "'data/contributed/{x}.json'"):
        assert f"[excluded] {said}: " in planned.stderr


@pytest.mark.heavy
@pytest.mark.parametrize("value", ["$(touch HIT)", "`touch HIT`", "a'; touch HIT; '", "{PYTHON}", "a\ntouch HIT"])
@pytest.mark.parametrize("key", ["backbones", "store", "data_root", "notebooks"])
def test_a_value_of_the_configuration_is_never_a_command(project, key, value):
    config = yaml.safe_load((project / "config/demo.yml").read_text())
    config[key] = {"backbones": [value], "notebooks": {"02_r_table": {"store": value}}}.get(key, value)
    (project / "config/demo.yml").write_text(yaml.safe_dump(config))
    made = snakemake(project, "--", "book/executed/02_r_table.ipynb")
    assert key == "data_root" or made.returncode != 0 and made.stderr.strip()


# Credentialed data in steps that fail: no text, id or file name in a traceback, an executed notebook, a log or ``.snakemake``.


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


@pytest.mark.heavy
@pytest.mark.parametrize("fault", ["label_column=text", "split_column=odd split", "image_column=text", "backbone=clipp"])
def test_a_failing_notebook_shows_no_cell(fault, table, tmp_path):
    parameters = {"table": str(table), "group_column": "group", "credentialed": True, "results": str(tmp_path / "results")}
    words = [sys.executable, "-m", "papermill", ROOT / "notebooks/08_adapt.ipynb", tmp_path / "out.ipynb", "--log-output", "-y"]
    made = run(tmp_path, *words, json.dumps(parameters | dict([fault.split("=")])))
    assert made.returncode != 0 and "Error" in made.stderr
    assert MARKER not in made.stdout + made.stderr and holding_marker(tmp_path) == []


@pytest.mark.heavy
@pytest.mark.parametrize("fault", ["no image", "cut image", "no header"])
def test_a_failing_workflow_shows_no_cell(fault, project, tmp_path):
    root = miniature.write("brset", tmp_path / "raw" / "brset", n=40, marker=MARKER)
    image = root / load_dataset("brset", root, "clean").rows["image"][5]
    if fault == "no header":
        edit(root / "labels_brset.csv", lambda t: t.iloc[1:].set_axis(t.iloc[0].tolist(), axis=1))
    else:
        image.write_bytes(image.read_bytes()[:200]) if fault == "cut image" else image.unlink()
    settings = [f"data_root={root.parent}", "datasets=[brset]", "backbones=[lit-natural]", "variants=[clean]"]
    target = "runs/embeddings/brset/clean/lit-natural/provenance.json"
    made = snakemake(project, "--configfile", "config/paper.yml", "--config", *settings, "--", target)
    assert made.returncode != 0 and "brset" in made.stdout + made.stderr
    assert MARKER not in made.stdout + made.stderr
    assert holding_marker(project / "runs/logs", project / ".snakemake") == []  # ids belong to the store
