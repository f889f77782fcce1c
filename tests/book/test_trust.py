"""The page on trust: figures from the stored runs, licences and reasons of the packages, tests that exist."""

import json
import re

import pytest
import trust
from conftest import ROOT

COME_ALONG = {  # modules of packages that come with a named one
    "IPython", "jinja2", "markdown_it", "markupsafe", "matplotlib_inline", "myst_nb", "nbformat", "sphinx", "yaml", "traitlets",
    "docutils", "packaging", "sphinx_external_toc", "jupyter_book", "huggingface_hub", "tokenizers", "pybtex",
}  # fmt: skip


def test_figures_are_those_of_the_stored_runs(tmp_path):
    faults = {"kills": {"a save": {"kill points": 1200, "lost": 0}, "a sweep": {"kill points": 50, "lost": 0, "which": []}}}
    runs = {"geometry": {"a second run": {"bitwise": True, "largest difference": 0.0}}}
    stored = {"faults": faults, "mutations": {"metrics.py": {"mutants": 40, "found": 38}}, "reproducibility": runs}
    for name, content in stored.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    pages = (trust.fault_figures, trust.mutation_figures, trust.reproducibility, trust.promises)
    shown = " ".join("".join(page(tmp_path) for page in pages).split())
    for figure in (
        "| kills | a save | kill points: 1,200; lost: 0 |",
        "kill points: 1,250, lost: 0",
        "95 %",
        "| geometry | equal |",
    ):
        assert figure in shown
    assert all("no figures" in page(tmp_path / "absent") for page in pages[:3]) and "not stored" in shown


def test_every_named_package_has_its_licence_and_is_imported_or_has_a_reason_and_every_import_is_of_a_named_package():
    rows = [" ".join(row.split()) for row in trust.licences().splitlines()[4:-1]]
    numpy = next(row for row in rows if row.startswith("| numpy |"))
    assert "BSD" in numpy and "imported as `numpy`" in numpy and len(rows) > 20
    assert len(rows) == sum(role != trust.FOR_TESTS for role in trust.dependencies().values())
    assert not [row for row in rows if "not imported" in row or "not installed" in row]
    imported, modules = trust.imported_modules(), trust.modules_of()
    of = {name: modules.get(trust.normalised(name), set()) for name in trust.dependencies()}
    assert {name for name, found in of.items() if not found & imported} == set(trust.stated()["reasons"])
    paths = [path for folder in trust.FOLDERS for path in (ROOT / folder).rglob("*.py")]
    own = {name for path in paths for name in (path.stem, path.parent.name)}
    assert sorted(imported - set().union(*of.values(), COME_ALONG) - own) == []


def is_there(name: str) -> bool:
    """Tell whether a file of tests, or one test of it, exists."""
    path, _, test = name.partition("::")
    return (ROOT / path).is_file() and (f"def {test}(" if test else "def test_") in (ROOT / path).read_text("utf-8")


def test_every_test_that_the_page_names_exists_and_each_promise_stands_once():
    named = re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", (ROOT / "book/trust.md").read_text("utf-8"))
    scripts = {"tests/verification/faults.py", "tests/verification/mutations.py", "tests/verification/reproducibility.py"}
    assert len(named) > 6 and [name for name in named if name not in scripts and not is_there(name)] == []
    assert all((ROOT / script).is_file() for script in scripts) and not is_there("tests/test_page.py::test_the_footer")
    promises = [one["promise"] for one in trust.stated()["promises"]]
    assert len(set(promises)) == len(promises) > 25


@pytest.mark.parametrize("promise", trust.stated()["promises"], ids=lambda one: one["promise"][:40])
def test_every_promise_names_tests_that_exist_and_fault_runs_that_are_stored(promise):
    stored = json.loads((trust.RESULTS / "faults.json").read_text("utf-8"))
    assert promise["tests"] and set(promise) <= {"promise", "tests", "attacks"}
    for name in promise["tests"]:
        assert is_there(name), f"{name} is not there"
    assert set(promise.get("attacks", ())) <= set(stored)
