"""What closing the gap does to the stability of retrieval under noise and coarse storage (page 11).

    MEASURED_ROOT=FOLDER python studies/robustness.py

FOLDER holds ``public_embeddings`` as for ``alignments_public.py``. Each alignment is fitted on half of the pairs. On the other half
we count the images whose nearest text stays the same when both modalities get Gaussian noise, or are stored with 16 levels a
coordinate. The projected shift moves images by the part of the gap that is orthogonal to the leading directions of the texts
(Chowers et al., CVPR 2026). Renormalising expands vectors that a shift has shortened, so the same noise is then relatively
smaller: all moves are measured with and without it. The second table has the gap, the distribution gap (mean distance of pairs
after centring each modality; Liu et al., 2026, measure the gap after centring) and recall@1 in galleries of equal size.
"""

import numpy as np
import pandas as pd
from alignments import MOST, shipped
from alignments_public import INPUTS as PUBLIC_VECTORS
from alignments_public import public
from tqdm import tqdm

from helpers import gap_norm
from helpers.alignment.registry import make_alignment
from helpers.arrays import unit_both, unit_rows
from helpers.files import project_root, replacing
from helpers.retrieval import recall_both_ways
from helpers.separation import half_of_groups, tied_groups
from helpers.statistics import corrected_interval

INPUTS = ["data/embeddings", *PUBLIC_VECTORS]
OUT = ["data/measured/robustness.csv", "data/measured/distribution_gap.csv"]
MOVES = ("none", "lambda-1", "centring", "projected shift")
SPLITS = 20
NOISE = 0.25  # norm of the noise on average, beside vectors of unit length
LEVELS = 16  # of a coordinate, between the smallest and the largest of all coordinates
VARIANCE = 0.99  # share that the leading directions of the texts carry, to which the projected shift is orthogonal
GALLERY = 40  # pairs in the galleries of the second table; every set has as many held-out pairs
NAMES = ("dataset", "variant", "backbone", "rows")


def moved(name: str, renormalise: bool, fit: tuple, held: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Return held-out images and texts after a move that was learned on other pairs."""
    if name != "projected shift":
        return make_alignment(name, renormalise=renormalise).fit(*fit).transform(*held)
    image, text = fit
    gap, centred = image.mean(axis=0) - text.mean(axis=0), text - text.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    leading = directions[: 1 + int(np.searchsorted(np.cumsum(sizes**2) / (sizes**2).sum(), VARIANCE))]
    images = held[0] - (gap - leading.T @ (leading @ gap))
    return (unit_rows(images) if renormalise else images), held[1]


def nearest_text(image: np.ndarray, text: np.ndarray) -> np.ndarray:
    """Return the number of the text with the largest cosine to each image."""
    return (unit_rows(image) @ unit_rows(text).T).argmax(axis=1)


def stored_coarsely(image: np.ndarray, text: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors as they come back from storage with few levels, the same for both modalities."""
    low, high = min(image.min(), text.min()), max(image.max(), text.max())
    step = (high - low) / (LEVELS - 1)
    return low + step * np.round((image - low) / step), low + step * np.round((text - low) / step)


def survival(image: np.ndarray, text: np.ndarray, groups: np.ndarray) -> pd.DataFrame:
    """Return, per move and measure, mean and corrected 95 % interval over splits of the share of unchanged nearest texts."""
    found: dict[tuple, list[float]] = {}
    for split in range(SPLITS):
        half = half_of_groups(groups, split)
        fit, held = (image[half], text[half]), (image[~half], text[~half])
        for name in MOVES:
            for renormalise in (True, False):
                v, t = moved(name, renormalise, fit, held)
                rng, first = np.random.default_rng([3, split]), nearest_text(v, t)
                noisy = [x + rng.normal(scale=NOISE / np.sqrt(x.shape[1]), size=x.shape) for x in (v, t)]
                values = {
                    "noise": (nearest_text(*noisy) == first).mean(),
                    "storage": (nearest_text(*stored_coarsely(v, t)) == first).mean(),
                }
                values["recall"] = recall_both_ways(v, t, 1)[0]
                for measure, value in values.items():
                    found.setdefault((name, renormalise, measure), []).append(float(value))
    rows = []
    for key, values in found.items():
        change = np.subtract(values, found["none", True, key[2]])
        rows.append((*key, np.mean(values), *corrected_interval(values, 1.0), change.mean(), *corrected_interval(change, 1.0)))
    return pd.DataFrame(
        rows, columns=["move", "renormalise", "measure", "value", "low", "high", "change", "change_low", "change_high"]
    )


def gaps_and_recall(image: np.ndarray, text: np.ndarray) -> dict[str, float]:
    """Return the gap, the distribution gap, and recall@1 from image to text over galleries of one size."""
    v, t = (unit_rows(x - x.mean(axis=0)) for x in (image, text))
    order = np.random.default_rng(4).permutation(len(image))
    galleries = [order[start : start + GALLERY] for start in range(0, len(order) - GALLERY + 1, GALLERY)]
    recall = np.mean([recall_both_ways(image[rows], text[rows], 1)[0] for rows in galleries])
    return {"gap": gap_norm(image, text), "distribution_gap": float(np.linalg.norm(v - t, axis=1).mean()), "recall": float(recall)}


if __name__ == "__main__":
    survivals, gaps = [], []
    for identity, image, text, groups in tqdm([*public(), *shipped()], desc="robustness", unit="set"):
        image, text = unit_both(image, text, pairs=True)
        rows = np.sort(np.random.default_rng(0).permutation(len(image))[:MOST])
        image, text = image[rows].astype(np.float64), text[rows].astype(np.float64)
        tied = tied_groups(image, text, None if groups is None else np.asarray(groups)[rows])
        about = dict(zip(NAMES, identity, strict=True)) | {"pairs": len(rows)}
        survivals.append(
            survival(image, text, tied).assign(**about)[
                [*about, *"move renormalise measure value low high change change_low change_high".split()]
            ]
        )
        gaps.append(about | gaps_and_recall(image, text))
    for path, table in zip(OUT, (pd.concat(survivals), pd.DataFrame(gaps)), strict=True):
        with replacing(project_root() / path) as temporary:
            table.to_csv(temporary, index=False, float_format="%.5f")
