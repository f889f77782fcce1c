"""The lambda slider of page 01 places points exactly by three numbers, draws curves of all dimensions, and loads from no host."""

import hashlib
import json
import re

import numpy as np
import pytest
from conftest import ROOT, small_set
from page_code import functions_of

from helpers import align, gap_vector, mean_resultant_length

LAMBDAS = [0.0, 0.3, 1.0]
PAGE = functions_of("01_cone_effect", "assets", "templates")
FILES = ("plotly-gl3d.min.js", "lambda.js")


@pytest.fixture(scope="module")
def embeddings():
    return small_set("ham10000", "clean", "lit-derm", False, seed=3)


@pytest.fixture(scope="module")
def view(embeddings):
    return PAGE.sphere_view(embeddings, LAMBDAS, len(embeddings))


def directions(view, embeddings):
    """Return the three shown directions, from the positions of all images, by least squares."""
    rows = np.random.default_rng(0).permutation(len(embeddings))
    return np.linalg.lstsq(embeddings.image_of(rows), np.array(view["image"]).T, rcond=None)[0].T


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_three_numbers_per_point_give_its_exact_place_at_every_lambda_and_lead_to_no_row(view, embeddings):
    image, text, shown = embeddings.image_of(), embeddings.text_of(), directions(view, embeddings)
    rng = np.random.default_rng(0)
    rows = {m: rng.permutation(len(embeddings)) for m in ("image", "text")}
    for lam in LAMBDAS:
        moved = align(image, text, gap_vector(image, text), lam)
        for (modality, sign), full in zip((("image", -1), ("text", 1)), moved, strict=True):
            placed = unit(np.array(view[modality]).T + sign * lam / 2 * np.array(view["gap"]))
            # coordinates are rounded to four decimals, and short ones are magnified when brought to unit length
            np.testing.assert_allclose(placed, unit(full[rows[modality]] @ shown.T), atol=3e-3)
    for modality, own in (("image", image), ("text", text)):
        assert (np.abs(own @ shown.T - np.array(view[modality]).T).max(axis=1) < 1e-3).mean() < 0.5


def test_curves_are_measured_in_all_dimensions_over_all_pairs(embeddings):
    image, text = embeddings.image_of(), embeddings.text_of()
    table, few = PAGE.lambda_path(embeddings, LAMBDAS), PAGE.sphere_view(embeddings, LAMBDAS, points=10)
    for k, lam in enumerate(LAMBDAS):
        moved = align(image, text, gap_vector(image, text), lam)
        expected = [np.linalg.norm(gap_vector(*moved)), *map(mean_resultant_length, moved)]
        np.testing.assert_allclose(table.loc[k, ["residual_gap", "R_image", "R_text"]].astype(float), expected, rtol=1e-5)
        np.testing.assert_allclose([few[key][k] for key in ("residual", "r_image", "r_text")], expected, atol=6e-5)


def test_the_element_carries_its_data_whole_and_names_no_other_host(view):
    hostile = [view | {"name": "</script><b>&"}]
    html = PAGE.slider(hostile)
    data = re.search(r'<script type="application/json" class="lambda-data">(.*?)</script>', html, re.S)[1]
    assert json.loads(data)["views"] == hostile
    assert "<b>" not in html and "http" not in html and all(file in html for file in FILES)


def test_the_script_is_the_published_one():
    plotly = (ROOT / "book/_static/plotly-gl3d.min.js").read_bytes()
    assert b"Licensed under the MIT license" in plotly[:200]
    assert hashlib.sha256(plotly).hexdigest() == "aab04dcd9c103a92b18723f8c837712fe820f325d0bcd2421e415e8124a75b9f"
