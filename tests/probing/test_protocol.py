"""Settings of sweeps and protocols: one source of defaults, refusals by name, and as many updates on any data set."""

import json

import pytest
import yaml
from conftest import ROOT

from helpers import PROTOCOLS
from helpers.page import notebook_defaults
from helpers.probing.protocol import BRSET_UPDATES, Grid
from helpers.published import datasets


def replaced(changes):
    return PROTOCOLS["paper"].replace(**changes)


def test_matched_protocols_have_the_updates_of_brset_on_any_set():
    about = datasets().set_index("dataset").loc["BRSET"]
    fit = (about["rows"] - about["test_rows"]) * 0.9
    assert BRSET_UPDATES == -(-fit // 512) * 100
    for n_fit, epochs, patience in ((700, 1150, 115), (4193, 256, 26), (11_710, 100, 10)):
        protocol = PROTOCOLS["paper-matched"].for_rows(n_fit)
        assert (protocol.max_epochs, protocol.patience) == (epochs, patience)
    assert PROTOCOLS["paper"].for_rows(700) is PROTOCOLS["paper"]


def test_notebook_configurations_and_parts_take_their_settings_from_the_grid():
    literals = notebook_defaults(ROOT / "notebooks/03_lambda_sweep.ipynb")
    assert {name: literals[name] for name in Grid().as_dict()} == Grid().as_dict()
    for name in ("demo", "paper"):
        settings = yaml.safe_load((ROOT / f"config/{name}.yml").read_text())["sweep"]
        grid = Grid.of({k: v for k, v in settings.items() if k not in ("variant", "threads")})
        assert Grid.of(json.loads(json.dumps(grid.as_dict()))) == grid
    assert Grid().parts == ("lambda", "alignments") and Grid(alignments=()).parts == ("lambda",)
    assert Grid(alignments=["shift"]).arguments("alignments")["alignments"] == ["lambda", "shift"]


@pytest.mark.parametrize(
    "make, changes, message",
    [
        (Grid.of, {"lambda": [1]}, "did you mean 'lambdas'"),
        (Grid.of, {"protocol": "convergd"}, "did you mean 'converged'"),
        (Grid.of, {"lambdas": [float("nan")]}, "must be a finite number between -2 and 2, got nan"),
        (Grid.of, {"seeds": [1.5]}, "not a whole number"),
        (Grid.of, {"seeds": []}, "is empty"),
        (Grid.of, {"features": None}, "must be a list"),
        (replaced, {"lr": 0}, "lr must be positive"),
        (replaced, {"weight_deca": 0.1}, "did you mean 'weight_decay'"),
        (replaced, {"max_epochs": 2.5}, "max_epochs must be a whole number"),
    ],
)
def test_bad_settings_are_named(make, changes, message):
    with pytest.raises(ValueError, match=message):
        make(changes)
