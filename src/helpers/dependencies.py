"""Which source files of this package a script or notebook depends on, by reading its imports, those inside functions included."""

import ast
from functools import cache
from pathlib import Path

PACKAGE = "helpers"


def helper_files(script, package_root) -> list[Path]:
    """Files of the helper package that a Python script or notebook can import, directly or through other helper modules.

    Imports are read from the syntax tree, wherever they stand. A name taken from the package itself stands for the module it is
    re-exported from; a module that imports by computed name is taken to need every module of its own folder.

    Args:
        script: ``.py`` (percent scripts too) or ``.ipynb`` file; or a module of the package, which then counts itself.
        package_root: folder of the ``helpers`` package.

    Returns:
        sorted paths.
    """
    package_root, script = Path(package_root), Path(script)
    # A module of the package resolves relative imports, and is one of the files it depends on.
    todo = {script} if script.is_relative_to(package_root) else _imports(_source(script), None, package_root)
    found: set[Path] = set()
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo |= _module_imports(path, package_root, path.stat().st_mtime_ns)
    return sorted(found)


def _source(path: Path) -> str:
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    from .files import read_json

    cells = (c for c in read_json(path)["cells"] if c["cell_type"] == "code")
    return "\n".join("".join(c["source"]) for c in cells)


@cache
def _module_imports(path: Path, package_root: Path, _changed: int) -> frozenset[Path]:
    return frozenset(_imports(path.read_text(encoding="utf-8"), path, package_root))


def _imports(source: str, module: Path | None, package_root: Path) -> set[Path]:
    """Helper files that one source imports itself; ``module`` is its own path, or None for a script outside the package."""
    found: set[Path] = set()
    # The package's own __init__ imports every module by computed name, on first use of a name that it re-exports.
    entrance = module == package_root / "__init__.py"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found |= _resolve(alias.name.split("."), [], package_root)
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            found |= _resolve(_absolute(node, module, package_root), names, package_root)
        elif isinstance(node, ast.Call) and _name(node.func) == "import_module" and module is not None and not entrance:
            found |= set(module.parent.rglob("*.py"))
    return found


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _absolute(node: ast.ImportFrom, module: Path | None, package_root: Path) -> list[str]:
    """Dotted name, as a list, of what ``from ... import`` refers to; empty if it is not of this package."""
    named = node.module.split(".") if node.module else []
    if not node.level:
        return named
    if module is None:
        return []
    folder = module.parents[node.level - 1]
    return [PACKAGE, *folder.relative_to(package_root).parts, *named] if folder.is_relative_to(package_root) else []


def _resolve(dotted: list[str], names: list[str], package_root: Path) -> set[Path]:
    """Files behind ``import dotted`` or ``from dotted import names``, each package on the way included."""
    if not dotted or dotted[0] != PACKAGE:
        return set()
    found = {package_root / "__init__.py"}
    path = package_root
    for part in dotted[1:]:
        path = path / part
        found |= _file(path)
    for name in names:
        home = _exports(package_root).get(name, name) if path == package_root else name
        found |= _file(path / home)
    return found


def _file(path: Path) -> set[Path]:
    return {p for p in (path / "__init__.py", path.with_suffix(".py")) if p.is_file()}


def _exports(package_root: Path) -> dict[str, str]:
    """The table in the package's ``__init__`` from public name to module."""
    for node in ast.parse((package_root / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and _name(node.targets[0]) == "_HOME":
            return ast.literal_eval(node.value)
    return {}
