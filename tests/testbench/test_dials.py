"""The exact dial changes the gap and nothing within a modality; the permutation test against a case that is known."""

import numpy as np
import pandas as pd
import pytest
from samples import embedding_set

from helpers import gap_vector, mean_resultant_length
from helpers.geometry import effective_rank
from helpers.testbench.dials import axis_angle, dial_cone, dial_cone_in_span, dialled_in_span, permuted_within


@pytest.fixture(scope="module")
def rows():
    x = np.random.default_rng(0).normal(size=(400, 6))
    return np.concatenate([x, -x])  # the directions cancel, so that R is exact


@pytest.mark.parametrize("gap", [0.41, 0.8, 1.3])
def test_the_dial_sets_r_and_the_gap(rows, gap):
    image, text = dial_cone(rows, 0.9), dial_cone(rows, 0.5, axis_angle(gap, 0.9, 0.5))
    assert mean_resultant_length(image) == pytest.approx(0.9) and mean_resultant_length(text) == pytest.approx(0.5)
    assert np.linalg.norm(gap_vector(image, text)) == pytest.approx(gap)


def test_the_angle_leaves_cosines_within_and_rank(rows):
    narrow, turned = dial_cone(rows, 0.7), dial_cone(rows, 0.7, 2.0)
    np.testing.assert_allclose(narrow @ narrow.T, turned @ turned.T, atol=1e-12)
    assert effective_rank(narrow) == pytest.approx(effective_rank(turned))
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), 1)


@pytest.mark.parametrize(("cones", "gap"), [((0.75, 0.75), 0.4), ((0.9, 0.5), 1.1)])
def test_axes_in_the_span_set_r_and_the_gap_too_and_let_rows_differ_along_it(cones, gap):
    sample = embedding_set("binary", n=200)
    made = dialled_in_span(sample, *cones, gap)
    found = [mean_resultant_length(x) for x in (made.image, made.text)]
    assert found == pytest.approx(cones, abs=1e-4)
    direction = gap_vector(made.image, made.text)
    assert np.linalg.norm(direction) == pytest.approx(gap, abs=1e-3)
    assert (made.image @ direction).std() > 0.01
    outside = dial_cone(sample.image, 0.75)
    assert (outside @ (outside.mean(axis=0) - dial_cone(sample.text, 0.75, 1.0).mean(axis=0))).std() < 0.05


def test_impossible_cones_are_refused(rows):
    with pytest.raises(ValueError, match="resultant"):
        dial_cone(rows, 1.0)
    with pytest.raises(ValueError, match="between 0.400 and 1.400"):
        axis_angle(0.1, 0.9, 0.5)
    with pytest.raises(ValueError, match="resultant must lie between"):
        dial_cone_in_span(rows, 1.0, np.eye(6)[0])
    with pytest.raises(ValueError, match="gap must lie between"):
        dialled_in_span(embedding_set("binary", n=60), 0.9, 0.5, 0.1)


def test_permutation_sees_an_effect_within_blocks_and_none_between_them():
    table = pd.DataFrame({"gap": [1, 2, 3, 4] * 4, "gain": [1, 2, 3, 4] * 4, "block": np.repeat(list("abcd"), 4)})
    assert permuted_within(table, "gap", "gain", "block", 2000) == pytest.approx((1.0, 1 / 2001), abs=1e-3)
    between = table.assign(gap=np.repeat([1, 2, 3, 4], 4), gain=np.repeat([1, 2, 3, 4], 4))
    assert permuted_within(between, "gap", "gain", "block")[1] == 1.0
