"""An executed notebook as one HTML file with its numbers in the prose."""

import pytest
from nbconvert.preprocessors import ExecutePreprocessor
from nbformat import v4 as nb
from nbformat import write

from helpers.book.view import write_html
from helpers.cli import main


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A notebook that glues two values, one of them a name with markup, and was really executed."""
    code = 'from myst_nb import glue\nglue("gap", 0.12345, display=False)\nglue("name", "<b>x</b>", display=False)'
    prose = "The gap is {glue:text}`gap:+.2f` on {glue:text}`name`, see {doc}`/book/theory` and {glue:text}`absent`."
    cells = [
        nb.new_markdown_cell(prose),
        nb.new_code_cell(code, metadata={"tags": ["hide-input"]}),
        nb.new_code_cell("print(6 * 7)"),
    ]
    notebook = nb.new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    )
    path = tmp_path_factory.mktemp("view") / "out.ipynb"
    write(ExecutePreprocessor(kernel_name="python3").preprocess(notebook)[0], path)
    return path


def test_numbers_stand_in_the_prose(executed, capsys):
    assert main(["view", str(executed)]) == 0
    path = executed.with_suffix(".html")
    assert str(path) in capsys.readouterr().out
    page = path.read_text("utf-8")
    assert "The gap is +0.12 on" in page and "42" in page
    assert "{glue:text}`absent`" in page.replace("<code>", "`").replace("</code>", "`")
    assert "myst_nb" not in page  # the code of a hidden cell
    assert "{doc}" not in page


def test_names_are_no_markup(executed, tmp_path):
    page = write_html(executed, tmp_path / "page.html").read_text("utf-8")
    assert "<b>x</b>" not in page


@pytest.mark.parametrize("content", ["", "[]", '{"cells": 3}', '{"nbformat": 4}'])
def test_other_files_are_named(tmp_path, content, capsys):
    path = tmp_path / "other.ipynb"
    path.write_text(content)
    assert main(["view", str(path)]) == 2
    said = capsys.readouterr().err
    assert "other.ipynb" in said and "not a notebook of this book" in said and "Traceback" not in said
    assert not path.with_suffix(".html").exists()


def test_a_value_that_does_not_fit_its_prose_is_named_with_its_file(executed, tmp_path, capsys):
    path = tmp_path / "unfit.ipynb"
    path.write_text(executed.read_text("utf-8").replace("`gap:+.2f`", "`name:+.2f`"), encoding="utf-8")
    assert main(["view", str(path)]) == 2 and "unfit.ipynb" in capsys.readouterr().err


def test_a_missing_file_is_named(tmp_path, capsys):
    assert main(["view", str(tmp_path / "none.ipynb")]) == 2
    assert "none.ipynb is missing" in capsys.readouterr().err
