"""Tasks under every alignment against scikit-learn, a plain loop or known answers."""

from dataclasses import replace

import numpy as np
import pytest
from samples import embedding_set
from sklearn.metrics import roc_auc_score

from helpers import EmbeddingSet, sweep
from helpers.comparison import (
    compare_tasks,
    crossed,
    fit_alignment,
    moved_by,
    restore_shares,
)
from helpers.metrics import macro_auc, probabilities
from helpers.probing.objective import Objective

NAMES = ("centring", "lambda-1", "cca")


@pytest.fixture(scope="module")
def sample():
    return embedding_set("multiclass", n=300, d=6)


@pytest.fixture(scope="module")
def table(sample):
    return compare_tasks(sample, NAMES, np.eye(3, 6), sizes=(12,), n_draws=2, n_boot=50)


def test_every_alignment_has_every_measure_and_none_changes_nothing(table):
    by = table.pivot(index="alignment", columns="measure", values="value")
    expected = {"probe_auc", "log_loss", "brier", "calibration_error", "auc_12_labels", "zero_shot_auc"}
    expected |= {f"{way}_{m}" for way in ("text_to_image", "image_to_text") for m in ("auc", "log_loss")}
    assert set(by.index) == {"none", *NAMES} and expected <= set(by.columns) and by.notna().all(axis=None)
    none = table[table["alignment"] == "none"]
    assert (none[["change", "change_low", "change_high"]] == 0).all(axis=None)
    assert ((table["low"] <= table["value"]) & (table["value"] <= table["high"])).mean() > 0.9


def test_transfer_trains_on_one_modality_and_scores_the_other(sample):
    made = crossed(sample, "text")
    test, train = sample.rows("test"), sample.rows("train")
    np.testing.assert_array_equal(made.text_of(test), sample.image_of(test))
    np.testing.assert_array_equal(made.text_of(train), sample.text_of(train))
    same = sweep(sample, [0.0], (42,), "converged", ["text"], progress=False)
    other = sweep(made, [0.0], (42,), "converged", ["text"], progress=False)
    val = [r.table.query("split == 'val' and metric == 'log_loss'")["value"].item() for r in (same, other)]
    assert val[0] == pytest.approx(val[1]) and not np.allclose(same.scores, other.scores)


def test_modalities_that_are_one_transfer_without_loss(sample):
    twins = replace(sample, text=sample.image, pairs=sample.pairs.assign(text=sample.pairs["image"]))
    by = compare_tasks(twins, [], n_boot=20).set_index("measure")["value"]
    within = sweep(twins, [0.0], (42,), "converged", ["image"], progress=False).headline_auc().mean()
    assert by["text_to_image_auc"] == pytest.approx(by["image_to_text_auc"]) == pytest.approx(within)


def test_zero_shot_is_the_auc_of_the_prompts_after_the_same_alignment(sample, table):
    fitted, test = fit_alignment(sample, "centring"), sample.rows("test")
    moved, prompts = fitted.transform(sample.image_of(test), np.eye(3, 6))
    logits = moved.astype(float) @ prompts.astype(float).T / 0.01
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    expected = np.mean([roc_auc_score(sample.targets[test][:, k], p[:, k]) for k in range(3)])
    found = table.query("alignment == 'centring' and measure == 'zero_shot_auc'")["value"].item()
    assert found == pytest.approx(expected, abs=1e-6)


def test_subgroup_spread_is_the_distance_between_the_levels():
    made = embedding_set("multiclass", n=800, d=6)
    made = replace(made, pairs=made.pairs.assign(subgroup_sex=np.where(np.arange(800) % 2, "a", "b")))
    result = sweep(made, [0.0], (42,), "converged", ["joint"], progress=False)
    levels = result.subgroups["subgroup_sex"].to_numpy()
    aucs = [macro_auc(result.headline_scores[0][levels == x], result.targets[levels == x]) for x in "ab"]
    found = compare_tasks(made, [], n_boot=20).set_index("measure")["value"]
    assert found["sex_spread"] == pytest.approx(abs(aucs[0] - aucs[1])) != 0


@pytest.mark.parametrize("weighting", ["none", "paper", "authors-code", "balanced"])
@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass"])
def test_a_constant_probe_is_restored_to_the_shares_under_any_class_weights(kind, weighting):
    made = embedding_set(kind, n=200, d=4)
    targets, task = made.targets, made.task
    objective = Objective.of(task, weighting, targets)
    ones = objective.positive * targets.sum(axis=0)
    zeros = objective.negative * (1 - targets).sum(axis=0)
    fitted = np.log(ones / ones.sum()) if kind == "multiclass" else np.log(ones / zeros)  # where the weighted loss is least
    p = probabilities(restore_shares(fitted[None], targets, task, weighting), kind == "multiclass")
    np.testing.assert_allclose(p[0], targets.mean(axis=0))


def test_retrieval_is_recall_among_the_moved_test_rows(sample, table):
    moved, test = moved_by(sample, fit_alignment(sample, "centring")), sample.rows("test")
    image, text = moved.image_of(test), moved.text_of(test)
    order = np.argsort(-(image @ text.T), axis=1)[:, :10]
    expected = (order == np.arange(len(test))[:, None]).any(axis=1).mean()
    found = table.query("alignment == 'centring' and measure == 'recall@10_image_to_text'")["value"].item()
    assert found == pytest.approx(expected)


def test_intervals_of_few_labels_cover_the_draws_and_not_the_rows_alone(sample):
    group = np.where(sample.pairs["split"] == "test", "one", sample.pairs["group"])  # no resample of groups changes the test rows
    together = replace(sample, pairs=sample.pairs.assign(group=group))
    one, several = (compare_tasks(together, [], sizes=(9,), n_draws=n, n_boot=50).set_index("measure") for n in (1, 5))
    width = several["high"] - several["low"]
    assert width["auc_9_labels"] > 0.01 and width["probe_auc"] < 1e-9
    assert one.loc["auc_9_labels", "high"] - one.loc["auc_9_labels", "low"] < 1e-9


def test_what_cannot_be_compared_is_refused_or_named(sample):
    unlabelled = EmbeddingSet.from_arrays(sample.image_of(), sample.text_of())
    with pytest.raises(ValueError, match="no labels"):
        compare_tasks(unlabelled)
    with pytest.raises(ValueError, match="400 labels"):
        compare_tasks(sample, sizes=(400,))
    with pytest.raises(ValueError, match="no test rows"):
        compare_tasks(replace(sample, pairs=sample.pairs.assign(split="train")))
    few = embedding_set("binary", n=60, d=40)
    found = compare_tasks(few, ["whitening"], protocol="authors-code", n_boot=20).set_index("alignment")
    assert "rows" in found.loc["whitening", "reason"]
