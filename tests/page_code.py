"""The functions of a notebook, without running the page."""

import ast
from types import SimpleNamespace

from conftest import ROOT


def functions_of(page: str, *constants: str) -> SimpleNamespace:
    """Return the imports, functions and classes of a notebook, and the constants that they need; nothing else of it is run."""
    names: dict = {}
    for node in ast.parse((ROOT / f"notebooks/{page}.py").read_text("utf-8")).body:
        constant = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in constants
        if constant or isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
            exec(compile(ast.Module([node], []), page, "exec"), names)
    return SimpleNamespace(**names)
