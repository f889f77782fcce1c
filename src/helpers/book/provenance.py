"""What made a page: its parameters, the software, the state of the source, and the embeddings it read."""

import json
import platform
import shlex
import subprocess
from collections.abc import Iterable
from importlib import metadata

import pandas as pd

from ..files import project_root

PACKAGES = ("numpy", "scipy", "pandas", "torch", "scikit-learn", "matplotlib", "modality-gap-book")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def commit() -> str:
    """Short commit of the source, ``+ local changes`` if files differ from it, or ``unknown`` outside a repository."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=project_root(), capture_output=True, text=True, check=True, timeout=20)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + (" + local changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown (not a git checkout)"


def papermill_command(notebook: str, parameters: dict, defaults: dict) -> str:
    """The command that runs a notebook again with these parameters; those at their default are left out.

    Example:
        >>> papermill_command("03_lambda_sweep", {"protocol": ["paper"], "n_boot": 9}, {"protocol": "paper", "n_boot": 9})
        "papermill notebooks/03_lambda_sweep.ipynb out.ipynb -p protocol '[\\"paper\\"]'"
    """
    words = ["papermill", f"notebooks/{notebook}.ipynb", "out.ipynb"]
    for name, value in parameters.items():
        if value != defaults.get(name):
            words += ["-p", name, json.dumps(value) if isinstance(value, list) else str(value)]
    return shlex.join(words)


def fingerprints(sets: Iterable) -> pd.DataFrame:
    """One row per embedding set: which it is, its size and the first 16 digits of its SHA-256."""
    rows = []
    for s in sets:
        name = [str(s.provenance.get(k, "own")) for k in ("dataset", "variant", "backbone")]
        rows.append((*name, len(s), len(s.image), len(s.text), s.dim, s.fingerprint[:16]))
    return pd.DataFrame(rows, columns=["data set", "variant", "backbone", "pairs", "images", "texts", "d", "fingerprint"])
