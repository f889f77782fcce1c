"""Redrawn splits keep shares and groups whole, heads see redrawn training rows alone, and the interval is the corrected one."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from samples import embedding_set

from helpers import sweep
from helpers.files import project_root
from helpers.heads import Settings, shipped_features
from helpers.probing.repeated import repeated_gains, retrained, summarise_gains
from helpers.probing.resplit import redrawn_split, resplit
from helpers.store.catalogue import SHIPPED
from helpers.store.embeddings import EmbeddingSet


def test_redrawn_splits_keep_shares_and_groups_whole():
    embeddings = embedding_set(n=200, groups=np.repeat(np.arange(100), 2))
    split = redrawn_split(embeddings, 1)
    assert (pd.Series(split).groupby(embeddings.pairs["group"].to_numpy()).nunique() == 1).all()
    assert pd.Series(split).value_counts().to_dict() == {"train": 100, "test": 60, "val": 40}
    assert (split != redrawn_split(embeddings, 2)).any() and (split == redrawn_split(embeddings, 1)).all()
    without = embedding_set(n=100, val=False)
    assert set(redrawn_split(without, 0)) == {"train", "test"}


def test_too_few_groups_are_refused():
    with pytest.raises(ValueError, match=r"2 group\(s\) cannot be shared out over 3 splits"):
        redrawn_split(embedding_set(n=60, groups=np.repeat([0, 1], 30)))


def test_the_gain_is_that_of_a_sweep_of_the_redrawn_set():
    embeddings = embedding_set(n=200)
    row = repeated_gains(embeddings, [3]).iloc[0]
    redrawn = resplit(embeddings, redrawn_split(embeddings, 3))
    effects = sweep(redrawn, [0.0, 1.0], seeds=[0], progress=False).effects(n_boot=10)
    assert row["gain"] == pytest.approx(effects.set_index("lambda_image").loc[1.0, "difference"])
    assert row["heads"] == "as shipped" and (row["train"], row["test"]) == (100, 60)


def test_heads_trained_anew_do_not_depend_on_test_rows():
    stored = EmbeddingSet.load(project_root() / SHIPPED / "flickr8k/common/lit-natural")
    features, split = shipped_features("flickr8k"), redrawn_split(stored, 0)
    redrawn, settings = resplit(stored, split), Settings(epochs=1)
    found = retrained(redrawn, features, "common", settings)
    train = set(redrawn.pairs.loc[redrawn.pairs["split"] == "train", "image"])
    scrambled = features.image.copy()
    own = features.captions[features.captions["caption"] == 0].set_index("pair_id")["image"]
    tested = own.loc[stored.pairs["pair_id"][split != "train"]].to_numpy()
    scrambled[tested] = np.random.default_rng(0).permutation(scrambled[tested])
    again = retrained(redrawn, replace(features, image=scrambled), "common", settings)
    rows = found.rows("train")
    np.testing.assert_array_equal(found.image_of(rows), again.image_of(rows))
    assert len(train) == len(rows) and not np.array_equal(found.image_of(found.rows("test")), again.image_of(again.rows("test")))


def test_the_summary_counts_splits_and_has_both_intervals():
    gains = pd.DataFrame({"split": range(4), "train": 70, "test": 20, "auc_at_zero": 0.8, "gain": [0.1, 0.2, -0.1, 0.2]})
    row = summarise_gains(gains.assign(heads="as shipped", dataset="d", variant="v", backbone="b")).iloc[0]
    assert row["gain"] == pytest.approx(0.1) and row["splits"] == 4 and row["positive"] == 0.75
    assert row["low"] < row["plain_low"] < row["gain"] < row["plain_high"] < row["high"]
