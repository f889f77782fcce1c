"""The gain of lambda against training: one run gives what separate runs give, with the interval of its paired difference."""

import numpy as np
import pytest
from oracles import features_of, train_updates
from samples import embedding_set

from helpers import metrics
from helpers.alignment.channels import CHANNELS, Alignment
from helpers.probing.protocol import Protocol
from helpers.probing.training_gain import converged_gain, training_gain

RATES = {"adamw": (0.003, 0.03), "sgd": (0.03,)}


@pytest.fixture(scope="module")
def table():
    return training_gain(embedding_set(), RATES, (3, 9, 30), (1, 2), 0.03, n_boot=50, batch_size=16)


def test_auc_is_that_of_single_runs(table):
    import torch

    embeddings = embedding_set()
    fit, test = embeddings.rows("train"), embeddings.rows("test")
    for name, lam in (("none", 0.0), ("lambda", 1.0)):
        x = features_of(embeddings, Alignment("lambda", lam, lam), fit, fit)
        protocol = Protocol(optimizer="adamw", lr=0.003, batch_size=16, weighting="authors-code")  # for classes as balanced
        aucs = []
        for seed in (1, 2):
            run = train_updates(x, embeddings.targets, embeddings.task, fit, seed, protocol, torch.float64, 9)
            p = run.numpy()
            scores = metrics.softmax(x[test] @ p[:, :-1].T + p[:, -1])
            aucs.append(metrics.macro_auc(scores, embeddings.targets[test]))
        row = table[(table["rate"] == 0.003) & (table["updates"] == 9) & (table["alignment"] == name)]
        assert row["auc"].item() == pytest.approx(np.mean(aucs), abs=1e-6)


def test_rows_cover_the_grid_and_channels_only_one_rate(table):
    assert len(table) == 3 * (4 + 4 + 2 + 4)
    assert set(table.loc[table["alignment"].isin(CHANNELS), "rate"]) == {0.03}
    assert (table.loc[table["alignment"] == "none", "gain"] == 0).all()


def test_the_interval_is_that_of_the_whole_alignment_at_the_rate_of_the_channels(table):
    has = table["low"].notna()
    assert (has == ((table["alignment"] == "lambda") & (table["rate"] == 0.03))).all()
    assert (table.loc[has, "low"] <= table.loc[has, "high"]).all()


def test_one_seed_has_no_spread():
    table = training_gain(embedding_set("multilabel"), {"sgd": (0.1,)}, (5,), (1,), None, batch_size=16)
    assert len(table) == 2 and table["seed_sd"].isna().all() and table["low"].isna().all()


def test_bad_rates_and_optimisers_are_refused_before_any_training():
    with pytest.raises(ValueError, match="learning rate is -0.1; give positive"):
        training_gain(embedding_set(), {"adamw": (-0.1,)})
    with pytest.raises(ValueError, match="unknown optimizer of a descent 'adam'; did you mean 'adamw'"):
        training_gain(embedding_set(), {"adam": (0.1,)})


def test_the_limit_has_no_gain_from_shift_and_scale():
    limit = converged_gain(embedding_set("binary"), 20).set_index("alignment")
    assert limit.loc["none", "gain"] == 0
    assert limit.loc[["shift", "common-scale"], "gain"].abs().max() < 0.02
