import itertools

import numpy as np
import pytest
from scipy import stats

from helpers import arrays as rows
from helpers.geometry import mean_resultant_length
from helpers.statistics import bootstrap_counts, bootstrap_interval, corrected_interval, equivalent, holm, max_t_test, permutation_p

IMAGE = np.random.default_rng(0).normal(size=(40, 7)) + 1


def norm(m):
    return np.linalg.norm(m, axis=1)


def test_bootstrap_interval_is_that_of_resampled_rows():
    rng = np.random.default_rng(3)
    counts = rng.multinomial(40, np.full(40, 1 / 40), size=500)
    unit = np.stack([row / np.sqrt((row**2).sum()) for row in IMAGE])
    squares = np.array([np.linalg.norm(c @ unit / 40) ** 2 for c in counts])
    low, high = bootstrap_interval(norm, IMAGE, n_boot=500, random_state=3)
    expected = np.quantile(squares - squares.mean() + mean_resultant_length(IMAGE) ** 2, [0.025, 0.975])
    np.testing.assert_allclose([low, high], np.sqrt(expected), atol=1e-12)


def test_groups_are_drawn_together_also_in_blocks_that_divide_them(monkeypatch):
    twice, groups = np.repeat(IMAGE, 2, axis=0), np.repeat([f"{i:02d}" for i in range(40)], 2)
    expected = bootstrap_interval(norm, IMAGE, random_state=1)
    np.testing.assert_allclose(bootstrap_interval(norm, twice, groups=groups, random_state=1), expected, atol=1e-12)
    monkeypatch.setattr(rows, "BLOCK", 300)  # three rows
    np.testing.assert_allclose(bootstrap_interval(norm, twice, groups=groups, random_state=1), expected, atol=1e-12)
    counts = bootstrap_counts(4, 50, 0, np.array(["a", "b", "a", "c"]))
    assert (counts[:, 0] == counts[:, 2]).all() and (counts[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert (bootstrap_counts(4, 50, 0).sum(axis=1) == 4).all()


def test_permutation_test_is_exact_where_it_can_be_and_counts_ties_and_the_observation():
    for a, b, expected in (([3, 4], [1, 2], 1 / 6), ([1, 1], [1, 1], 1), ([1e-9, 1e-9], [0, 0], 1 / 6)):
        assert permutation_p(a, b) == pytest.approx(expected)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=6) + 0.4, rng.normal(size=7)
    sums = [np.sum(rows) for rows in itertools.combinations(np.concatenate([a, b]), 6)]
    assert permutation_p(a, b) == pytest.approx(np.mean(np.array(sums) >= a.sum() - 1e-12))
    assert permutation_p(np.ones(40), np.zeros(40)) == pytest.approx(1e-5, rel=0.01)


def test_holm_and_the_largest_t_against_known_answers_and_a_loop():
    np.testing.assert_allclose(holm([0.01, 0.04, np.nan, 0.03]), [0.03, 0.06, np.nan, 0.06])
    assert holm([0.9, 0.8]).max() == 1
    differences, draws = np.array([0.3, 0.0]), np.random.default_rng(2).normal(0.3, 0.2, size=(2, 50))
    draws[1] = 0.0
    t = differences[0] / draws[0].std(ddof=1)
    largest = [max((draw - differences[0]) / draws[0].std(ddof=1), 0) for draw in draws[0]]
    assert max_t_test(differences, draws) == pytest.approx((t, (1 + sum(value >= t for value in largest)) / 51))


def test_the_corrected_interval_widens_the_plain_one_as_it_says():
    values = np.random.default_rng(0).normal(size=20)
    plain = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert corrected_interval(values, 0.0) == pytest.approx((plain.low, plain.high))
    low, high = corrected_interval(values, 0.3)
    assert (high - low) / (plain.high - plain.low) == pytest.approx(np.sqrt((1 / 20 + 0.3) * 20))
    for wrong, said in ((([1.0], 0.1), "1 split"), ((values, np.nan), "test_per_train")):
        with pytest.raises(ValueError, match=said):
            corrected_interval(*wrong)


def test_equivalence_needs_both_ends_within_the_margin():
    assert equivalent([-0.004, -0.006, 0.001, np.nan], [0.004, 0.004, 0.005, 0.0]).tolist() == [True, False, False, False]
