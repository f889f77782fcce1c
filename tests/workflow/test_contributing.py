"""The recipes of CONTRIBUTING.md and the jobs of hosted repositories name what is there."""

import re

import pytest
import yaml
from conftest import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_file_and_name_of_a_recipe_is_there():
    named = set(re.findall(r"`((?:src|tests|data|book|probing|notebooks|studies|workflow|config)/[\w/.]+)`", TEXT))
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists() and not (ROOT / "src/helpers" / path).exists()] == []
    rows = re.findall(r"^\| `(src/[\w/.]+)`[^|]*\|(.*)\|$", TEXT, re.MULTILINE)
    for path, name in ((ROOT / path, name) for path, cell in rows for name in re.findall(r"`([A-Z_]{4,})`", cell)):
        files = path.rglob("*.py") if path.is_dir() else [path]
        assert any(re.search(rf"\b{name}\b", file.read_text("utf-8")) for file in files), (path, name)


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.stem)
def test_a_hosted_job_may_only_read_unless_it_publishes_and_calls_what_is_there(path):
    flow = yaml.safe_load(path.read_text())
    assert flow["permissions"] == {"contents": "read"}
    used = [step["uses"] for job in flow["jobs"].values() for step in job["steps"] if "uses" in step]
    assert used and all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", name) for name in used), used  # a tag may be moved
    steps = "\n".join(step.get("run", "") for job in flow["jobs"].values() for step in job["steps"])
    targets = re.findall(r"(?m)^(\w[\w-]*):", (ROOT / "Makefile").read_text())
    assert set(re.findall(r"(?m)^make (\S+)", steps)) <= set(targets)
    assert all((ROOT / script).is_file() for script in re.findall(r"(?m)^bash (\S+)", steps))
    assert flow.get("on", flow.get(True))  # YAML reads the key `on` as true
