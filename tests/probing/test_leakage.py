"""The leakage audit agrees with hand-made tables."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from samples import embedding_set

from helpers import metrics
from helpers.datasets.splits import seen_in_train
from helpers.files import write_json
from helpers.probing import leakage
from helpers.probing.leakage import Scored, text_names_label
from helpers.probing.protocol import PROTOCOLS
from helpers.statistics import bootstrap_counts

STRONG = PROTOCOLS["converged"].replace(strengths=(1e-3, 1e-2, 1e-1, 1.0))
"""Converged probes without the weak penalties, which take long where a text gives the label away."""


def scored(ids, scores, positive, groups=None) -> Scored:
    targets = np.array(positive)[:, None]
    return Scored(pd.Index(list(ids)), np.array(scores, float)[None, :, None], targets, np.array(groups or list(ids)), ("ill",))


def test_what_a_test_row_shares_with_train_and_not_with_validation():
    pairs = pd.DataFrame(
        {"split": ["train", "val", "test", "test"], "group": ["p", "q", "p", "q"], "image": [0, 1, 2, 1], "text": [5, 6, 6, 5]}
    )
    seen = seen_in_train(pairs)
    assert seen["group"].tolist() == [True, False]
    assert seen["image"].tolist() == [False, False]
    assert seen["text"].tolist() == [False, True]


def planted(dataset: str):
    """Return a set whose first test row is nearly its first training row, in both modalities."""
    made = embedding_set("binary", n=40, d=8, val=False)
    train, test = made.rows("train"), made.rows("test")
    image, text = made.image.copy(), made.text.copy()
    image[made.pairs["image"][test[0]]] = image[made.pairs["image"][train[0]]] + np.float32(1e-3)
    text[made.pairs["text"][test[0]]] = text[made.pairs["text"][train[0]]] + np.float32(1e-3)
    return replace(made, image=image, text=text, provenance={**made.provenance, "dataset": dataset})


def test_near_duplicates_name_the_planted_pair_and_count_it():
    made = planted("flickr8k")
    curves, closest = leakage.near_duplicates([made], most=1)
    ids, train, test = made.pairs["pair_id"].to_numpy(), made.rows("train"), made.rows("test")
    assert closest["modality"].tolist() == ["image", "text"] and (closest["cosine"] > 0.999).all()
    assert (closest["test"] == ids[test[0]]).all() and (closest["train"] == ids[train[0]]).all()
    share = curves[curves["cosine"] == 0.99].groupby("modality")["share"].first()
    assert (share >= 1 / len(test)).all() and (curves[curves["cosine"] == 0]["share"] <= 1).all()
    falling = curves.groupby("modality")["share"].apply(lambda s: (s.diff().dropna() <= 0).all())
    assert falling.all()


@pytest.mark.parametrize("dataset", ["mimic_cxr", "of_somebody"])
def test_no_id_of_a_credentialed_or_unknown_data_set_is_named(dataset):
    curves, closest = leakage.near_duplicates([planted(dataset)])
    assert len(curves) and closest.empty


def test_sets_without_training_or_test_rows_have_no_near_duplicates():
    made = planted("flickr8k")
    curves, closest = leakage.near_duplicates([replace(made, pairs=made.pairs.assign(split="train"))])
    assert curves.empty and closest.empty


def test_key_scores_are_shrunken_frequencies_of_train_rows_alone():
    key, targets = ["a", "a", "b", "a", "b", "c"], np.array([[1], [0], [0], [1], [1], [1]])
    scores = leakage.key_scores(key, targets, train=[0, 1, 2], test=[3, 4, 5], weight=1.0)
    base = 1 / 3
    assert scores[:, 0] == pytest.approx([(1 + base) / 3, base / 2, base])


def test_difference_is_joined_by_id_and_never_by_position():
    positive = {"a": 1, "b": 1, "c": 0, "d": 0}
    good = scored("abcd", [4, 3, 2, 1], [positive[i] for i in "abcd"])
    same = scored("dbca", [1, 3, 2, 4], [positive[i] for i in "dbca"])
    bad = scored("dcba", [4, 3, 2, 1], [positive[i] for i in "dcba"])
    assert leakage.paired_difference(good, same, 50)["difference"] == 0
    found = leakage.paired_difference(good, bad, 200)
    assert (found["first"], found["second"], found["test_rows"]) == (1, 0, 4)
    assert found["low"] == found["high"] == 1


def test_only_rows_of_both_sets_count():
    first = scored("abcx", [3, 1, 2, 9], [1, 1, 0, 0])
    second = scored("cbay", [2, 1, 3, 0], [0, 1, 1, 1])
    found = leakage.paired_difference(first, second, 20)
    assert found["test_rows"] == 3 and found["first"] == found["second"] == 0.5


def test_interval_draws_the_groups_of_the_second_set_together():
    rng = np.random.default_rng(0)
    ids, positive = [f"r{i}" for i in range(40)], [0, 1] * 20
    a, b = rng.normal(size=40) + positive, rng.normal(size=40)
    groups = [f"g{i // 4}" for i in range(40)]
    found = leakage.paired_difference(scored(ids, a, positive), scored(ids, b, positive, groups), 300)
    counts = bootstrap_counts(40, 300, 0, groups)
    draws = metrics.auc(a, positive, counts) - metrics.auc(b, positive, counts)
    assert [found["low"], found["high"]] == pytest.approx(np.quantile(draws, [0.025, 0.975]))


def test_sets_that_cannot_be_compared_are_refused():
    one = scored("abcd", [4, 3, 2, 1], [1, 1, 0, 0])
    with pytest.raises(ValueError, match="2 of 4 test rows have other labels"):
        leakage.paired_difference(one, scored("abcd", [4, 3, 2, 1], [1, 0, 1, 0]))
    with pytest.raises(ValueError, match="no test row in common"):
        leakage.paired_difference(one, scored("wxyz", [4, 3, 2, 1], [1, 1, 0, 0]))
    with pytest.raises(ValueError, match="no class in common"):
        leakage.paired_difference(one, replace(one, classes=("well",)))


def test_a_proxy_in_the_text_shows_in_text_and_joint_and_not_in_the_image():
    clean = embedding_set(n=160, val=False)
    label = pd.factorize(clean.pairs["label"])[0]
    told = np.eye(6)[label] * 3 + np.random.default_rng(0).normal(size=(160, 6)) * 0.1
    order = np.random.default_rng(1).permutation(160)
    pairs = clean.pairs.assign(text=range(160)).iloc[order]
    authors = replace(clean, text=told / np.linalg.norm(told, axis=1, keepdims=True), pairs=pairs)
    table = leakage.compare_variants(authors, clean, STRONG, [1], 100)
    macro = table[table["class"].isna()].set_index("features")
    assert macro.loc["text", "low"] > 0 and macro.loc["text", "authors"] > 0.99
    assert abs(macro.loc["image", "difference"]) < 0.02
    assert set(table["class"].dropna()) == set(clean.task.classes)


def test_siblings_pay_where_the_group_fixes_the_label():
    rng = np.random.default_rng(0)
    groups, noise = np.repeat(np.arange(40), 4), rng.normal(size=(160, 60))
    embeddings = embedding_set(kind="binary", n=160, groups=groups)
    label = np.where(rng.permutation(40) < 20, "benign", "malignant")[groups]
    keys = rng.normal(size=(40, 60))[groups]  # one random vector per group: an identity, no meaning
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (keys, noise)]
    pairs = embeddings.pairs.assign(label=label, image=range(160), text=range(160))
    table = leakage.compare_splits(replace(embeddings, image=unit[0], text=unit[1], pairs=pairs), STRONG, [1], "image", 100, 2)
    mean = leakage.mean_over_draws(table).set_index("features")
    assert mean.loc["image", "by row"] > 0.9 and mean.loc["image", "by group"] < 0.75
    assert abs(mean.loc["text", "difference"]) < 0.2
    assert (mean["draws"] == 2).all() and mean.loc["image as key", "by group"] == 0.5


def test_how_often_a_text_names_its_label_is_read_from_the_records_once_per_data_set(tmp_path):
    counted = {"input_caption_names_label": {"dog": 0.5}}
    for folder, report in (("a", counted), ("b", counted), ("c", {})):
        (tmp_path / folder).mkdir()
        write_json(tmp_path / folder / "provenance.json", {"dataset": "d" if folder < "c" else "e", "data_report": report})
    named = text_names_label([tmp_path / folder for folder in "abc"])
    assert named.to_dict("records") == [{"dataset": "d", "class": "dog", "share": 0.5}]
