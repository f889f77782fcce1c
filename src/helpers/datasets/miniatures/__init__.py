"""Miniature releases: small drawn copies of the eight data sets in the layout of the real ones, oddities included."""

from pathlib import Path

import numpy as np

from ...checks import choose
from ...files import replacing_folder
from ..base import DRAWN
from . import medical, natural

WRITERS = {
    "mimic_cxr": medical.mimic_cxr,
    "ham10000": medical.ham10000,
    "brset": medical.brset,
    "mbrset": medical.mbrset,
    "coco_qa": natural.coco_qa,
    "fakeddit": natural.fakeddit,
    "recipes5k": natural.recipes5k,
    "daquar": natural.daquar,
}
SIZES = {
    **{"mimic_cxr": 400, "ham10000": 280, "brset": 240, "mbrset": 240},
    **{"coco_qa": 120, "fakeddit": 1500, "recipes5k": 150, "daquar": 60},
}
LEAST = 40


def write(name: str, root, n: int | None = None, seed: int = 0, marker: str = "") -> Path:
    """Write a miniature of data set ``name`` as the folder ``root``, which appears whole or not at all.

    Nothing in it is real: pictures are drawn, sentences and ids are made up. Pictures tell much of the label but not all, and so do
    texts except bare questions, so that a probe finds something to learn. The same seed gives the same files. Its file
    ``DRAWN.txt`` tells it from a release: what is extracted from it is called a drawn miniature and set beside no published number.

    Args:
        n: number of images (of posts for Fakeddit); the data set's entry in ``SIZES`` when None.
        marker: put into every report and every id of the credentialed data sets, to look for afterwards where it must not be.

    Raises:
        FileExistsError: ``root`` is there and not empty.
        ValueError: an unknown name, or fewer than 40 images.
    """
    writer = WRITERS[choose(name, WRITERS, "miniature")]
    root, n = Path(root), SIZES[name] if n is None else n
    if n < LEAST:
        raise ValueError(f"n is {n}; a miniature needs at least {LEAST} images to be split")
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise FileExistsError(f"{root} is not empty; give a new folder for the miniature")
    options = {"marker": marker} if name in ("mimic_cxr", "brset", "mbrset") else {}
    with replacing_folder(root) as folder:
        writer(folder, n, np.random.default_rng(seed), **options)
        (folder / DRAWN).write_text(f"A drawn miniature in the layout of {name}: nothing here is real.\n")
    return root
