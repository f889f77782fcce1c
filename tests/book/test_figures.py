"""Every figure of a page names the tables that it shows, and these are what its cell really reads."""

import ast
import json
from fnmatch import fnmatch

import pytest
from book_extension import TABLES, figure_line
from conftest import ROOT
from declarations import NOTEBOOKS, figures, read_pages

PAGES = read_pages(ROOT / NOTEBOOKS)
FIGURES = {(page, name): tables for page in PAGES for name, tables in figures(ROOT / NOTEBOOKS / f"{page}.ipynb").items()}
WITHOUT = {("01_cone_effect", "fig-sphere"), ("08_adapt", "fig-adapt-plane")}  # points of single vectors, which are in no table
READERS = {
    "save_table": lambda call: call.args[1], "read_table": lambda call: call.args[0], "shipped_table": lambda call: call.args[0],
    "authors_sweep": lambda call: ast.Constant("published/authors_lambda_sweep"),
}  # fmt: skip


def test_every_figure_but_those_of_single_vectors_declares_tables_that_its_page_writes_or_reads():
    assert {figure for figure, tables in FIGURES.items() if not tables} == WITHOUT
    for (page, figure), tables in FIGURES.items():
        declared = PAGES[page]
        written = [*declared.writes.get("tables", []), *declared.reads.tables]
        assert [t for t in tables if t not in written and not fits(f"data/{t}.csv", declared.reads.files)] == [], (page, figure)


def fits(name: str, patterns) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def tables_in(node) -> set[str]:
    """Return the names, or patterns of names, of the tables that a statement writes or reads."""
    found = set()
    for call in (n for n in ast.walk(node) if isinstance(n, ast.Call)):
        if reader := READERS.get(getattr(call.func, "attr", getattr(call.func, "id", ""))):
            name = reader(call)
            parts = name.values if isinstance(name, ast.JoinedStr) else [name]
            found.add("".join(part.value if isinstance(part, ast.Constant) else "*" for part in parts))
    return found


class Statement:
    """What a statement of a notebook makes, uses, and reads or writes as tables; what it only saves counts as made."""

    def __init__(self, node: ast.stmt):
        names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
        self.uses = {n.id for n in names if isinstance(n.ctx, ast.Load)}
        self.makes = {node.name} if isinstance(node, ast.FunctionDef) else {n.id for n in names if not isinstance(n.ctx, ast.Load)}
        self.tables = tables_in(node)
        if self.tables and (isinstance(node, ast.Expr) or self.makes == {"_"}):
            self.makes = self.uses


def reached(cells: list[dict], figure: str) -> set[str]:
    """Return the tables behind the names in a figure's cell; a statement with a table ends the search."""
    before: list[Statement] = []
    for cell in cells:
        own = [Statement(node) for node in ast.parse("".join(cell["source"])).body]
        before += own
        if cell["metadata"].get("mystnb", {}).get("figure", {}).get("name") == figure:
            break
    found, left = set(), [s for s in before if s not in own]
    while own:
        statement = own.pop()
        found |= statement.tables
        if not statement.tables:
            own += [other for other in left if statement.uses & other.makes]
            left = [other for other in left if other not in own]
    return found


@pytest.mark.parametrize("page", PAGES)
def test_a_figure_depends_on_the_tables_that_it_declares(page):
    cells = [c for c in json.loads((ROOT / NOTEBOOKS / f"{page}.ipynb").read_text("utf-8"))["cells"] if c["cell_type"] == "code"]
    for name, tables in figures(ROOT / NOTEBOOKS / f"{page}.ipynb").items():
        read = reached(cells, name)
        assert [table for table in tables if not fits(table, read)] == [], name


def test_the_line_under_a_figure_links_its_data_and_its_cell_and_says_how_to_cite_it():
    line = figure_line("fig-a", "7", "A <page>", ["effects", "measured/steps"], "../../")
    for table in ("effects", "measured/steps"):
        assert f'href="../../{TABLES}/{table}.csv"' in line
    assert 'href="#source-fig-a"' in line and "“A &lt;page&gt;”, Fig. 7, in On the Cone Effect" in line and "version 0.1.0" in line
    assert "data" not in figure_line("fig-a", "7", "A page", [], "")
