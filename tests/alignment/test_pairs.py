"""PairAlignment passes scikit-learn's own checks and equals the two-matrix alignment."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from helpers import GapAlignment, PairAlignment

RNG = np.random.default_rng(0)
IMAGE, TEXT = RNG.normal(size=(60, 5)) + 1, RNG.normal(size=(60, 5)) - 1


def test_scikit_learns_own_checks_and_a_grid_search_over_lambda():
    zero = {"check_estimators_dtypes": "its integer rows hold zeros in every column of an image, which has no direction"}
    found = check_estimator(PairAlignment(n_text=1, lam=0.5), expected_failed_checks=zero, on_fail=None, on_skip=None)
    assert {r["check_name"]: r["exception"] for r in found if r["status"] == "failed"} == {}
    assert sum(r["status"] == "passed" for r in found) > 30
    pipeline = make_pipeline(PairAlignment(), LogisticRegression())
    search = GridSearchCV(pipeline, {"pairalignment__lam": [0.0, 0.5, 1.0]}, cv=3, error_score="raise")
    search.fit(np.hstack([IMAGE, TEXT]), RNG.integers(0, 2, 60))


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_gives_what_the_alignment_of_two_matrices_gives_and_leaves_further_columns(lam, dtype):
    image, text, age = IMAGE.astype(dtype), TEXT.astype(dtype), RNG.uniform(20, 80, size=(60, 1)).astype(dtype)
    both = np.hstack([image, text, age])
    ours = PairAlignment(n_text=5, lam=lam).fit(both[:30]).transform(both)
    assert ours.dtype == dtype
    np.testing.assert_array_equal(ours, np.hstack([*GapAlignment(lam).fit(image[:30], text[:30]).transform(image, text), age]))


@pytest.mark.parametrize(("n_text", "columns"), [(None, 5), (6, 10), (0, 10)])
def test_columns_that_are_no_image_and_text_are_refused(n_text, columns):
    with pytest.raises(ValueError, match=str(columns)):
        PairAlignment(n_text=n_text).fit(np.ones((4, columns)))
