"""Each measure of separation agrees with brute force, a closed form or a known answer."""

import numpy as np
import pytest
from alignments import mixing_at_k
from scipy.spatial.distance import cdist, pdist

from helpers import separation as s


def cones(n=60, d=8, shift=2.0, seed=0):
    rng = np.random.default_rng(seed)
    common, apart = rng.normal(size=(n, d)), np.eye(d)[0] * shift
    return common + 0.5 * rng.normal(size=(n, d)) + apart, common + 0.5 * rng.normal(size=(n, d)) - apart


def test_relative_gap_is_the_ratio_of_mean_distances():
    image, text = cones()
    v, t = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (image, text))
    across = np.mean((1 - (v * t).sum(1)) / 2)
    within = (pdist(v, "cosine").mean() / 2 + pdist(t, "cosine").mean() / 2) / 2
    assert s.relative_modality_gap(image, text) == pytest.approx(across / (across + within))


def test_a_classifier_tells_new_rows_of_two_cones_apart_whatever_their_common_length():
    def auc(image, text):
        half = len(image) // 2
        return s.modality_auc(image[:half], text[:half], image[half:], text[half:])

    assert auc(*cones(shift=3)) > 0.99 and abs(auc(*cones(n=200, shift=0)) - 0.5) < 0.12
    image, text = cones(n=120, shift=0.4)
    assert 0.5 < auc(image, text) < 1
    for length in (1e-3, 1e3):
        assert auc(length * image, length * text) == pytest.approx(auc(image, text), abs=1e-3)


def test_equal_texts_and_images_tie_pairs_into_one_group():
    image, text = np.eye(6)[[0, 1, 1, 3, 4, 5]], np.eye(6)[[0, 0, 2, 3, 4, 5]]
    groups = s.tied_groups(image, text, ["a", "b", "c", "d", "d", "e"])
    assert len({*groups[:3]}) == 1 and groups[3] == groups[4] and len({*groups}) == 3


def test_mixing_is_one_for_one_cloud_zero_for_two_and_does_not_count_copies():
    assert mixing_at_k(*np.random.default_rng(0).normal(size=(2, 300, 5)), k=10) == pytest.approx(1, abs=0.05)
    assert mixing_at_k(*cones(shift=20), k=5) == 0
    image, text = cones(n=20, shift=0.3)
    pooled, side = np.concatenate([image, text]), np.repeat([0, 1], 20)
    neighbours = np.argsort(cdist(pooled, pooled, "cosine"), axis=1)[:, 1:4]  # the first is the row itself
    expected = pytest.approx((side[neighbours] != side[:, None]).mean() / (20 / 39))
    assert mixing_at_k(image, text, 3) == mixing_at_k(np.tile(image, (3, 1)), text, 3) == expected


def test_input_without_an_answer_is_refused():
    with pytest.raises(ValueError, match="k is 40"):
        mixing_at_k(*cones(n=20), k=40)
    with pytest.raises(ValueError, match="1 group"):
        s.modality_auc(np.eye(9), np.tile(np.eye(9)[0], (9, 1)), np.eye(9), np.eye(9))
    with pytest.raises(ValueError, match="all vectors are equal"):
        s.relative_modality_gap(np.ones((4, 3)), np.ones((4, 3)))
