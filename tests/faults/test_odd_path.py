"""`make test` and `make book` in a checkout whose path has blanks and non-ASCII letters."""

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
import yaml
from checkout import copied_project
from conftest import ROOT

PAGE = "06_slider"


STUB = """#!/bin/sh
printf '%s\\n' "$@" >>calls
printf '%s\\n' "$MPLCONFIGDIR" >>calls
"""


def make(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess:
    here = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "MAKE", "XDG", "MPL"))}
    here |= {"PYTHONPATH": f"{ROOT / 'src'}"} | variables
    run = subprocess.run(["make", *words], cwd=folder, env=here, capture_output=True, text=True)
    assert not list(folder.parent.rglob("HIT*"))
    return run


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A folder with the Makefile and an environment that is marked as current."""
    folder = tmp_path / "a clöne x & $(touch HIT)"
    (folder / ".venv").mkdir(parents=True)
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / f".venv/.lock-{sha256((ROOT / 'requirements.lock').read_bytes()).hexdigest()[:16]}").touch()
    return folder


def test_make_passes_paths_on_as_they_are(checkout):
    """Every command of `make book` and `make test` goes to a stand-in for Python, which notes what it was given."""
    (checkout / ".venv/bin").mkdir()
    (checkout / ".venv/bin/python").write_text(STUB)
    (checkout / ".venv/bin/python").chmod(0o755)
    for target in ("test", "test-heavy", "book"):
        (checkout / "calls").unlink(missing_ok=True)
        run = make(checkout, target, CONFIG="my $(touch HIT).yml")
        assert run.returncode == 0 and "[env]" not in run.stdout, run.stderr
        calls = (checkout / "calls").read_text().splitlines()
        assert f"{checkout}/.snakemake/cache/matplotlib" in calls
        assert target != "book" or "my $(touch HIT).yml" in calls
        assert (checkout / ".snakemake/cache/matplotlib").is_dir()


@pytest.mark.heavy
def test_make_book_runs_there(checkout):
    """One notebook and the pages that need no other, made by the real Snakefile."""
    for name in ("bin", "lib", "pyvenv.cfg"):
        (checkout / ".venv" / name).symlink_to(Path(sys.prefix) / name)
    copied_project(checkout)
    for name in ("benchmarks/results", "tests/verification/results", "workflow", "book"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("executed", "generated"), dirs_exist_ok=True)
    pages = yaml.safe_load((checkout / "notebooks/pages.yml").read_text("utf-8"))
    (checkout / "notebooks/pages.yml").write_text(yaml.safe_dump({PAGE: pages[PAGE]}))
    for name in ("_config.yml", "CHANGELOG.md", "README.md", "CITATION.cff", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    chapters = [{"file": "book/intro"}, {"file": "book/trust"}, {"file": f"book/executed/{PAGE}"}]
    (checkout / "_toc.yml").write_text(
        yaml.safe_dump({"format": "jb-book", "root": "book/references", "parts": [{"caption": "x", "chapters": chapters}]})
    )
    for path in (checkout / "book").glob("*.md"):
        if path.stem not in ("trust", "references"):
            path.unlink()
    (checkout / "book/intro.md").write_text("# Front page\n")  # downloads are listed there
    snakefile = checkout / "workflow/Snakefile"
    snakefile.write_text(snakefile.read_text().replace("-n -W --keep-going", "-n --keep-going"))  # pages refer to others
    run = make(checkout, "book", "CORES=1")
    assert run.returncode == 0, run.stderr[-3000:]
    assert "λ" in (checkout / f"_build/html/book/executed/{PAGE}.html").read_text("utf-8")
    assert "Promise" in (checkout / "_build/html/book/trust.html").read_text("utf-8")
