"""Modules of the package import one way, as `pyproject.toml` lays down."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

LINT = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]


def run_in(root: Path, command: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=root, env=os.environ | {"PYTHONPATH": str(root / "src")}, capture_output=True, text=True)


def test_every_module_imports_only_modules_below_it_and_another_import_is_found(tmp_path):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    run = run_in(tmp_path, LINT)
    assert run.returncode == 0, run.stdout
    for module, line in (("geometry", "from .cli import main"), ("metrics", "import torch"), ("brand_new", "import re")):
        path = tmp_path / f"src/helpers/{module}.py"
        before = path.read_text() if path.exists() else ""
        path.write_text(f"{before}\n{line}\n")
        assert run_in(tmp_path, LINT).returncode != 0
        path.write_text(before)


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (("page", "extraction.find", "cones", "datasets", "published", "plotting"), {"torch", "transformers", "tqdm.auto"}),
        (("probing.cache", "recommend", "plotting"), {"transformers", "open_clip", "tqdm.auto"}),
        (("page", "probing.protocol", "store.catalogue", "published"), {"torch", "sklearn", "transformers"}),
    ],
)
def test_pages_and_the_workflow_import_no_heavy_library_that_they_do_not_run(modules, absent):
    imports = "; ".join(f"import helpers.{name}" for name in modules)
    run = run_in(ROOT, [sys.executable, "-c", f"import sys; {imports}; print(sorted({absent!r} & set(sys.modules)))"])
    assert run.stdout == "[]\n", run.stdout + run.stderr
