"""Put one fault at a time into a module, run its tests, and count the faults that no test finds.

    python tests/verification/mutations.py [--per-module 40] [--json tests/verification/results/mutations.json]

A fault is one changed operator, comparison, number, Boolean or returned value; which ones are tried is drawn at random with a fixed
seed. The work is done in a copy of the project, so nothing here changes. A run that takes too long counts as found; its limit is in
seconds of the processor, so that a busy machine finds no more.
"""

import argparse
import ast
import copy
import json
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path("src/helpers")
MODULES = {
    "geometry.py": ["tests/test_geometry.py"],
    "metrics.py": ["tests/test_metrics.py"],
    "statistics.py": ["tests/test_statistics.py"],
    "alignment/shift.py": ["tests/alignment/test_alignment.py"],
    "alignment/estimator.py": ["tests/alignment", "tests/faults/test_foreign_folders.py"],
    "probing/inference.py": ["tests/probing/test_inference.py"],
    "store/record.py": ["tests/store/test_store.py", "tests/faults/test_store_faults.py", "tests/faults/test_readers.py"],
    "store/foreign.py": ["tests/store/test_foreign.py"],
}
SWAPPED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.And: ast.Or, ast.Or: ast.And, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.USub: ast.UAdd,
}  # fmt: skip
PATIENCE = 60  # seconds of the processor
STUCK = 20 * PATIENCE  # seconds of a run that waits for ever
LIBRARIES = "hypothesis pandas pyarrow.parquet pydantic safetensors.numpy scipy.optimize scipy.stats sklearn.metrics torch".split()


def changed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield faulty versions of one node of a syntax tree."""
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.UnaryOp | ast.AugAssign) and type(node.op) in SWAPPED:
        yield _with(node, op=SWAPPED[type(node.op)]())
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPPED:
        yield _with(node, ops=[SWAPPED[type(node.ops[0])](), *node.ops[1:]])
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield _with(node, value=not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield _with(node, value=node.value + 1)
    elif isinstance(node, ast.Return) and node.value is not None:
        yield _with(node, value=ast.Constant(None))
    elif isinstance(node, ast.If):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))


def _with(node: ast.AST, **fields) -> ast.AST:
    made = copy.copy(node)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


class _Replace(ast.NodeTransformer):
    """Put a faulty node in the place of one node."""

    def __init__(self, place: ast.AST, faulty: ast.AST):
        self.place, self.faulty = place, faulty

    def visit(self, node: ast.AST) -> ast.AST:
        return self.faulty if node is self.place else self.generic_visit(node)


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """Yield (line, what was changed, the whole faulty module) for every fault that can be put into a module."""
    for number in range(sum(1 for _ in ast.walk(ast.parse(source)))):
        tree = ast.parse(source)
        node = next(one for i, one in enumerate(ast.walk(tree)) if i == number)
        if not hasattr(node, "lineno"):
            continue
        before = ast.unparse(node).splitlines()[0]
        for faulty in changed(node):
            after = ast.unparse(ast.fix_missing_locations(faulty)).splitlines()[0]
            if after != before:
                made = ast.unparse(ast.fix_missing_locations(_Replace(node, ast.copy_location(faulty, node)).visit(tree)))
                yield node.lineno, f"{before} -> {after}", made


def found_by_tests(project: Path, tests: list[str]) -> bool:
    """Run tests in a copy of the project, in a fork that has the libraries loaded; tell whether one fails or hangs."""
    run = multiprocessing.get_context("fork").Process(target=_run_tests, args=(project, tests))
    run.start()
    run.join(STUCK)
    if run.is_alive():
        run.kill()
        run.join()
    return run.exitcode != 0


def _run_tests(project: Path, tests: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE + 1))
    os.chdir(project)
    sys.path.insert(0, str(project / "src"))
    sys.dont_write_bytecode = True
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os._exit(int(pytest.main(["-q", "-x", "--tb=no", "-p", "no:cacheprovider", *tests])))


def copied(folder: Path) -> Path:
    """Copy what the tests need."""
    for name in ("src", "tests", "notebooks", "config", "book", "workflow"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "executed"))
    (folder / "data").symlink_to(ROOT / "data")
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run(module: str, project: Path, most: int) -> dict:
    """Try at most ``most`` faults of one module, drawn at random."""
    path = project / PACKAGE / module
    source = path.read_text("utf-8")
    every = list(mutants(source))
    chosen = sorted(np.random.default_rng(0).permutation(len(every))[:most])
    survivors = []
    if found_by_tests(project, MODULES[module]):
        raise RuntimeError(f"the tests of {module} fail without any fault; mend them first")
    for line, what, faulty in (every[number] for number in chosen):
        path.write_text(faulty, encoding="utf-8")
        if not found_by_tests(project, MODULES[module]):
            survivors.append(f"line {line}: {what}")
            print(f"{module}: not found: {survivors[-1]}", flush=True)
    path.write_text(source, encoding="utf-8")
    return {"possible": len(every), "mutants": len(chosen), "found": len(chosen) - len(survivors), "survivors": survivors}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-module", type=int, default=40)
    parser.add_argument("--only", nargs="*", default=list(MODULES), help="modules")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = json.loads(given.json.read_text("utf-8")) if given.json and given.json.is_file() else {}
    for library in LIBRARIES:  # loaded once, before the forks
        import_module(library)
    with tempfile.TemporaryDirectory() as folder:
        project = copied(Path(folder))
        for module in given.only:
            found[module] = run(module, project, given.per_module)
            print(f"{module}: {found[module]['found']} of {found[module]['mutants']} found", flush=True)
            if given.json:
                given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
