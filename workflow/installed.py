"""Exit with 1, naming what is absent, unless the packages of a lock file, and others that are named, are installed.

``python workflow/installed.py requirements.lock modality-gap-book``
"""

import sys
from importlib.metadata import distributions
from pathlib import Path

from environment import cpu_builds, to_install
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def missing(lock: str) -> list[str]:
    """Return the packages of a lock file that are absent, of another version, or without one of their modules."""
    lines = [line.removesuffix("\\").strip() for line in lock.splitlines() if line[:1].strip(" #")]
    wanted = {canonicalize_name(r.name): r for r in map(Requirement, lines) if r.marker is None or r.marker.evaluate()}
    found = {canonicalize_name(one.name): one for one in distributions() if one.name}
    absent = [name for name, r in wanted.items() if name not in found or not r.specifier.contains(found[name].version, True)]
    return absent + [name for name in wanted if name not in absent and not _whole(found[name])]


def _whole(package) -> bool:
    """Return whether each folder and module at the top of a package is there; reading every file would take seconds."""
    record = package.read_text("RECORD") or ""
    tops = {line.partition(",")[0].partition("/")[0] for line in record.splitlines() if not line.startswith(('"', "..", "/"))}
    return all(Path(package.locate_file(top)).exists() for top in tops if top != "__pycache__")


if __name__ == "__main__":
    lock = to_install(Path(sys.argv[1]).read_text("utf-8"), cpu_builds(Path(".venv")))
    if absent := missing("\n".join([lock, *sys.argv[2:]])):
        sys.exit(f"not installed as locked: {', '.join(absent)}")
