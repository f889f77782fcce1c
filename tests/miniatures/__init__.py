"""Write miniature releases: small synthetic copies of the eight data sets in the real layout, with its irregularities.

``python tests/miniatures NAME --out DIR`` writes one. Tests share one copy of each, and spoil copies of it.
"""

import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.datasets import DATASETS
from helpers.datasets.registry import SYNTHETIC
from helpers.files import replacing_folder

from . import medical, natural

SIZES = {  # numbers of images, of posts for Fakeddit
    **{"mimic_cxr": 400, "ham10000": 280, "brset": 240, "mbrset": 240},
    **{"coco_qa": 120, "fakeddit": 1500, "recipes5k": 150, "daquar": 60},
}
WRITERS = {name: vars(medical if DATASETS[name].card.domain == "medical" else natural)[name] for name in SIZES}
EVERY = [(name, variant, s) for name in SIZES for variant, splits in DATASETS[name].card.splits.items() for s in splits]


def write(name: str, root, n: int | None = None, seed: int = 0, marker: str = "") -> Path:
    """Write a miniature of data set ``name`` as the new folder ``root``, with ``n`` images.

    No content is real. Pictures, and texts other than bare questions, depend on the label with some noise, so that a probe can
    learn. ``SYNTHETIC.txt`` marks the folder: embeddings from it are never compared with published numbers. Of a credentialed data
    set, every report and id holds ``marker``; a test then searches outputs for it.
    """
    root, n = Path(root), SIZES[name] if n is None else n
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise FileExistsError(f"{root} is not empty; give a new folder for the miniature")
    with replacing_folder(root, SYNTHETIC, None, "a miniature") as folder:
        WRITERS[name](folder, n, np.random.default_rng(seed), **({"marker": marker} if DATASETS[name].card.credentialed else {}))
        (folder / SYNTHETIC).write_text(f"A synthetic miniature in the layout of {name}: nothing here is real.\n")
    return root


@cache
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="miniatures-")


@cache
def release(name: str) -> Path:
    """Return a read-only miniature, shared by all tests of a process."""
    return write(name, Path(_folder().name) / name)


def spoilable(name: str, folder: Path) -> Path:
    """Return a copy of the miniature in ``folder`` that a test may change."""
    return Path(shutil.copytree(release(name), folder / name))


def edit(path: Path, change, **reading) -> None:
    """Read a table as strings, let ``change`` alter it in place or return another, and write it back."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False, **reading)
    altered = change(table)
    (table if altered is None else altered).to_csv(path, index=False, **reading)
