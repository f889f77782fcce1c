"""Each measure of separation agrees with brute force, a closed form or a known answer."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from helpers import separation as s


def cones(n=60, d=8, shift=2.0, seed=0):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, d))
    apart = np.eye(d)[0] * shift
    return common + 0.5 * rng.normal(size=(n, d)) + apart, common + 0.5 * rng.normal(size=(n, d)) - apart


def test_relative_gap_is_the_ratio_of_mean_distances():
    image, text = cones()
    v, t = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (image, text))
    across = np.mean((1 - (v * t).sum(1)) / 2)
    within = (pdist(v, "cosine").mean() / 2 + pdist(t, "cosine").mean() / 2) / 2
    assert s.relative_modality_gap(image, text) == pytest.approx(across / (across + within))


def test_relative_gap_is_half_when_pairs_are_no_closer_than_random_rows():
    rng = np.random.default_rng(0)
    image, text = rng.normal(size=(2, 4000, 6)) + 1
    assert s.relative_modality_gap(image, text) == pytest.approx(0.5, abs=0.01)


def test_held_out_classifier_tells_cones_apart_and_not_one_cloud():
    assert s.held_out_modality_auc(*cones(shift=3)).mean() > 0.99
    assert abs(s.held_out_modality_auc(*cones(n=200, shift=0)).mean() - 0.5) < 0.12


def test_the_length_that_all_rows_share_does_not_change_how_separable_they_are():
    image, text = cones(n=120, shift=0.4)
    halves = image[:60], text[:60], image[60:], text[60:]
    expected = s.modality_auc(*halves)
    assert 0.5 < expected < 1
    for length in (1e-3, 1e3):
        assert s.modality_auc(*(length * x for x in halves)) == pytest.approx(expected, abs=1e-3)


def test_equal_texts_and_images_tie_pairs_into_one_group():
    image, text = np.eye(6), np.eye(6)[[0, 0, 2, 3, 4, 5]]
    image = image[[0, 1, 1, 3, 4, 5]]
    groups = s.tied_groups(image, text, ["a", "b", "c", "d", "d", "e"])
    assert len({*groups[:3]}) == 1 and groups[3] == groups[4] and len({*groups}) == 3


def test_equal_texts_cannot_be_split_into_folds():
    with pytest.raises(ValueError, match="1 group"):
        s.held_out_modality_auc(np.eye(9), np.tile(np.eye(9)[0], (9, 1)))


def test_mixing_is_one_for_one_cloud_and_zero_for_two():
    rng = np.random.default_rng(0)
    assert s.mixing_at_k(*rng.normal(size=(2, 300, 5)), k=10) == pytest.approx(1, abs=0.05)
    assert s.mixing_at_k(*cones(shift=20), k=5) == 0


def test_mixing_agrees_with_brute_force():
    image, text = cones(n=20, shift=0.3)
    pooled, side = np.concatenate([image, text]), np.repeat([0, 1], 20)
    distance = cdist(pooled, pooled, "cosine")
    np.fill_diagonal(distance, np.inf)
    neighbours = np.argsort(distance, axis=1)[:, :3]
    assert s.mixing_at_k(image, text, 3) == pytest.approx((side[neighbours] != side[:, None]).mean() / (20 / 39))


def test_mixing_of_some_vectors_estimates_that_of_all():
    image, text = cones(n=300, shift=0.3)
    some = [s.mixing_at_k(image, text, most=300, random_state=seed) for seed in range(5)]
    assert np.mean(some) == pytest.approx(s.mixing_at_k(image, text), abs=0.05) and len(set(some)) > 1
    assert s.mixing_at_k(image, text, most=10_000) == s.mixing_at_k(image, text)


def test_copies_do_not_change_mixing_and_are_counted():
    image, text = cones(n=20, shift=0.3)
    assert s.mixing_at_k(np.tile(image, (3, 1)), text, 3) == pytest.approx(s.mixing_at_k(image, text, 3))
    assert s.repeated_rows(np.tile(image, (3, 1))) == 40


def test_v_measure_is_one_for_two_cones():
    assert s.modality_v_measure(*cones(shift=20)) == pytest.approx(1)
    assert s.modality_v_measure(*cones(shift=0)) < 0.2


def test_histograms_count_every_cosine_once():
    image, text = cones(n=12)
    text[1] = text[0]
    counts = s.cosine_histograms(image, text, bins=10)
    assert counts["pair"].sum() == 12 and counts["image"].sum() == counts["text"].sum() == 66
    assert counts["non_pair"].sum() == 12 * 11 - 2


def test_uniformity_and_pair_distance_agree_with_brute_force():
    image, text = cones(n=15)
    v, t = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (image, text))
    assert s.uniformity(image) == pytest.approx(np.log(np.exp(-2 * pdist(v) ** 2).mean()))
    assert s.pair_distance(image, text) == pytest.approx((np.linalg.norm(v - t, axis=1) ** 2).mean())


def test_mutual_neighbours_are_found_and_have_a_null():
    image, text = cones(n=60, shift=0)
    share, p = s.mutual_knn(image, text, k=5, n_permutations=99)
    assert share > 0.2 and p == pytest.approx(0.01)
    rng = np.random.default_rng(1)
    assert s.mutual_knn(*rng.normal(size=(2, 60, 8)), k=5, n_permutations=99)[1] > 0.05
    assert s.mutual_knn(image, image[:, :6] @ np.eye(6, 4), k=5, n_permutations=9)[0] > 0


@pytest.mark.parametrize("k", [0, 40])
def test_more_neighbours_than_rows_are_refused(k):
    with pytest.raises(ValueError, match="k is"):
        s.mixing_at_k(*cones(n=20), k=k)


def test_one_point_has_no_relative_gap():
    with pytest.raises(ValueError, match="all vectors are equal"):
        s.relative_modality_gap(np.ones((4, 3)), np.ones((4, 3)))
