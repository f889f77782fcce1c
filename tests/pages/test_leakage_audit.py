"""The methods of page 07 agree with hand-made tables, and its study of HAM10000 with hand-made metadata."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from page_code import functions_of
from samples import embedding_set

from helpers import metrics
from helpers.probing.protocol import PROTOCOLS
from helpers.statistics import bootstrap_counts

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


def test_the_interval_draws_the_groups_of_the_second_set_together():
    rng = np.random.default_rng(0)
    ids, positive, groups = [f"r{i}" for i in range(40)], [0, 1] * 20, [f"g{i // 4}" for i in range(40)]
    a, b = rng.normal(size=40) + positive, rng.normal(size=40)
    found = page.difference(scored(ids, a, positive), scored(ids, b, positive, groups))
    counts = bootstrap_counts(40, page.n_boot, 0, groups)
    draws = metrics.auc(a, positive, counts) - metrics.auc(b, positive, counts)
    assert [found["low"], found["high"]] == pytest.approx(np.quantile(draws, [0.025, 0.975]))


def test_a_proxy_in_the_text_shows_in_text_and_joint_and_not_in_the_image():
    clean = embedding_set(n=160, val=False)
    label = pd.factorize(clean.pairs["label"])[0]
    told = np.eye(6)[label] * 3 + np.random.default_rng(0).normal(size=(160, 6)) * 0.1
    pairs = clean.pairs.assign(text=range(160)).sample(frac=1, random_state=1)
    authors = replace(clean, text=told / np.linalg.norm(told, axis=1, keepdims=True), pairs=pairs)
    table = page.differences(*(page.by_probes(s, STRONG) for s in (authors, clean)), ("authors", "clean")).set_index("features")
    assert table.loc["text", "low"] > 0 and table.loc["text", "authors"] > 0.99 and table.loc["joint", "low"] > 0
    assert abs(table.loc["image", "difference"]) < 0.02


def test_siblings_pay_where_the_group_fixes_the_label():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 4)
    label = np.where(rng.permutation(40) < 20, "benign", "malignant")[groups]
    keys = rng.normal(size=(40, 60))[groups]  # one random vector per group: an identity, no meaning
    made = embedding_set(kind="binary", n=160, groups=groups)
    unit = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    made = replace(made, image=unit, text=unit[::-1], pairs=made.pairs.assign(label=label, image=range(160), text=range(160)))
    split = page.sibling_splits(made.pairs["group"])
    auc = [page.difference(*[page.by_probes(page.resplit(made, rows), STRONG)["image"]] * 2)["first"] for rows in split.values()]
    assert auc[0] > 0.9 and auc[1] < 0.75


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


def test_a_group_gets_the_label_of_its_pair_that_names_it():
    made = embedding_set(n=60, groups=np.repeat(np.arange(15), 4))
    labels = np.array(["bcc"] * 60, dtype=object)
    labels[[1, 4]] = "nv", "akiec"  # groups 0 and 1
    found = page.labelled_by_group(replace(made, pairs=made.pairs.assign(label=labels)), ["akiec", "nv"])
    assert found.pairs["label"].tolist() == ["nv"] * 4 + ["akiec"] * 4 and found.task.classes == ("akiec", "nv")


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


def test_variants_that_agree_share_a_panel_on_the_page_on_the_data():
    by_set = functions_of("09_data").by_set
    table = pd.DataFrame({"dataset": ["ham10000"] * 4, "variant": ["authors"] * 2 + ["clean"] * 2, "share": [0.2, 0.8] * 2})
    assert list(by_set(table, ["share"])) == ["HAM10000"]
    table.loc[3, "share"] = 0.5
    assert list(by_set(table, ["share"])) == ["HAM10000 · authors", "HAM10000 · clean"]
