"""The notebooks and their declarations in pages.yml: each pair is in step, carries no outputs, and says what it must."""

import subprocess

import declarations as declared
import jupytext
import nbformat
import pytest
from conftest import ROOT

from helpers.page import notebook_defaults

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
PAGES = declared.read_pages(ROOT / "notebooks")
OF_THE_RUN = {"store", "results", "made_with", "sweeps"}  # parameters that only the workflow or a run by hand sets


EACH = pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)


@EACH
def test_the_generated_notebook_is_what_its_source_says_without_outputs(source):
    generated, expected = nbformat.read(source.with_suffix(".ipynb"), as_version=4), jupytext.read(source)
    cells = [[(c.cell_type, c.source, c.metadata) for c in notebook.cells] for notebook in (generated, expected)]
    assert cells[0] == cells[1] and generated.metadata.kernelspec.name == "python3"
    code = [c for c in generated.cells if c.cell_type == "code"]
    assert all(not c.outputs and c.execution_count is None for c in code)
    assert [c for c in code if "parameters" in c.metadata.get("tags", [])] == code[:1]
    # papermill cannot read a default that holds an equals sign; a comment says what each parameter is
    assert all(line.count("=") == 1 and "#" in line for line in code[0].source.splitlines())


def test_what_running_a_notebook_in_the_checkout_leaves_is_ignored():
    left = ["out.ipynb", "out.html", "results/t.parquet"]  # papermill and nbconvert, as README runs them
    left += [f"notebooks/{name}" for name in ("03_lambda_sweep.nbconvert.ipynb", "03_lambda_sweep.html", "results/t.parquet")]
    left += ["notebooks/03_lambda_sweep.md", "notebooks/03_lambda_sweep_files/a.png", "notebooks/.ipynb_checkpoints/a.ipynb"]
    found = subprocess.run(["git", "check-ignore", *left], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout.split() == left
    known = subprocess.run(["git", "ls-files", "-ci", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    assert known.stdout == ""  # nothing of the repository is ignored


@EACH
def test_its_declaration_agrees_with_it(source):
    page, text = PAGES[source.stem], source.read_text("utf-8")
    assert f"# # {page.title}\n" in text
    assert set(notebook_defaults(source.with_suffix(".ipynb"))) - OF_THE_RUN == set(page.settable)
    absent = [glob for glob in page.reads.files if not list(ROOT.glob(glob))]
    assert set(absent) <= {"data/contributed/*.json"}  # reports of others; there may be none


def test_no_table_is_written_by_two_pages_and_every_table_read_is_written_by_another():
    written = [(table, name) for name, page in PAGES.items() for table in page.writes.get("tables", [])]
    assert len(dict(written)) == len(written) > 20
    assert all(dict(written)[table] != name for name, page in PAGES.items() for table in page.reads.tables)


def test_figures_have_alternative_text_caption_and_name_and_computed_sentences_no_mathematics():
    names = []
    for path in NOTEBOOKS:
        for cell in (c for c in jupytext.read(path).cells if c.cell_type == "code"):
            assert "$" not in cell.source or "page.show_text(" not in cell.source, path  # the page would show it raw
            if cell.source.rstrip().endswith(";"):
                shown = cell.metadata["mystnb"]
                assert len(shown["image"]["alt"]) > 30 and len(shown["figure"]["caption"]) > 30
                names.append(shown["figure"]["name"])
    assert len(names) == len(set(names)) > 5 and all(name.startswith("fig-") for name in names)
