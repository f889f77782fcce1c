"""Recommendation: validation chooses, nothing is the default, and what is saved is what was fitted on training rows."""

from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
from samples import embedding_set

from helpers import EmbeddingSet
from helpers.alignment.registry import load_alignment, make_alignment
from helpers.cli import main
from helpers.recommend import recommend, snippet
from helpers.retrieval import recall_both_ways
from helpers.tasks import text_decides

NAMES = ("centring", "lambda-1", "cca")
SAMPLE = embedding_set("binary", n=200)


def test_validation_alone_chooses_and_only_a_clear_gain_over_none_is_recommended():
    found = recommend(SAMPLE, NAMES, n_boot=100)
    table = found.table.set_index("alignment")
    assert list(table.index) == ["none", *NAMES] and table.loc["none", ["difference", "low", "high"]].tolist() == [0, 0, 0]
    assert (table["low"] <= table["difference"]).all() and (table["difference"] <= table["high"]).all()
    assert table["validation_auc"].max() == table.loc[found.chosen, "validation_auc"]
    assert found.recommended == (found.chosen if table.loc[found.chosen, "low"] > 0 else "none")
    image = SAMPLE.image.copy()  # test rows do not move the fit
    image[SAMPLE.rows("test")] = np.roll(image[SAMPLE.rows("test")], 1, axis=0)
    other = recommend(replace(SAMPLE, image=image), NAMES, n_boot=100)
    np.testing.assert_allclose(other.table["validation_auc"], found.table["validation_auc"])
    assert other.chosen == found.chosen


def test_untrained_probes_give_no_advice_and_a_warning_names_its_alignment():
    with pytest.warns(UserWarning) as caught:
        found = recommend(SAMPLE, ["centring"], "paper", n_boot=20, progress=False)
    assert found.recommended == "none" and found.sentences().startswith(
        "No advice: probes of protocol paper are not trained to conv"
    )
    good = replace(found, chosen="centring", table=found.table.assign(low=1.0))  # however clear the gain is
    assert not good.sentences().startswith("Use") and "Validation chooses centring" in good.sentences()
    assert {str(w.message).split(":")[0] for w in caught} == {"alignment none", "alignment centring"}


def test_what_is_asked_is_checked_before_anything_is_trained_and_progress_is_shown(monkeypatch, capsys):
    monkeypatch.setattr("helpers.recommend.sweep", lambda *_, **__: pytest.fail("trained"))
    for options, why in (({"n_boot": 0}, "n_boot is 0"), ({"protocol": "convergd"}, "did you mean 'converged'")):
        with pytest.raises(ValueError, match=why):
            recommend(SAMPLE, ["centring"], **options)
    monkeypatch.undo()
    recommend(SAMPLE, ["centring"], n_boot=20)
    assert "alignments: 100%" in capsys.readouterr().err


def test_what_cannot_be_fitted_is_named_and_what_cannot_be_recommended_on_is_refused():
    result = recommend(embedding_set("binary", n=60, d=40), ["procrustes"], n_boot=20)
    assert list(result.table["alignment"]) == ["none"] and "rows" in result.impossible["procrustes"]
    assert "Do nothing" in result.sentences()
    trained = replace(SAMPLE, pairs=SAMPLE.pairs.assign(split="train"))
    refused = [
        (EmbeddingSet.from_arrays(SAMPLE.image, SAMPLE.text), NAMES, "no test rows.*resplit of helpers.datasets.splits"),
        (SAMPLE, ["centering"], "did you mean 'centring'"),
        (trained, NAMES, "no test rows"),
    ]
    for embeddings, names, why in refused:
        with pytest.raises(ValueError, match=why):
            recommend(embeddings, names)


def unlabelled(n=200, val=True, hubs=0.0, **options) -> EmbeddingSet:
    """Return pairs without labels whose texts are noisy images; ``hubs`` draws some texts close to all images, by a common part."""
    rng = np.random.default_rng(1)
    image = rng.normal(size=(n, 12))
    text = image + 0.7 * rng.normal(size=(n, 12)) + hubs * rng.random((n, 1)) * np.eye(12)[0]
    split = np.repeat(["train", "val" if val else "train", "test"], [n // 2, n // 5, n - n // 2 - n // 5])
    return EmbeddingSet.from_arrays(image + 3 * np.eye(12)[0], text - 3 * np.eye(12)[0], split=split, **options)


def test_pairs_without_labels_are_judged_by_retrieval_on_held_out_rows_and_by_separation():
    pairs = unlabelled(hubs=2.0)
    found = recommend(pairs, ["centring", "lambda-1"], n_boot=200, progress=False)
    table, test = found.table.set_index("alignment"), pairs.rows("test")
    v, t = (
        make_alignment("centring")
        .fit(*(of(pairs.rows("train")) for of in (pairs.image_of, pairs.text_of)))
        .transform(pairs.image_of(test), pairs.text_of(test))
    )
    assert table.loc["centring", "test_recall"] == pytest.approx(np.mean(recall_both_ways(v, t, 1)))
    base = np.mean(recall_both_ways(pairs.image_of(test), pairs.text_of(test), 1))
    assert table.loc["none", "test_recall"] == pytest.approx(base) and table.loc["none", "modality_auc"] > 0.99
    assert found.recommended == found.chosen != "none" and table.loc[found.chosen, "low"] > 0
    said = found.sentences()
    assert said.startswith("No labels: judged by retrieval") and f"Use {found.chosen}: it changes test recall@1 by +" in said
    assert "modality auc 0.997 to" in said and "AUC" not in said and "log loss" not in said


def test_noise_recommends_nothing_and_one_unit_of_few_rows_decides_nothing():
    rng = np.random.default_rng(2)
    noise = replace(unlabelled(), text=rng.permutation(unlabelled().text))
    assert recommend(noise, NAMES, n_boot=200, progress=False).recommended == "none"
    few = unlabelled(hubs=2.0, groups=np.repeat(np.arange(25), 8))  # the test rows are eight groups
    found = recommend(few, ["centring"], n_boot=50, progress=False)
    assert found.table.set_index("alignment").loc["centring", "difference"] > 0
    assert found.recommended == "none" and "the test rows form fewer than 10 independent groups" in found.sentences()


def test_without_validation_rows_those_that_choose_are_not_fitted_on():
    rng = np.random.default_rng(3)
    split = np.repeat(["train", "test"], [140, 40])
    pairs = EmbeddingSet.from_arrays(rng.normal(size=(180, 60)), rng.normal(size=(180, 60)), split=split)
    found = recommend(pairs, ["procrustes"], n_boot=20, progress=False).table.set_index("alignment")
    image, text = make_alignment("procrustes").fit(pairs.image, pairs.text).transform(pairs.image, pairs.text)
    assert np.mean(recall_both_ways(image, text, 1)) > 0.9  # of rows that were fitted on, although pairs are unrelated
    assert found.loc["procrustes", "validation_recall"] < 0.3
    with pytest.raises(ValueError, match="protocol paper trains probes, which need labels"):
        recommend(pairs, ["ridge"], "paper")
    one_text = replace(pairs, text=np.repeat(pairs.text[:1], len(pairs.text), axis=0))
    with pytest.raises(ValueError, match="text has one distinct vector in"):
        recommend(one_text, ["ridge"])


def test_imported_pairs_without_labels_reach_recommend_and_report_and_no_advice_must_fail(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HELPERS_ROOT", str(tmp_path))
    pairs = unlabelled(hubs=2.0)
    np.savez(tmp_path / "own.npz", image=pairs.image_of(), text=pairs.text_of())
    assert main(["import", str(tmp_path / "own.npz"), "--dataset", "own", "--backbone", "clip"]) == 0
    said = capsys.readouterr().out
    assert "rows were split at random, 70 % train, 20 % test, 10 % val" in said and "no groups were given" in said
    assert main(["recommend", "own", "clip", "--alignments", "centring", "--n-boot", "50"]) == 0
    said = capsys.readouterr().out
    assert "No labels: judged by retrieval" in said and "validation_recall" in said
    assert main(["recommend", "own", "clip", "--protocol", "paper"]) == 2 and "leave it out" in capsys.readouterr().err
    assert main(["sweep", "own", "clip"]) == 2 and "use `recommend`" in capsys.readouterr().err
    monkeypatch.delenv("HELPERS_ROOT")  # a report reads the paper's tables
    where = ["--variant", "clean", "--store", str(tmp_path / "runs/embeddings"), "--out", str(tmp_path / "r.json")]
    assert main(["report", "own", "clip", *where, "--by", "A", "--how", "One machine.", "--n-boot", "20"]) == 0
    said = capsys.readouterr().out
    assert "no labels, so its report holds geometry alone" in said and "run `python -m helpers sweep" not in said


def test_the_command_saves_what_its_snippet_loads(store, tmp_path, capsys):
    path = tmp_path / "a.safetensors"
    command = ["recommend", "ham10000", "lit-derm", "--store", str(store), "--save", str(path), "--out", str(tmp_path / "t.csv")]
    assert main([*command, "--alignments", "centring", "--protocol", "authors-code", "--n-boot", "50"]) == 0
    assert snippet(path) in capsys.readouterr().out and (tmp_path / "t.csv").is_file()
    np.testing.assert_allclose(np.linalg.norm(load_alignment(path).transform(np.eye(12), np.eye(12))[0], axis=1), 1)


def test_a_text_that_determines_the_label_is_told_before_any_work(monkeypatch):
    text = np.eye(6)[(SAMPLE.pairs["label"] == "malignant").astype(int)]
    decided = EmbeddingSet.from_arrays(SAMPLE.image_of(), text, SAMPLE.pairs["label"], SAMPLE.pairs["split"])
    monkeypatch.setattr("helpers.recommend.aligned", Mock(side_effect=KeyboardInterrupt))
    with (
        pytest.warns(UserWarning, match="text alone determines the label .2 distinct texts, 1 to 1"),
        pytest.raises(KeyboardInterrupt),
    ):
        recommend(decided, ["centring"], n_boot=20, progress=False)
    monkeypatch.undo()
    with pytest.warns(UserWarning, match="text alone"):
        found = recommend(decided, [], n_boot=20, progress=False)
    assert "Caution: the text alone determines the label" in found.sentences() and text_decides(SAMPLE.task, SAMPLE.pairs) is None
