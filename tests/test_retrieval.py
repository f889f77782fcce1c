"""Measures of retrieval agree with brute force."""

import numpy as np
import pytest
from gap_study import recall_at_k
from page_code import functions_of
from sklearn.metrics import ndcg_score, roc_auc_score

from helpers import GapAlignment, gap_vector
from helpers import retrieval as r

PAGE, LEAKAGE = functions_of("11_what_lambda_closes"), functions_of("07_leakage_audit")


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def pairs(n=80, d=10, noise=0.6, seed=0):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, d))
    return unit(common + noise * rng.normal(size=(n, d)) + 1), unit(common + noise * rng.normal(size=(n, d)) - np.eye(d)[0])


def test_ranks_agree_with_a_full_sort_and_lengths_count_only_in_inner_products():
    (image, text), right = pairs(), np.eye(80, dtype=bool)
    for k in (1, 5):
        expected = [recall_at_k(image @ text.T, right, k), recall_at_k(text @ image.T, right, k)]
        assert r.recall_both_ways(image, text, k) == pytest.approx(expected, abs=1e-4)
    longer = text * np.linspace(0.5, 3, 80)[:, None]
    by_product = (image @ longer.T).argmax(axis=1) == np.arange(80)
    assert r.recall_both_ways(image, longer, unit=False)[0] == by_product.mean() != r.recall_both_ways(image, longer)[0]
    assert r.recall_both_ways(image, longer) == r.recall_both_ways(image, text) == r.recall_both_ways(image, text, unit=False)
    image = unit(np.array([[1.0, 0, 0.1], [1, 0.2, 0], [0, 1, 0]]))
    assert r.recall_both_ways(image, np.eye(3)[[0, 0, 1]]) == (1.0, 1.0)  # equal texts are one candidate


def test_the_penalty_reproduces_the_shift_exactly_and_renormalising_acts_like_a_stronger_one():
    image, text = pairs(n=400, d=40, noise=0.3)
    gap = gap_vector(image, text)
    expected = recall_at_k((image - gap / 2) @ (text + gap / 2).T, np.eye(400, dtype=bool), 1)
    assert (r.retrieval_ranks(image, text, -0.5 * text @ gap) < 1).mean() == pytest.approx(expected, abs=1e-4)
    moved = GapAlignment(1.0).fit(image, text).transform(image, text)
    near = (moved[0] @ moved[1].T).argmax(axis=1)
    best = min(np.linspace(-1, 0, 21), key=lambda b: ((image @ text.T + b * text @ gap).argmax(axis=1) != near).mean())
    beta = PAGE.penalty_of_renormalising(image, text, gap)
    assert -1 < beta < -0.5 and abs(best - beta) < 0.2
    image, text = pairs(n=12)
    text[1] = text[0]
    counts = PAGE.cosine_counts(image, text, np.linspace(-1, 1, 11))
    assert counts["pair"].sum() == 12 and counts["non_pair"].sum() == 12 * 11 - 2


def test_a_hub_and_near_duplicates_are_found():
    image, text = pairs()
    hub = np.concatenate([text, unit(image.mean(axis=0, keepdims=True))])
    among = np.argsort(-image @ hub.T, axis=1)[:, :5]
    largest, skewness = r.hubness(image, hub, 5)
    assert largest == np.bincount(among.ravel()).max() == (among == 80).sum() and skewness > 1
    largest, row = LEAKAGE.closest_training_rows(image[:5] + 1e-4, image[3:])
    assert row[3:].tolist() == [0, 1] and (largest[3:] > 0.999).all() and (largest[:3] < 0.99).all()


def test_ndcg_agrees_with_scikit_learn():
    (image, text), share = pairs(), 0.3
    relevant = np.arange(10)[:, None] % 4 == np.arange(80) % 4
    found = PAGE.mixed_search_ndcg(text[:10], relevant, image, text, share, k=80)
    as_image = np.isin(np.arange(80), np.random.default_rng(0).permutation(80)[: round(share * 80)])
    scores = text[:10] @ np.where(as_image[:, None], image, text).T
    np.testing.assert_allclose(found, [ndcg_score(relevant[[i]], scores[[i]]) for i in range(10)])


def test_sanity_check_passes_working_pairs_and_suspects_the_others():
    image, text = pairs(200)
    good = r.sanity_check(image, text)
    assert good["suspicion"] is None and good["auc"] > 0.85 and good["pairs"] == 200
    assert "shuffled" in r.sanity_check(image, np.roll(text, 1, axis=0))["suspicion"]
    assert "one vector" in r.sanity_check(image, np.tile(text[:1], (200, 1)))["suspicion"]


def test_texts_close_to_every_image_do_not_hide_a_working_encoder_nor_let_a_broken_one_pass():
    rng = np.random.default_rng(0)
    centres, code = rng.normal(size=(13, 32)), rng.integers(13, size=300)
    text, image = centres.copy(), rng.normal(size=(300, 32)) + 0.25 * centres[code]
    text[:, 0], image[:, 0] = np.linspace(-60, 60, 13), 8  # the first coordinate alone decides which text is closest
    found = r.sanity_check(image, text[code])
    assert found["suspicion"] is None and found["auc"] > 0.65
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(size=(300, 32)) + [8, *[0] * 31]
        assert "no more similar" in r.sanity_check(noise, text[code])["suspicion"]


def test_the_auc_of_the_sanity_check_is_that_of_each_text_between_its_own_images_and_the_others():
    image, text = pairs(60)
    text = text[np.arange(60) % 4]
    own = np.arange(60)[:, None] % 4 == np.arange(4)
    by_text = [roc_auc_score(own[:, k], image @ text[k]) for k in range(4)]
    assert r.sanity_check(image, text)["auc"] == pytest.approx(np.mean(by_text))


def test_a_recall_above_every_shuffle_silences_the_sanity_check():
    null = np.linspace(0.4, 0.6, 100), np.linspace(0.0, 0.1, 100)
    assert r._suspicion(0.51, 0.2, *null) is None and "no more similar" in r._suspicion(0.51, 0.05, *null)


def test_bad_input_is_refused_in_one_sentence():
    image, text = pairs()
    with pytest.raises(ValueError, match="one row per pair"):
        r.retrieval_ranks(image, text[:-1], unit=False)
    for of_text, k, said in ((text, 81, "k is 81"), (text[:1].repeat(80, axis=0), 1, "one distinct vector")):
        with pytest.raises(ValueError, match=said):
            r.recall_both_ways(image, of_text, k)
