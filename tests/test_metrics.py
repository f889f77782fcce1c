import numpy as np
import pytest
from alignments_tasks import calibration_error
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from helpers import metrics
from helpers.statistics import bootstrap_counts


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), levels=st.sampled_from([2, 5, 1000]))
def test_ranked_metrics_against_scikit_learn_with_ties(seed, levels):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, size=(3, 60)) / levels
    positive = rng.random(60) < 0.3
    positive[:2] = True, False
    valid = [w for w in bootstrap_counts(60, 4, seed) if 0 < w[positive].sum() < 60]
    np.testing.assert_allclose(metrics.auc(scores, positive), [roc_auc_score(positive, s) for s in scores], atol=1e-12)
    expected = [[roc_auc_score(positive, s, sample_weight=w) for w in valid] for s in scores]
    np.testing.assert_allclose(metrics.auc(scores, positive, valid), expected, atol=1e-12)
    ranking = metrics.Ranking(scores, positive)
    np.testing.assert_allclose(ranking.average_precision(), [average_precision_score(positive, s) for s in scores], atol=1e-12)
    for s, ours in zip(scores, ranking.sensitivity_at_specificity(0.9), strict=True):
        false_positive, true_positive, _ = roc_curve(positive, s, drop_intermediate=False)
        assert ours == pytest.approx(true_positive[false_positive <= 0.1 + 1e-12].max())


def test_example_and_absent_class():
    assert metrics.auc([0.1, 0.4, 0.4, 0.9], [0, 0, 1, 1]) == 0.875
    none, all_of = (metrics.Ranking([0.1, 0.2], [k, k]) for k in (0, 1))
    assert np.isnan([all_of.auc(), none.average_precision(), all_of.sensitivity_at_specificity()]).all()
    ranking = metrics.Ranking(np.r_[np.arange(10), 8.5], np.r_[np.zeros(10), 1])  # the specificity asked for is itself allowed
    assert ranking.sensitivity_at_specificity(0.9) == 1 and ranking.sensitivity_at_specificity(0.91) == 0
    with pytest.raises(ValueError, match="finite"):
        metrics.auc([np.nan, 1.0], [0, 1])


def test_hard_label_auc_is_the_mean_of_sensitivity_and_specificity():
    rng = np.random.default_rng(0)
    scores, codes = rng.normal(size=(200, 4)), rng.integers(0, 4, size=200)
    predicted, hard = scores.argmax(axis=1), metrics.hard_labels(scores)
    for k in range(4):
        expected = pytest.approx(((predicted[codes == k] == k).mean() + (predicted[codes != k] != k).mean()) / 2, abs=1e-12)
        assert metrics.auc(hard[:, k], codes == k) == expected and metrics.hard_auc(predicted == k, codes == k) == expected
    assert np.isnan(metrics.hard_auc(predicted == 0, np.zeros(200, dtype=bool)))


def test_macro_leaves_absent_classes_out_in_each_replicate():
    scores, targets = np.random.default_rng(1).normal(size=(2, 30, 3)), np.eye(3, dtype=int)[np.repeat([0, 1], [20, 10])]
    expected = [np.mean([roc_auc_score(targets[:, k], s[:, k]) for k in (0, 1)]) for s in scores]
    np.testing.assert_allclose(metrics.macro_auc(scores, targets), expected, atol=1e-12)
    weights = np.stack([np.ones(30), targets[:, 0]])
    assert np.isnan(metrics.macro_auc(scores, targets, weights)[:, 1]).all()


def test_calibration_against_plain_loops():
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(40, 3)), np.eye(3, dtype=int)[rng.integers(3, size=40)]
    p = metrics.probabilities(logits, True)
    for size in (1, 400):
        np.testing.assert_allclose(metrics.softmax(size * logits), softmax(size * logits, axis=-1), atol=1e-15)
    np.testing.assert_allclose(metrics.log_losses(logits, targets, True), -np.log(p[targets == 1]))
    total = 0.0
    for k, b in np.ndindex(3, 15):
        rows = [i for i in range(40) if min(int(p[i, k] * 15), 14) == b]
        total += len(rows) / 40 * abs(p[rows, k].mean() - targets[rows, k].mean()) / 3 if rows else 0
    assert calibration_error(p, targets) == pytest.approx(total)
    counts = rng.integers(0, 3, size=(2, 40))
    drawn = np.repeat(np.arange(40), counts[1])
    assert calibration_error(p, targets, counts)[1] == pytest.approx(calibration_error(p[drawn], targets[drawn]))
    q = metrics.probabilities(logits, False)
    np.testing.assert_allclose(metrics.log_losses(logits, targets, False), -np.log(np.where(targets, q, 1 - q)).mean(axis=1))
