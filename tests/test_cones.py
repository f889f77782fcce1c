"""The diagnosis of a set names the cause of three public cases, each made by hand."""

import numpy as np

from helpers import EmbeddingSet
from helpers.cli import main
from helpers.cones import diagnose
from helpers.retrieval import recall_both_ways

N, D = 300, 64
COMMON, LENGTH = np.eye(D)[0], np.eye(D)[1]


def unit(x) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def content(seed: int) -> np.ndarray:
    """Return unit vectors without a component along COMMON and LENGTH, (N, D)."""
    x = np.random.default_rng(seed).normal(size=(N, D))
    return unit(x - np.outer(x[:, 0], COMMON) - np.outer(x[:, 1], LENGTH))


def test_everything_similar_to_everything_is_a_shared_component_and_padding_that_is_pooled():
    words = np.random.default_rng(1).integers(3, 60, N)
    length = (words - words.mean()) / words.std()
    text = unit(COMMON + 0.2 * np.outer(length, LENGTH) + 0.001 * content(0))
    image = unit(0.2414 * COMMON + content(0))
    cosines = image @ text.T
    assert 0.22 < cosines.min() and cosines.max() < 0.24  # as in the public report
    found = diagnose(EmbeddingSet.from_arrays(image, text), ["x" * k for k in words])
    assert found[0] == "98 % of the cosines of an image with a text lie between 0.22 and 0.23."
    assert "is 6 % of an image vector and 96 % of a text vector" in found[3]
    assert (
        found[4].startswith("Every text is similar to every other")
        and "Length orders the texts (rank correlation 1.00)" in found[5]
    )
    assert len(found) == 6


def test_lower_scores_than_another_models_are_another_common_level_where_retrieval_is_as_good():
    sets = []
    for level in (0.5, 0.05):
        side = np.sqrt(level) * COMMON
        image, text = (side + np.sqrt(1 - level) * unit(2 * content(0) + content(seed)) for seed in (1, 2))
        sets.append((image, text))
    (high, _), (low, _) = (recall_both_ways(*one) for one in sets)
    assert high == low == 1.0
    for (image, text), level in zip(sets, ("0.50", "0.05"), strict=True):
        found = diagnose(EmbeddingSet.from_arrays(image, text))
        assert f"{level} is common to all images and texts" in found[1]
        assert found[2].startswith("Another encoder has another common level: compare ranks") and len(found) == 4
    shuffled = diagnose(EmbeddingSet.from_arrays(image, np.roll(text, 1, axis=0)))
    assert shuffled[2].startswith("Matched pairs are no more similar than shuffled ones") or "less similar" in shuffled[2]


def test_vectors_that_change_with_the_batch_are_found_by_equal_texts():
    texts = [f"report {i % 100}" for i in range(N)]
    once = content(0)[np.arange(N) % 100]
    image, again = unit(once + content(1)), np.sqrt(1 - 0.76**2) * content(3)
    again -= (again * once).sum(axis=1, keepdims=True) * once
    moved = np.where((np.arange(N) == 205)[:, None], 0.76 * once + np.sqrt(1 - 0.76**2) * unit(again), once)
    stable, unstable = (diagnose(EmbeddingSet.from_arrays(image, text), texts) for text in (once, moved))
    assert len(stable) == 4 and unstable[:-1] == stable
    assert unstable[-1].startswith("Equal texts have vectors with a cosine down to 0.76: a vector depends on its batch")


def test_equal_vectors_and_few_pairs_are_diagnosed_without_a_warning():
    image, text = content(0), np.tile(COMMON, (N, 1))
    assert (
        "The text encoder gives one vector to all 300 rows" in diagnose(EmbeddingSet.from_arrays(image, text), ["x", "yy"] * 150)[2]
    )
    assert len(diagnose(EmbeddingSet.from_arrays(image[:2], unit(image[:2] + COMMON)), ["x", "yy"])) in (4, 5)


def test_cone_prints_the_diagnosis(store, capsys):
    assert main(["cone", "ham10000", "lit-natural", "--store", str(store), "--n-boot", "0"]) == 0
    assert "is common to all images and texts, and pairing adds" in capsys.readouterr().out
