"""Measure what every alignment closes and costs on vectors of real encoders.

``MEASURED_ROOT=FOLDER python studies/alignments_public.py``. The vectors are those that Liang et al. (NeurIPS 2022)
published; the project does not ship them. FOLDER/public_embeddings holds ``clip.npy`` and its siblings, each of shape (2, n, d).
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from alignments import measure

PUBLIC = {
    "clip": ("MS COCO val2017", "CLIP ViT-B/16"),
    "convirt": ("chest radiographs", "ConVIRT"),
    "videoclip": ("MSR-VTT", "VideoCLIP"),
    "clasp": ("protein sequences", "CLASP"),
}
INPUTS = [f"$MEASURED_ROOT/public_embeddings/{name}.npy" for name in PUBLIC]
OUT = ["data/measured/alignments_public.csv", "data/measured/alignments_galleries_public.csv"]


def public() -> Iterator[tuple[tuple, np.ndarray, np.ndarray, None]]:
    """Yield the identity and vectors of the published pairs, which have no groups."""
    for path, (dataset, backbone) in zip(INPUTS, PUBLIC.values(), strict=True):
        image, text = np.load(Path(os.path.expandvars(path)), allow_pickle=False)
        yield (dataset, "public", backbone, "all"), image, text, None


if __name__ == "__main__":
    measure(public(), OUT)
