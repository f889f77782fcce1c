"""Measure the geometry of real encoders on vectors that others published; the project ships the numbers, not the vectors."""

from pathlib import Path

import numpy as np
import pandas as pd

from ..alignment.shift import predicted_residual_gap, residual_gap
from ..arrays import embedding_matrix, same_dimension, unit_rows
from ..files import project_root
from ..geometry import effective_rank, gap_and_first_direction, gap_norm, mean_resultant_length, principal_directions
from ..statistics import bootstrap_interval

SOURCE = "github.com/Weixin-Liang/Modality-Gap, Figure_1_Modality_Gap/features_*.npy (MIT licence)"
COMMIT = "8e20cb24efa4c5f89aad694f2f65eb43ffc46d10"
ENCODERS = {  # file -> name, domain, content of its rows
    "clip": ("CLIP ViT-B/16", "natural", "MS COCO val2017, image and caption"),
    "convirt": ("ConVIRT", "medical", "chest radiograph and report"),
    "videoclip": ("VideoCLIP", "natural", "MSR-VTT, video and caption"),
    "clasp": ("CLASP", "none", "protein sequence and description"),
}
SHIPPED = Path("data/measured/public_encoders.csv")
BLOCKS = 20


def measure_folder(folder) -> pd.DataFrame:
    """Measure every published encoder in ``folder``, trained and with random weights.

    R and the gap have the project's bootstrap intervals. The other quantities have a 95 % interval from a jackknife over 20 blocks
    of pairs, because repeated rows of a bootstrap bias a rank and a small gap.

    Returns:
        ``encoder, domain, weights, pairs, d, modality, quantity, value, low, high, source, commit``.

    Raises:
        FileNotFoundError: ``folder`` holds no file of a known encoder.
        ValueError: an array is not (2, n, d).
    """
    found = []
    for name, (title, domain, _) in ENCODERS.items():
        for weights, ending in (("trained", ""), ("random", "_random")):
            path = Path(folder) / f"{name}{ending}.npy"
            if path.is_file():
                image, text = read_pair(path)
                about = {"encoder": title, "domain": domain, "weights": weights, "pairs": len(image), "d": image.shape[1]}
                found.append(measure(image, text).assign(**about))
    if not found:
        raise FileNotFoundError(
            f"no file of {', '.join(f'{name}.npy' for name in ENCODERS)} in {folder}; give the folder of the vectors"
        )
    columns = ["encoder", "domain", "weights", "pairs", "d", "modality", "quantity", "value", "low", "high"]
    return pd.concat(found, ignore_index=True)[columns].assign(source=SOURCE, commit=COMMIT)


def read_pair(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read an array (2, n, d) of image and text vectors, as float64.

    Raises:
        ValueError: the array has another shape.
    """
    array = np.load(path, allow_pickle=False)
    if array.ndim != 3 or array.shape[0] != 2:
        raise ValueError(f"{path} has shape {array.shape}, expected (2, n, d): image vectors, then text vectors")
    return array[0].astype(np.float64), array[1].astype(np.float64)


def measure(image, text) -> pd.DataFrame:
    """Return the geometry of paired vectors (n, d) as ``modality, quantity, value, low, high``."""
    image, text = unit_rows(image, "image"), unit_rows(text, "text")
    same_dimension(image, text)
    rows = [(m, "R", mean_resultant_length(x), *bootstrap_interval(_norm, x)) for m, x in (("image", image), ("text", text))]
    rows.append(("joint", "gap_norm", gap_norm(image, text), *bootstrap_interval(_difference_norm, image, text)))
    whole = _statistics(image, text)
    blocks = np.array_split(np.random.default_rng(0).permutation(len(image)), BLOCKS)
    without = [_statistics(np.delete(image, block, axis=0), np.delete(text, block, axis=0)) for block in blocks]
    for key, value in whole.items():
        spread = np.array([one[key] for one in without])
        error = 1.959964 * np.sqrt((BLOCKS - 1) / BLOCKS * ((spread - spread.mean()) ** 2).sum())
        rows.append((*key, value, value - error, value + error))
    return pd.DataFrame(rows, columns=["modality", "quantity", "value", "low", "high"])


def _statistics(image: np.ndarray, text: np.ndarray) -> dict[tuple[str, str], float]:
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


def relative_modality_gap(image, text) -> float:
    """Return the distance within pairs relative to the distances within the modalities; 0.5 when a pair is no closer than chance.

    With d = (1 - cos) / 2: d_pair / (d_pair + (d_image + d_text) / 2), the latter two over distinct rows of one modality.
    """
    image, text = (unit_rows(embedding_matrix(x, what)) for x, what in ((image, "image"), (text, "text")))
    pair = (1 - (image * text).sum(axis=1).mean()) / 2
    n = len(image)
    within = [(1 - ((n * mean_resultant_length(x)) ** 2 - n) / (n * (n - 1))) / 2 for x in (image, text)]
    return float(pair / (pair + np.mean(within)))


def shipped_measures() -> pd.DataFrame:
    """Return the shipped measures, see :func:`measure_folder`."""
    return pd.read_csv(project_root() / SHIPPED)


def _norm(mean: np.ndarray) -> np.ndarray:
    return np.linalg.norm(mean, axis=1)


def _difference_norm(image: np.ndarray, text: np.ndarray) -> np.ndarray:
    return np.linalg.norm(image - text, axis=1)
