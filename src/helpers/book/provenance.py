"""Describe what made a page: its parameters, the software, the state of the source, and the embeddings it read."""

import hashlib
import json
import platform
import shlex
import subprocess
from collections.abc import Iterable
from importlib import metadata

import pandas as pd

from ..files import project_root

PACKAGES = ("numpy", "scipy", "pandas", "torch", "scikit-learn", "matplotlib", "modality-gap-book")
OF_THE_WORKFLOW = ("results", "made_with")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def commit() -> str:
    """Return the short commit of the source, ``+ local changes`` if files differ from it, or ``unknown`` outside a repository."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=project_root(), capture_output=True, text=True, check=True, timeout=20)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + (" + local changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown (not a git checkout)"


def parameters_fingerprint(parameters: dict) -> str:
    """Return the first 16 digits of a SHA-256 over parameters as written, except those of the workflow."""
    own = {name: value for name, value in parameters.items() if name not in OF_THE_WORKFLOW}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:16]


def papermill_command(notebook: str, parameters: dict, defaults: dict) -> str:
    """Return the command that repeats a notebook with these parameters, without those at their default.

    It excludes the folder of result tables and ``made_with``: a run by hand must not overwrite the book's tables.

    Example:
        >>> papermill_command("03_lambda_sweep", {"protocol": ["paper"], "n_boot": 9}, {"protocol": "paper", "n_boot": 9})
        "papermill notebooks/03_lambda_sweep.ipynb out.ipynb -p protocol '[\\"paper\\"]'"
    """
    words = ["papermill", f"notebooks/{notebook}.ipynb", "out.ipynb"]
    for name, value in parameters.items():
        if value != defaults.get(name) and name not in OF_THE_WORKFLOW:
            words += ["-p", name, json.dumps(value) if isinstance(value, list) else str(value)]
    return shlex.join(words)


def fingerprints(sets: Iterable) -> pd.DataFrame:
    """Return one row per embedding set: its names, its size and the first 16 digits of its SHA-256."""
    rows = []
    for s in sets:
        name = [str(s.provenance.get(k, "own")) for k in ("dataset", "variant", "backbone")]
        rows.append((*name, len(s), len(s.image), len(s.text), s.dim, s.fingerprint[:16]))
    return pd.DataFrame(rows, columns=["data set", "variant", "backbone", "pairs", "images", "texts", "d", "fingerprint"])
