"""Turn an executed notebook into one HTML file that reads well without the book."""

import ast
import re
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from nbconvert.preprocessors import TagRemovePreprocessor

from ..files import replacing
from ..page import escape_markdown

GLUED = "application/papermill.record/text/plain"
GLUE = re.compile(r"\{glue:text\}`(?P<name>\w+)(?::(?P<format>[^`]+))?`")
ROLE = re.compile(r"\{(?P<role>doc|eq|numref|ref|cite)\}`(?P<target>[^`]+)`")


def glued_values(notebook: nbformat.NotebookNode) -> dict[str, object]:
    """Return the values that the cells of an executed notebook made available to its prose, by name."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", ()))
    marked = (
        (output.get("metadata", {}).get("scrapbook", {}).get("name"), output.get("data", {}).get(GLUED)) for output in outputs
    )
    return {name: ast.literal_eval(value) for name, value in marked if name and value}


def plain_prose(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a copy whose prose holds the glued values, and the names of pages, equations and figures in place of links to them.

    A value that no cell provides stays as it is written.
    """
    values, filled = glued_values(notebook), nbformat.from_dict(notebook)

    def value(place: re.Match) -> str:
        known = place["name"] in values
        return escape_markdown(format(values[place["name"]], place["format"] or "")) if known else place[0]

    for cell in filled.cells:
        if cell.cell_type == "markdown":
            cell.source = ROLE.sub(_name_of_target, GLUE.sub(value, cell.source))
        else:
            cell.outputs = [output for output in cell.outputs if GLUED not in output.get("data", {})]
    return filled


def _name_of_target(place: re.Match) -> str:
    target = place["target"].strip("/").rsplit("/", 1)[-1]
    return {"eq": "Eq. *{}*", "numref": "Figure *{}*", "cite": "[{}]"}.get(place["role"], "*{}*").format(
        target.removeprefix("eq-").removeprefix("fig-")
    )


def write_html(notebook: Path, out: Path | None = None) -> Path:
    """Write an executed notebook as one HTML file and return its path.

    Args:
        notebook: what papermill wrote.
        out: file to write; beside the notebook, ending in ``.html``, when None.

    Raises:
        FileNotFoundError: there is no such notebook.
        ValueError: the file is not a notebook, or its prose and its values do not fit.
    """
    notebook = Path(notebook)
    if not notebook.is_file():
        raise FileNotFoundError(f"{notebook} is missing; give the notebook that papermill wrote")
    try:
        executed = plain_prose(nbformat.read(notebook, as_version=4))
    except (ValueError, nbformat.ValidationError, KeyError, AttributeError, TypeError, SyntaxError) as error:
        raise ValueError(
            f"{notebook} is not a notebook of this book ({type(error).__name__}); give the .ipynb file that papermill wrote"
        ) from None
    exporter = HTMLExporter(exclude_input_prompt=True, exclude_output_prompt=True)
    exporter.register_preprocessor(TagRemovePreprocessor(remove_input_tags={"hide-input"}), enabled=True)
    page, _ = exporter.from_notebook_node(executed, {"metadata": {"name": notebook.stem}})
    out = notebook.with_suffix(".html") if out is None else Path(out)
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return out
