from dataclasses import replace

import numpy as np
import pytest
from samples import embedding_set

from helpers.probing import resplit


def test_the_two_splits_differ_in_siblings_only():
    groups = np.repeat([f"g{i}" for i in range(20)], [4] * 10 + [3] * 6 + [1] * 4)
    split = resplit.sibling_splits(groups, test_share=0.4, random_state=3)
    by_row, by_group = (split[c].to_numpy() for c in resplit.ARMS)
    assert ((by_row == "test") == (by_group == "test")).all() and (by_row == "test").any()
    assert (by_row == "train").sum() == (by_group == "train").sum()
    tested = set(groups[by_row == "test"])
    assert not tested & set(groups[by_group == "train"])
    assert tested <= set(groups[by_row == "train"])


def test_splits_need_groups_and_room():
    with pytest.raises(ValueError, match="0 groups have two rows or more"):
        resplit.sibling_splits(list("abcd"))
    with pytest.raises(ValueError, match="0 rows of other groups cannot take the place of 4 siblings"):
        resplit.sibling_splits(["a"] * 4 + ["b"] * 4, test_share=1.0)


def test_resplit_excludes_rows_without_a_split():
    embeddings = embedding_set(n=60)
    split = np.array(["train"] * 20 + [None] * 10 + ["test"] * 30, dtype=object)
    found = resplit.resplit(embeddings, split)
    assert list(found.pairs["pair_id"]) == [p for p, s in zip(embeddings.pairs["pair_id"], split, strict=True) if s is not None]
    assert found.pairs["split"].value_counts().to_dict() == {"test": 30, "train": 20}


def test_few_per_group_keeps_order_and_every_group():
    embeddings = embedding_set(n=60, groups=np.repeat(np.arange(15), 4))
    few = resplit.few_per_group(embeddings, 3)
    assert (few.pairs["group"].value_counts() == 3).all() and few.pairs["group"].nunique() == 15
    assert few.pairs["pair_id"].is_monotonic_increasing


def test_a_group_gets_the_label_of_its_pair_that_names_it():
    embeddings = embedding_set(n=60, groups=np.repeat(np.arange(15), 4))
    labels = np.array(["bcc"] * 60, dtype=object)
    labels[[1, 4]] = "nv", "akiec"  # groups 0 and 1
    found = resplit.labelled_by_group(replace(embeddings, pairs=embeddings.pairs.assign(label=labels)), ["akiec", "nv"])
    assert found.pairs["label"].tolist() == ["nv"] * 4 + ["akiec"] * 4 and found.task.classes == ("akiec", "nv")
    assert found.task.kind == "binary"
    labels[2] = "akiec"
    with pytest.raises(ValueError, match="1 groups have pairs of more than one"):
        resplit.labelled_by_group(replace(embeddings, pairs=embeddings.pairs.assign(label=labels)), ["akiec", "nv"])
    with pytest.raises(ValueError, match="0 of the classes"):
        resplit.labelled_by_group(embeddings, ["df", "mel"])
