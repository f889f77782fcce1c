"""Parts of the variance against planted components and against networks whose mean and variance are known."""

import numpy as np
import pytest

from helpers.initialisation.networks import ACTIVATIONS, encoder_outputs, mlp_outputs
from helpers.initialisation.study import centred, compare_outputs, mlp_study, what_decides
from helpers.initialisation.variance import (
    DATA_INDUCED,
    PARTS,
    RATIO,
    Estimate,
    data_ratio,
    normalised,
    variance_parts,
    variance_table,
)


def planted(rng, networks, items, data, both, weights, d=3) -> np.ndarray:
    """Outputs with these variances, summed over d dimensions, about a mean that is not zero."""
    sizes = {"weights": (networks, 1, d), "data": (1, items, d), "both": (networks, items, d)}
    scale = {"weights": weights, "data": data, "both": both}
    return 2 + sum(np.sqrt(scale[name] / d) * rng.normal(size=size) for name, size in sizes.items())


def test_estimates_of_planted_components_are_unbiased():
    rng, truth = np.random.default_rng(0), {"data": 2.0, "data x weights": 0.5, "weights": 1.0}
    found = [variance_parts(planted(rng, 5, 8, 2.0, 0.5, 1.0)) for _ in range(2000)]
    for name in PARTS:
        values = np.array([one[name] for one in found])
        assert abs(values.mean() - truth[name]) < 4 * values.std() / np.sqrt(len(values)), name


def test_a_part_that_is_absent_is_estimated_around_zero():
    rng = np.random.default_rng(0)
    values = np.array([variance_parts(planted(rng, 6, 10, 0.0, 1.0, 1.0))["data"] for _ in range(1000)])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(1000) and (values < 0).any()


def test_the_terms_of_eq_3_are_the_parts_added_up():
    outputs = planted(np.random.default_rng(1), 6, 9, 2.0, 0.5, 1.0)
    parts = variance_parts(outputs)
    assert parts[DATA_INDUCED] == pytest.approx(outputs.var(axis=1, ddof=1).sum(axis=1).mean())
    table = variance_table(Estimate.of(outputs)).set_index("part")
    assert table.loc[list(PARTS), "share"].sum() == pytest.approx(1)
    assert table.loc[DATA_INDUCED, "share"] == pytest.approx(table.loc[list(PARTS[:2]), "share"].sum())


def test_intervals_cover_planted_components():
    rng, truth, covered = np.random.default_rng(2), [2.0, 0.5, 1.0, 2.5], np.zeros(4)
    for _ in range(60):
        table = variance_table(Estimate.of(planted(rng, 12, 40, 2.0, 0.5, 1.0, d=30)))
        covered += (table["low"] <= truth) & (np.array(truth) <= table["high"])
    assert (covered >= 52).all()  # 95 % of 60 is 57, give or take 2


def test_a_linear_network_has_the_known_parts():
    """With h = W x and independent weights of variance 1 / d: mean 0, data-induced part tr Cov(x), weight-induced ||mean x||^2."""
    x = np.random.default_rng(0).normal(size=(50, 20)) + 1
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    [outputs] = mlp_outputs([x], "linear", 1, 400, width=64)
    parts = variance_parts(outputs)
    scale = 64 * 20 / 20  # rows of norm root 20, weights of variance 1 / 20, 64 outputs
    assert parts[DATA_INDUCED] == pytest.approx(scale * unit.var(axis=0, ddof=1).sum(), rel=0.05)
    # the mean over 50 items is longer than that of their population by the variance over 50
    length = np.square(unit.mean(axis=0)).sum() - unit.var(axis=0, ddof=1).sum() / 50
    assert parts["weights"] == pytest.approx(scale * length, rel=0.05)
    assert np.abs(outputs.mean(axis=(0, 1))).max() < 6 / np.sqrt(400)


def test_relu_brings_rows_together_as_its_kernel_says():
    """One layer of He weights turns an angle a into cosine (sin a + (pi - a) cos a) / pi (Cho and Saul, NeurIPS 2009)."""
    angle = 2.0
    x = np.array([[1.0, 0], [np.cos(angle), np.sin(angle)], [1.0, 0.0]])
    [outputs] = mlp_outputs([x], "relu", 1, 300, width=256)
    expected = (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / np.pi
    assert (normalised(outputs)[:, 0] * normalised(outputs)[:, 1]).sum(axis=1).mean() == pytest.approx(expected, abs=0.02)


def test_depth_narrows_the_cone_of_relu_and_not_of_linear_networks():
    x = np.random.default_rng(0).normal(size=(40, 30))
    share = {}
    for activation in ("relu", "linear"):
        for depth in (1, 6):
            [outputs] = mlp_outputs([x], activation, depth, 6, width=64)
            share[activation, depth] = variance_parts(normalised(outputs))[DATA_INDUCED]
    assert share["relu", 6] < 0.5 * share["relu", 1]
    assert share["linear", 6] > 0.7 * share["linear", 1]


def test_the_ratio_of_two_kinds_of_data_is_the_planted_one_and_pairs_networks():
    rng = np.random.default_rng(3)
    scale = np.exp(0.4 * rng.normal(size=(20, 1, 1)))  # a network that spreads everything more: common to both kinds of data
    wide, narrow = scale * rng.normal(size=(20, 60, 5)), scale * 0.5 * rng.normal(size=(20, 60, 5))
    value, low, high = data_ratio(Estimate.of(narrow), Estimate.of(wide))
    assert low < 0.25 < high and value == pytest.approx(0.25, rel=0.15) and high < 0.35


def test_the_study_has_all_parts_and_shares_out_what_decides():
    rng = np.random.default_rng(0)
    pair = rng.normal(size=(30, 12)) + 3, rng.normal(size=(25, 12)) + 0.5
    table = mlp_study({"features": pair, "centred": centred(pair)}, list(ACTIVATIONS), (1, 3), networks=4, width=16)
    assert table["network"].nunique() == len(ACTIVATIONS) + 1 and set(table["data"]) == {"medical", "natural", RATIO}
    ratio = table[(table["data"] == RATIO) & (table["inputs"] == "features")]
    assert (ratio["value"] < 1).all()
    shares = what_decides(table[(table["inputs"] == "features") & (table["output"] == "unit")])
    assert sum(shares.values()) == pytest.approx(1) and min(shares.values()) >= 0


def test_a_random_encoder_gives_the_outputs_of_both_towers():
    from PIL import Image

    images = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue", "white")]
    runs = list(encoder_outputs(images, ["a dog", "a much longer line of text"], [0, 1], "ViT-S-32-alt"))
    assert [part.shape for part in runs[0]] == [(3, 256), (2, 256)]
    assert not np.allclose(runs[0][0], runs[1][0])


@pytest.mark.parametrize(("networks", "said"), [(1, "1 network has no variance"), (2, "2 networks and 5 items give no interval")])
def test_too_few_networks_are_refused(networks, said):
    with pytest.raises(ValueError, match=said):
        Estimate.of(np.random.default_rng(0).normal(size=(networks, 5, 2)))


def test_bad_networks_and_outputs_are_refused():
    x = np.ones((4, 3))
    with pytest.raises(ValueError, match="did you mean 'relu'"):
        mlp_outputs([x], "relo", 1, 3)
    with pytest.raises(ValueError, match="depth must be at least 1"):
        mlp_outputs([x], "relu", 0, 3)
    with pytest.raises(ValueError, match="3 and 5 columns"):
        mlp_outputs([x, np.ones((4, 5))], "relu", 1, 3)
    with pytest.raises(ValueError, match="must have shape"):
        variance_parts(x)
    with pytest.raises(ValueError, match="not finite"):
        variance_parts(np.full((3, 3, 2), np.nan))
    same = Estimate.of(np.ones((3, 4, 2)))
    with pytest.raises(ValueError, match="outputs of all items are equal"):
        data_ratio(same, same)
    with pytest.raises(ValueError, match="outputs of the same ones"):
        data_ratio(same, Estimate.of(np.ones((5, 4, 2))))
    assert compare_outputs(*np.random.default_rng(0).normal(size=(2, 4, 6, 3)))["share"].notna().sum() == 16
