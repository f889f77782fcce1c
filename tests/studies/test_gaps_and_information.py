"""Gaps set by hand, SigLIP's loss and the critic against known answers, redrawn splits, and what the stored tables must hold."""

from dataclasses import replace

import gap_study
import information as study
import numpy as np
import pandas as pd
import pytest
import repeated_splits
from common import redrawn_split
from conftest import ROOT
from head_training import Settings
from information import SHARES, contrastive_terms
from samples import embedding_set

from helpers import EmbeddingSet, gap_vector, mean_resultant_length
from helpers.datasets.splits import resplit
from helpers.geometry import effective_rank
from helpers.tower_features import shipped_features

STORED = lambda name: pd.read_csv(ROOT / f"data/measured/{name}.csv")  # noqa: E731


@pytest.mark.parametrize("gap", [0.41, 0.8, 1.3])
def test_the_angle_sets_the_gap_and_leaves_r_cosines_within_and_rank(gap):
    x = np.random.default_rng(0).normal(size=(400, 6))
    rows = np.concatenate([x, -x])  # the directions cancel, so that R is exact
    image, text = gap_study.cone(rows, 0.9, 0.0), gap_study.cone(rows, 0.5, gap_study.axis_angle(gap, 0.9, 0.5))
    assert mean_resultant_length(image) == pytest.approx(0.9) and mean_resultant_length(text) == pytest.approx(0.5)
    assert np.linalg.norm(gap_vector(image, text)) == pytest.approx(gap)
    straight = gap_study.cone(rows, 0.5, 0.0)
    np.testing.assert_allclose(straight @ straight.T, text @ text.T, atol=1e-12)
    assert effective_rank(straight) == pytest.approx(effective_rank(text))


@pytest.mark.parametrize(("cones", "gap"), [((0.75, 0.75), 0.4), ((0.9, 0.5), 1.1)])
def test_axes_in_the_span_set_r_and_the_gap_too_and_let_rows_differ_along_it(cones, gap):
    made = gap_study.gap_in_span(embedding_set("binary", n=200), *cones, gap)
    assert [mean_resultant_length(x) for x in (made.image, made.text)] == pytest.approx(cones, abs=1e-4)
    direction = gap_vector(made.image, made.text)
    assert np.linalg.norm(direction) == pytest.approx(gap, abs=1e-3) and (made.image @ direction).std() > 0.01


def test_sigmoid_loss_is_a_loop_over_decisions_and_the_fitted_parameters_are_best():
    pairs = np.random.default_rng(0).normal(size=(2, 40, 6))
    image, text = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in pairs)
    total = sum(np.logaddexp(0, -(1 if i == j else -1) * (image[i] @ text[j] / 0.1 - 3)) for i in range(40) for j in range(40))
    assert study.sigmoid_loss(*pairs, 0.1, -3.0) == pytest.approx(total / 40)
    bias, near = study.best_bias(*pairs, 0.1), pairs[0] + pairs[1]
    assert abs(study.sigmoid_loss(*pairs, 0.1, bias + 0.01) - study.sigmoid_loss(*pairs, 0.1, bias - 0.01)) < 1e-3
    tau = study.best_temperature(pairs[0], near)
    losses = [contrastive_terms(pairs[0], near, t)["loss"] for t in (tau, 0.8 * tau, 1.25 * tau)]
    assert losses[0] < min(losses[1:])


def test_a_critic_comes_near_a_known_gaussian_information_and_finds_none_where_there_is_none():
    rng, rho = np.random.default_rng(0), 0.9
    x, noise = rng.normal(size=(2, 2000, 1))
    y, truth = rho * x + np.sqrt(1 - rho**2) * noise, -np.log2(1 - rho**2) / 2
    found = study.neural_information(x[:1500], y[:1500], x[1500:], y[1500:], [200])[0]
    assert 0.6 * truth < found < truth + 0.15  # 500 test pairs: standard error 0.05
    assert study.neural_information(x[:1500], noise[:1500], x[1500:], noise[1500:], [50])[0] < 0.05


def test_eq_5_is_undone_shares_add_up_and_known_encoders_have_known_values_in_the_stored_tables():
    trained = STORED("public_encoders").query("weights == 'trained'").set_index(["encoder", "modality", "quantity"])["value"]
    known = {("CLIP ViT-B/16", "image", "R"): 0.7297, ("CLIP ViT-B/16", "joint", "gap_norm"): 0.8514}
    for key, value in (known | {("ConVIRT", "joint", "gap_norm"): 0.8231, ("ConVIRT", "joint", "residual_gap"): 0.2508}).items():
        assert trained[key] == pytest.approx(value, abs=6e-5)
    table = STORED("information")
    assert (table.loc[table["quantity"] == "recovered", "value"] < 1e-6).all()
    keys = ["dataset", "variant", "backbone", "lambda"]
    wide = table[table["study"] == "label"].pivot(index=keys, columns="quantity", values="value")
    assert (wide[list(SHARES)].sum(axis=1) - wide["both"]).abs().max() < 2e-3


def test_redrawn_splits_keep_shares_and_groups_whole():
    embeddings = embedding_set(n=200, groups=np.repeat(np.arange(100), 2))
    split = redrawn_split(embeddings, 1)
    assert (pd.Series(split).groupby(embeddings.pairs["group"].to_numpy()).nunique() == 1).all()
    assert pd.Series(split).value_counts().to_dict() == {"train": 100, "test": 60, "val": 40}
    assert (split != redrawn_split(embeddings, 2)).any() and (split == redrawn_split(embeddings, 1)).all()
    with pytest.raises(ValueError, match=r"2 group\(s\) cannot be shared out over 3 splits"):
        redrawn_split(embedding_set(n=60, groups=np.repeat([0, 1], 30)))


def test_groups_that_share_an_image_vector_stay_together_in_a_redrawn_split():
    embeddings = embedding_set(n=200, repeat=4, groups=np.repeat(np.arange(100), 2))
    split = pd.Series(redrawn_split(embeddings, 1))
    assert (split.groupby(embeddings.pairs["image"].to_numpy()).nunique() == 1).all() and split.nunique() == 3


def test_heads_trained_anew_do_not_depend_on_test_rows():
    shipped = EmbeddingSet.load(ROOT / "data/embeddings/flickr8k/common/lit-natural")
    features, split = shipped_features("flickr8k"), redrawn_split(shipped, 0)
    redrawn, settings = resplit(shipped, split), Settings(epochs=1)
    found = repeated_splits.retrained(redrawn, features, "common", settings)
    scrambled = features.image.copy()
    own = features.captions[features.captions["caption"] == 0].set_index("pair_id")["image"]
    tested = own.loc[shipped.pairs["pair_id"][split != "train"]].to_numpy()
    scrambled[tested] = np.random.default_rng(0).permutation(scrambled[tested])
    again = repeated_splits.retrained(redrawn, replace(features, image=scrambled), "common", settings)
    np.testing.assert_array_equal(found.image_of(found.rows("train")), again.image_of(again.rows("train")))
    assert not np.array_equal(found.image_of(found.rows("test")), again.image_of(again.rows("test")))
