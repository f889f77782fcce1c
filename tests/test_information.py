"""Information about the label and between modalities against planted truths, and Eq. 2 against torch and known cases."""

import information as info
import numpy as np
import pytest
import torch
from samples import embedding_set
from torch.nn.functional import cross_entropy, normalize

from helpers import EmbeddingSet

A, B, C = np.random.default_rng(1).choice((-1.0, 1.0), size=(3, 1600, 1))  # bits
QUICK = info.LIKELIHOOD.replace(strengths=(1e-1, 1e-2, 1e-3, 1e-4), tolerance=1e-5)
ERROR = 0.1  # bits; 400 test rows and probes of two or three informative directions


def planted(image_bits, text_bits, labels, n=1600, noise=0.02, d=4) -> dict[str, float]:
    """The information in pairs whose vectors hold a few numbers each, nearly without noise, on a sphere with a wide gap."""
    rng = np.random.default_rng(0)

    def vectors(columns, axis):
        x = noise * rng.normal(size=(n, d + 2))
        x[:, : columns.shape[1]] += 0.5 * columns
        x[:, d + axis] += 1
        return x

    split = np.repeat(["train", "val", "test"], [n - 600, 200, 400])
    embeddings = EmbeddingSet.from_arrays(vectors(image_bits, 0), vectors(text_bits, 1), labels, split, dataset="planted")
    return info.label_information(embeddings, [0.0], n_boot=2, protocol=QUICK).set_index("quantity")["value"].to_dict()


def test_shares_of_planted_bits():
    both = planted(A, A, np.where(A[:, 0] > 0, "a", "b"))
    assert [both[name] for name in info.SHARES] == pytest.approx([0, 0, 1, 0], abs=ERROR)  # a bit that both hold is redundant
    one = planted(np.hstack([A, B]), C, np.array(["p", "q", "r", "s"])[((A > 0) * 2 + (B > 0))[:, 0]])
    assert [one[name] for name in info.SHARES] == pytest.approx([2, 0, 0, 0], abs=ERROR)
    hiding = 3 * np.random.default_rng(4).normal(size=(1600, 1))  # the other modality holds the noise: synergy
    hidden = planted(A + hiding, hiding, np.where(A[:, 0] > 0, "a", "b"))
    assert hidden["both"] > hidden["image"] + 0.5 and hidden["synergistic"] > 0.5 and abs(hidden["text"]) < ERROR
    assert abs(planted(A, B, np.where(A[:, 0] * B[:, 0] > 0, "same", "other"))["both"]) < ERROR  # exclusive or: not linear


def test_the_log_loss_of_gaussian_classes_is_the_known_information():
    x = A + np.random.default_rng(0).normal(size=A.shape)
    found = planted(0.3 * x, B, np.where(A[:, 0] > 0, "a", "b"), noise=1e-3)
    many = np.random.default_rng(1).normal(size=200_000) + 1  # p(y | x) is logistic in x with slope 2
    truth = 1 - np.logaddexp(0, -2 * many).mean() / np.log(2)
    assert found["image"] == pytest.approx(truth, abs=0.06)  # test sampling: 0.02 at 400 rows, twice that and the probe's own


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_the_change_at_zero_is_zero_and_intervals_hold_the_value(kind):
    label = info.label_information(embedding_set(kind), [0.0, 0.5], n_boot=100, protocol=QUICK)
    modality = info.modality_information(embedding_set(kind), [0.0, 0.5], n_boot=100, components=2)
    for table, quantities in ((label, 16), (modality, 3)):
        assert (table.loc[table["lambda"] == 0, ["change", "change_low", "change_high"]] == 0).all(axis=None)
        assert len(table) == 2 * quantities and (table["low"] <= table["high"]).all() and np.isfinite(table["change"]).all()


def test_shares_add_up_and_lie_within_their_bounds():
    image, text = np.random.default_rng(0).uniform(0, 1, size=(2, 50))
    both = np.maximum(image, text) + np.random.default_rng(1).uniform(0, 1, 50)
    found, bounds = info.information_shares(image, text, both), info.share_bounds(image, text, both)
    assert sum(found.values()) == pytest.approx(both) and found["redundant"] == pytest.approx(bounds["most_redundant"])
    for name in info.SHARES:
        least, most = bounds[f"least_{name}"], bounds[f"most_{name}"]
        assert ((least >= -1e-12) & (least <= found[name] + 1e-12) & (found[name] <= most + 1e-12)).all()


def test_canonical_correlations_give_the_gaussian_information():
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, 9000, 8))
    rho, mixing = np.array([0.9, 0.6, 0.3, 0, 0, 0, 0, 0]), rng.normal(size=(2, 8, 8))
    image, text = x @ mixing[0], (rho * x + np.sqrt(1 - rho**2) * noise) @ mixing[1]
    rows, once = np.split(np.arange(9000), [4000, 5000]), np.ones((1, 4000))
    truth = -np.log2(1 - rho**2).sum() / 2
    assert info.gaussian_information(*info.canonical_scores(image, text, *rows, 3), once)[0] == pytest.approx(truth, abs=0.08)
    assert info.gaussian_information(*info.canonical_scores(image, noise, *rows, 3), once)[0] < 0.02
    a, b = rng.normal(size=(2, 30, 2))  # counts weigh rows as repeating them does
    counts = rng.integers(0, 4, size=30)
    expected = info.gaussian_information(np.repeat(a, counts, axis=0), np.repeat(b, counts, axis=0), np.ones((1, counts.sum())))
    assert info.gaussian_information(a, b, counts[None]) == pytest.approx(expected)


def test_ridge_explains_the_planted_share():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 5))
    y = x @ rng.normal(size=(5, 4))
    y = y / y.std() + rng.normal(size=y.shape) * np.sqrt(1 / 3)  # three quarters of the variance, over all columns
    rows, once = np.split(np.arange(3000), [1000, 1500]), np.ones((1, 1500))
    assert info.explained_share(x, y, *rows, once)[0] == pytest.approx(0.75, abs=0.02)


def test_terms_of_eq_2_are_those_of_torch():
    pairs = np.random.default_rng(0).normal(size=(2, 40, 6))
    terms = info.contrastive_terms(*pairs, 0.2)
    image, text = (normalize(torch.from_numpy(x), dim=1) for x in pairs)
    logits, own = image @ text.T / 0.2, torch.arange(40)
    expected = [cross_entropy(logits, own).item(), cross_entropy(logits.T, own).item()]
    assert terms["loss"] == pytest.approx(np.mean(expected))
    assert terms["attraction"] == pytest.approx(-(image * text).sum(1).mean().item() / 0.2)
    assert terms["attraction"] + terms["repulsion_image_to_text"] == pytest.approx(expected[0])
    assert terms["bound"] == pytest.approx((np.log(40) - np.mean(expected)) / np.log(2))
    assert info.contrastive_terms(np.eye(16), np.eye(16), 0.01)["bound"] == pytest.approx(4)  # perfect pairs: log2 of the batch
    # a common offset of cosines moves both forces and not the loss, so attraction alone says nothing
    x = np.random.default_rng(0).normal(size=(30, 4))
    shared = np.concatenate([x / np.linalg.norm(x, axis=1, keepdims=True), np.full((30, 1), 2.0)], axis=1)  # cosines 0.2 c + 0.8
    plain, offset = info.contrastive_terms(x, x, 0.5), info.contrastive_terms(shared, shared, 0.1)
    assert offset["loss"] == pytest.approx(plain["loss"]) and offset["attraction"] == pytest.approx(-10)
    for temperature in (0.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="temperature must be positive"):
            info.contrastive_terms(np.eye(3), np.eye(3), temperature)
