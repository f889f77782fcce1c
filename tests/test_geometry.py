import numpy as np
import pytest

from helpers import EmbeddingSet, GapAlignment, align, gap_norm, gap_vector, mean_resultant_length
from helpers.alignment.shift import residual_gap
from helpers.geometry import effective_rank, gap_and_first_direction, moments_of, principal_directions
from helpers.retrieval import retrieval_ranks
from helpers.separation import relative_modality_gap

RNG = np.random.default_rng(0)
IMAGE, TEXT = RNG.normal(size=(40, 7)) + 1, RNG.normal(size=(40, 7)) - 0.5


def unit(x):
    return np.stack([row / np.sqrt((row**2).sum()) for row in x])


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-14), (np.float32, 1e-6), (np.float16, 1e-3)])
def test_resultant_length_and_gap_against_plain_numpy(dtype, tolerance):
    image, text = IMAGE.astype(dtype), TEXT.astype(dtype)
    assert mean_resultant_length(image) == pytest.approx(np.sqrt((unit(IMAGE).sum(axis=0) ** 2).sum()) / 40, abs=tolerance)
    assert mean_resultant_length([[1.0, 0], [-2.0, 0]]) == pytest.approx(0)
    gap = unit(IMAGE).sum(axis=0) / 40 - unit(TEXT).sum(axis=0) / 40
    np.testing.assert_allclose(gap_vector(image, text), gap, atol=tolerance)
    assert gap_norm(image, text) == pytest.approx(np.sqrt((gap**2).sum()), abs=tolerance)


def test_float32_vectors_give_the_moments_of_their_directions_in_float64():
    image, text = (unit(x).astype(np.float32) for x in (IMAGE, TEXT))
    measures = (
        lambda v, t: mean_resultant_length(v), gap_norm, gap_and_first_direction, relative_modality_gap,
        lambda v, t: residual_gap(v, t, 1.0), lambda v, t: effective_rank(moments_of(v)),
    )  # fmt: skip
    for measure in measures:
        np.testing.assert_allclose(measure(image, text), measure(*(unit(x.astype(np.float64)) for x in (image, text))), rtol=1e-12)


def test_bad_vectors_are_named():
    for bad, message in (
        (np.array([[1.0, 0], [0, 0]]), "zero-norm row.*row 1"),
        (np.array([[1.0, 0], [np.nan, 0], [np.inf, 1]]), "2 row.*non-finite.*row 1"),
        (np.ones((0, 3)), r"shape \(n, d\)"),
        (np.ones((2, 3), dtype=int), "floating point"),
    ):
        with pytest.raises(ValueError, match=message), np.errstate(over="ignore"):
            mean_resultant_length(bad)
    with pytest.raises(ValueError, match="7 dimensions.*6"):
        gap_vector(IMAGE, TEXT[:, :6])


@pytest.mark.parametrize(("dtype", "scale"), [(np.float32, 1e25), (np.float32, 1e37), (np.float64, 1e200), (np.float64, 1e305)])
def test_numbers_whose_squares_overflow_give_the_same_as_small_ones(dtype, scale):
    image, text = IMAGE.astype(dtype), TEXT.astype(dtype)
    large = image * dtype(scale), text * dtype(scale)
    measures = (
        lambda v, t: mean_resultant_length(v), lambda v, t: gap_vector(v, t), lambda v, t: align(v, t, gap_vector(v, t), 0.5)[0],
        lambda v, t: GapAlignment(0.5).fit(v, t).transform(v, t)[1], lambda v, t: EmbeddingSet.from_arrays(v, t).image_of(),
        lambda v, t: effective_rank(v), lambda v, t: principal_directions(np.concatenate([v, t]))[1], gap_and_first_direction,
        lambda v, t: retrieval_ranks(v, t, unit=False), relative_modality_gap,
    )  # fmt: skip
    for measure in measures:
        np.testing.assert_allclose(measure(*large), measure(image, text), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("centred", [True, False])
def test_principal_directions_against_svd(centred):
    _, s, v = np.linalg.svd(IMAGE - IMAGE.mean(axis=0) * centred)
    directions, shares = principal_directions(IMAGE, 3, centred)
    np.testing.assert_allclose(np.abs((directions * v[:3]).sum(axis=1)), 1, atol=1e-12)
    np.testing.assert_allclose(shares, s[:3] ** 2 / (s**2).sum(), atol=1e-12)
    assert (directions[np.arange(3), np.abs(directions).argmax(axis=1)] > 0).all()


def test_effective_rank_of_known_spectra():
    axes = np.concatenate([np.eye(5), -np.eye(5)])
    assert effective_rank(axes) == pytest.approx(5)
    assert effective_rank(axes[[0, 5]]) == pytest.approx(1)
    for length in (1e-9, 1e9):
        assert effective_rank(length * IMAGE) == pytest.approx(effective_rank(IMAGE))
        with pytest.raises(ValueError, match="all rows are equal"):
            effective_rank(length * np.full((7, 3), 0.1))


def test_gap_and_first_direction_against_an_svd_of_all_rows():
    gap, pooled = unit(IMAGE).mean(axis=0) - unit(TEXT).mean(axis=0), np.concatenate([unit(IMAGE), unit(TEXT)])
    centred, direction = pooled - pooled.mean(axis=0), gap / np.sqrt(gap @ gap)
    cosine, share = gap_and_first_direction(IMAGE, TEXT)
    assert 0.5 < cosine < 0.999 and cosine == pytest.approx(abs(np.linalg.svd(centred)[2][0] @ direction), rel=1e-9)
    assert 0.05 < share < 0.95 and share == pytest.approx(((centred @ direction) ** 2).sum() / (centred**2).sum(), rel=1e-9)
