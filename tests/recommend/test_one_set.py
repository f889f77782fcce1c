"""Cosines and mixed search of one set: against plain loops, and where the answer is known."""

from dataclasses import replace

import numpy as np
import pytest
from samples import embedding_set
from sklearn.metrics import ndcg_score

from helpers import EmbeddingSet
from helpers.recommend import mixed_search, pair_histograms
from helpers.recommend.tasks import move_set


@pytest.fixture(scope="module")
def sample():
    return embedding_set("multilabel", n=200, d=6)


def test_histograms_are_shares_of_test_pairs_and_of_all_others(sample):
    table = pair_histograms(sample, ["none", "centring"], bins=10)
    rows = sample.rows("test")
    for name in ("none", "centring"):
        moved = move_set(sample, name)[0]
        cosines = moved.image_of(rows).astype(float) @ moved.text_of(rows).T.astype(float)
        for kind, values in (("pair", np.diag(cosines)), ("non_pair", cosines[~np.eye(len(rows), dtype=bool)])):
            found = table[(table["alignment"] == name) & (table["kind"] == kind)]["share"]
            assert found.sum() == pytest.approx(1)
            np.testing.assert_allclose(found, np.histogram(values, np.linspace(-1, 1, 11))[0] / len(values), atol=2 / len(values))


def test_mixed_search_at_both_ends_is_search_in_one_modality(sample):
    table = mixed_search(sample, ["none", "centring"], shares=(0.0, 1.0), k=5, n_draws=2, n_boot=50)
    queries, corpus = sample.rows("val"), sample.rows("test")
    relevant = sample.targets[queries].astype(int) @ sample.targets[corpus].T.astype(int) > 0
    kept = relevant.any(axis=1)
    for share, of in ((0.0, "text_of"), (1.0, "image_of")):
        scores = sample.text_of(queries) @ getattr(sample, of)(corpus).T
        expected = ndcg_score(relevant[kept], scores[kept], k=5)
        assert table[(table["alignment"] == "none") & (table["share"] == share)]["value"].item() == pytest.approx(expected)
    none = table[table["alignment"] == "none"]
    assert (none[["change", "change_low", "change_high"]] == 0).all(axis=None) and len(table) == 4
    assert ((table["low"] <= table["value"]) & (table["value"] <= table["high"])).all()


def test_a_gap_hides_relevant_images_behind_texts_and_centring_uncovers_them():
    rng = np.random.default_rng(0)
    codes = rng.integers(3, size=300)
    common = 2 * np.eye(3, 8)[codes] + 0.1 * rng.normal(size=(300, 8))
    apart = 5 * np.eye(8)[7]
    made = EmbeddingSet.from_arrays(
        common + apart, common - apart, np.array(["a", "b", "c"])[codes], ["train", "val", "test"] * 100
    )
    table = mixed_search(made, ["none", "centring"], shares=(0.0, 0.97), n_boot=50).set_index(["alignment", "share"])
    assert table.loc[("none", 0.0), "value"] == pytest.approx(1) == table.loc[("centring", 0.97), "value"]
    assert table.loc[("centring", 0.97), "change_low"] > 0.1


def test_sets_without_the_rows_or_labels_are_refused(sample):
    training = replace(sample, pairs=sample.pairs.assign(split="train"))
    with pytest.raises(ValueError, match="no test rows"):
        pair_histograms(training)
    with pytest.raises(ValueError, match="needs validation rows"):
        mixed_search(training)
    unlabelled = EmbeddingSet.from_arrays(sample.image_of(), sample.text_of(), split=sample.pairs["split"])
    with pytest.raises(ValueError, match="no labels"):
        mixed_search(unlabelled)
