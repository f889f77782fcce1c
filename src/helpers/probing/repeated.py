"""Measure converged gains over repeated random splits, with retrained heads of in-domain encoders."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from ..backbones.lit import HEADS
from ..files import read_json
from ..geometry import gap_norm
from ..heads import Settings, TowerFeatures, embeddings_under, shipped_features, training_path
from ..statistics import corrected_interval
from ..store.embeddings import EmbeddingSet
from .resplit import redrawn_split, resplit
from .sweep import sweep

NAMES = ["dataset", "variant", "backbone"]


def repeated_gains(
    embeddings: EmbeddingSet,
    splits: Iterable[int],
    lam: float = 1.0,
    features: TowerFeatures | None = None,
    trained_on: str = "clean",
    protocol: str = "converged",
) -> pd.DataFrame:
    """Return the gain of one lambda on the test rows of repeated random splits.

    The heads of an in-domain encoder have seen training rows. They must be retrained on each new training part, or their former
    training rows become test rows.

    Args:
        embeddings: a stored set.
        splits: random states, one split each.
        features: tower features of the data set, to retrain heads; None for an encoder that never saw the data set.
        trained_on: variant whose texts the heads are trained on.

    Returns:
        one row per split: ``split, heads, train, test, gap, auc_at_zero, auc, gain``; ``heads`` is ``trained anew`` or ``as
        shipped``.
    """
    rows = []
    for state in splits:
        redrawn = resplit(embeddings, redrawn_split(embeddings, state))
        if features is not None:
            redrawn = retrained(redrawn, features, trained_on, Settings(random_state=state))
        about = {"split": state, "heads": "as shipped" if features is None else "trained anew"}
        rows.append({**about, **gain_of(redrawn, lam, protocol)})
    return pd.DataFrame(rows)


def heads_to_retrain(embeddings: EmbeddingSet) -> tuple[TowerFeatures | None, str]:
    """Return the tower features and the variant that the heads of a set's encoder were trained on, if it saw this data set.

    None, and the variant ``clean``, for an encoder that has no heads of its own or never saw this data set.
    """
    record = HEADS / f"{embeddings.identity.backbone}.json"
    trained = read_json(record)["trained_on"] if record.is_file() else {}
    if trained.get("dataset") != embeddings.provenance.get("dataset"):
        return None, "clean"
    return shipped_features(trained["dataset"]), trained["variant"]


def retrained(embeddings: EmbeddingSet, features: TowerFeatures, variant: str, settings: Settings) -> EmbeddingSet:
    """Return the set under heads that are trained on the texts of ``variant`` and on its own training rows alone."""
    splits = embeddings.pairs.set_index("pair_id")["split"]
    redrawn = replace(features, captions=features.captions.assign(split=features.captions["pair_id"].map(splits)))
    last = deque(training_path(redrawn.pairs(variant, "train"), settings), maxlen=1).pop()
    return embeddings_under(last, redrawn, embeddings)


def gain_of(embeddings: EmbeddingSet, lam: float = 1.0, protocol: str = "converged") -> dict[str, float]:
    """Return the test AUC at lambda = 0 and at ``lam``, their difference, the gap of training rows and the numbers of rows."""
    result = sweep(embeddings, [0.0, lam], seeds=[0], protocol=protocol, workers=1, progress=False)
    auc = dict(zip(result.runs["lambda_image"], result.headline_auc(), strict=True))
    train = embeddings.rows("train")
    return {
        "train": len(train),
        "test": len(embeddings.rows("test")),
        "gap": gap_norm(embeddings.paired("image", train), embeddings.paired("text", train)),
        "auc_at_zero": float(auc[0.0]),
        "auc": float(auc[float(lam)]),
        "gain": float(auc[float(lam)] - auc[0.0]),
    }


def summarise_gains(gains: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return the mean gain of each set over its splits with two intervals: corrected for shared rows, and plain.

    Args:
        gains: from :func:`repeated_gains`, with columns ``dataset, variant, backbone``.

    Returns:
        ``dataset, variant, backbone, heads, splits, auc_at_zero, gain, low, high, plain_low, plain_high, sd, positive``;
        ``positive`` is the share of splits with a gain above zero.
    """
    rows = []
    for names, of_set in gains.groupby([*NAMES, "heads"], sort=False):
        gain = of_set["gain"].to_numpy()
        low, high = corrected_interval(gain, float((of_set["test"] / of_set["train"]).mean()), level)
        plain_low, plain_high = corrected_interval(gain, 0.0, level)
        rows.append(
            dict(zip([*NAMES, "heads"], names, strict=True))
            | {"splits": len(gain), "auc_at_zero": of_set["auc_at_zero"].mean(), "gain": gain.mean(), "low": low, "high": high}
            | {"plain_low": plain_low, "plain_high": plain_high, "sd": gain.std(ddof=1), "positive": float(np.mean(gain > 0))}
        )
    return pd.DataFrame(rows)
