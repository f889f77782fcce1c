"""Sweeps: metrics of a single probe, nothing fitted on test rows, and one sentence for what cannot be swept."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from oracles import features_of, train_one
from samples import embedding_set
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import average_precision_score, roc_auc_score

from helpers import PROTOCOLS, EmbeddingSet, sweep
from helpers.alignment.shift import Alignment
from helpers.probing.protocol import split_rows
from helpers.probing.result import Caution, SweepResult
from helpers.recommend import recommend
from helpers.schemas import SCORES

QUICK = {name: PROTOCOLS[name].replace(name=name, batch_size=32, max_epochs=4) for name in ("paper", "authors-code")}


def run(embeddings, protocol="paper", **options):
    options = {"lambdas": [0, 0.5, 1.0], "seeds": (1, 2), "progress": False} | options
    return sweep(embeddings, protocol=QUICK.get(protocol, protocol), **options)


def value(result, metric, seed=1, lam=0.5, name=None, split="test", features="joint"):
    rows = result.macro(metric, split) if name is None else result.table
    one = "metric == @metric and seed == @seed and lambda_image == @lam and split == @split and features == @features"
    rows = rows.query(one + (" and `class` == @name" if name else ""))
    return rows["value"].item()


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_metrics_against_a_single_probe_and_scikit_learn(kind):
    embeddings = embedding_set(kind)
    result = run(embeddings, dtype="float64")
    fit, val, test = (embeddings.rows(s) for s in ("train", "val", "test"))
    x, targets = features_of(embeddings, Alignment("lambda", 0.5, 0.5), fit, fit), embeddings.targets
    parameters, _, _ = train_one(x, targets, embeddings.task, fit, val, 1, QUICK["paper"], torch.float64)
    logits = x[test] @ parameters[:, :-1].numpy().T + parameters[:, -1].numpy()
    scores = torch.softmax(torch.tensor(logits), dim=1).numpy() if kind == "multiclass" else logits
    names = embeddings.task.classes[1:] if kind == "binary" else embeddings.task.classes
    aucs = [roc_auc_score(targets[test, k], scores[:, k]) for k in range(len(names))]
    precisions = [average_precision_score(targets[test, k], scores[:, k]) for k in range(len(names))]
    assert [value(result, "auc", name=name) for name in names] == pytest.approx(aucs, abs=1e-12)
    assert [value(result, "average_precision", name=name) for name in names] == pytest.approx(precisions, abs=1e-12)
    assert value(result, "auc") == pytest.approx(np.mean(aucs), abs=1e-12)
    if kind == "multiclass":
        hard = np.eye(3)[logits.argmax(axis=1)]
        assert value(result, "auc_hard") == pytest.approx(roc_auc_score(targets[test], hard, average="macro"), abs=1e-12)
    assert list(result.table.columns) == list(SCORES) and result.headline_metric == "auc"
    assert run(embeddings, "authors-code").headline_metric == ("auc_hard" if kind == "multiclass" else "auc")


@pytest.mark.parametrize("protocol", ["paper", "converged", "authors-code"])
@pytest.mark.parametrize("val", [True, False])
def test_test_rows_change_nothing_fitted_but_the_gap_of_the_authors_code(protocol, val):
    embeddings = embedding_set(val=val)
    rng = np.random.default_rng(0)
    test = embeddings.rows("test")
    image, text = embeddings.image_of(), embeddings.text_of()
    image[test], text[test] = rng.normal(size=image[test].shape), rng.normal(size=text[test].shape)
    labels = embeddings.pairs["label"].to_numpy().copy()
    labels[test] = rng.permutation(labels[test])
    other = EmbeddingSet.from_arrays(image, text, labels, embeddings.pairs["split"], groups=embeddings.pairs["group"])
    alignments = ("lambda", "scale-ratio", "centred")
    first, second = (run(e, protocol, alignments=alignments) for e in (embeddings, other))
    rows = slice(1) if protocol == "authors-code" else slice(None)  # its unaligned probes alone
    facts = [r.runs[["epochs", "validation_loss", "strength"]] for r in (first, second)]
    pd.testing.assert_frame_equal(facts[0][rows], facts[1][rows])
    assert facts[0].equals(facts[1]) == (protocol != "authors-code")
    val_scores = [r.table.query("split == 'val'")["value"] for r in (first, second)]
    assert val_scores[0].equals(val_scores[1]) or protocol == "authors-code"
    assert np.abs(first.scores - second.scores).max() > 0


def test_seeds_redraw_validation_by_group_only_where_none_is_given():
    assert run(embedding_set(), "converged").runs["seed"].nunique() == 1
    embeddings = embedding_set(val=False, groups=np.arange(150) // 2)
    first, second = (split_rows(embeddings, seed) for seed in (1, 2))
    assert set(first.val) != set(second.val)
    np.testing.assert_array_equal(first.test, second.test)
    assert not set(first.fit // 2) & set(first.val // 2)
    assert len(first.val) == pytest.approx(0.1 * len(embeddings.rows("train")), abs=2)
    assert run(embeddings, "converged", lambdas=[0]).runs["seed"].nunique() == 2


def one_validation_row() -> EmbeddingSet:
    """Return a set of which class akiec has one validation row, on the side of another class, and a rare class."""
    embeddings = embedding_set(d=8, n=240)
    pairs = embeddings.pairs.assign(label=np.where(np.arange(240) % 80 == 79, "secret", embeddings.pairs["label"]))
    few = np.flatnonzero((pairs["split"] == "val") & (pairs["label"] == "bcc"))[1:]
    pairs.loc[few, "split"] = "train"
    task = replace(embeddings.task, classes=("akiec", "bcc", "nv", "secret"))
    return replace(embeddings, pairs=pairs, task=task)


def test_strengths_at_an_edge_and_classes_of_few_validation_rows_are_told_by_sweep_its_copies_and_recommend(tmp_path):
    embeddings, grid = one_validation_row(), PROTOCOLS["converged"].replace(strengths=(1e-6, 1e-5, 1e-4))
    with pytest.warns(Caution) as caught:
        result = sweep(embeddings, [0, 1], protocol=grid, progress=False)
    edge, few = result.cautions
    assert (
        [str(w.message) for w in caught if w.category is Caution]
        == [edge, few]
        == SweepResult.load(result.save(tmp_path / "r")).cautions
    )
    assert edge.startswith("2 of 2 probes (lambda) take the strongest or weakest") and "(1e-04)" in edge
    assert few.startswith("2 of 4 classes have fewer than 5 validation rows: bcc;") and "secret" not in few
    verdict = recommend(embeddings, ["centring"], grid, n_boot=20).sentences()
    assert "Caution: 2 of 2 probes (none, centring) take the strongest or weakest" in verdict and f"Caution: {few}." in verdict
    one, wide = grid.replace(strengths=(1e-4,)), embedding_set(d=8, n=400)  # a strength set by hand leaves no choice
    assert sweep(wide, [0], protocol=one, progress=False).cautions == sweep(wide, [0], progress=False).cautions == []


def test_groups_in_train_and_test_are_told_by_sweep_its_copies_and_recommend(tmp_path):
    whole = embedding_set(d=8, n=400)
    train, test = (whole.rows(split) for split in ("train", "test"))
    group = whole.pairs["group"].to_numpy().copy()
    group[test[:3]] = group[train[0]]
    leaking = replace(whole, pairs=whole.pairs.assign(group=group))
    with pytest.warns(Caution, match=f"^3 of {len(test)} test rows have a group, such as a patient, that also occurs in train"):
        result = sweep(leaking, [0], progress=False)
    (told,) = result.cautions
    assert SweepResult.load(result.save(tmp_path / "r")).cautions == [told]
    assert f"Caution: {told}." in recommend(leaking, ["centring"], n_boot=20, progress=False).sentences()
    assert sweep(whole, [0], progress=False).cautions == []


def test_chunking_and_workers_change_nothing():
    embeddings, lambdas = embedding_set(), np.linspace(0, 1, 7)
    for dtype, tolerance in (("float64", 1e-7), ("float32", 1e-6)):
        options = {"lambdas": lambdas, "seeds": (1, 2, 3), "features": ("joint", "text"), "dtype": dtype}
        one, four = (run(embeddings, workers=w, **options) for w in (1, 4))
        pd.testing.assert_frame_equal(*(r.runs[["features", "seed", "lambda_image", "epochs"]] for r in (one, four)))
        np.testing.assert_allclose(one.scores, four.scores, atol=tolerance)
    whole, parts = (run(embeddings, "converged", workers=w, lambdas=lambdas) for w in (1, 3))
    np.testing.assert_array_equal(run(embeddings, workers=1).scores, run(embeddings, workers=1).scores)  # the same bits
    pd.testing.assert_series_equal(whole.runs["strength"], parts.runs["strength"])
    np.testing.assert_allclose(whole.scores, parts.scores, rtol=1e-3, atol=1e-3)


def test_saved_result_reads_back(tmp_path):
    result = run(embedding_set(groups=np.arange(150) // 2))
    again = SweepResult.load(result.save(tmp_path / "r"))
    pd.testing.assert_frame_equal(result.effects(n_boot=50), again.effects(n_boot=50))
    pd.testing.assert_frame_equal(result.table, again.table)
    assert len({file.stat().st_mode for file in (tmp_path / "r").iterdir()}) == 1  # none is for its owner alone
    assert "0000007" not in (tmp_path / "r" / "test_rows.parquet").read_bytes().decode("latin1")
    with pytest.raises(FileNotFoundError, match="python -m helpers sweep"):
        SweepResult.load(tmp_path / "none")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"lambdas": []}, "lambdas is empty"),
        ({"lambdas": [0, float("nan")]}, "finite"),
        ({"seeds": (1, 1)}, "seed 1 is given twice"),
        ({"seeds": []}, "'seeds' is empty"),
        ({"seeds": [-1]}, "-1 is not a whole number between 0"),
        ({"seeds": [1.5]}, "1.5 is not a whole number"),
        ({"features": ("jiont",)}, "did you mean 'joint'"),
    ],
)
def test_bad_grids_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        sweep(embedding_set(), progress=False, **options)


def changed(base, labels=None, split=None) -> EmbeddingSet:
    labels, split = base.pairs["label"] if labels is None else labels, base.pairs["split"] if split is None else split
    return EmbeddingSet.from_arrays(base.image_of(), base.text_of(), labels, split, kind=base.task.kind)


def test_rows_that_teach_nothing_are_named():
    base = embedding_set("binary")
    labels, split = base.pairs["label"], base.pairs["split"]
    for name, rows in (("train", "training"), ("test", "test")):
        with pytest.raises(ValueError, match=f"{rows} rows hold one class only"):
            run(changed(base, labels.where(split != name, "benign")))
    with pytest.raises(ValueError, match="has no test rows, and needs train and test rows; give it a split"):
        run(changed(base, split=split.replace("test", "val")))
    with pytest.warns(UserWarning, match="validation rows hold one class only"):
        result = run(changed(base, labels.where(split != "val", "benign")))
    assert result.selected(n_boot=20)["lambda_image"].tolist() == [0]


def test_classes_absent_from_a_split_are_named_and_counted():
    base = embedding_set()
    labels, split = base.pairs["label"], base.pairs["split"]
    result = run(changed(base, labels.where((split == "train") | (labels != "akiec"), "nv")))
    assert np.isnan(value(result, "auc", name="akiec")) and value(result, "classes_absent") == 1
    assert value(result, "auc") == pytest.approx(np.mean([value(result, "auc", name=n) for n in ("bcc", "nv")]))
    for protocol in ("paper", "authors-code", "converged"):
        with pytest.warns(UserWarning, match="no training row of class akiec"):
            result = run(changed(base, labels.where((split != "train") | (labels != "akiec"), "nv")), protocol)
        assert np.isfinite(result.scores).all()
    assert result.runs["optimality"].max() <= 1e-8


def test_the_default_is_trained_to_convergence_and_a_descent_says_when_it_is_not():
    result = sweep(embedding_set(), [0, 1], features=("joint", "text"), progress=False)
    assert result.provenance["protocol"] == "converged" and set(result.best["features"]) == {"joint", "text"}
    assert len(repr(result)) < 200 and "sample common normal" in repr(result)
    plt.close(result.plot())
    with pytest.warns(ConvergenceWarning, match=r"2 of 2 probes .* not trained to convergence"):
        run(embedding_set(), lambdas=[0, 1], seeds=(1,))


@pytest.mark.parametrize("protocol", ["paper", "authors-code", "converged"])
def test_a_label_positive_in_every_training_row_stands_in_nobodys_way(protocol):
    base = embedding_set("multilabel")
    saturated = base.targets.copy()
    saturated[base.rows("train"), 1] = 1
    with pytest.warns(UserWarning, match="every training row is positive for class 1"):
        result = run(changed(base, saturated), protocol, seeds=(1,))
    assert result.provenance["classes_not_learned"] == ["1"] and value(result, "classes_absent") == 1
    others = np.mean([value(result, "auc", name=name) for name in "02"])
    assert value(result, "auc") == pytest.approx(others) and np.isfinite(result.scores).all()
    assert result.effects(n_boot=20).set_index("lambda_image")["auc"][0.5] == pytest.approx(others)
    assert result.runs["optimality"].max() <= 1e-8 or protocol != "converged"


def test_a_lambda_that_sends_all_rows_to_zero_is_refused():
    base = embedding_set()
    image = np.tile([1.0, 0, 0, 0, 0, 0], (len(base), 1))
    same = EmbeddingSet.from_arrays(image, -image, base.pairs["label"], base.pairs["split"])
    for alignment, said in (("lambda", r"'lambda' \(lambda 1\) sends 1 of 1 .* vectors to zero"), ("centred", "'centred'")):
        with pytest.raises(ValueError, match=f"alignment {said}"):
            run(same, alignments=(alignment,), lambdas=[0, 1])


def test_nearly_identical_rows_are_solved():
    rng = np.random.default_rng(0)
    base = rng.normal(size=64)
    image, text = (sign * base + 1e-5 * rng.normal(size=(60, 64)) for sign in (1, -1))
    split = ["train"] * 36 + ["val"] * 12 + ["test"] * 12
    same = EmbeddingSet.from_arrays(image, text, rng.integers(0, 2, 60).astype(str), split)
    assert sweep(same, [0, 0.5, 1], progress=False).runs["optimality"].max() <= 1e-8
