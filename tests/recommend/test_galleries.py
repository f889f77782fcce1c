"""Recall against the size of the gallery: brute force, what is on which side, and the intervals."""

import numpy as np
import pytest

from helpers.alignment.registry import make_alignment
from helpers.recommend.galleries import gallery_changes
from helpers.statistics import corrected_interval


def pairs(n=120, d=8, noise=0.6, seed=0):
    rng = np.random.default_rng(seed)
    common, noises = rng.normal(size=(n, d)), noise * rng.normal(size=(2, n, d))
    return common + noises[0] + 2, common + noises[1] - 2


def table_of(*arguments, **keywords):
    return gallery_changes(*arguments, **keywords).set_index(["alignment", "measure", "gallery"]).sort_index()


def test_the_largest_gallery_holds_all_other_pairs_and_agrees_with_a_full_sort():
    image, text = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in pairs())
    table = table_of(image, text, alignments=["lambda-1"], sizes=[20, 80], n_fit=40, n_draws=3)
    found = {name: [] for name in ("none", "lambda-1")}
    for draw in range(3):
        rows = np.random.default_rng([0, draw]).permutation(120)
        fitted = make_alignment("lambda-1").fit(image[rows[:40]], text[rows[:40]])
        for name, (v, t) in {"none": (image, text), "lambda-1": fitted.transform(image, text)}.items():
            found[name].append(((v[rows[40:]] @ t[rows[40:]].T).argmax(axis=1) == np.arange(80)).mean())
    base, moved = (np.array(found[name]) for name in ("none", "lambda-1"))
    row = table.loc["lambda-1", "recall_image_to_text", 80]
    assert row["value"] == pytest.approx(moved.mean()) and row["change"] == pytest.approx((moved - base).mean())
    assert row[["change_low", "change_high"]].tolist() == pytest.approx(corrected_interval(moved - base, 80 / 40))
    assert row["relative"] == pytest.approx(moved.mean() / base.mean() - 1)


def test_a_smaller_gallery_is_easier_and_none_changes_nothing():
    table = table_of(*pairs(), sizes=[10, 20, 40, 80, 500], n_fit=40, n_draws=5)
    for way in ("recall_image_to_text", "recall_text_to_image"):
        assert table.loc[("none", way), "value"].is_monotonic_decreasing
        assert (table.loc[("none", way), ["change", "relative", "growth", "change_low", "growth_high"]] == 0).all(axis=None)
        assert list(table.loc[("centring", way)].index) == [10, 20, 40, 80]
        relative = table.loc[("lambda-1", way), "relative"]
        np.testing.assert_allclose(table.loc[("lambda-1", way), "growth"], relative - relative[10], atol=1e-12)


def test_alignments_learn_from_other_groups_than_they_are_measured_on(monkeypatch):
    from helpers.recommend import galleries

    seen = []

    class Spy:
        def fit(self, image, text):
            seen.append(image)
            return self

        def transform(self, image, text):
            groups = [{tuple(row) for row in x} for x in (seen[-1], image)]
            assert len(seen[-1]) <= 40 and not groups[0] & groups[1]
            return image, text

    monkeypatch.setattr(galleries, "make_alignment", lambda name: Spy())
    image, text = pairs(40)
    table = table_of(np.repeat(image, 3, axis=0), np.repeat(text, 3, axis=0), sizes=[30, 60], n_fit=40, n_draws=4)
    assert len(seen) == 12 and table.loc[("none", "recall_image_to_text", 30), "texts"] == pytest.approx(10, abs=1)


def test_recall_of_zero_has_no_relative_change():
    table = table_of(np.eye(60), np.roll(np.eye(60), 1, axis=0), sizes=[20], n_fit=20, n_draws=3)
    assert table["relative"].isna().all() and (table["value"] < 0.2).all()


def test_too_few_pairs_and_unknown_alignments_are_refused():
    with pytest.raises(ValueError, match="120 pairs are too few: 100 to fit on and a gallery of 50"):
        gallery_changes(*pairs(), sizes=[50, 80], n_fit=100)
    with pytest.raises(ValueError, match="did you mean 'centring'"):
        gallery_changes(*pairs(), alignments=["centering"])
