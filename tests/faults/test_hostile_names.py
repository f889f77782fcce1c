"""Attacks on a real build: names that are commands, a checkout path with blanks, and a failing step that must say so."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from checkout import copied_project, snakemake
from conftest import small_set

pytestmark = pytest.mark.heavy
HOSTILE = [
    "My Encoder", "it's", 'say"x"', "$(touch HIT)", "`touch HIT`", "; touch HIT;", "<script>alert(1)", "own{x}",
    "{input}", "two\nlines", "..hidden", "-rf", "x" * 255,
]  # fmt: skip


@pytest.fixture
def project(tmp_path) -> Path:
    return copied_project(tmp_path / "my bücher & $(touch HIT)")


def hits(folder: Path) -> list[Path]:
    return [path for path in folder.parent.rglob("HIT*")]


def test_sets_with_hostile_names_are_named_and_excluded_and_nothing_runs(project):
    good = project / "data/embeddings/ham10000/clean/Zoë"
    for name in HOSTILE:
        shutil.copytree(good, good.parent / name)
    shutil.copytree(good.parents[1], good.parents[2] / "$(touch HIT)")
    run = snakemake(
        project, "--", "book/executed/01_cone_effect.ipynb", "runs/sweeps/ham10000/clean/Zoë/authors-code/lambda/settings.json"
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert len(re.findall(r"^\[excluded\]", run.stderr, re.M)) >= len(HOSTILE)
    page = (project / "book/executed/01_cone_effect.ipynb").read_text()
    assert "Zo" in page and "under My Encoder" not in page and hits(project) == []


@pytest.mark.parametrize("value", ["$(touch HIT)", "`touch HIT`", "a'; touch HIT; '", "{PYTHON}", "a\ntouch HIT"])
@pytest.mark.parametrize("key", ["backbones", "store", "data_root", "notebooks"])
def test_a_value_of_the_configuration_is_never_a_command(project, key, value):
    config = yaml.safe_load((project / "config/demo.yml").read_text())
    config[key] = {"backbones": [value], "notebooks": {"02_r_table": {"store": value}}}.get(key, value)
    (project / "config/demo.yml").write_text(yaml.safe_dump(config))
    run = snakemake(project, "--", "book/executed/02_r_table.ipynb")
    assert key == "data_root" or run.returncode != 0 and run.stderr.strip()
    assert hits(project) == []


def test_a_set_whose_record_names_a_script_is_refused_before_a_page_is_made(project, tmp_path):
    name = "<img src=x onerror=alert(1)>{0}"
    small_set(name, "clean", name, False, seed=2).save(tmp_path / "store/odd/clean/enc")
    parameters = json.dumps({"store": str(tmp_path / "store"), "results": str(tmp_path), "n_boot": 20})
    here = os.environ | {"PYTHONPATH": str(project / "src")}
    words = [sys.executable, "-m", "papermill", str(project / "notebooks/01_cone_effect.ipynb"), str(tmp_path / "out.ipynb")]
    run = subprocess.run([*words, "-y", parameters], capture_output=True, text=True, cwd=tmp_path, env=here)
    assert run.returncode != 0 and "move it to <dataset>/<variant>/<backbone> as recorded" in run.stderr


def test_a_failing_build_says_what_failed_and_where_its_log_is(project):
    path = project / "notebooks/01_cone_effect.ipynb"
    notebook = json.loads(path.read_text())
    notebook["cells"][-1]["source"] = ["raise RuntimeError('on purpose')"]
    path.write_text(json.dumps(notebook))
    run = snakemake(project, "--", "book/executed/01_cone_effect.ipynb")
    assert run.returncode != 0 and "on purpose" in run.stderr and "runs/logs/notebook/01_cone_effect.log" in run.stderr
    absent = snakemake(project, "-n", "--", "book")
    assert absent.returncode != 0 and "book/trust.yml" in absent.stdout + absent.stderr  # the first file that is missing
