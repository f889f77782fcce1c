"""Predictive information about the label against planted truths, and its shares under one definition and its bounds."""

import numpy as np
import pytest
from samples import embedding_set

from helpers import EmbeddingSet
from helpers.information.decomposition import SHARES, information_shares, share_bounds
from helpers.information.label import LIKELIHOOD, label_information
from helpers.information.study import at

QUICK = LIKELIHOOD.replace(strengths=(1e-1, 1e-2, 1e-3, 1e-4), tolerance=1e-5)
ERROR = 0.1  # bits; 400 test rows and probes of two or three informative directions


def planted(image_bits, text_bits, labels, n=1600, noise=0.02, d=4, seed=0) -> EmbeddingSet:
    """Pairs whose vectors hold a few numbers each, nearly without noise, on a sphere with a wide gap."""
    rng = np.random.default_rng(seed)

    def vectors(columns, axis):
        x = noise * rng.normal(size=(n, d + 2))
        x[:, : columns.shape[1]] += 0.5 * columns
        x[:, d + axis] += 1
        return x

    split = np.repeat(["train", "val", "test"], [n - 600, 200, 400])
    return EmbeddingSet.from_arrays(vectors(image_bits, 0), vectors(text_bits, 1), labels, split, dataset="planted")


def shares_of(embeddings) -> dict[str, float]:
    table = label_information(embeddings, [0.0, 1.0], n_boot=20, protocol=QUICK)
    return {name: at(table, name, 0.0)["value"] for name in (*SHARES, "image", "text", "both")}


def signs(seed, n=1600):
    return np.random.default_rng(seed).choice((-1.0, 1.0), size=(n, 1))


def test_a_bit_that_both_hold_is_redundant():
    bit = signs(1)
    found = shares_of(planted(bit, bit, np.where(bit[:, 0] > 0, "a", "b")))
    expected = {"redundant": 1, "unique_image": 0, "unique_text": 0, "synergistic": 0}
    assert {name: found[name] for name in SHARES} == pytest.approx(expected, abs=ERROR)


def test_two_bits_of_one_modality_are_unique_to_it():
    a, b = signs(1), signs(2)
    labels = np.array(["p", "q", "r", "s"])[((a > 0) * 2 + (b > 0))[:, 0]]
    found = shares_of(planted(np.hstack([a, b]), signs(3), labels))
    assert found["unique_image"] == pytest.approx(2, abs=ERROR)
    assert [found[name] for name in SHARES[1:]] == pytest.approx([0, 0, 0], abs=ERROR)


def test_a_signal_hidden_under_noise_that_the_other_holds_is_synergistic():
    bit, hiding = signs(1), 3 * np.random.default_rng(4).normal(size=(1600, 1))
    found = shares_of(planted(bit + hiding, hiding, np.where(bit[:, 0] > 0, "a", "b")))
    assert found["both"] > found["image"] + 0.5 and abs(found["text"]) < ERROR
    assert found["synergistic"] == pytest.approx(found["both"] - max(found["image"], found["text"]))


def test_a_linear_reader_sees_nothing_in_an_exclusive_or():
    a, b = signs(1), signs(2)
    assert abs(shares_of(planted(a, b, np.where(a[:, 0] * b[:, 0] > 0, "same", "other")))["both"]) < ERROR


def test_the_log_loss_of_gaussian_classes_is_the_known_information():
    rng = np.random.default_rng(0)
    y, separation = signs(5), 1.0
    x = separation * y + rng.normal(size=y.shape)
    found = shares_of(planted(0.3 * x, signs(6), np.where(y[:, 0] > 0, "a", "b"), noise=1e-3))
    many = np.random.default_rng(1).normal(size=200_000) + separation  # p(y | x) is logistic in x with slope 2
    truth = 1 - np.logaddexp(0, -2 * separation * many).mean() / np.log(2)
    assert found["image"] == pytest.approx(truth, abs=0.06)  # test sampling: 0.02 at 400 rows, twice that and the probe's own


def test_shuffled_labels_tell_nothing():
    embeddings = embedding_set("multilabel", n=300)
    labels = np.random.default_rng(0).permutation(embeddings.labels)
    shuffled = EmbeddingSet.from_arrays(embeddings.image_of(), embeddings.text_of(), labels, embeddings.pairs["split"])
    table = label_information(shuffled, [0.0, 1.0], n_boot=200, protocol=QUICK)
    for quantity in ("image", "text", "both"):
        row = at(table, quantity, 1.0)
        assert row["low"] < 0.05 and row["value"] < 0.1


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_the_change_at_zero_is_zero_and_intervals_hold_the_value(kind):
    table = label_information(embedding_set(kind), [0.0, 0.5], n_boot=100, protocol=QUICK)
    assert (table.loc[table["lambda"] == 0, ["change", "change_low", "change_high"]] == 0).all().all()
    information = table[table["quantity"].isin(["entropy", "image", "text", "both"])]
    assert (information["low"] <= information["value"]).all() and (information["value"] <= information["high"]).all()


def test_shares_add_up_and_lie_within_their_bounds():
    image, text = np.random.default_rng(0).uniform(0, 1, size=(2, 50))
    both = np.maximum(image, text) + np.random.default_rng(1).uniform(0, 1, 50)
    found, ends = information_shares(image, text, both), share_bounds(image, text, both)
    assert sum(found.values()) == pytest.approx(both)
    for name in SHARES:
        assert (ends[name][0] <= found[name] + 1e-12).all() and (found[name] <= ends[name][1] + 1e-12).all()
        assert (ends[name][0] >= -1e-12).all()
    assert found["redundant"] == pytest.approx(ends["redundant"][1])


def test_a_missing_number_is_refused():
    with pytest.raises(ValueError, match="information of text is not finite"):
        information_shares(1.0, np.nan, 1.0)
