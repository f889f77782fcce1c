"""The page on the data counts from stored sets, shipped counts and raw copies."""

import pandas as pd
import pytest
from conftest import small_set
from miniatures import release, spoilable

from helpers.backbones import load_tokenizer
from helpers.datasets import load_dataset
from helpers.datasets.overview import all_lengths, balance, describe_all, overview, repeats
from helpers.plotting import datasets as data


def test_stored_sets_are_described_from_their_pairs(store):
    found, absent = describe_all(["ham10000", "flickr8k", "brset"], store)
    assert [(d.name, d.variant) for d in found] == [("flickr8k", "common"), ("ham10000", "authors"), ("ham10000", "clean")]
    assert list(absent) == ["brset"] and "physionet" in absent["brset"]
    table = overview(found).set_index(["dataset", "variant"])
    pairs = next(d for d in found if d.variant == "clean").rows
    assert table.loc[("ham10000", "clean"), ["pairs", "train", "val", "test"]].tolist() == [240, 120, 60, 60]
    assert table.loc[("ham10000", "clean"), "distinct_texts"] == pairs["text"].nunique() < 240
    test, train = (pairs.loc[pairs["split"] == s, "text"] for s in ("test", "train"))
    assert table.loc[("ham10000", "clean"), "text_in_train"] == pytest.approx(test.isin(train).mean())


def test_class_shares_are_of_a_splits_rows(store):
    table = balance(describe_all(["ham10000"], store)[0])
    assert table.groupby(["variant", "split"])["share"].sum().tolist() == pytest.approx([1.0] * 6)
    assert table.groupby("variant")["positives"].sum().tolist() == [240, 240]


def test_repeats_account_for_every_pair(store):
    table = repeats(describe_all(["flickr8k"], store)[0])
    assert (table["occurrences"] * table["items"]).groupby(table["what"]).sum().to_dict() == {"image": 240, "text": 240}


def test_shipped_lengths_are_used_for_the_shipped_sets_and_for_no_other(store):
    shipped, _ = describe_all(["ham10000", "flickr8k"])
    words = all_lengths(shipped).query("unit == 'words'").groupby(["dataset", "variant"])["pairs"].sum()
    assert words.tolist() == [len(d.rows) for d in shipped] and len(words) == 3
    assert all_lengths(describe_all(["ham10000"], store)[0]).empty


def test_a_raw_copy_is_read_and_a_spoiled_one_is_told(store, tmp_path):
    root = spoilable("brset", tmp_path)
    found, absent = describe_all(["brset"], store, tmp_path, [load_tokenizer("clip")])
    assert [d.variant for d in found] == ["authors", "clean"] and not absent and found[0].source == "raw copy"
    words = all_lengths(found).query("variant == 'clean' and unit == 'words'")
    assert words["pairs"].sum() == len(load_dataset("brset", root, "clean"))
    (root / "labels_brset.csv").unlink()
    found, absent = describe_all(["brset"], store, tmp_path)
    assert not found and set(absent) == {"brset authors", "brset clean"} and "labels_brset.csv" in absent["brset clean"]


def test_a_stored_set_with_a_raw_copy_has_the_lengths_of_the_copy(tmp_path):
    small_set("daquar", "clean", "mine", multilabel=True, seed=0).save(tmp_path / "store/daquar/clean/mine")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/daquar").symlink_to(release("daquar"))
    found = {d.variant: d for d in describe_all(["daquar"], tmp_path / "store", tmp_path / "raw")[0]}
    assert found["clean"].source == "stored set" and len(found["clean"].rows) == 240 and found["authors"].source == "raw copy"
    assert found["clean"].lengths["pairs"].sum() == len(load_dataset("daquar", release("daquar"), "clean"))


def test_a_raw_copy_that_cannot_be_read_hides_no_stored_set(store, tmp_path):
    (tmp_path / "ham10000").mkdir()
    found, unread = describe_all(["ham10000"], store, tmp_path)
    assert [(d.variant, d.source) for d in found] == [("authors", "stored set"), ("clean", "stored set")]
    assert set(unread) == {"ham10000 authors", "ham10000 clean"} and "HAM10000_metadata.csv" in unread["ham10000 clean"]


def test_sets_of_ones_own_are_described_beside_the_registered_ones(tmp_path):
    for name, variant in (("mine", "own"), ("manifest", "common"), ("ham10000", "imported")):
        small_set(name, variant, "theirs", multilabel=False, seed=0).save(tmp_path / "store" / name / variant / "theirs")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/ham10000").symlink_to(release("ham10000"))
    found, unread = describe_all((), tmp_path / "store", tmp_path / "raw")
    table = overview(found).set_index(["dataset", "variant"])
    assert table.loc[[("mine", "own"), ("manifest", "common"), ("ham10000", "imported")], "from"].tolist() == ["stored set"] * 3
    assert table.loc[("mine", "own"), "pairs"] == 240 and not any(name.startswith(("mine", "manifest", "ham")) for name in unread)


@pytest.mark.parametrize("file", ["pairs.parquet", "image.safetensors"])
def test_a_damaged_stored_set_is_refused(tmp_path, file):
    folder = small_set("ham10000", "clean", "theirs", multilabel=False, seed=0).save(tmp_path / "ham10000/clean/theirs")
    with (folder / file).open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(ValueError, match=f"{file} does not match the checksum"):
        describe_all(["ham10000"], tmp_path)


def test_an_unknown_data_set_is_named(store):
    with pytest.raises(ValueError, match="did you mean 'ham10000'"):
        describe_all(["ham1000"], store)


def test_variants_that_agree_share_a_panel(store):
    found, _ = describe_all(["ham10000", "flickr8k"], store)
    titles = [ax.get_title() for ax in data.class_shares(balance(found)).axes]
    assert titles == ["Flickr8k", "HAM10000"]
    changed = balance(found)
    changed.loc[(changed["variant"] == "clean"), "share"] *= 0.5
    assert len(data.class_shares(changed).axes) == 3


def test_coverage_ends_at_all_pairs_and_lengths_sum_to_one(store):
    for ax in data.coverage(repeats(describe_all(["ham10000", "flickr8k"], store)[0])).axes:
        for line in ax.lines:
            assert line.get_ydata()[-1] == pytest.approx(1) and line.get_xdata()[0] == 1
    for ax in data.text_lengths(all_lengths(describe_all(["ham10000", "flickr8k"])[0])).axes:
        assert sum(bar.get_height() for bar in ax.patches) == pytest.approx(1)


def test_no_counts_give_a_figure_that_says_so():
    (ax,) = data.text_lengths(pd.DataFrame(columns=["dataset", "variant", "unit", "length", "pairs"])).axes
    assert "no texts counted" in ax.get_title()


def test_many_classes_are_cut_to_the_commonest_and_rarest():
    table = pd.DataFrame({"class": [f"c{i:03d}" for i in range(40)], "split": "train", "positives": range(40, 0, -1)})
    table = table.assign(dataset="t", variant="common", share=table["positives"] / 40)
    ax = data.class_shares(table).axes[0]
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert len(labels) == 16 and labels[-1] == "c039" and "13 commonest, 3 rarest of 40" in ax.get_title()
