"""Splits keep groups whole or ignore them, and cells and pictures are found as by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.datasets.describe import class_balance
from helpers.datasets.registry import Draft
from helpers.datasets.splits import by_group, by_row, seen_in_train, straddling
from helpers.datasets.tables import age_band, numbers, read_lines
from helpers.images import existing, index_images, locate
from helpers.tasks import Task


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
    assert set(by_group(pd.Series(range(103)), pd.Series(["common"] * 100 + ["rare"] * 3))[100:]) == {"train", "val", "test"}


def test_by_row_is_stratified_and_complete():
    strata = pd.Series([*"aaaaabbbbb"] * 20, name="grade")
    split = by_row(strata)
    assert split.tolist() == ["train"] * 160 + ["test"] * 40 and sorted(split.index) == list(range(200))
    assert strata[split.index[160:]].value_counts().to_dict() == {"a": 20, "b": 20}


def test_audit_by_hand():
    about = {"image": [*"abcdefga"], "text": ["x y", "x y", "z", "u v w", "x y", "q", "z", "r"], "group": [*"11221345"]}
    rows = pd.DataFrame({**about, "split": ["train"] * 4 + ["test"] * 4, "label": [*"AABBAABB"]})
    assert seen_in_train(rows).mean().to_dict() == {"group": 0.25, "image": 0.25, "text": 0.5} and list(straddling(rows)) == ["1"]
    balance = class_balance(Draft(rows, Task("binary", ("A", "B"))))
    assert balance.to_dict() == {"train": {"A": 2, "B": 2}, "test": {"A": 2, "B": 2}}


def test_oddly_written_cells_and_lines(tmp_path):
    found = numbers(pd.Series(["6O", "57,5", " 4 ", None, "-1.0"], name="age"), "t.csv")
    np.testing.assert_array_equal(found, [60, 57.5, 4, np.nan, -1])
    bands = age_band(pd.Series([0, 39, 39.9, 40, 59, 59.9, 60, 85, np.nan]))
    assert bands.tolist() == ["under 40"] * 3 + ["40-59"] * 3 + ["60 and over"] * 2 + ["unknown"]
    (tmp_path / "l.txt").write_bytes(b"\xef\xbb\xbfa\r\n\r\nb \nc\n\n \n")
    assert read_lines(tmp_path / "l.txt") == ["a", "", "b", "c"]


def test_images_are_found_with_or_without_extension_and_the_first_folder_wins(tmp_path):
    for path in ("one/a.jpg", "two/a.jpg", "two/b.PNG", "two/notes.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    found = index_images(tmp_path, ("none", "one", "two"))
    assert locate(["a", "a.jpg", "b", "notes", "c"], found).tolist() == ["one/a.jpg", "one/a.jpg", "two/b.PNG", None, None]
    assert existing(tmp_path, ["two/a.jpg", "one/b.PNG"]).tolist() == ["two/a.jpg", None]
    with pytest.raises(FileNotFoundError, match="has no image folder x or y"):
        index_images(tmp_path, ("x", "y"))
