"""The methods of page 07 agree with hand-made tables, and its study of HAM10000 with hand-made metadata."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from page_code import functions_of
from samples import embedding_set

from helpers.probing.protocol import PROTOCOLS

page = functions_of("07_leakage_audit", "n_boot", "seeds")
STRONG = PROTOCOLS["converged"].replace(strengths=(1e-3, 1e-2, 1e-1, 1.0))


def scored(ids, scores, positive, groups=None):
    scores, targets = np.array(scores, float)[None, :, None], np.array(positive)[:, None]
    return page.Scored(pd.Index(list(ids)), scores, targets, np.array(groups or list(ids)), ("ill",))


def test_a_key_scores_by_shrunken_frequencies_of_train_rows_alone():
    made = embedding_set("binary", n=6)
    label = np.array(made.task.classes)[[1, 0, 0, 1, 1, 1]]
    pairs = made.pairs.assign(label=label, text=[0, 0, 1, 0, 1, 2], split=["train"] * 3 + ["test"] * 3)
    base = 1 / 3
    found = page.by_key(replace(made, pairs=pairs), "text").scores[0, :, 0]
    assert found == pytest.approx([(1 + base) / 3, base / 2, base])


def test_a_difference_is_joined_by_id_over_the_rows_of_both_sets():
    positive = {"a": 1, "b": 1, "c": 0, "d": 0}
    good, same, bad = (
        scored(ids, scores, [positive[i] for i in ids])
        for ids, scores in (("abcd", [4, 3, 2, 1]), ("dbca", [1, 3, 2, 4]), ("dcba", [4, 3, 2, 1]))
    )
    assert page.difference(good, same)["difference"] == 0
    found = page.difference(good, bad)
    assert (found["first"], found["second"], found["test_rows"], found["low"], found["high"]) == (1, 0, 4, 1, 1)
    found = page.difference(scored("abcx", [3, 1, 2, 9], [1, 1, 0, 0]), scored("cbay", [2, 1, 3, 0], [0, 1, 1, 1]))
    assert found["test_rows"] == 3 and found["first"] == found["second"] == 0.5
    with pytest.raises(ValueError, match="2 of 4 test rows have other labels"):
        page.difference(good, scored("abcd", [4, 3, 2, 1], [1, 0, 1, 0]))
    for other in (scored("wxyz", [4, 3, 2, 1], [1, 1, 0, 0]), replace(good, classes=("well",))):
        with pytest.raises(ValueError, match="no test row or no class in common"):
            page.difference(good, other)


def test_the_two_splits_differ_in_siblings_only():
    groups = np.repeat([f"g{i}" for i in range(20)], [4] * 10 + [3] * 6 + [1] * 4)
    split = page.sibling_splits(groups, test_share=0.4, random_state=3)
    by_row, by_group = split["by row"], split["by group"]
    assert ((by_row == "test") == (by_group == "test")).all() and (by_row == "test").any()
    assert (by_row == "train").sum() == (by_group == "train").sum()
    tested = set(groups[by_row == "test"])
    assert not tested & set(groups[by_group == "train"]) and tested <= set(groups[by_row == "train"])
    with pytest.raises(ValueError, match="0 rows of other groups cannot take the place of 4 siblings"):
        page.sibling_splits(["a"] * 4 + ["b"] * 4, test_share=1.0)


def test_straddling_lesions_are_counted_by_class_and_add_up_to_the_published_test_rows():
    study: dict = {"__name__": "study"}
    exec((ROOT / "studies/ham10000_straddling.py").read_text(), study)
    metadata = pd.DataFrame({"lesion_id": [f"l{i // 2}" for i in range(40)], "dx": ["mel", "mel", "nv", "nv"] * 10})
    table = study["straddling"](metadata).set_index("class")
    assert table["test_images"].tolist() == [4, 4] and (table["lesion_in_train"] <= 4).all() and table["lesion_in_train"].sum() > 0
    stored = pd.read_csv(ROOT / study["OUT"])
    published = pd.read_csv(ROOT / "data/published/datasets.csv").set_index("name")
    assert stored["test_images"].sum() == published.loc["ham10000", "test_rows"]
    assert (stored["lesion_in_train"] <= stored["test_images"]).all()
