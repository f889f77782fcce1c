"""Study where the gap comes from: train heads over temperature, rate and random state, and measure them along the way."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from ..arrays import unit_rows
from ..geometry import effective_rank
from ..separation import half_of_groups, tied_groups
from ..store.embeddings import EmbeddingSet
from .features import TowerFeatures, TrainingPairs
from .training import Heads, Settings, held_out_measures, training_path


def gap_study(
    features: TowerFeatures,
    variant: str,
    temperatures: Sequence[float | str],
    rates: Sequence[float],
    epochs: Sequence[int],
    random_states: Iterable[int],
) -> pd.DataFrame:
    """Train heads for every temperature, rate and random state, and measure them at the given epochs; 0 is before training.

    Returns:
        ``dataset, temperature, rate, random_state, epoch, loss, R_image, R_text, gap, rank_image, rank_text, recall,
        separability``; all measures are of held-out test pairs.
    """
    pairs, held_out = features.pairs(variant, "train"), features.pairs(variant, "test")
    rows = []
    for temperature in temperatures:
        for rate in rates:
            for random_state in random_states:
                setting = {"temperature": str(temperature), "rate": rate, "random_state": random_state}
                settings = Settings(temperature, rate, max(1, *epochs), random_state)
                rows += [
                    {"dataset": features.provenance["dataset"], **setting, **head_measures(heads, held_out)}
                    for heads in training_path(pairs, settings)
                    if heads.epoch in epochs
                ]
    return pd.DataFrame(rows)


def head_measures(heads: Heads, pairs: TrainingPairs) -> dict:
    """Return geometry, recall@10 (mean of both directions) and modality separability of pairs under given heads."""
    image, text = heads.project(pairs.image, pairs.text[pairs.first])
    found = held_out_measures(heads, pairs)
    return {
        "epoch": heads.epoch,
        "loss": heads.loss,
        "R_image": found["R_image"],
        "R_text": found["R_text"],
        "gap": found["gap"],
        "rank_image": effective_rank(image),
        "rank_text": effective_rank(text),
        "recall": (found["recall@10_image_to_text"] + found["recall@10_text_to_image"]) / 2,
        "separability": separability(image, text),
    }


def separability(image: np.ndarray, text: np.ndarray, random_state: int = 0) -> float:
    """Return the AUC of a logistic regression of images against texts, fitted on half of the pairs, scored on the others.

    Pairs with an equal image or an equal text stay in one half. One strength is used throughout, so that the measure is fast enough
    to follow a training; :func:`helpers.separation.modality_auc` chooses it.
    """
    fit = half_of_groups(tied_groups(image, text), random_state)
    model = LogisticRegression(max_iter=1000).fit(np.concatenate([image[fit], text[fit]]), np.repeat([0, 1], fit.sum()))
    scores = model.decision_function(np.concatenate([image[~fit], text[~fit]]))
    return float(roc_auc_score(np.repeat([0, 1], (~fit).sum()), scores))


def embeddings_under(heads: Heads, features: TowerFeatures, stored: EmbeddingSet) -> EmbeddingSet:
    """Return the pairs and labels of a stored set with the vectors that given heads compute for them.

    Args:
        stored: a set of the same data set and variant; its own vectors are not used.
    """
    own = features.captions[(features.captions["variant"] == stored.provenance["variant"]) & (features.captions["caption"] == 0)]
    rows = own.set_index("pair_id").loc[stored.pairs["pair_id"]]
    image, text = heads.project(features.image, features.text)
    pairs = stored.pairs.assign(image=rows["image"].to_numpy(), text=rows["text"].to_numpy())
    return EmbeddingSet(unit_rows(image), unit_rows(text), pairs, stored.task, {**stored.provenance, "backbone": "test bench"})
