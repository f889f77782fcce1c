"""What stops a run of the workflow is named at once, in one sentence, and nothing half-written stays."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT

from helpers.book import preflight, workflow


@pytest.fixture(scope="module")
def project(store, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bücher und mehr")
    for name in ("config", "notebooks", "src", "data/published"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "Snakefile", folder)
    shutil.copytree(store / "ham10000/clean/lit-derm", folder / "data/embeddings/ham10000/clean/lit-derm")
    small = "{protocol: [authors-code], lambdas: [0.0, 1.0], seeds: [1], alignments: []}"
    (folder / "config/demo.yml").write_text(f"store: data/embeddings\nsweep: {small}\n")
    return folder


SWEEP = "runs/sweeps/ham10000/clean/lit-derm/authors-code/lambda"


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "XDG_CACHE_HOME": str(project / ".cache"), "PYTHONPATH": str(project / "src")}
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--nolock", "--rerun-incomplete", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=project, env=environment)


@contextmanager
def mounted(folder: Path, *options: str):
    """A file system mounted on a folder for the length of a with block; only root may."""
    folder.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["mount", *options, folder], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [("a: 1\nb: 2\na: 3\n", "a", 3), ("sweep:\n  seeds: [1]\n  seeds: [2]\n", "seeds", 3), ("x: {y: 1, y: 2}\n", "y", 1)],
)
def test_a_key_that_stands_twice_is_refused_with_its_line(tmp_path, text, key, line):
    (tmp_path / "c.yml").write_text(text)
    with pytest.raises(ValueError, match=rf"c.yml: the key '{key}' stands twice \(line {line}\)"):
        preflight.refuse_duplicate_keys([tmp_path / "c.yml"])


@pytest.mark.parametrize("name", ["demo", "paper"])
def test_the_configurations_have_every_key_once(name):
    preflight.refuse_duplicate_keys([ROOT / f"config/{name}.yml"])


def test_a_file_from_the_future_is_named_and_one_of_a_slightly_fast_clock_is_not(tmp_path):
    for name, ahead in (("now", 0), ("fast", 2), ("future", 3600)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() + ahead,) * 2)
    preflight.refuse_future_files([tmp_path / "now", tmp_path / "fast", tmp_path / "absent"])
    with pytest.raises(ValueError, match=r"1 input files are dated in the future, .*future by 3\d\d\d s"):
        preflight.refuse_future_files(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file/runs cannot be made"):
        preflight.refuse_unwritable([tmp_path / "file/runs"])


def test_records_that_cannot_be_read_are_removed_and_sound_ones_stay(tmp_path):
    from helpers.probing.record import Record, write_record

    class Own(Record):
        place: list[str]

    for name in ("sound", "old", "cut", "table-gone"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "table").write_text("1")
        write_record(tmp_path / name / "settings.json", Own(place=["a"]), ["table"])
    (tmp_path / "old/settings.json").write_text('{"format": 1}')
    (tmp_path / "cut/settings.json").write_text('{"format": 2')
    (tmp_path / "table-gone/table").unlink()
    records = [str(tmp_path / name / "settings.json") for name in ("sound", "old", "cut", "table-gone", "absent")]
    assert workflow.remove_unusable_records(records) == records[1:4]
    assert [path.parent.name for path in tmp_path.rglob("settings.json")] == ["sound"]


@pytest.mark.heavy
def test_the_workflow_refuses_bad_circumstances_before_any_step(project):
    (project / "config/twice.yml").write_text("store: data/embeddings\nstore: elsewhere\nsweep: {}\n")
    pairs = project / "data/embeddings/ham10000/clean/lit-derm/pairs.parquet"
    twice = run(project, "-n", "--configfile", "config/twice.yml", "--", "cones")
    assert twice.returncode != 0 and "the key 'store' stands twice" in twice.stdout + twice.stderr
    stat = pairs.stat()
    os.utime(pairs, (time.time() + 7200,) * 2)
    future = run(project, "-n", "--", "cones")
    os.utime(pairs, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert future.returncode != 0 and "pairs.parquet by " in future.stdout + future.stderr
    with mounted(project / "runs", "-t", "tmpfs", "-o", "ro", "tmpfs"):
        locked = run(project, "-n", "--", "cones")
    assert locked.returncode != 0 and "runs is read-only" in locked.stdout + locked.stderr


@pytest.mark.heavy
def test_a_full_disk_stops_a_step_and_leaves_nothing_and_with_room_the_run_goes_on(project):
    with mounted(project / "runs", "-t", "tmpfs", "-o", "size=48k", "tmpfs"):
        full = run(project, "--", f"{SWEEP}/settings.json")
        left = [path.name for path in (project / "runs").rglob("*") if path.is_file() and "sweeps" in path.parts]
        assert full.returncode != 0 and "No space left" in full.stderr + full.stdout and left == []
    done = run(project, "--", f"{SWEEP}/settings.json")
    assert done.returncode == 0, done.stderr


@pytest.mark.heavy
def test_a_sweep_of_an_older_format_is_made_anew(project):
    assert run(project, "--", f"{SWEEP}/settings.json").returncode == 0
    record = project / SWEEP / "settings.json"
    record.write_text('{"format": 1}')
    os.utime(record, (1_000_000_000,) * 2)
    again = run(project, "--", f"{SWEEP}/settings.json")
    assert again.returncode == 0, again.stderr
    assert '"format": 1}' not in record.read_text() and "place" in record.read_text()
