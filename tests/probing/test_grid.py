import json

import pytest
import yaml
from conftest import ROOT

from helpers.page import notebook_defaults
from helpers.probing.protocol import Grid


def test_the_notebooks_parameters_are_the_defaults():
    literals = notebook_defaults(ROOT / "notebooks/03_lambda_sweep.ipynb")
    assert {name: literals[name] for name in Grid().as_dict()} == Grid().as_dict()


@pytest.mark.parametrize("name", ["demo", "paper"])
def test_configurations_hold_settings_that_exist(name):
    settings = yaml.safe_load((ROOT / f"config/{name}.yml").read_text())["sweep"]
    grid = Grid.of({k: v for k, v in settings.items() if k not in ("variant", "threads")})
    assert Grid.of(json.loads(json.dumps(grid.as_dict()))) == grid


def test_parts():
    assert Grid().parts == ("lambda", "alignments") and Grid(alignments=()).parts == ("lambda",)
    assert Grid(lambdas=[0, 1]).arguments("lambda")["alignments"] == ["lambda"]
    assert Grid(alignments=["shift"]).arguments("alignments")["alignments"] == ["lambda", "shift"]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"lambda": [1]}, "did you mean 'lambdas'"),
        ({"protocol": "convergd"}, "did you mean 'converged'"),
        ({"alignments": ["shft"]}, "did you mean 'shift'"),
        ({"lambdas": [float("nan")]}, "not a finite number"),
        ({"lambdas": ["a"]}, "not a finite number"),
        ({"seeds": [1.5]}, "not a whole number"),
        ({"seeds": []}, "is empty"),
        ({"features": None}, "must be a list"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Grid.of(settings)
