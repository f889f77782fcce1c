"""Make the tables of the page on trust: promises with tests and figures, stored fault runs, licences of the packages."""

import ast
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions
from pathlib import Path

import pandas as pd
import yaml
from summary import markdown_table

from helpers.files import project_root, read_json

ROOT = project_root()
PAGE = ROOT / "book" / "trust.yml"
RESULTS = ROOT / "tests" / "verification" / "results"
FOLDERS = ("src", "notebooks", "studies", "benchmarks", "workflow", "tests")
FOR_TESTS = "for the tests"
NOT_STORED = "No run is stored in `tests/verification/results/{name}`: no figures here. The script named above makes them.\n"


def stated() -> dict:
    """Return the promises of the page and the reasons of packages that nothing imports."""
    return yaml.safe_load(PAGE.read_text("utf-8"))


def _stored(name: str, results: Path) -> dict:
    return read_json(results / name) if (results / name).is_file() else {}


def promises(results: Path = RESULTS) -> str:
    """Return each promise, the tests that hold it, and the counts of its stored attacks."""
    found, rows = _stored("faults.json", results), []
    for one in stated()["promises"]:
        figure = "; ".join(_total(found, attack) for attack in one.get("attacks", ()))
        rows.append((one["promise"], ", ".join(f"`{test}`" for test in one["tests"]), figure or "–"))
    table = pd.DataFrame(rows, columns=["Promise", "Held by", "Figure"])
    return markdown_table(table, "What is promised, and the tests that hold it.")


def _total(found: dict, attack: str) -> str:
    """Return the sum of each count over everything that one kind of attack was run on."""
    if attack not in found:
        return "not stored"
    table = pd.DataFrame(found[attack]).T.apply(pd.to_numeric, errors="coerce").dropna(axis=1)
    totals = table.max() if attack == "memory" else table.sum()
    return ", ".join(f"{name}: {value:,.0f}" for name, value in totals.items())


def fault_figures(results: Path = RESULTS) -> str:
    """Return what the stored fault runs counted, a row for each attack and count; a sentence without stored runs."""
    alike: dict[tuple[str, str], list[str]] = {}
    for attack, of in _stored("faults.json", results).items():
        for what, counts in of.items():
            said = "; ".join(f"{name}: {value:,}" for name, value in counts.items() if not isinstance(value, dict | list))
            alike.setdefault((attack, said), []).append(what)
    rows = [(attack, "; ".join(of), said) for (attack, said), of in alike.items()]
    return _table(rows, ["Attack", "On each of", "Counted"], {}, "faults.json", "What the stored fault runs counted.")


def mutation_figures(results: Path = RESULTS) -> str:
    """Return how many deliberate faults in each module the tests found."""
    found = _stored("mutations.json", results)
    rows = [(f"`{name}`", of["mutants"], of["found"], of["found"] / of["mutants"]) for name, of in found.items()]
    columns, caption = ["Module", "Faults put in", "Found by tests", "Share"], "Deliberate faults that the tests of a module find."
    return _table(rows, columns, {"Share": ".0%"}, "mutations.json", caption)


def reproducibility(results: Path = RESULTS) -> str:
    """Return how far results of other runs, thread and worker counts are from the first."""
    found = _stored("reproducibility.json", results)
    changes = list(dict.fromkeys(change for of in found.values() for change in of))
    shown = {
        what: {c: "equal" if of[c]["bitwise"] else f"{of[c]['largest difference']:.1g}" for c in of} for what, of in found.items()
    }
    rows = [(what, *map(of.get, changes)) for what, of in shown.items()]
    caption = "Largest absolute difference after one change; equal is to the last bit."
    return _table(rows, ["Result", *(c.capitalize() for c in changes)], {}, "reproducibility.json", caption)


def _table(rows: list, columns: list[str], formats: dict[str, str], name: str, caption: str) -> str:
    return markdown_table(pd.DataFrame(rows, columns=columns), caption, formats) if rows else NOT_STORED.format(name=name)


def dependencies() -> dict[str, str]:
    """Return every package that ``pyproject.toml`` names, and what it is needed for: to run, the book or the tests."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    groups = {"to run": named["project"]["dependencies"], "for the book": named["project"]["optional-dependencies"]["book"]}
    groups[FOR_TESTS] = named["dependency-groups"]["test"]
    return {re.split(r"[\s<>=!~;\[]", line, maxsplit=1)[0]: role for role, lines in groups.items() for line in lines}


def imported_modules() -> set[str]:
    """Return the top-level names of other packages that any Python file of the project imports."""
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    nodes = [node for path in paths for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names)


def modules_of() -> dict[str, set[str]]:
    """Return the top-level modules of each installed package, by its name as indexes compare it."""
    modules: dict[str, set[str]] = {}
    for module, packages in packages_distributions().items():
        for package in packages:
            modules.setdefault(normalised(package), set()).add(module)
    return modules


def normalised(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def licences() -> str:
    """Return every package that the project and its book need, with its reason and the licence that the package states."""
    imported, modules, reasons, rows = imported_modules(), modules_of(), stated()["reasons"], []
    for package, role in dependencies().items():
        if role == FOR_TESTS:
            continue  # `make book` does not install it
        used = ", ".join(f"`{name}`" for name in sorted(modules.get(normalised(package), set()) & imported))
        why = f"imported as {used}" if used else reasons.get(package, "not imported")
        rows.append((package, role, why, _licence(package)))
    return markdown_table(pd.DataFrame(rows, columns=["Package", "Needed", "Why", "Licence"]), "Packages and their licences.")


def _licence(package: str) -> str:
    """Return the licence expression of an installed package, else its classifiers, else the first line of its licence field."""
    try:
        found = metadata(package)
    except PackageNotFoundError:
        return "not installed here"
    classifiers = [c.split(" :: ")[-1] for c in found.get_all("Classifier", []) if c.startswith("License ::")]
    lines = [line for line in (found["License"] or "").strip().splitlines() if line != "UNKNOWN"]
    return found["License-Expression"] or ", ".join(classifiers) or (lines[0] if lines else "not stated by the package")


PAGES = {make.__name__: make for make in (promises, fault_figures, mutation_figures, reproducibility, licences)}
