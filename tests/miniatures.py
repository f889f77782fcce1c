"""Write miniature releases once per session, and copy them for tests that spoil them."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

import pandas as pd

from helpers.datasets import miniatures as miniature

EVERY = [
    *[("mimic_cxr", "authors", "given"), ("mimic_cxr", "clean", "official")],
    *[("ham10000", "authors", "by-image"), ("ham10000", "authors", "lesion-disjoint"), ("ham10000", "clean", "lesion-disjoint")],
    *[("brset", "authors", "by-image"), ("brset", "authors", "patient-disjoint"), ("brset", "clean", "patient-disjoint")],
    *[("mbrset", "authors", "by-image"), ("mbrset", "authors", "patient-disjoint"), ("mbrset", "clean", "patient-disjoint")],
    *[("coco_qa", "common", "official"), ("recipes5k", "common", "official")],
    *[("fakeddit", "authors", "official"), ("fakeddit", "clean", "official")],
    *[("daquar", "authors", "official"), ("daquar", "clean", "official")],
]


@cache
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="miniatures-")


@cache
def release(name: str) -> Path:
    """Return a read-only miniature, shared by all tests of the session."""
    return miniature.write(name, Path(_folder().name) / name)


def spoilable(name: str, folder: Path) -> Path:
    """Return a copy of the miniature in ``folder`` that a test may change."""
    return Path(shutil.copytree(release(name), folder / name))


def edit(path: Path, change, **reading) -> None:
    """Read a table as strings, let ``change`` alter it in place or return another, and write it back."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False, **reading)
    altered = change(table)
    (table if altered is None else altered).to_csv(path, index=False, **reading)
