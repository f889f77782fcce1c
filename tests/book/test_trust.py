"""The page on trust: figures from the stored runs, licences and reasons of the packages, tests that exist."""

import json

import pytest
from conftest import ROOT

from helpers.book import trust

# Modules of packages that come with a named one.
COME_ALONG = {
    "jupyter-book": {"IPython", "jinja2", "markdown_it", "markupsafe", "matplotlib_inline", "myst_nb", "nbformat", "sphinx", "yaml"}
    | {"docutils", "sphinx_external_toc"},
    "transformers": {"huggingface_hub", "tokenizers"},
}


def test_figures_are_those_of_the_stored_runs(tmp_path):
    path = tmp_path / "faults.json"
    counts = {"kills": {"a save": {"kill points": 1200, "lost": 0}, "a sweep": {"kill points": 50, "lost": 0, "which": []}}}
    path.write_text(json.dumps(counts))
    rows = [" ".join(row.split()) for row in trust.fault_figures(path).splitlines()]
    assert "| kills | a save | kill points: 1,200; lost: 0 |" in rows
    promise = next(row for row in trust.promises(path).splitlines() if "A killed save" in row)
    assert "kill points: 1,250, lost: 0" in promise
    assert "not stored" in next(row for row in trust.promises(path).splitlines() if "A flipped bit" in row)


@pytest.mark.parametrize("page", [trust.fault_figures, trust.mutation_figures, trust.reproducibility])
def test_without_a_stored_run_the_page_says_so(page, tmp_path):
    assert "no figures" in page(tmp_path / "absent.json")


def test_shares_of_found_mutants_and_differences_are_written(tmp_path):
    (tmp_path / "m.json").write_text(json.dumps({"metrics.py": {"mutants": 40, "found": 38}}))
    assert "95%" in trust.mutation_figures(tmp_path / "m.json")
    runs = {"geometry": {"a second run": {"bitwise": True, "largest difference": 0.0}}}
    (tmp_path / "r.json").write_text(json.dumps(runs))
    assert "a second run" in trust.reproducibility(tmp_path / "r.json") and "yes" in trust.reproducibility(tmp_path / "r.json")


def test_every_named_package_has_a_row_with_its_licence():
    rows = [" ".join(row.split()) for row in trust.licences().splitlines()[2:]]
    numpy = next(row for row in rows if row.startswith("| numpy |"))
    assert "BSD" in numpy and "imported as `numpy`" in numpy and len(rows) == len(trust.dependencies()) > 20
    assert not [row for row in rows if "not imported" in row or "not installed" in row]


def test_every_package_is_imported_or_has_a_reason_and_every_reason_is_needed():
    imported, modules = trust.imported_modules(), trust.modules_of()
    unused = {name for name in trust.dependencies() if not modules.get(trust.normalised(name), set()) & imported}
    assert unused == set(trust.REASONS)


def test_every_imported_module_is_of_a_named_package():
    modules = trust.modules_of()
    named = set().union(*(modules.get(trust.normalised(name), set()) for name in trust.dependencies()), *COME_ALONG.values())
    own = {path.stem for path in (ROOT / "tests").rglob("*.py")} | {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert sorted(trust.imported_modules() - named - own - {"helpers"}) == []


def test_tests_that_the_page_names_exist():
    named = [test for promise in trust.PROMISES for test in promise.tests]
    assert len(named) > 8
    assert [path for path in named if not (ROOT / path).exists()] == []
