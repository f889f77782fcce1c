"""Redrawn splits keep shares and groups whole, and heads see redrawn training rows alone."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from samples import embedding_set

from helpers import EmbeddingSet
from helpers.datasets.splits import redrawn_split, resplit
from helpers.heads import Settings, shipped_features

sys.path.insert(0, str(ROOT / "studies"))
import repeated_splits as study  # noqa: E402


def test_redrawn_splits_keep_shares_and_groups_whole():
    embeddings = embedding_set(n=200, groups=np.repeat(np.arange(100), 2))
    split = redrawn_split(embeddings, 1)
    assert (pd.Series(split).groupby(embeddings.pairs["group"].to_numpy()).nunique() == 1).all()
    assert pd.Series(split).value_counts().to_dict() == {"train": 100, "test": 60, "val": 40}
    assert (split != redrawn_split(embeddings, 2)).any() and (split == redrawn_split(embeddings, 1)).all()
    with pytest.raises(ValueError, match=r"2 group\(s\) cannot be shared out over 3 splits"):
        redrawn_split(embedding_set(n=60, groups=np.repeat([0, 1], 30)))


def test_heads_trained_anew_do_not_depend_on_test_rows():
    stored = EmbeddingSet.load(ROOT / "data/embeddings/flickr8k/common/lit-natural")
    features, split = shipped_features("flickr8k"), redrawn_split(stored, 0)
    redrawn, settings = resplit(stored, split), Settings(epochs=1)
    found = study.retrained(redrawn, features, "common", settings)
    scrambled = features.image.copy()
    own = features.captions[features.captions["caption"] == 0].set_index("pair_id")["image"]
    tested = own.loc[stored.pairs["pair_id"][split != "train"]].to_numpy()
    scrambled[tested] = np.random.default_rng(0).permutation(scrambled[tested])
    again = study.retrained(redrawn, replace(features, image=scrambled), "common", settings)
    np.testing.assert_array_equal(found.image_of(found.rows("train")), again.image_of(again.rows("train")))
    assert not np.array_equal(found.image_of(found.rows("test")), again.image_of(again.rows("test")))
