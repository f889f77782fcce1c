"""List the modules that a sweep runs: a cached sweep is up to date as long as none of them has changed."""

import hashlib
from pathlib import Path

CODE = ("checks.py", "rows.py", "tasks.py", "geometry.py", "resampling.py", "metrics.py", "alignment/*.py", "probing/*.py")


def code_files(package: Path) -> list[Path]:
    """Return the modules of the package in this folder that a sweep runs: ``CODE``, the rooms it may import from."""
    return [path for pattern in CODE for path in sorted(package.glob(pattern))]


def probing_code() -> str:
    """Return the SHA-256 over the modules that a sweep runs."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in code_files(Path(__file__).parents[1]))).hexdigest()
