"""The recipes of CONTRIBUTING.md and the jobs of hosted repositories name what is there."""

import re

import pytest
import yaml
from conftest import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_file_that_a_recipe_names_is_there():
    named = {path for path in re.findall(r"`((?:src|tests|data|book|probing|notebooks|studies|workflow|config)/[\w/.]+)`", TEXT)}
    assert len(named) > 10
    for path in named:
        assert (ROOT / path).exists() or (ROOT / "src/helpers" / path).exists(), path


def test_every_name_that_a_recipe_extends_is_in_its_file():
    rows = re.findall(r"^\| `(src/[\w/.]+)`[^|]*\|(.*)\|$", TEXT, re.MULTILINE)
    named = [(ROOT / path, name) for path, cell in rows for name in re.findall(r"`([A-Z_]{4,})`", cell)]
    assert len(named) >= 3
    for path, name in named:
        files = path.rglob("*.py") if path.is_dir() else [path]
        assert any(re.search(rf"\b{name}\b", file.read_text("utf-8")) for file in files), (path, name)


def test_every_data_set_has_what_the_recipe_asks_for():
    from helpers.datasets import DATASETS

    assert all(entry.card.splits and callable(entry.read) for entry in DATASETS.values())


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.stem)
def test_a_hosted_job_may_only_read_unless_it_publishes_and_calls_what_is_there(path):
    flow = yaml.safe_load(path.read_text())
    assert flow["permissions"] == {"contents": "read"}
    makefile = (ROOT / "Makefile").read_text()
    for job in flow["jobs"].values():
        for step in job["steps"]:
            for target in re.findall(r"^make (\S+)", step.get("run", ""), re.MULTILINE):
                assert re.search(rf"^{target}:", makefile, re.MULTILINE)
            for script in re.findall(r"^bash (\S+)", step.get("run", ""), re.MULTILINE):
                assert (ROOT / script).is_file()
    assert flow.get("on", flow.get(True))  # YAML reads the key `on` as true
