"""Put one fault at a time into a module, run its tests, and count the faults that no test finds.

    python tests/verification/mutations.py [--per-module 40] [--json tests/verification/results/mutations.json]

A fault is one changed operator, comparison, number, Boolean or returned value of the module's present source, drawn with a fixed
seed. The work is done in a copy of the project. A run that takes too long counts as found, in seconds of the processor.
"""

import argparse
import ast
import copy
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path("src/helpers")
MODULES = {
    "geometry.py": ["tests/test_geometry.py"],
    "metrics.py": ["tests/test_metrics.py"],
    "statistics.py": ["tests/test_statistics.py"],
    "alignment/shift.py": ["tests/alignment/test_alignment.py"],
    "alignment/estimator.py": ["tests/alignment", "tests/faults/test_foreign_folders.py"],
    "probing/inference.py": ["tests/probing/test_inference.py"],
    "store/disk.py": ["tests/store/test_store.py", "tests/faults/test_store_faults.py"],
    "store/foreign.py": ["tests/store/test_foreign.py", "tests/store/test_formats.py"],
}
PAIRS = "Add Sub, Mult Div, Lt LtE, Gt GtE, Eq NotEq, And Or, In NotIn, Is IsNot, BitAnd BitOr".split(", ")
SWAPPED = {getattr(ast, a): getattr(ast, b) for pair in PAIRS for a, b in (pair.split(), pair.split()[::-1])}
SWAPPED |= {ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult, ast.USub: ast.UAdd}
PATIENCE, STUCK = 60, 1200  # seconds of the processor, and of a run that waits for ever


def changed(node: ast.AST) -> dict[str, object]:
    """Return the field of a node of a syntax tree that a fault changes, with its faulty value; nothing if there is none."""
    match node:
        case ast.BinOp() | ast.BoolOp() | ast.UnaryOp() | ast.AugAssign() if type(node.op) in SWAPPED:
            return {"op": SWAPPED[type(node.op)]()}
        case ast.Compare() if type(node.ops[0]) in SWAPPED:
            return {"ops": [SWAPPED[type(node.ops[0])](), *node.ops[1:]]}
        case ast.Constant(value=bool()):
            return {"value": not node.value}
        case ast.Constant(value=int() | float()):
            return {"value": node.value + 1}
        case ast.Return(value=ast.AST()):
            return {"value": ast.Constant(None)}
        case ast.If():
            return {"test": ast.UnaryOp(ast.Not(), node.test)}
    return {}


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """Yield (line, what was changed, the whole faulty module) for every fault that can be put into a module."""
    for number in range(sum(1 for _ in ast.walk(ast.parse(source)))):
        tree = ast.parse(source)
        node = next(one for i, one in enumerate(ast.walk(tree)) if i == number)
        before = ast.unparse(node).splitlines()[:1]
        for name, value in changed(node).items():
            setattr(node, name, value)
            after = ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).splitlines()[:1]
            if after != before:
                yield node.lineno, f"{before[0]} -> {after[0]}", ast.unparse(ast.fix_missing_locations(tree))


def found_by_tests(project: Path, tests: list[str]) -> bool:
    """Run tests in a copy of the project; tell whether one fails or hangs."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=no", "-p", "no:cacheprovider", *tests]
    here = os.environ | {"PYTHONPATH": str(project / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    limit = partial(resource.setrlimit, resource.RLIMIT_CPU, (PATIENCE, PATIENCE + 1))
    try:
        return subprocess.run(command, cwd=project, env=here, capture_output=True, preexec_fn=limit, timeout=STUCK).returncode != 0
    except subprocess.TimeoutExpired:
        return True


def run(module: str, project: Path, most: int) -> dict:
    """Try at most ``most`` faults of one module, drawn at random."""
    source = (path := project / PACKAGE / module).read_text("utf-8")
    every, survivors = list(mutants(source)), []
    chosen = sorted(np.random.default_rng(0).permutation(len(every))[:most])
    if found_by_tests(project, MODULES[module]):
        raise RuntimeError(f"the tests of {module} fail without any fault; mend them first")
    for line, what, faulty in (every[number] for number in chosen):
        path.write_text(faulty, encoding="utf-8")
        if not found_by_tests(project, MODULES[module]):
            survivors.append(f"line {line}: {what}")
    path.write_text(source, encoding="utf-8")
    return {"possible": len(every), "mutants": len(chosen), "found": len(chosen) - len(survivors), "survivors": survivors}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-module", type=int, default=40)
    parser.add_argument("--only", nargs="*", default=list(MODULES), choices=list(MODULES), help="modules")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = json.loads(given.json.read_text("utf-8")) if given.json and given.json.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("src", "tests", "notebooks", "config", "book", "workflow"):  # what the tests need
            shutil.copytree(ROOT / name, Path(folder, name), ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "executed"))
        Path(folder, "data").symlink_to(ROOT / "data")
        shutil.copy(ROOT / "pyproject.toml", folder)
        for module in given.only:
            found[module] = run(module, Path(folder), given.per_module)
            print(module, json.dumps(found[module], indent=2), flush=True)
            if given.json:
                given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
