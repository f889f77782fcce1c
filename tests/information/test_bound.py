"""Eq. 2 and its bound against cases worked out by hand, and a critic's estimate where the truth is known."""

import numpy as np
import pytest
import torch
from samples import embedding_set
from scipy.special import logsumexp
from torch.nn.functional import cross_entropy

from helpers import align, gap_vector
from helpers.information.bound import (
    alignment_loss,
    best_bias,
    best_temperature,
    contrastive_terms,
    info_nce,
    sigmoid_loss,
    uniformity,
)
from helpers.information.critic import critic_table, neural_information
from helpers.information.forces import forces_table, own_temperature
from helpers.information.study import at, measured_information


@pytest.fixture(scope="module")
def pairs():
    return np.random.default_rng(0).normal(size=(2, 40, 6))


def test_terms_are_those_of_the_library(pairs):
    terms = contrastive_terms(*pairs, 0.2)
    image, text = (torch.nn.functional.normalize(torch.from_numpy(x), dim=1) for x in pairs)
    logits, own = image @ text.T / 0.2, torch.arange(40)
    expected = [cross_entropy(logits, own).item(), cross_entropy(logits.T, own).item()]
    assert terms["loss"] == pytest.approx(np.mean(expected))
    assert terms["attraction"] + terms["repulsion_image_to_text"] == pytest.approx(expected[0])
    assert terms["bound"] == pytest.approx((np.log(40) - np.mean(expected)) / np.log(2))
    attraction, repulsion = info_nce(pairs[1], pairs[0], 0.2)
    assert (attraction + repulsion).mean() == pytest.approx(expected[1])


def test_a_common_offset_of_cosines_moves_both_forces_and_not_the_loss():
    """Why attraction alone says nothing: what a shared direction adds to it, repulsion takes away."""
    x = np.random.default_rng(0).normal(size=(30, 4))
    shared = np.concatenate([x / np.linalg.norm(x, axis=1, keepdims=True), np.full((30, 1), 2.0)], axis=1)  # cosines 0.2 c + 0.8
    plain, offset = contrastive_terms(x, x, 0.5), contrastive_terms(shared, shared, 0.1)
    assert offset["loss"] == pytest.approx(plain["loss"]) and offset["attraction"] == pytest.approx(-10)


def test_the_bound_of_perfect_pairs_is_the_logarithm_of_the_batch():
    assert contrastive_terms(np.eye(16), np.eye(16), 0.01)["bound"] == pytest.approx(4)


def test_the_best_temperature_is_lowest(pairs):
    tau = best_temperature(pairs[0], pairs[0] + pairs[1])
    losses = [contrastive_terms(pairs[0], pairs[0] + pairs[1], t)["loss"] for t in (tau, 0.8 * tau, 1.25 * tau)]
    assert losses[0] < min(losses[1:])


def test_sigmoid_loss_is_a_loop_over_decisions_and_its_best_bias_has_no_slope(pairs):
    image, text = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in pairs)
    total = sum(np.logaddexp(0, -(1 if i == j else -1) * (image[i] @ text[j] / 0.1 - 3)) for i in range(40) for j in range(40))
    assert sigmoid_loss(*pairs, 0.1, -3.0) == pytest.approx(total / 40)
    bias = best_bias(*pairs, 0.1)
    assert abs(sigmoid_loss(*pairs, 0.1, bias + 0.01) - sigmoid_loss(*pairs, 0.1, bias - 0.01)) < 1e-3


def test_alignment_and_uniformity_of_known_rows():
    square = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    assert alignment_loss(square, np.roll(square, 1, axis=0)) == pytest.approx(2)
    assert uniformity(square) == pytest.approx(logsumexp([-4] * 4 + [-8] * 2) - np.log(6))
    assert uniformity(np.ones((5, 3))) == pytest.approx(0)


@pytest.mark.parametrize("temperature", [0.0, -0.1, np.inf, np.nan])
def test_a_temperature_that_is_not_positive_is_refused(pairs, temperature):
    for use in (contrastive_terms, info_nce, lambda *a: sigmoid_loss(*a, 0.0), lambda *a: forces_table(embedding_set(), [0], a[2])):
        with pytest.raises(ValueError, match="temperature must be positive"):
            use(*pairs, temperature)


def test_unpaired_rows_and_a_bias_without_a_value_are_refused(pairs):
    with pytest.raises(ValueError, match="one text per image"):
        contrastive_terms(pairs[0], pairs[1][:5], 0.1)
    with pytest.raises(ValueError, match="bias must be a finite number"):
        sigmoid_loss(*pairs, 0.1, np.nan)
    with pytest.raises(ValueError, match="at least 2 rows"):
        uniformity(np.ones((1, 3)))


def test_forces_against_lambda_are_those_of_the_aligned_pairs():
    embeddings = embedding_set(n=150)
    table = forces_table(embeddings, [0.0, 1.0], 0.1)
    fit, test = embeddings.rows("train"), embeddings.rows("test")
    gap = gap_vector(embeddings.image_of(fit).astype(float), embeddings.text_of(fit).astype(float))
    image, text = align(embeddings.image_of(test).astype(float), embeddings.text_of(test).astype(float), gap, 1.0)
    expected = contrastive_terms(image, text, 0.1)
    for name, value in expected.items():
        assert at(table, name)["value"] == pytest.approx(value)
    assert at(table, "recovered")["value"] < 1e-6  # the vectors are stored in float32
    assert at(table, "sigmoid_best_bias")["value"] < at(table, "sigmoid_own_bias")["value"] + 1e-6


def test_temperatures_of_the_test_bench_are_on_record():
    assert own_temperature("lit-natural") == (0.01, True)
    assert own_temperature("no-such-encoder") == (0.01, False)


def test_a_critic_stays_below_a_known_gaussian_information_and_comes_near():
    rng, rho = np.random.default_rng(0), 0.9
    x, noise = rng.normal(size=(2, 2000, 1))
    y = rho * x + np.sqrt(1 - rho**2) * noise
    found = neural_information(x[:1500], y[:1500], x[1500:], y[1500:], [200])[0]
    truth = -np.log2(1 - rho**2) / 2
    assert 0.6 * truth < found < truth + 0.15  # 500 test pairs: standard error 0.05


def test_a_critic_of_independent_modalities_finds_nothing():
    x, y = np.random.default_rng(0).normal(size=(2, 1500, 2))
    assert neural_information(x[:1000], y[:1000], x[1000:], y[1000:], [50])[0] < 0.05


def test_a_critic_moves_with_lambda_though_the_map_is_one_to_one():
    table = critic_table(embedding_set(n=150), [0.0, 1.0], [20], [0])
    mean = table.groupby("lambda")["value"].mean()
    assert abs(mean[1.0] - mean[0.0]) > 0.01


def test_studies_have_names_and_start_at_zero():
    embeddings = embedding_set(n=150)
    table = measured_information(embeddings, "critic", (0.0, 1.0), updates=(1,), states=(0, 1))
    assert table[["dataset", "study", "quantity"]].iloc[0].tolist() == ["sample", "critic", "critic, 1 updates"]
    with pytest.raises(ValueError, match="lambdas must start at 0"):
        measured_information(embeddings, "label", (0.5, 1.0))
    with pytest.raises(ValueError, match="did you mean 'label'"):
        measured_information(embeddings, "labels")
    with pytest.raises(ValueError, match="ascending"):
        critic_table(embeddings, [0.0], [5, 2], [0])
