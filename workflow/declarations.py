"""Read what ``notebooks/pages.yml`` declares, and find the package's modules that a page or a step runs."""

import ast
import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import grimp
import yaml
from pydantic import BaseModel

import helpers
from helpers.page import notebook_defaults, parameters_fingerprint

NOTEBOOKS = Path("notebooks")


class Reads(BaseModel, extra="forbid"):
    """What a page reads besides its notebook and the package: globs of files, variants of the shown sets, tables, cached sweeps.

    The page's parameter ``variant`` takes the place of ``sets`` if the configuration sets it.
    """

    files: list[str] = []
    sets: list[Literal["clean", "authors"]] = []
    tables: list[str] = []
    sweeps: bool = False

    def found(self) -> list[str]:
        """Return the files that match the globs."""
        return sorted({str(path) for glob in self.files for path in Path().glob(glob) if path.is_file()})


class Declared(BaseModel, extra="forbid"):
    """The entry of one page; ``settable`` names the parameters that a configuration may set."""

    title: str
    reads: Reads = Reads()
    writes: dict[Literal["tables", "files"], list[str]] = {}
    settable: list[str] = []


def read_pages(notebooks: Path = NOTEBOOKS) -> dict[str, Declared]:
    """Return the declaration of each page by the name of its notebook."""
    return {name: Declared(**entry) for name, entry in yaml.safe_load((notebooks / "pages.yml").read_text("utf-8")).items()}


def figures(notebook: Path) -> dict[str, list[str]]:
    """Return the tables that each figure of a notebook shows, from ``tables`` in its cell's metadata.

    A name is that of a result table, or of a shipped one with its folder below ``data``.
    """
    metadata = [cell["metadata"] for cell in json.loads(notebook.read_text("utf-8"))["cells"]]
    shown = {of.get("mystnb", {}).get("figure", {}).get("name"): of.get("tables", []) for of in metadata}
    return {name: tables for name, tables in shown.items() if name}


def injected_parameters(notebook: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that the notebook has parameters for and that differ from its defaults."""
    defaults = notebook_defaults(notebook)
    return {name: value for name, value in settings.items() if name in defaults and value != defaults[name]}


def run_fingerprint(notebook: Path, injected: dict) -> str:
    """Return the fingerprint that the tables of a run with these injected parameters carry."""
    return parameters_fingerprint(notebook_defaults(notebook) | (yaml.safe_load(json.dumps(injected)) or {}))


def page_code(notebook: Path) -> list[str]:
    """Return the files of all modules of the package that a notebook imports, directly or not."""
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    return code_of(*imported("\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")))


def imported(source: str) -> set[str]:
    """Return the names in ``import`` statements that may be modules of the package; its lazy names count as their modules."""
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in (n for n in nodes if isinstance(n, ast.ImportFrom) and n.module):
        names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    lazy = {f"helpers.{name}": f"helpers.{home}" for name, home in helpers._HOME.items()}
    return {lazy.get(name, name) for name in names}


def code_of(*modules: str) -> list[str]:
    """Return the files of modules and of all that they import; what is imported by a computed name, as a reader, does not count."""
    graph = _graph()
    named = graph.modules.intersection(modules) - {"helpers"}
    paths = [Path("src", *module.split(".")) for module in named.union(*map(graph.find_upstream_modules, named))]
    return sorted(str(path / "__init__.py" if path.is_dir() else path.with_suffix(".py")) for path in paths)


@lru_cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph("helpers", cache_dir=".snakemake/cache/grimp")
