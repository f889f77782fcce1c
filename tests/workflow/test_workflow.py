"""The workflow: what a step depends on, and that a change re-runs exactly what it must."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import declarations as declared
import pytest
import yaml
from conftest import ROOT

from helpers.datasets import canonical_variant
from helpers.files import CHECKSUMS, sha256
from helpers.store.disk import Record, write_record

pytestmark = pytest.mark.heavy
OLD = 1_000_000_000  # seconds since 1970; a time stamp long past
EXECUTED = json.dumps({"cells": [{"cell_type": "code", "execution_count": 1, "outputs": []}]})
PAGES = declared.read_pages(ROOT / "notebooks")
PAPER = "mimic_cxr ham10000 brset mbrset coco_qa fakeddit recipes5k daquar".split()


@pytest.fixture(scope="module")
def project(store, tmp_path_factory) -> Path:
    """Return a copy of what the workflow reads, with every output marked as made."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("_config.yml", "_toc.yml", "pyproject.toml", "CITATION.cff"):
        shutil.copy2(ROOT / name, folder / name)
    made_here = shutil.ignore_patterns("executed", "generated", "embeddings", "__pycache__", "*.egg-info")
    for name in ("config", "notebooks", "src", "studies", "book", "workflow", "data"):
        shutil.copytree(ROOT / name, folder / name, ignore=made_here)
    shutil.copytree(store, folder / "data" / "embeddings")
    made = [line.split("\t")[0] for line in run_of(folder, "--summary").stdout.splitlines() if "\t" in line][1:]
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


def planned(folder: Path, *arguments: str) -> set[str]:
    """Return the pages and other rules that a dry run lists, by default up to the notebooks."""
    dry = run_of(folder, "-n", *(arguments or ("--", "notebooks")))
    assert dry.returncode == 0, dry.stderr
    rules = set(re.findall(r"^(?:local)?rule (\S+):$", dry.stdout + dry.stderr, re.MULTILINE))
    return {name.removeprefix("notebook_") for name in rules - {"notebooks"}}


@contextmanager
def changed(file: Path, content: str | None = None) -> Iterator[None]:
    """Give a file other content, a line more by default, for the length of a with block; a new date alone is no change.

    A shipped table has its checksum accepted, as ``python studies/checksums.py`` does.
    """
    before, stat, sums = file.read_bytes(), file.stat(), file.parent / CHECKSUMS
    listed, was = sums.read_text("utf-8") if sums.is_file() else "", sha256(file)
    file.write_bytes(before + b"\n" if content is None else content.encode())
    if listed:
        sums.write_text(listed.replace(was, sha256(file)), "utf-8")
    try:
        yield
    finally:
        file.write_bytes(before)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        if listed:
            sums.write_text(listed, "utf-8")


def downstream(pages: set[str]) -> set[str]:
    """Return pages and those that read their tables."""
    made = {table for name in pages for table in PAGES[name].writes.get("tables", [])}
    return pages | {name for name, page in PAGES.items() if made.intersection(page.reads.tables)}


def test_nothing_runs_again_when_nothing_has_changed_and_a_dry_run_changes_nothing(project):
    def state():
        return {path: path.stat().st_mtime_ns for name in ("runs", "book", "data") for path in (project / name).rglob("*")}

    with changed(project / "book/executed/07_leakage_audit.ipynb", "{"):
        before = state()
        dry = run_of(project, "-n", "--", "notebooks")
        assert "[damaged]  book/executed/07_leakage_audit.ipynb is cut off" in dry.stderr and state() == before
    assert planned(project) == set()


SHIPPED = sorted({glob for page in PAGES.values() for glob in page.reads.files if any(ROOT.glob(glob))})


@pytest.mark.parametrize("glob", SHIPPED)
def test_a_changed_file_runs_the_pages_that_declare_it_and_no_others(project, glob):
    path = next(iter(sorted(ROOT.glob(glob)))).relative_to(ROOT)
    readers = {name for name, page in PAGES.items() if any(path.match(own) for own in page.reads.files)}
    with changed(project / path):
        assert planned(project) == downstream(readers)


@pytest.mark.parametrize("module", ["geometry", "datasets/metadata", "plotting"])
def test_a_changed_module_runs_the_pages_that_import_it_and_no_sweep(project, module, monkeypatch):
    monkeypatch.chdir(ROOT)
    path = f"src/helpers/{module}.py"
    users = {name for name in PAGES if path in declared.page_code(Path(f"notebooks/{name}.ipynb"))}
    assert (users == set()) == (module == "datasets/metadata")
    with changed(project / path):
        assert planned(project) == downstream(users)


def test_a_changed_image_matrix_or_parameter_reaches_the_pages_that_read_it(project):
    with changed(project / "data/embeddings/ham10000/authors/lit-derm/image.safetensors"):
        assert planned(project) == downstream({name for name, page in PAGES.items() if "authors" in page.reads.sets})
    really = run_of(project, "--force", "--quiet", "all", "--", "book/executed/02_r_table.ipynb")  # records its parameters
    assert really.returncode == 0, really.stderr
    path = project / "config/demo.yml"
    with changed(path, path.read_text().replace("notebooks: {}", "notebooks: {02_r_table: {n_boot: 77}}")):
        assert "02_r_table" in planned(project)


def test_sweeps_dropped_in_are_used_without_training_again_until_the_engine_changes(project):
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
    assert planned(project, *steps) == {"sweep_ham10000@clean@lit-derm"}
    done = run_of(project, *steps)
    assert done.returncode == 0 and table.stat().st_mtime == OLD, done.stderr
    assert planned(project, *steps) == set()
    engine = project / "src/helpers/probing/sweep.py"
    with changed(engine):
        assert planned(project, *steps) == set()
    with changed(engine, re.sub(r"(?m)^ENGINE = \S+", "ENGINE = 'another'", engine.read_text())):
        assert planned(project, *steps) == {"sweep_ham10000@clean@lit-derm"}


SETS = {(d, canonical_variant(d, v), b) for d in PAPER for v in ("clean", "authors") for b in range(4)}


def of_paper(root: Path, *more: str, without=()) -> list[str]:
    """Return the settings of a run on all data sets of the paper; each has an empty folder except those in ``without``."""
    for name in set(PAPER).difference(without):
        (root / name).mkdir(parents=True, exist_ok=True)
    return ["--configfile", "config/paper.yml", "--config", f"data_root={root}", "shards=2", *more]


def counted(dry: subprocess.CompletedProcess) -> dict[str, int]:
    """Return the number of jobs of each rule of a dry run."""
    assert dry.returncode == 0, dry.stderr
    return {rule: int(jobs) for rule, jobs in re.findall(r"(?m)^(\w\S*) +(\d+)$", dry.stdout)}


def test_folders_with_blanks_and_letters_beyond_ascii_reach_the_commands_as_one_word(project, monkeypatch):
    monkeypatch.chdir(project)
    dry = run_of(project, "-n", "--printshellcmds", *of_paper(Path("raw Daten é"), "store=my sets"), "--", "notebooks")
    assert dry.returncode == 0, dry.stderr
    extracted, swept = (re.findall(rf"-m helpers {name} .*", dry.stdout) for name in ("extract", "sweep"))
    assert len(extracted) > 32 and all("--root 'raw Daten é' --out 'my sets/" in line for line in extracted)
    assert all("--store 'my sets' --workers" in line for line in swept) and "touch 'my sets/" in dry.stdout


def test_the_full_paper_is_planned_from_a_data_root(project, tmp_path):
    dry = run_of(project, "-n", *of_paper(tmp_path), "--", "notebooks", "cones", "checks")
    counts = counted(dry)
    swept = re.search(r"rule sweep_brset@authors@clip:\n.*\n    output: (.*) \(update\)\n", dry.stdout)
    assert swept[1] == "runs/sweeps/brset/authors/clip/authors-code/lambda/settings.json"  # what Fig. 3 is compared with
    assert counts["gather"] == counts["cone"] == len(SETS) >= 32 and counts["extract"] == 2 * len(SETS)
    assert counts["check"] == len({s[:2] for s in SETS})
    shard = re.search(r"rule extract:\n(?:.*\n)*?.*wildcards: dataset=mimic_cxr, .*\n(?:.*\n)*?    resources: (.*)\n", dry.stdout)
    assert "gpu=1" in shard[1] and "mem_mb=" in shard[1] and "runtime=" in shard[1]


def test_what_is_not_reachable_is_skipped_with_a_line_and_refused_when_strict(project, tmp_path):
    absent = ("mimic_cxr", "brset")
    dry = run_of(project, "-n", *of_paper(tmp_path, without=absent), "--", "notebooks")
    assert counted(dry)["gather"] == len({s for s in SETS if s[0] not in absent})
    assert re.search(r"\[skipped\]  mimic_cxr/authors/biomedclip, .*: no folder mimic_cxr under the data root", dry.stderr)
    strict = run_of(project, "-n", *of_paper(tmp_path, "strict=true", without=absent), "--", "notebooks")
    assert strict.returncode != 0 and "strict: 16 sets cannot be made" in strict.stderr + strict.stdout
