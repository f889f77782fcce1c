"""The geometry of real encoders, trained and with random weights, on vectors that others published (pages 01 and 13).

    MEASURED_ROOT=FOLDER python studies/public_encoders.py

FOLDER/public_embeddings holds `clip.npy`, `clip_random.npy`, `convirt.npy` and so on, each (2, n, d), from SOURCE. The
project ships the numbers, not the vectors. R and the gap have bootstrap intervals. The other quantities have a 95 % interval from a
jackknife over blocks of pairs, because repeated rows of a bootstrap bias a rank and a small gap.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.alignment.shift import predicted_residual_gap, residual_gap
from helpers.arrays import unit_rows
from helpers.files import project_root, replacing
from helpers.geometry import effective_rank, gap_and_first_direction, gap_norm, mean_resultant_length, principal_directions
from helpers.separation import relative_modality_gap
from helpers.statistics import bootstrap_interval

INPUTS = ["$MEASURED_ROOT/public_embeddings/*.npy"]
OUT = "data/measured/public_encoders.csv"

SOURCE = "github.com/Weixin-Liang/Modality-Gap, Figure_1_Modality_Gap/features_*.npy (MIT licence)"
COMMIT = "8e20cb24efa4c5f89aad694f2f65eb43ffc46d10"
ENCODERS = {  # file -> name, domain
    "clip": ("CLIP ViT-B/16", "natural"),  # MS COCO val2017, image and caption
    "convirt": ("ConVIRT", "medical"),  # chest radiograph and report
    "videoclip": ("VideoCLIP", "natural"),  # MSR-VTT, video and caption
    "clasp": ("CLASP", "none"),  # protein sequence and description
}
BLOCKS = 20


def measure(image: np.ndarray, text: np.ndarray) -> pd.DataFrame:
    """Return the geometry of paired vectors (n, d) as ``modality, quantity, value, low, high``."""
    image, text = unit_rows(image, "image"), unit_rows(text, "text")

    def norm(*means: np.ndarray) -> np.ndarray:
        return np.linalg.norm(means[0] if len(means) == 1 else means[0] - means[1], axis=1)

    rows = [(m, "R", mean_resultant_length(x), *bootstrap_interval(norm, x)) for m, x in (("image", image), ("text", text))]
    rows.append(("joint", "gap_norm", gap_norm(image, text), *bootstrap_interval(norm, image, text)))
    blocks = np.array_split(np.random.default_rng(0).permutation(len(image)), BLOCKS)
    without = [quantities(np.delete(image, block, axis=0), np.delete(text, block, axis=0)) for block in blocks]
    for key, value in quantities(image, text).items():
        spread = np.array([one[key] for one in without])
        error = 1.959964 * np.sqrt((BLOCKS - 1) / BLOCKS * ((spread - spread.mean()) ** 2).sum())
        rows.append((*key, value, value - error, value + error))
    return pd.DataFrame(rows, columns=["modality", "quantity", "value", "low", "high"])


def quantities(image: np.ndarray, text: np.ndarray) -> dict[tuple[str, str], float]:
    """Return the quantities whose intervals come from the jackknife."""
    cosine, share = gap_and_first_direction(image, text)
    return {
        ("image", "effective_rank"): effective_rank(image),
        ("text", "effective_rank"): effective_rank(text),
        ("joint", "cos_gap_pc1"): cosine,
        ("joint", "gap_share"): share,
        ("joint", "pc1_share"): float(principal_directions(np.concatenate([image, text]), k=1)[1][0]),
        ("joint", "residual_gap"): residual_gap(image, text, 1.0),
        ("joint", "residual_gap_predicted"): predicted_residual_gap(image, text, 1.0),
        ("joint", "relative_modality_gap"): relative_modality_gap(image, text),
    }


if __name__ == "__main__":
    folder, found = Path(os.environ["MEASURED_ROOT"]) / "public_embeddings", []
    for name, (title, domain) in ENCODERS.items():
        for weights, ending in (("trained", ""), ("random", "_random")):
            image, text = np.load(folder / f"{name}{ending}.npy", allow_pickle=False).astype(np.float64)
            about = {"encoder": title, "domain": domain, "weights": weights, "pairs": len(image), "d": image.shape[1]}
            found.append(measure(image, text).assign(**about))
    columns = ["encoder", "domain", "weights", "pairs", "d", "modality", "quantity", "value", "low", "high"]
    with replacing(project_root() / OUT) as temporary:
        pd.concat(found, ignore_index=True)[columns].assign(source=SOURCE, commit=COMMIT).to_csv(temporary, index=False)
