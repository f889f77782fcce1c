"""The stored study of page 10: a gap set by hand changes the gap alone."""

import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from samples import embedding_set

from helpers import gap_vector, mean_resultant_length
from helpers.geometry import effective_rank

sys.path.insert(0, str(ROOT / "studies"))
import gap_study  # noqa: E402


@pytest.fixture(scope="module")
def rows():
    x = np.random.default_rng(0).normal(size=(400, 6))
    return np.concatenate([x, -x])  # the directions cancel, so that R is exact


@pytest.mark.parametrize("gap", [0.41, 0.8, 1.3])
def test_the_angle_sets_the_gap_and_leaves_r_cosines_within_and_rank(rows, gap):
    image, text = gap_study.cone(rows, 0.9, 0.0), gap_study.cone(rows, 0.5, gap_study.axis_angle(gap, 0.9, 0.5))
    assert mean_resultant_length(image) == pytest.approx(0.9) and mean_resultant_length(text) == pytest.approx(0.5)
    assert np.linalg.norm(gap_vector(image, text)) == pytest.approx(gap)
    straight = gap_study.cone(rows, 0.5, 0.0)
    np.testing.assert_allclose(straight @ straight.T, text @ text.T, atol=1e-12)
    assert effective_rank(straight) == pytest.approx(effective_rank(text))


@pytest.mark.parametrize(("cones", "gap"), [((0.75, 0.75), 0.4), ((0.9, 0.5), 1.1)])
def test_axes_in_the_span_set_r_and_the_gap_too_and_let_rows_differ_along_it(cones, gap):
    sample = embedding_set("binary", n=200)
    made = gap_study.gap_in_span(sample, *cones, gap)
    assert [mean_resultant_length(x) for x in (made.image, made.text)] == pytest.approx(cones, abs=1e-4)
    direction = gap_vector(made.image, made.text)
    assert np.linalg.norm(direction) == pytest.approx(gap, abs=1e-3)
    assert (made.image @ direction).std() > 0.01


@pytest.mark.parametrize("dataset", ["flickr8k", "ham10000"])
def test_heads_at_the_shipped_rate_have_a_gap_and_keep_their_recall(dataset):
    heads = pd.read_csv(ROOT / "data/measured/gap_heads.csv").query("dataset == @dataset and rate == 5e-4")
    fixed, learned = (part.set_index("random_state") for _, part in heads.groupby(heads["temperature"] == "learned"))
    assert len(fixed) >= 5 and fixed["gap"].min() >= 0.6
    assert (learned["recall"] - fixed["recall"]).mean() <= 0.07
