"""Splits keep groups whole or ignore them, and the audit finds the overlap of either."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.datasets import Card, PairedDataset, overlap
from helpers.datasets.audit import class_balance, diversity_table, straddling_groups, text_words
from helpers.datasets.splits import by_group, by_row, by_row_in_file_order, first_seen, straddling
from helpers.tasks import Task

CARD = Card("t", "natural", "s", "l", "c", "a")


def small():
    rows = pd.DataFrame(
        {
            "pair_id": list("abcdefgh"),
            "image": [f"{c}.png" for c in "abcdefga"],
            "text": ["x y", "x y", "z", "u v w", "x y", "q", "z", "r"],
            "split": ["train"] * 4 + ["test"] * 4,
            "group": [*"1122", *"1345"],
            "label": [*"AABB", *"AABB"],
        }
    )
    return PairedDataset("t", "common", rows, Task("binary", ("A", "B")), CARD, ".")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=300), st.integers(0, 5))
def test_no_group_is_ever_divided(pairs, seed):
    groups, strata = pd.Series([g for g, _ in pairs]), pd.Series([s for _, s in pairs])
    split = by_group(groups, strata, seed=seed)
    assert len(split) == len(pairs) and set(split) <= {"train", "val", "test"}
    assert len(straddling(pd.DataFrame({"group": groups, "split": split}))) == 0
    assert (split == by_group(groups, strata, seed=seed)).all()


def test_every_stratum_is_divided_in_proportion():
    rng = np.random.default_rng(0)
    groups = pd.Series(np.arange(4000)).repeat(rng.integers(1, 4, 4000)).reset_index(drop=True)
    strata = groups.mod(17).clip(upper=3)
    shares = pd.crosstab(strata, by_group(groups, strata), normalize="index")
    assert np.abs(shares[["train", "val", "test"]] - [0.7, 0.1, 0.2]).max().max() < 0.02


def test_a_stratum_of_three_groups_reaches_every_split():
    groups, strata = pd.Series(range(103)), pd.Series(["common"] * 100 + ["rare"] * 3)
    assert set(by_group(groups, strata)[100:]) == {"train", "val", "test"}
    assert set(by_group(groups, pd.Series(["common"] * 102 + ["single"]))[102:]) == {"train"}


def test_by_row_is_stratified_and_complete():
    strata = pd.Series([*"aaaaabbbbb"] * 20, name="grade")
    train, test = by_row(strata)
    assert sorted([*train, *test]) == list(range(200)) and strata[test].value_counts().to_dict() == {"a": 20, "b": 20}
    assert (np.flatnonzero(by_row_in_file_order(strata) == "test") == sorted(test)).all()


def test_first_seen():
    rows = pd.DataFrame({"split": ["test", "train", "val", "val", "test"], "t": [*"xxyzy"]})
    assert first_seen(rows, "t").tolist() == [False, True, True, True, False]


def test_overlap_by_hand():
    assert overlap(small()).to_dict() == {"group": 0.25, "image": 0.25, "text": 0.5}
    assert overlap(small(), of="train", seen="test").to_dict() == {"group": 0.5, "image": 0.25, "text": 0.75}


def test_audit_tables_by_hand():
    dataset = small()
    assert straddling_groups(dataset) == 1
    assert class_balance(dataset).to_dict() == {"train": {"A": 2, "B": 2}, "test": {"A": 2, "B": 2}}
    assert text_words(dataset).tolist() == [2, 2, 1, 3, 2, 1, 1, 1]


def test_pixel_variance_counts_each_image_once(tmp_path):
    from PIL import Image

    for name, grey in (("a.png", 0), ("b.png", 255)):
        Image.new("RGB", (64, 48), (grey, grey, grey)).save(tmp_path / name)
    rows = pd.DataFrame(
        {
            "pair_id": list("xyz"),
            "image": ["a.png", "a.png", "b.png"],
            "text": ["s", "t", "t"],
            "split": "train",
            "group": list("123"),
            "label_dark": [1, 1, 0],
        }
    )
    table = diversity_table(PairedDataset("t", "common", rows, Task("multilabel", ("dark",)), CARD, tmp_path)).set_index("subset")
    assert table.loc["all pairs", ["n_images", "pixel_variance"]].tolist() == [2, 0.25]
    assert table.loc["dark", ["n_images", "pixel_variance", "distinct_text_share"]].tolist() == [1, 0, 1]
