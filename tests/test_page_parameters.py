"""Notebook parameters are converted or refused, also where papermill itself is lenient."""

import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

from helpers.page import check_parameters, flag, integer, many, notebook_defaults, number, optional, text

CELL = "lam = 0.5\nnames = ['a']  # names\nstore = None"
SPEC = {"lam": number(0, 1), "names": many(text()), "store": optional(text())}
GIVEN = {"lam": 0.5, "names": ["a"], "store": None}


def test_values_are_converted_and_put_back():
    names = GIVEN | {"lam": "1e-3", "names": '["x", "y"]'}
    assert check_parameters(names, SPEC) == {"lam": 0.001, "names": ["x", "y"], "store": None} == names


@pytest.mark.parametrize("value", [0.7, None, "x", True, [1, "a"], {"a": [None]}])
def test_an_unknown_name_of_a_plain_value_is_refused_with_the_nearest(value):
    with pytest.raises(ValueError, match="unknown parameter 'lamda'; did you mean 'lam'"):
        check_parameters(GIVEN | {"lamda": value}, SPEC)


def test_private_names_constants_and_objects_are_not_parameters():
    own = {"_oh": {}, "__name__": "__main__", "In": [""], "ROOT": "/", "pd": pytest, "spec": {"a": number()}, "exit": object()}
    assert check_parameters(GIVEN | own, SPEC)["lam"] == 0.5


def test_a_parameter_without_default_is_named():
    with pytest.raises(ValueError, match="parameter 'store' is not set"):
        check_parameters({"lam": 1, "names": []}, SPEC)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (number(0, 1), 1.5),
        (number(0, 1), float("nan")),
        (number(), "fast"),
        (number(), True),
        (number(low=0), -1),
        (integer(1, 9), 2.5),
        (integer(1, 9), [1]),
        (flag(), "yes"),
        (flag(), 1),
        (text(), "  "),
        (many(number(), least=1), []),
        (many(number()), "[0, 1"),
        (many(number()), "0,half"),
        (many(integer(0, 99)), [42, 42]),
        (many(text()), [1]),
    ],
)
def test_bad_values_are_refused_in_one_sentence_with_the_name(kind, value):
    with pytest.raises(ValueError, match="^parameter 'x': ") as refused:
        check_parameters({"x": value}, {"x": kind})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "value", "facts"),
    [
        (many(number(-2, 2)), [0, 7], ("got 7,", "-2", "2")),
        (many(number(-2, 2)), [-3], ("got -3,", "-2", "2")),
        (integer(100, 100_000), 3, ("got 3,", "100", "100,000")),
        (number(low=0), "-1", ("got '-1',", "at least 0")),
        (number(), "fast", ("got 'fast',", "a number")),
    ],
)
def test_a_value_out_of_range_is_answered_with_both_limits(kind, value, facts):
    with pytest.raises(ValueError) as refused:
        check_parameters({"x": value}, {"x": kind})
    assert [fact for fact in facts if fact not in str(refused.value)] == []


def test_a_mistyped_choice_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'converged'"):
        check_parameters({"x": "convergd"}, {"x": text(("paper", "converged"), "protocol")})


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        (number(), "1e-3", 1e-3),
        (integer(0, 9), "3", 3),
        (integer(0, 9), 3.0, 3),
        (many(number()), "[0, 1]", [0.0, 1.0]),
        (many(number()), "0,0.5,1", [0.0, 0.5, 1.0]),
        (many(text()), "one", ["one"]),
        (many(text()), "one, two", ["one, two"]),
        (optional(many(text())), None, None),
    ],
)
def test_spelled_values_are_converted(kind, value, result):
    found = check_parameters({"x": value}, {"x": kind})["x"]
    assert found == result and type(found) is type(result)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory) -> Path:
    source = f"""# %% tags=["parameters"]
{CELL}

# %%
from helpers.page import check_parameters, many, number, optional, text
print(check_parameters(globals(), {{"lam": number(0, 1), "names": many(text()), "store": optional(text())}}))
"""
    document = jupytext.reads(source, fmt="py:percent")
    document.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    path = tmp_path_factory.mktemp("papermill") / "small.ipynb"
    jupytext.write(document, path)
    return path


def test_the_defaults_of_a_notebook_are_known_without_running_it(notebook):
    assert notebook_defaults(notebook) == GIVEN


def papermill(notebook: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "papermill", str(notebook), "-", "--no-progress-bar", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_papermill_run_with_an_unknown_parameter_fails(notebook):
    run = papermill(notebook, "-p", "lamda", "0.7")
    assert run.returncode != 0 and "unknown parameter 'lamda'; did you mean 'lam'" in run.stderr


def test_papermill_run_with_yaml_and_list_strings_converts_them(notebook):
    run = papermill(notebook, "-y", "lam: 1e-3", "-p", "names", '["p", "q"]')
    assert run.returncode == 0, run.stderr
    assert "{'lam': 0.001, 'names': ['p', 'q'], 'store': None}" in run.stdout
