"""Tasks under every alignment against scikit-learn, a plain loop or known answers."""

from dataclasses import replace

import numpy as np
import pytest
from alignments_tasks import compare_tasks, crossed, restore_shares
from samples import embedding_set
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from helpers import sweep
from helpers.metrics import macro_auc, probabilities
from helpers.probing.objective import Objective
from helpers.recommend import aligned

NAMES = ("centring", "lambda-1", "cca")
SAMPLE = embedding_set("multiclass", n=300, d=6)


@pytest.fixture(scope="module")
def table():
    return compare_tasks(SAMPLE, NAMES, np.eye(3, 6), sizes=(12,), n_draws=2, n_boot=50)


def probe(embeddings, features="joint"):
    return sweep(embeddings, [0.0], (42,), "converged", [features], progress=False)


def test_every_alignment_has_every_measure_and_none_changes_nothing(table):
    by = table.pivot(index="alignment", columns="measure", values="value")
    expected = {"probe_auc", "log_loss", "brier", "calibration_error", "auc_12_labels", "zero_shot_auc"}
    expected |= {f"{way}_{m}" for way in ("text_to_image", "image_to_text") for m in ("auc", "log_loss")}
    assert set(by.index) == {"none", *NAMES} and expected <= set(by.columns) and by.notna().all(axis=None)
    assert (table.loc[table["alignment"] == "none", ["change", "change_low", "change_high"]] == 0).all(axis=None)
    assert ((table["low"] <= table["value"]) & (table["value"] <= table["high"])).mean() > 0.9


def test_transfer_trains_on_one_modality_and_scores_the_other():
    made, test, train = crossed(SAMPLE, "text"), SAMPLE.rows("test"), SAMPLE.rows("train")
    np.testing.assert_array_equal(made.text_of(test), SAMPLE.image_of(test))
    np.testing.assert_array_equal(made.text_of(train), SAMPLE.text_of(train))
    same, other = probe(SAMPLE, "text"), probe(made, "text")
    val = [r.table.query("split == 'val' and metric == 'log_loss'")["value"].item() for r in (same, other)]
    assert val[0] == pytest.approx(val[1]) and not np.allclose(same.scores, other.scores)
    twins = replace(SAMPLE, text=SAMPLE.image, pairs=SAMPLE.pairs.assign(text=SAMPLE.pairs["image"]))  # modalities that are one
    by = compare_tasks(twins, [], n_boot=20).set_index("measure")["value"]
    within = probe(twins, "image").headline_auc().mean()
    assert by["text_to_image_auc"] == pytest.approx(by["image_to_text_auc"]) == pytest.approx(within)


def test_zero_shot_and_retrieval_are_those_of_the_moved_test_rows(table):
    (fitted, moved), test = aligned(SAMPLE, "centring"), SAMPLE.rows("test")
    image, text = moved.image_of(test), moved.text_of(test)
    logits = image.astype(float) @ fitted.transform(SAMPLE.image_of(test), np.eye(3, 6))[1].astype(float).T / 0.01
    p = softmax(logits, axis=1)
    found = table[table["alignment"] == "centring"].set_index("measure")["value"]
    auc = np.mean([roc_auc_score(SAMPLE.targets[test][:, k], p[:, k]) for k in range(3)])
    assert found["zero_shot_auc"] == pytest.approx(auc, abs=1e-6)
    first = np.argsort(-(image @ text.T), axis=1)[:, :10] == np.arange(len(test))[:, None]
    assert found["recall@10_image_to_text"] == pytest.approx(first.any(axis=1).mean())


@pytest.mark.parametrize("weighting", ["none", "paper", "authors-code", "balanced"])
@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass"])
def test_a_constant_probe_is_restored_to_the_shares_under_any_class_weights(kind, weighting):
    made = embedding_set(kind, n=200, d=4)
    targets, objective = made.targets, Objective.of(made.task, weighting, made.targets)
    ones, zeros = objective.positive * targets.sum(axis=0), objective.negative * (1 - targets).sum(axis=0)
    fitted = np.log(ones / ones.sum()) if kind == "multiclass" else np.log(ones / zeros)  # where the weighted loss is least
    p = probabilities(restore_shares(fitted[None], targets, made.task, weighting), kind == "multiclass")
    np.testing.assert_allclose(p[0], targets.mean(axis=0))


def test_subgroup_spread_is_the_distance_between_the_levels():
    made = embedding_set("multiclass", n=800, d=6)
    result = probe(made := replace(made, pairs=made.pairs.assign(subgroup_sex=np.where(np.arange(800) % 2, "a", "b"))))
    rows = [result.subgroups["subgroup_sex"].to_numpy() == level for level in "ab"]
    aucs = [macro_auc(result.headline_scores[0][of], result.targets[of]) for of in rows]
    found = compare_tasks(made, [], n_boot=20).set_index("measure")["value"]
    assert found["sex_spread"] == pytest.approx(abs(aucs[0] - aucs[1])) != 0


def test_intervals_of_few_labels_cover_the_draws_and_an_impossible_alignment_is_named():
    group = np.where(SAMPLE.pairs["split"] == "test", "one", SAMPLE.pairs["group"])  # no resample of groups changes the test rows
    together = replace(SAMPLE, pairs=SAMPLE.pairs.assign(group=group))
    one, several = (compare_tasks(together, [], sizes=(9,), n_draws=n, n_boot=50).set_index("measure") for n in (1, 5))
    width = several["high"] - several["low"]
    assert width["auc_9_labels"] > 0.01 and width["probe_auc"] < 1e-9
    assert one.loc["auc_9_labels", "high"] - one.loc["auc_9_labels", "low"] < 1e-9
    found = compare_tasks(embedding_set("binary", n=60, d=40), ["whitening"], protocol="authors-code", n_boot=20)
    assert "rows" in found.set_index("alignment").loc["whitening", "reason"]
