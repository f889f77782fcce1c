"""Write miniature releases: small synthetic copies of the eight data sets in the real layout, with its irregularities."""

from pathlib import Path

import numpy as np

from ...arrays import choose
from ...files import replacing_folder
from ..base import SYNTHETIC
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

    No content is real: a program draws the pictures and makes up sentences and ids. Pictures, and texts other than bare questions,
    depend on the label with some noise, so that a probe can learn. Equal random states give equal files. The file ``SYNTHETIC.txt``
    marks the folder: embeddings from it are called a synthetic miniature and never compared with published numbers.

    Args:
        n: number of images (of posts for Fakeddit); the data set's entry in ``SIZES`` when None.
        marker: text put into every report and id of the credentialed data sets; a test then searches outputs for it.

    Raises:
        FileExistsError: ``root`` exists and is not empty.
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
        (folder / SYNTHETIC[0]).write_text(f"A synthetic miniature in the layout of {name}: nothing here is real.\n")
    return root
