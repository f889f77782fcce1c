"""Measure Eq. 2 against lambda: attraction, repulsion, the bound, alignment, uniformity, SigLIP's loss on held-out pairs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..alignment.shift import align, unalign
from ..backbones.lit import HEADS
from ..files import read_json
from ..geometry import gap_norm, gap_vector
from ..store.embeddings import EmbeddingSet
from .bound import (
    alignment_loss,
    best_bias,
    best_temperature,
    contrastive_terms,
    positive_temperature,
    sigmoid_loss,
    uniformity,
)

CLIP_TEMPERATURE = 0.01  # at the end of CLIP's own training (Radford et al., 2021)
MOST = 500
BLOCKS = 20


def own_temperature(backbone: str) -> tuple[float, bool]:
    """Return the temperature that an encoder was trained at and whether it is known; CLIP's 0.01 where no record says it."""
    record = HEADS / f"{backbone}.json"
    if not record.is_file():
        return CLIP_TEMPERATURE, False
    return float(read_json(record)["objective"]["temperature"]), True


def forces_table(
    embeddings: EmbeddingSet, lambdas: Sequence[float], temperature: float, most: int = MOST, random_state: int = 0
) -> pd.DataFrame:
    """Return the terms of Eq. 2 and related quantities on held-out pairs, against lambda.

    The batch is all test pairs, at most ``most``. The gap comes from training pairs; the best temperature and the biases from
    validation pairs, or from training pairs where there are none. Quantities: those of
    :func:`helpers.information.bound.contrastive_terms`, ``bound_best_temperature`` (tau fitted at each lambda), ``alignment``,
    ``uniformity_image`` and ``uniformity_text``, ``gap``, ``sigmoid_own_bias`` (the best bias at the first lambda) and
    ``sigmoid_best_bias`` (fitted at each lambda), and ``recovered``, the largest error of a coordinate when Eq. 5 is undone.

    Intervals are of a jackknife over 20 blocks of groups, because a bootstrap's repeated rows would be negatives of themselves.

    Returns:
        ``lambda, quantity, value, low, high, change, change_low, change_high``.

    Raises:
        ValueError: a temperature that is not positive, or fewer than two test pairs.
    """
    positive_temperature(temperature)
    rng = np.random.default_rng(random_state)
    tuning = "val" if len(embeddings.rows("val")) > 1 else "train"
    tuned, test = (np.sort(rng.permutation(embeddings.rows(split))[:most]) for split in (tuning, "test"))
    if len(test) < 2:
        raise ValueError(f"{len(test)} test pair(s) have no negatives; give a test split of at least 2 pairs")
    image, text = embeddings.image_of().astype(np.float64), embeddings.text_of().astype(np.float64)
    gap = gap_vector(image[embeddings.rows("train")], text[embeddings.rows("train")])
    blocks = np.array_split(rng.permutation(np.unique(embeddings.pairs["group"].to_numpy()[test])), min(BLOCKS, len(test)))
    left_out = [np.isin(embeddings.pairs["group"].to_numpy()[test], block) for block in blocks]
    found, own_bias = {}, None
    for lam in map(float, lambdas):
        v, t = align(image, text, gap, lam)
        fitted = best_temperature(v[tuned], t[tuned]), best_bias(v[tuned], t[tuned], temperature)
        own_bias = fitted[1] if own_bias is None else own_bias

        def of(rows, v=v, t=t, fitted=fitted, own_bias=own_bias) -> dict[str, float]:
            return pair_terms(v[rows], t[rows], temperature, fitted, own_bias)

        values = [of(test), *(of(test[~without]) for without in left_out)]
        found[lam] = {name: np.array([value[name] for value in values]) for name in values[0]}
        undone = unalign(v[test], t[test], gap, lam) if lam * np.linalg.norm(gap) < 2 else (np.nan, np.nan)
        error = max(np.abs(undone[0] - image[test]).max(), np.abs(undone[1] - text[test]).max())
        found[lam]["recovered"] = np.full(len(values), error)
    return _jackknifed(found)


def pair_terms(image, text, temperature: float, fitted: tuple[float, float], own_bias: float) -> dict[str, float]:
    """Return every quantity of :func:`forces_table` but the last, for one batch of pairs."""
    return {
        **contrastive_terms(image, text, temperature),
        "bound_best_temperature": contrastive_terms(image, text, fitted[0])["bound"],
        "alignment": alignment_loss(image, text),
        "uniformity_image": uniformity(image),
        "uniformity_text": uniformity(text),
        "gap": gap_norm(image, text),
        "sigmoid_own_bias": sigmoid_loss(image, text, temperature, own_bias),
        "sigmoid_best_bias": sigmoid_loss(image, text, temperature, fitted[1]),
    }


def _jackknifed(found: dict[float, dict[str, np.ndarray]]) -> pd.DataFrame:
    """Return values (first of each array) with intervals from the others, each without one block."""
    first, rows = next(iter(found.values())), []
    for lam, quantities in found.items():
        for name, values in quantities.items():
            row: list = [lam, name]
            for draws in (values, values - first[name]):
                without = draws[1:]
                half = 1.959964 * np.sqrt((len(without) - 1) * without.var())
                row += [draws[0], draws[0] - half, draws[0] + half]
            rows.append(row)
    return pd.DataFrame(rows, columns=["lambda", "quantity", "value", "low", "high", "change", "change_low", "change_high"])
