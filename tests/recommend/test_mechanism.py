"""The penalty of Eq. 5: its curve passes through the recall without alignment and that of the shift, in both directions."""

import numpy as np
import pytest
from samples import embedding_set

from helpers import EmbeddingSet, GapAlignment
from helpers.recommend.mechanism import penalty_curves
from helpers.retrieval import recall_both_ways


def test_the_curve_passes_through_no_alignment_and_the_shift():
    sample = embedding_set(n=300, d=12)
    curves, special = penalty_curves(sample, [-0.5, 0.0], n_boot=50)
    train, test = sample.rows("train"), sample.rows("test")
    image, text = sample.image_of(test), sample.text_of(test)
    shift = GapAlignment(1.0, None, "shift").fit(sample.image_of(train), sample.text_of(train))
    cosines = [a @ b.T for a, b in ((image, text), shift.transform(image, text))]
    recall = curves.set_index(["direction", "beta"])["recall"]
    for beta, matrix in zip((0.0, -0.5), cosines, strict=True):
        assert recall["image to text", beta] == pytest.approx((matrix.argmax(axis=1) == np.arange(len(test))).mean())
        assert recall["text to image", beta] == pytest.approx((matrix.argmax(axis=0) == np.arange(len(test))).mean())
    assert (recall["image to text", 0.0], recall["text to image", 0.0]) == recall_both_ways(image, text)
    assert (curves["low"] <= curves["recall"]).all() and (curves["recall"] <= curves["high"]).all()
    by_form = special.groupby("form")["beta"]
    assert (by_form.get_group("shift") == -0.5).all() and by_form.get_group("renormalised").between(-1, -0.5).all()


def test_a_set_that_cannot_be_searched_is_refused():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2, 20, 4))
    with pytest.raises(ValueError, match="needs training rows"):
        penalty_curves(EmbeddingSet.from_arrays(*vectors))
    split = ["train"] * 10 + ["test"] * 10
    with pytest.raises(ValueError, match="text has one distinct vector"):
        penalty_curves(EmbeddingSet.from_arrays(vectors[0], np.tile(vectors[1][:1], (20, 1)), split=split))
