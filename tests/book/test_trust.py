"""The page on trust: figures from the stored fault runs, licences from the installed packages, tests that exist."""

import json
import re

from conftest import ROOT

from helpers.book.tables import fault_figures, licences


def test_figures_are_those_of_the_stored_runs(tmp_path):
    path = tmp_path / "faults.json"
    path.write_text(json.dumps({"kill_points": {"tried": 215, "differed": 0}, "seconds": 12}))
    assert "| kill points | tried: 215; differed: 0 |" in fault_figures(path)


def test_without_a_stored_run_the_page_says_so(tmp_path):
    assert "no figures" in fault_figures(tmp_path / "absent.json")


def test_every_named_package_has_a_row_with_its_licence():
    rows = [" ".join(row.split()) for row in licences().splitlines()[2:]]
    numpy = next(row for row in rows if row.startswith("| numpy |"))
    assert "BSD" in numpy and len(rows) > 20


def test_tests_that_the_page_names_exist():
    named = re.findall(r"`(tests/[\w/]+(?:\.py)?)`", (ROOT / "book/trust.md").read_text("utf-8"))
    assert len(named) > 8
    assert [path for path in named if not (ROOT / path).exists()] == []
