"""Write the tables of the page on trust: promises with tests and figures, stored fault runs, licences of the packages."""

import ast
import re
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions
from pathlib import Path

import pandas as pd

from ..files import project_root, read_json
from ..page import markdown_table

ROOT = project_root()
RESULTS = ROOT / "benchmarks" / "results"
FAULTS, MUTATIONS, REPRODUCIBILITY = (RESULTS / f"{name}.json" for name in ("faults", "mutations", "reproducibility"))
NOT_STORED = "No run is stored in `benchmarks/results/{name}`, so this build has no figures. The script named above makes them.\n"


@dataclass(frozen=True)
class Promise:
    """What a reader may rely on, the tests that fail when it is broken, and the stored attacks whose counts are its figure."""

    text: str
    tests: tuple[str, ...]
    attacks: tuple[str, ...] = ()


PROMISES = (
    Promise(
        "$R$, the gap and the alignment equal slow reference versions and known closed forms",
        ("tests/test_geometry.py", "tests/alignment/test_alignment.py"),
    ),
    Promise("AUC and the other metrics equal scikit-learn's", ("tests/test_metrics.py",)),
    Promise("Under `paper` and `converged`, test rows change nothing that is fitted", ("tests/probing/test_sweep.py",)),
    Promise(
        "A converged probe is within its stated distance of the minimum, in weights and bias",
        ("tests/probing/test_solver.py", "tests/probing/test_certificate.py"),
    ),
    Promise("Probes trained side by side equal probes trained one at a time", ("tests/probing/test_descent.py",)),
    Promise(
        "Intervals equal a bootstrap written out as a loop, and resample whole groups",
        ("tests/probing/test_inference.py", "tests/test_statistics.py"),
    ),
    Promise("No group is on both sides of a split of the `clean` variant", ("tests/datasets/test_splits.py",)),
    Promise(
        "A killed save, extraction or sweep leaves what was there or nothing; run again, it ends in the same bytes",
        ("tests/faults/test_kills.py", "tests/extraction/test_resumption.py"),
        ("kills",),
    ),
    Promise(
        "A damaged file gives a result or one sentence that names it; nothing is unpickled",
        ("tests/faults/test_readers.py", "tests/store/test_store.py", "tests/extraction/test_extract_bad_input.py"),
        ("fuzzing",),
    ),
    Promise("A flipped bit of a stored file is found on reading", ("tests/faults/test_readers.py",), ("flipped bits",)),
    Promise(
        "Saving replaces a result of the same kind and nothing else",
        ("tests/faults/test_foreign_folders.py", "tests/faults/test_store_faults.py"),
    ),
    Promise("A folder name, a configuration value or a set's name is never a command", ("tests/faults/test_hostile_names.py",)),
    Promise("Decoding an image takes bounded memory and starts no program", ("tests/faults/test_image_faults.py",), ("memory",)),
    Promise("A missing, repeated or unreadable row is named and counted", ("tests/datasets/test_bad_input.py",)),
    Promise(
        "No text, identifier or file name of a credentialed data set reaches a page, a message or a log",
        ("tests/datasets/test_privacy.py", "tests/faults/test_marker_in_faults.py", "tests/workflow/test_notebooks_data.py"),
    ),
    Promise("Published numbers are complete, and a cell that was not recomputed stays empty", ("tests/paper/test_published.py",)),
    Promise("A set fills a cell of the paper only if its rows, dimension, encoder and route fit", ("tests/paper/test_cells.py",)),
    Promise(
        "A contributed report holds numbers only; a hostile one is refused by name and stops nothing",
        ("tests/paper/test_contributed.py",),
    ),
    Promise(
        "The commands and parameters that pages tell a reader to type exist; a mistake ends with one sentence",
        ("tests/book/test_user_pages.py", "tests/first_hour/test_first_hour.py"),
    ),
    Promise(
        "Each verdict follows from the numbers it cites, recomputed a second time from the published files",
        ("tests/paper/test_rule.py", "tests/paper/test_verdicts_independent.py"),
    ),
    Promise(
        "Every interval of the lambda sweep can be recomputed from exported test scores without this package",
        ("tests/probing/test_export.py",),
    ),
    Promise("Rooms of the package import one way; annotated types hold", ("tests/test_layers.py", "tests/test_types.py")),
    Promise("The built pages work in a browser", ("tests/book/test_browser.py",)),
)


def promises(path: Path = FAULTS) -> str:
    """Return each promise, the tests that hold it, and the counts of its stored attacks."""
    found = read_json(path) if path.is_file() else {}
    rows = [
        (one.text, ", ".join(f"`{test}`" for test in one.tests), "; ".join(_total(found, attack) for attack in one.attacks) or "–")
        for one in PROMISES
    ]
    return markdown_table(pd.DataFrame(rows, columns=["Promise", "Held by", "Figure"]))


def _total(found: dict, attack: str) -> str:
    """Return the sum of each count over everything that one kind of attack was run on."""
    if attack not in found:
        return "not stored"
    table = pd.DataFrame(found[attack]).T.apply(pd.to_numeric, errors="coerce").dropna(axis=1)
    totals = table.max() if attack == "memory" else table.sum()
    return ", ".join(f"{name}: {value:,.0f}" for name, value in totals.items())


def fault_figures(path: Path = FAULTS) -> str:
    """Return what the stored fault runs counted, one row for each attack and thing attacked; a sentence without stored runs."""
    if not path.is_file():
        return NOT_STORED.format(name=path.name)
    rows = [
        (attack, what, "; ".join(f"{name}: {value:,}" for name, value in counts.items() if not isinstance(value, dict | list)))
        for attack, of in read_json(path).items()
        for what, counts in of.items()
    ]
    return markdown_table(pd.DataFrame(rows, columns=["Attack", "On", "Counted"]))


def mutation_figures(path: Path = MUTATIONS) -> str:
    """Return how many deliberate faults in each module the tests found, from ``benchmarks/mutations.py``."""
    if not path.is_file():
        return NOT_STORED.format(name=path.name)
    rows = [(f"`{name}`", of["mutants"], of["found"], of["found"] / of["mutants"]) for name, of in read_json(path).items()]
    table = pd.DataFrame(rows, columns=["Module", "Faults put in", "Found by tests", "Share"])
    return markdown_table(table, {"Share": ".0%"})


def reproducibility(path: Path = REPRODUCIBILITY) -> str:
    """Return how far results of other runs, thread and worker counts are from the first, from ``benchmarks/reproducibility.py``."""
    if not path.is_file():
        return NOT_STORED.format(name=path.name)
    rows = [
        (what, change, "yes" if of["bitwise"] else "no", of["largest difference"])
        for what, changes in read_json(path).items()
        for change, of in changes.items()
    ]
    table = pd.DataFrame(rows, columns=["Result", "Changed", "Equal to the last bit", "Largest absolute difference"])
    return markdown_table(table, {"Largest absolute difference": ".1e"})


REASONS = {
    "torchvision": "open_clip and many encoders of transformers import it",
    "protobuf": "transformers reads sentencepiece models through it",
    "papermill": "runs the notebooks, as a command",
    "tabulate": "pandas writes Markdown tables through it",
    "ipykernel": "the kernel in which the notebooks run",
    "snakemake": "runs the workflow, as a command",
    "snakemake-executor-plugin-slurm": "runs the workflow on a cluster",
    "sphinx-mathjax-offline": "shows mathematics without a network",
    "pytest-xdist": "runs the tests on several cores",
    "ruff": "checks the style, as a command",
    "mypy": "checks the types, as a command",
    "pandas-stubs": "types of pandas, for mypy",
    "import-linter": "checks the order of imports, as a command",
    "easy-vqa": "holds the pictures and questions of easy-VQA; its files are read, its code is not",
}
"""Why a package is needed that nothing here imports."""


def dependencies() -> dict[str, str]:
    """Return every package that ``pyproject.toml`` names, and what it is needed for: to run, the book or the tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = {"to run": project["dependencies"]} | {
        f"for the {extra}": of for extra, of in project["optional-dependencies"].items()
    }
    return {re.split(r"[\s<>=!~;\[]", line, maxsplit=1)[0]: role for role, lines in groups.items() for line in lines}


def imported_modules() -> set[str]:
    """Return the top-level names of other packages that the package, the notebooks, the tests and the benchmarks import."""
    names: set[str] = set()
    for folder in ("src", "notebooks", "tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names)


def modules_of() -> dict[str, set[str]]:
    """Return the top-level modules of each installed package, by its normalised name."""
    modules: dict[str, set[str]] = {}
    for module, packages in packages_distributions().items():
        for package in packages:
            modules.setdefault(normalised(package), set()).add(module)
    return modules


def normalised(package: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def licences() -> str:
    """Return every package that ``pyproject.toml`` names with its reason and its licence, as the installed package states it."""
    imported, modules = imported_modules(), modules_of()
    rows = []
    for package, role in dependencies().items():
        used = sorted(modules.get(normalised(package), set()) & imported)
        why = f"imported as {', '.join(f'`{name}`' for name in used)}" if used else REASONS.get(package, "not imported")
        rows.append((package, role, why, _licence(package)))
    return markdown_table(pd.DataFrame(rows, columns=["Package", "Needed", "Why", "Licence"]))


def _licence(package: str) -> str:
    """Return the licence expression of an installed package, else its classifiers, else the first line of its licence field."""
    try:
        found = metadata(package)
    except PackageNotFoundError:
        return "not installed here"
    classifiers = [c.split(" :: ")[-1] for c in found.get_all("Classifier", []) if c.startswith("License ::")]
    stated = [line for line in (found["License"] or "").strip().splitlines() if line != "UNKNOWN"]
    return found["License-Expression"] or ", ".join(classifiers) or (stated[0] if stated else "not stated by the package")


PAGES = {
    "promises": promises,
    "fault_figures": fault_figures,
    "mutation_figures": mutation_figures,
    "reproducibility": reproducibility,
    "licences": licences,
}
