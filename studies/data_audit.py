"""The data before any encoder: diversity of images and texts, and lengths of texts (pages 01 and 09).

    MEASURED_ROOT=FOLDER python studies/data_audit.py

FOLDER holds ``flickr8k`` and ``ham10000`` with their images. The project ships the numbers, not the images and texts.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from helpers import load_dataset
from helpers.backbones.registry import trained
from helpers.datasets.describe import text_lengths, tokenizers_at_hand
from helpers.files import project_root, replacing
from helpers.images import decode

SETS = (("flickr8k", "common"), ("ham10000", "clean"), ("ham10000", "authors"))
INPUTS = ["$MEASURED_ROOT/flickr8k", "$MEASURED_ROOT/ham10000"]
OUT = [f"data/diversity/{name}.csv" for name in ("flickr8k", "ham10000")]
OUT += [f"data/text_lengths/{dataset}-{variant}.csv" for dataset, variant in SETS]
SIDE = 32  # pixels to which images are resized, so that position matters and resolution does not


def diversity(dataset) -> pd.DataFrame:
    """Return pixel variance and the share of distinct texts of all pairs and, for a multi-label task, of the rows of each label.

    The pixel variance is that of a value in [0, 1] over distinct images, averaged over pixels and channels.
    """
    subsets = {"all pairs": dataset.rows}
    if dataset.task.kind == "multilabel":
        named = zip(dataset.task.classes, dataset.task.columns, strict=True)
        subsets |= {name: dataset.rows[dataset.rows[column] == 1] for name, column in named}
    found = []
    for name, rows in subsets.items():
        images = rows["image"].unique()
        variance = pixel_variance([dataset.root / image for image in images])
        found.append((dataset.name, name, len(images), variance, rows["text"].nunique() / len(rows)))
    return pd.DataFrame(found, columns=["dataset", "subset", "n_images", "pixel_variance", "distinct_text_share"])


def pixel_variance(paths: list[Path]) -> float:
    total, squares = np.zeros((SIDE, SIDE, 3)), np.zeros((SIDE, SIDE, 3))
    for path in tqdm(paths, desc="pixel variance", unit="image"):
        pixels = np.asarray(decode(path).resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64) / 255
        total, squares = total + pixels, squares + pixels**2
    return float((squares / len(paths) - (total / len(paths)) ** 2).mean())


if __name__ == "__main__":
    root, tables = Path(os.environ["MEASURED_ROOT"]), {}
    for name, variant in SETS:
        dataset = load_dataset(name, root / name, variant, missing_images="drop")
        if variant != "authors":  # of the same images
            tables[f"data/diversity/{name}.csv"] = diversity(dataset)
        tables[f"data/text_lengths/{name}-{variant}.csv"] = text_lengths(dataset, tokenizers_at_hand(trained())[0])
    for path, table in tables.items():
        with replacing(project_root() / path) as temporary:
            table.to_csv(temporary, index=False)
