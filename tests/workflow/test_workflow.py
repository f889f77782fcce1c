"""The workflow: what a step depends on, and that a change re-runs exactly what it must."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT

from helpers import EmbeddingSet
from helpers.probing.record import Record, write_record

pytestmark = pytest.mark.heavy
OLD = 1_000_000_000  # seconds since 1970; a time stamp long past


EXECUTED = json.dumps({"cells": [{"cell_type": "code", "execution_count": 1, "outputs": []}]})


@pytest.fixture(scope="module")
def project(store, tmp_path_factory) -> Path:
    """Return a copy of what the workflow reads, with every output marked as made."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("Snakefile", "_config.yml", "_toc.yml"):
        shutil.copy2(ROOT / name, folder / name)
    made_here = shutil.ignore_patterns("executed", "generated", "__pycache__", "*.egg-info")
    for name in ("config", "notebooks", "src", "book", "data/published", "data/measured"):
        shutil.copytree(ROOT / name, folder / name, ignore=made_here)
    shutil.copytree(store, folder / "data" / "embeddings")
    outputs = run_of(folder, "--summary").stdout.splitlines()
    made = [line.split("\t")[0] for line in outputs if "\t" in line][1:]
    assert len(made) > 10
    for path in made:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(EXECUTED if path.endswith(".ipynb") else "")
        if path.endswith("settings.json"):
            write_record(folder / path, Record())
    touched = run_of(folder, "--touch", "notebooks")
    assert touched.returncode == 0, touched.stderr
    return folder


def run_of(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / ".cache"), "PYTHONPATH": str(folder / "src")}
    environment["HF_HUB_OFFLINE"] = "0"  # weights of encoders count as reachable
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--nolock"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=folder, env=environment)


def rerun(folder: Path, *arguments: str) -> set[str]:
    """Return the rules that a dry run lists for the notebooks."""
    return planned(folder, *arguments, "--", "notebooks") - {"notebooks"}


def planned(folder: Path, *arguments: str) -> set[str]:
    """Return the rules that a dry run lists."""
    dry = run_of(folder, "-n", *arguments)
    assert dry.returncode == 0, dry.stderr
    return set(re.findall(r"^(?:local)?rule (\S+):$", dry.stdout + dry.stderr, re.MULTILINE))


def edited(folder: Path, path: str, line: str):
    """Append a line to a file for the length of a with block."""
    from contextlib import contextmanager

    @contextmanager
    def change():
        file = folder / path
        before, stat = file.read_text(), file.stat()
        file.write_text(before + line)
        yield
        file.write_text(before)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    return change()


def test_nothing_runs_again_when_nothing_has_changed(project):
    assert rerun(project) == set()


def test_a_changed_helper_runs_every_notebook_and_asks_every_sweep_whether_it_is_current(project):
    with edited(project, "src/helpers/geometry.py", "\nCHANGED = True\n"):
        rules = rerun(project)
    assert {f"notebook_{path.stem}" for path in (ROOT / "notebooks").glob("*.ipynb")} <= rules


def test_a_changed_parameter_runs_that_notebook_only(project):
    really = run_of(project, "--force", "--quiet", "all", "--", "book/executed/02_r_table.ipynb")
    assert really.returncode == 0, really.stderr
    assert rerun(project) == set()
    with edited(project, "config/demo.yml", "\n"):
        text = (project / "config/demo.yml").read_text()
        (project / "config/demo.yml").write_text(text.replace("notebooks: {}", "notebooks: {02_r_table: {n_boot: 77}}"))
        assert rerun(project) == {"notebook_02_r_table"}


def test_a_set_dropped_in_reaches_its_sweep_and_the_notebooks(project):
    folder = project / "data/embeddings/ham10000/clean"
    embeddings = EmbeddingSet.load(folder / "lit-derm")
    replace(embeddings, provenance={**embeddings.provenance, "backbone": "mine"}).save(folder / "mine")
    try:
        again = rerun(project)
    finally:
        shutil.rmtree(folder / "mine")
    assert "sweep_ham10000_clean_mine" in again and "notebook_01_cone_effect" in again
    assert "sweep_ham10000_clean_lit-natural" not in again


def test_sweeps_dropped_in_are_used_without_training_again(project):
    import json

    import yaml

    config = yaml.safe_load((project / "config/demo.yml").read_text())
    config["sweep"] |= {"protocol": ["authors-code"], "lambdas": [0.0, 1.0], "seeds": [1], "alignments": []}
    (project / "config/small.yml").write_text(yaml.safe_dump(config))
    kept = project / "runs/sweeps/ham10000/clean/lit-derm"
    shutil.rmtree(kept)
    asked = {k: v for k, v in config["sweep"].items() if k not in ("threads", "variant")}
    command = [sys.executable, "-m", "helpers", "sweep", "ham10000", "lit-derm", "--settings", json.dumps(asked)]
    subprocess.run([*command, "--store", "data/embeddings"], cwd=project, check=True, env={**os.environ, "PYTHONPATH": "src"})
    table, record = (kept / "authors-code/lambda" / name for name in ("table.parquet", "settings.json"))
    for file in record.parent.iterdir():
        os.utime(file, (OLD, OLD))  # older than the embeddings and the code here, as copies from another machine may be
    steps = ["--configfile", "config/small.yml", "--", str(record.relative_to(project))]
    assert planned(project, *steps) == {"sweep_ham10000_clean_lit-derm"}
    done = run_of(project, *steps)
    assert done.returncode == 0 and table.stat().st_mtime == OLD, done.stderr
    assert planned(project, *steps) == set()
    with edited(project, "src/helpers/plotting/style.py", "\nCHANGED = True\n"):
        assert planned(project, *steps) == set()  # a sweep runs no plotting
    with edited(project, "src/helpers/probing/sweep.py", "\nCHANGED = True\n"):
        assert run_of(project, *steps).returncode == 0 and table.stat().st_mtime > OLD


def test_the_tables_of_alignments_have_a_step_of_their_own_that_the_book_does_not_ask_for(project):
    from helpers.book.workflow import MEASURED

    script = ROOT / "benchmarks/alignments.py"
    (project / "benchmarks").mkdir(exist_ok=True)
    shutil.copy2(script, project / "benchmarks")
    assert planned(project, "--", "measured") == {"measure", "measured"}
    assert "measure" not in planned(project, "--forceall", "--", "book")
    offered = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=True).stdout
    assert all(option in offered for options in MEASURED.values() for option in options)
    assert all((ROOT / f"data/measured/{table}.csv").is_file() for table in MEASURED)


def test_a_failing_notebook_stops_the_build_with_its_cell_and_traceback(project):
    import json

    path = project / "notebooks/04_discussion.ipynb"
    before, notebook = path.read_text(), json.loads(path.read_text())
    notebook["cells"][-1]["source"] = ["raise RuntimeError('on purpose')"]
    path.write_text(json.dumps(notebook))
    (project / "runs/book/tables/cone_effect.parquet").write_bytes(b"")
    try:
        run = run_of(project, "--quiet", "all", "--", "book/executed/04_discussion.ipynb")
    finally:
        path.write_text(before)
    assert run.returncode != 0 and "Exception encountered at" in run.stderr and "Traceback" in run.stderr


@pytest.mark.parametrize("lists", [[], ["backbones=[lit-derm]"], ["datasets=[ham10000]"]], ids=["none", "encoders", "sets"])
def test_with_raw_data_but_none_named_what_is_stored_is_left_as_it_is(project, lists):
    shutil.copytree(project / "data/embeddings", project / "raw stored", dirs_exist_ok=True)
    dry = run_of(project, "-n", "--config", "data_root=raw data", "store=raw stored", *lists, "--", "notebooks")
    assert dry.returncode == 0, dry.stderr
    assert "sweep_ham10000_clean_lit-derm" in dry.stdout and "rule extract" not in dry.stdout and "rule gather" not in dry.stdout


def data_root(folder: Path, *without: str) -> Path:
    """Make an empty folder for each data set of the paper except those in ``without``."""
    for name in "mimic_cxr ham10000 brset mbrset coco_qa fakeddit recipes5k daquar".split():
        if name not in without:
            (folder / name).mkdir(parents=True)
    return folder


def test_folders_with_blanks_and_letters_beyond_ascii_reach_the_commands_as_one_word(project):
    root = data_root(project / "raw Daten é")
    settings = ["--configfile", "config/paper.yml", "--config", f"data_root={root.name}", "store=my sets", "shards=2"]
    dry = run_of(project, "-n", "--printshellcmds", *settings, "--", "notebooks")
    assert dry.returncode == 0, dry.stderr
    extracted, swept = (re.findall(rf"-m helpers {name} .*", dry.stdout) for name in ("extract", "sweep"))
    assert len(extracted) > 32 and all("--root 'raw Daten é' --out 'my sets/" in line for line in extracted)
    assert all("--store 'my sets' --workers" in line for line in swept) and "touch 'my sets/" in dry.stdout


def test_the_full_paper_is_planned_from_a_data_root(project, tmp_path):
    settings = ["--configfile", "config/paper.yml", "--config", f"data_root={data_root(tmp_path)}", "shards=2"]
    dry = run_of(project, "-n", *settings, "--", "notebooks", "cones", "checks")
    assert dry.returncode == 0, dry.stderr
    swept = re.search(r"rule sweep_brset_authors_clip:\n.*\n    output: (.*) \(update\)\n", dry.stdout)
    assert swept[1] == "runs/sweeps/brset/authors/clip/authors-code/lambda/settings.json"  # what Fig. 3 is compared with
    counts = dict(line.split()[:2] for line in dry.stdout.splitlines() if len(line.split()) == 2 and line.split()[1].isdigit())
    sets = paper_sets()
    assert len(sets) >= 32
    assert int(counts["gather"]) == int(counts["cone"]) == len(sets) and int(counts["extract"]) == 2 * len(sets)
    assert int(counts["check"]) == len({s[:2] for s in sets})
    shard = re.search(r"rule extract:\n(?:.*\n)*?.*wildcards: dataset=mimic_cxr, .*\n(?:.*\n)*?    resources: (.*)\n", dry.stdout)
    assert "gpu=1" in shard[1] and "mem_mb=" in shard[1] and "runtime=" in shard[1]


def paper_sets() -> set:
    from helpers.datasets import canonical_variant

    wanted = "mimic_cxr ham10000 brset mbrset coco_qa fakeddit recipes5k daquar".split()
    return {(d, canonical_variant(d, v), b) for d in wanted for v in ("clean", "authors") for b in range(4)}


def test_what_is_not_reachable_is_skipped_with_a_line_and_refused_when_strict(project, tmp_path):
    root = data_root(tmp_path, "mimic_cxr", "brset")
    settings = ["--configfile", "config/paper.yml", "--config", f"data_root={root}", "shards=2"]
    dry = run_of(project, "-n", *settings, "--", "notebooks")
    assert dry.returncode == 0, dry.stderr
    assert re.search(r"\[skipped\]  mimic_cxr/authors/biomedclip, .*: no folder mimic_cxr under the data root", dry.stderr)
    counts = dict(line.split()[:2] for line in dry.stdout.splitlines() if len(line.split()) == 2 and line.split()[1].isdigit())
    assert int(counts["gather"]) == len({s for s in paper_sets() if s[0] not in ("mimic_cxr", "brset")})
    assert len(json.loads((project / "runs/skipped.json").read_text())) == 16
    strict = run_of(project, "-n", *settings, "strict=true", "--", "notebooks")
    assert strict.returncode != 0 and "strict: 16 sets cannot be made" in strict.stderr + strict.stdout


def test_the_step_of_a_failing_command_shows_its_log_and_keeps_a_record(tmp_path, monkeypatch, capfd):
    from helpers.book.step import main

    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-c", "import sys; print('said so'); sys.exit(3)"]
    assert main(["sweep", "a/b/c", "--", *command]) == 3
    assert "said so" in capfd.readouterr().err
    assert json.loads((tmp_path / "runs/steps/sweep-a-b-c.json").read_text())["exit_code"] == 3
    assert main(["sweep", "a/b/c", "--", sys.executable, "-c", "print('quiet')"]) == 0
    assert "quiet" not in "".join(capfd.readouterr())
    assert json.loads((tmp_path / "runs/steps/sweep-a-b-c.json").read_text())["exit_code"] == 0
