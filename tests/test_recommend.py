"""Recommendation: validation chooses, nothing is the default, and what is saved is what was fitted on training rows."""

from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
from samples import embedding_set

from helpers import EmbeddingSet
from helpers.alignment.registry import load_alignment
from helpers.cli import main
from helpers.recommend import recommend, snippet
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
    trained, unlabelled = (
        replace(SAMPLE, pairs=SAMPLE.pairs.assign(split="train")),
        EmbeddingSet.from_arrays(SAMPLE.image, SAMPLE.text),
    )
    refused = [
        (unlabelled, NAMES, "no labels"),
        (SAMPLE, ["centering"], "did you mean 'centring'"),
        (trained, NAMES, "no test rows"),
    ]
    for embeddings, names, why in refused:
        with pytest.raises(ValueError, match=why):
            recommend(embeddings, names)


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
