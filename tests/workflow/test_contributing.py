"""The recipes of CONTRIBUTING.md and the jobs of hosted repositories name what is there."""

import re
from importlib import import_module

import pytest
import yaml
from conftest import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
NAMED = {  # what a recipe asks to extend, and where it says it is
    "datasets.base": ("Draft",),
    "backbones.registry": ("REGISTRY",),
    "book.resources": ("DIMENSIONS",),
    "probing.protocol": ("PROTOCOLS",),
    "paper.claims.geometry": ("CLAIMS",),
    "paper.claims.downstream": ("CLAIMS",),
    "paper.claims.evidence": ("Claim", "Finding"),
}


def test_every_file_that_a_recipe_names_is_there():
    named = {path for path in re.findall(r"`((?:src|tests|data|book|probing)/[\w/.]+)`", TEXT)}
    assert len(named) > 10
    for path in named:
        assert (ROOT / path).exists() or (ROOT / "src/helpers" / path).exists(), path


@pytest.mark.parametrize("module", NAMED)
def test_every_name_that_a_recipe_extends_is_there(module):
    found = import_module(f"helpers.{module}")
    for name in NAMED[module]:
        assert hasattr(found, name)
        assert name in TEXT


def test_every_data_set_has_what_the_recipe_asks_for():
    from helpers.datasets import DATASETS

    assert all(entry.splits and hasattr(entry.module, "read") for entry in DATASETS.values())


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
