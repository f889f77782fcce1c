"""Measure the gain of lambda = 1 over redrawn splits of the shipped sets: ``python studies/repeated_splits.py``.

The heads of an encoder that was trained on the data set have seen training rows. They are trained anew on each redrawn training
part, or their former training rows would become test rows. The row of the fixed split has a bootstrap interval over its test rows.
"""

from collections import deque
from dataclasses import replace

import pandas as pd
from common import redrawn_split
from gap_study import embeddings_under
from head_training import Settings, training_path

from helpers import EmbeddingSet, gap_norm, sweep
from helpers.backbones.registry import HEADS
from helpers.datasets.splits import resplit
from helpers.files import project_root, read_json, replacing
from helpers.store.catalogue import SHIPPED, stored
from helpers.tower_features import TowerFeatures, shipped_features

INPUTS = ["data/embeddings", "data/heads", "data/features"]
OUT = "data/measured/repeated_splits.csv"
SPLITS = 20
NAMES = ["dataset", "variant", "backbone"]
COLUMNS = [*NAMES, "heads", "split", "train", "test", "gap", "auc_at_zero", "auc", "gain", "low", "high"]


def main() -> None:
    rows = []
    for stored_set in stored(project_root() / SHIPPED).itertuples():
        embeddings = EmbeddingSet.load(stored_set.path)
        for state in [None, *range(SPLITS)]:
            rows.append({name: getattr(stored_set, name) for name in NAMES} | of_split(embeddings, state))
        print(f"measured: {stored_set.dataset} {stored_set.variant} {stored_set.backbone}", flush=True)
    with replacing(project_root() / OUT) as temporary:
        pd.DataFrame(rows, columns=COLUMNS).to_csv(temporary, index=False, float_format="%.6g")


def of_split(embeddings: EmbeddingSet, state: int | None) -> dict:
    """Return the row of one split of a set: that of a random state, or the set's own one if None."""
    about: dict = {"heads": "as shipped", "split": "fixed" if state is None else state}
    if state is not None:
        record = read_json(HEADS / f"{embeddings.identity.backbone}.json")["trained_on"]
        embeddings = resplit(embeddings, redrawn_split(embeddings, state))
        if record["dataset"] == embeddings.provenance["dataset"]:
            about["heads"] = "trained anew"
            settings = Settings(random_state=state)
            embeddings = retrained(embeddings, shipped_features(record["dataset"]), record["variant"], settings)
    result = sweep(embeddings, [0.0, 1.0], seeds=[0], workers=1, progress=False)
    zero, one = result.headline_auc()  # in the order of the lambdas
    train, test = embeddings.rows("train"), embeddings.rows("test")
    gap = gap_norm(embeddings.paired("image", train), embeddings.paired("text", train))
    about |= {"train": len(train), "test": len(test), "gap": gap, "auc_at_zero": zero, "auc": one, "gain": one - zero}
    if state is None:
        effect = result.effects(n_boot=1000).set_index("lambda_image").loc[1.0]
        about |= {"low": effect["low"], "high": effect["high"]}
    return about


def retrained(embeddings: EmbeddingSet, features: TowerFeatures, variant: str, settings: Settings) -> EmbeddingSet:
    """Return the set under heads that are trained on the texts of ``variant`` and on its own training rows alone."""
    splits = embeddings.pairs.set_index("pair_id")["split"]
    redrawn = replace(features, captions=features.captions.assign(split=features.captions["pair_id"].map(splits)))
    last = deque(training_path(redrawn.pairs(variant, "train"), settings), maxlen=1).pop()
    return embeddings_under(last, redrawn, embeddings)


if __name__ == "__main__":
    main()
