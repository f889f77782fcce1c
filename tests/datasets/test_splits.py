"""Splits keep groups whole or ignore them, tables and pictures are read and audited as by hand."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers.datasets import Card, PairedDataset, overlap
from helpers.datasets.audit import class_balance, diversity_table, straddling_groups
from helpers.datasets.splits import by_group, by_row, by_row_in_file_order, first_seen, straddling
from helpers.datasets.tables import age_band, numbers, printed, read_lines
from helpers.images import existing, index_images, locate
from helpers.tasks import Task

CARD = Card("t", "natural", "s", "l", "c", "a")


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


def test_audit_by_hand():
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
    dataset = PairedDataset("t", "common", rows, Task("binary", ("A", "B")), CARD, ".")
    assert overlap(dataset).to_dict() == {"group": 0.25, "image": 0.25, "text": 0.5} and straddling_groups(dataset) == 1
    assert class_balance(dataset).to_dict() == {"train": {"A": 2, "B": 2}, "test": {"A": 2, "B": 2}}


def test_pixel_variance_counts_each_image_once(tmp_path):
    for name, grey in (("a.png", 0), ("b.png", 255)):
        Image.new("RGB", (64, 48), (grey, grey, grey)).save(tmp_path / name)
    columns = {"image": ["a.png", "a.png", "b.png"], "text": ["s", "t", "t"], "split": "train", "label_dark": [1, 1, 0]}
    rows = pd.DataFrame({"pair_id": list("xyz"), "group": list("123"), **columns})
    table = diversity_table(PairedDataset("t", "common", rows, Task("multilabel", ("dark",)), CARD, tmp_path)).set_index("subset")
    assert table.loc["all pairs", ["n_images", "pixel_variance"]].tolist() == [2, 0.25]
    assert table.loc["dark", ["n_images", "pixel_variance", "distinct_text_share"]].tolist() == [1, 0, 1]


@pytest.mark.parametrize("cells", [["63", "5"], ["63", ""], ["63.0", "5"], ["15.5", "3"]])
def test_numbers_print_as_pandas_prints_them(cells):
    column = pd.Series([cell or None for cell in cells], name="age")
    by_pandas = pd.read_csv(io.StringIO("age,x\n" + "".join(f"{cell},1\n" for cell in cells)))["age"]
    assert printed(column, "t.csv")[0] == str(by_pandas[0])


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
