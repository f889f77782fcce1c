"""The notebooks and their declarations in pages.yml: each pair is in step, carries no outputs, and says what it must."""

import json
import re
from pathlib import Path

import declarations as declared
import jupytext
import nbformat
import pytest
from conftest import ROOT
from sphinx_external_toc.parsing import parse_toc_yaml

from helpers.page import notebook_defaults

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
PAGES = declared.read_pages(ROOT / "notebooks")
OF_THE_RUN = {"store", "results", "made_with", "sweeps"}  # parameters that only the workflow or a run by hand sets


@pytest.fixture(params=NOTEBOOKS, ids=lambda p: p.stem)
def source(request) -> Path:
    return request.param


def test_the_generated_notebook_is_what_its_source_says(source):
    generated = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    expected = jupytext.read(source)
    cells = [[(c.cell_type, c.source, c.metadata) for c in notebook.cells] for notebook in (generated, expected)]
    assert cells[0] == cells[1]


def test_it_has_no_outputs_a_portable_kernel_and_a_parameters_cell(source):
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert all(not c.outputs and c.execution_count is None for c in code)
    assert notebook.metadata.kernelspec.name == "python3"
    tagged = [c for c in code if "parameters" in c.metadata.get("tags", [])]
    assert tagged == code[:1]
    # papermill cannot read a default that holds an equals sign; a comment says what each parameter is
    for line in tagged[0].source.splitlines():
        assert line.count("=") == 1 and "#" in line


def test_its_declaration_agrees_with_it(source):
    page, text = PAGES[source.stem], source.read_text("utf-8")
    assert f"# # {page.title}\n" in text
    assert set(notebook_defaults(source.with_suffix(".ipynb"))) - OF_THE_RUN == set(page.settable)
    absent = [glob for glob in page.reads.files if not list(ROOT.glob(glob))]
    assert set(absent) <= {"data/contributed/*.json"}  # reports of others; there may be none


def test_the_table_of_contents_has_every_page_once():
    listed = [Path(entry).name for entry in parse_toc_yaml(ROOT / "_toc.yml") if entry.startswith("book/executed/")]
    assert sorted(listed) == sorted(PAGES) == [path.stem for path in NOTEBOOKS]


def test_no_table_is_written_by_two_pages_and_every_table_read_is_written_by_another():
    written = [(table, name) for name, page in PAGES.items() for table in page.writes.get("tables", [])]
    assert len(dict(written)) == len(written) > 20
    assert all(dict(written)[table] != name for name, page in PAGES.items() for table in page.reads.tables)


def test_computed_sentences_hold_no_mathematics_that_a_page_would_show_raw(source):
    said = [c.source for c in jupytext.read(source).cells if c.cell_type == "code" and "page.show_text(" in c.source]
    assert not [code for code in said if "$" in code]


def test_figures_have_alternative_text_caption_and_name(source):
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.source.rstrip().endswith(";"):
            shown = cell.metadata["mystnb"]
            assert len(shown["image"]["alt"]) > 30 and len(shown["figure"]["caption"]) > 30
            assert shown["figure"]["name"].startswith("fig-")


def test_figure_names_are_unique():
    names = re.findall(r'"name": "(fig-[\w-]+)"', "".join(p.read_text() for p in NOTEBOOKS))
    assert len(names) == len(set(names)) > 5


def test_the_page_on_speed_names_the_machine_of_the_kept_timings():
    extraction, probing = (json.loads((ROOT / f"benchmarks/results/{name}.json").read_text()) for name in ("extraction", "probing"))
    assert {case["threads"] for case in probing["results"].values()} == {extraction["machine"]["cores"]} == {2}
    assert extraction["machine"]["accelerator"] is None
    page = (ROOT / "book/reexecute.md").read_text("utf-8")
    assert "On two processor cores without an accelerator" in page and "Nothing was timed on an accelerator" in page
