"""Show a notebook run by hand as the book does; ``nbconvert_config.py`` tells nbconvert to call this.

The code of hidden cells is folded, progress bars are left out, figures have captions, roles of the book are words, and no script
comes from another host.
"""

import html
import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path

from nbconvert.filters import markdown2html
from nbformat import NotebookNode
from pybtex.database import parse_file

ROOT = Path(__file__).resolve().parents[1]
MATHJAX = "tex-svg.js"  # draws with paths, so that it needs no font files
ROLE = re.compile(r"\{(doc|cite:t|cite|eq|numref|ref|term)\}`([^`<]*?)(?: *<([^>`]*)>)?`")
PERCENT = re.compile(r"(?<=\d) %(?!\w)")  # gets a space that does not break
IMAGES = ("image/svg+xml", "image/png")


def show(notebook: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
    """Return a notebook with cells as the book shows them, and the script of formulas; refuse one that has not been run."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    if code and not any(cell.execution_count for cell in code):
        raise SystemExit("this notebook has not been run; run it with papermill first, and give the notebook that it writes")
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = PERCENT.sub("\N{NO-BREAK SPACE}%", ROLE.sub(_words, cell.source))
        elif cell.cell_type == "code":
            _show_code(cell)
    heading = re.search(r"(?m)^# (.*)$", "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown"))
    if heading:
        notebook.metadata["title"] = heading[1]
    script = Path(str(files("sphinx-mathjax-offline") / "static/mathjax" / MATHJAX)).read_text("utf-8")
    resources["mathjax"] = script.replace("</script", "<\\/script")
    return notebook, resources


def _show_code(cell: NotebookNode) -> None:
    """Leave out glued values and the progress bars of a cell tagged so, and put the caption of its metadata under its figure."""
    tags, shown = cell.metadata.get("tags", []), cell.metadata.get("mystnb", {})
    cell.outputs = [output for output in cell.outputs if "scrapbook" not in output.get("metadata", {})]
    if "remove-stderr" in tags:
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    for data in (output["data"] for output in cell.outputs if "data" in output):
        data |= {kind: PERCENT.sub("\N{NO-BREAK SPACE}%", data[kind]) for kind in ("text/markdown", "text/html") if kind in data}
    for output in (output for output in cell.outputs if "figure" in shown):
        image = next((kind for kind in IMAGES if kind in output.get("data", {})), None)
        if image:
            output["data"] = {"text/html": _figure(image, output["data"][image], shown)}


def _figure(kind: str, data: str, shown: dict) -> str:
    caption = PERCENT.sub("\N{NO-BREAK SPACE}%", markdown2html(ROLE.sub(_words, shown["figure"].get("caption", ""))).strip())
    text = html.escape(shown.get("image", {}).get("alt", ""))
    if kind == "image/svg+xml":
        return f'<figure role="img" aria-label="{text}">{data}<figcaption>{caption}</figcaption></figure>'
    source = f"data:{kind};base64,{data.strip()}"
    return f'<figure><img alt="{text}" src="{source}"><figcaption>{caption}</figcaption></figure>'


def _words(role: re.Match) -> str:
    """Return a role of the book as words: the text it gives, else what its target is called in the book."""
    kind, text, target = role.groups()
    return text.strip() if target else TARGETS[kind](text)


def _page(target: str) -> str:
    """Return the title of a page of the book in italics."""
    name = target.rpartition("/")[2]
    for path, start in ((ROOT / f"notebooks/{name}.py", "# # "), (ROOT / f"book/{name}.md", "# ")):
        if path.is_file():
            return f"*{re.search(f'(?m)^{start}(.*)$', path.read_text('utf-8'))[1]}*"
    return f"*{name}*"


def _cited(keys: str) -> str:
    return f"({'; '.join(_reference(key.strip()) for key in keys.split(','))})"


def _cited_in_text(keys: str) -> str:
    return " and ".join("{} ({})".format(*_reference(key.strip()).rsplit(", ", 1)) for key in keys.split(","))


@cache
def _bibliography():
    return parse_file(str(ROOT / "book/references.bib")).entries


def _reference(key: str) -> str:
    """Return the authors and year of a reference, such as ``Liang et al., 2022``."""
    entry = _bibliography()[key]
    names = [" ".join(person.last_names) for person in entry.persons.get("author", [])]
    who = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
    return f"{who or key}, {entry.fields.get('year', 'n.d.')}"


def _equation(label: str) -> str:
    labels = re.findall(r"(?m)^:label: (\S+)$", (ROOT / "book/methods.md").read_text("utf-8"))
    return f"Eq. {labels.index(label) + 1}" if label in labels else label


TARGETS: dict[str, Callable[[str], str]] = {
    "doc": _page,
    "cite": _cited,
    "cite:t": _cited_in_text,
    "eq": _equation,
    "numref": lambda label: "the figure",
    "ref": lambda label: label,
    "term": lambda term: term,
}
