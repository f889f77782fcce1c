import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from information import unalign
from sklearn.base import clone

from helpers import GapAlignment, PairAlignment, align, gap_norm, gap_vector
from helpers.alignment.registry import load_alignment, make_alignment
from helpers.alignment.shift import CHANNELS, FACTORIAL, Alignment, predicted_residual_gap, residual_gap
from helpers.probing.protocol import Grid
from helpers.probing.sweep import alignment_grid

RNG = np.random.default_rng(0)
IMAGE, TEXT = RNG.normal(size=(50, 6)) + 1, RNG.normal(size=(50, 6)) * 0.4 - 1


def unit(x):
    return x / np.sqrt((x**2).sum(axis=1))[:, None]


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0, -1.0, 1.7])
def test_align_is_equation_5(lam):
    gap = unit(IMAGE).mean(axis=0) - unit(TEXT).mean(axis=0)
    image, text = align(IMAGE, TEXT, gap_vector(IMAGE, TEXT), lam)
    np.testing.assert_allclose(image, unit(unit(IMAGE) - lam / 2 * gap), atol=1e-14)
    np.testing.assert_allclose(text, unit(unit(TEXT) + lam / 2 * gap), atol=1e-14)
    single, _ = align(IMAGE.astype(np.float32), TEXT.astype(np.float32), gap, lam)
    assert single.dtype == np.float32 and np.abs(single - image).max() < 1e-6
    fitted = GapAlignment(lam).fit(IMAGE[:30], TEXT[:30])
    np.testing.assert_allclose(fitted.gap_, gap_vector(IMAGE[:30], TEXT[:30]))
    np.testing.assert_allclose(fitted.transform(IMAGE, TEXT), align(IMAGE, TEXT, fitted.gap_, lam), atol=1e-14)


@settings(max_examples=60, deadline=None)
@given(lam=st.floats(-1, 1), seed=st.integers(0, 2**32 - 1))
def test_the_map_is_undone_in_closed_form(lam, seed):
    rng = np.random.default_rng(seed)
    image, text = unit(rng.normal(size=(20, 5)) + 1), unit(rng.normal(size=(20, 5)) - 1)
    gap = gap_vector(image, text)
    np.testing.assert_allclose(unalign(*align(image, text, gap, lam), gap, lam), (image, text), atol=1e-12)


def test_residual_gap_and_its_prediction():
    rng = np.random.default_rng(1)
    image, text = rng.normal(size=(3000, 64)) + 0.35, rng.normal(size=(3000, 64)) - 1.5
    assert residual_gap(image, text, 0) == pytest.approx(gap_norm(image, text))
    for lam in (0.5, 1.0):
        assert predicted_residual_gap(image, text, lam) == pytest.approx(residual_gap(image, text, lam), abs=0.02)
    mirrored = rng.normal(size=(3000, 64)) - 1.5
    assert residual_gap(image, text, 1.0) > 0.1
    assert max(residual_gap(-text, mirrored, 1.0), predicted_residual_gap(-text, mirrored, 1.0)) < 0.02


@pytest.mark.parametrize("name", FACTORIAL)
def test_a_saved_alignment_is_the_product_of_the_channels_that_are_on(name, tmp_path):
    whole = name == "lambda" or name.startswith("without-")
    on = set(CHANNELS) - {name.removeprefix("without-")} if whole else set(name.split("+"))
    units, half = (unit(IMAGE), unit(TEXT)), 0.4 * gap_vector(IMAGE, TEXT)
    moved = units[0] - half, units[1] + half
    norms = [np.linalg.norm(x, axis=1, keepdims=True) for x in moved]
    image, text = (np.mean(1 / norm) for norm in norms)
    common = np.sqrt(image * text)
    path = GapAlignment(0.8, alignment=name).fit(IMAGE, TEXT).save(tmp_path / "a.safetensors")
    found = load_alignment(path).transform(IMAGE, TEXT)
    for x, m, norm, own, ours in zip(units, moved, norms, (image, text), found, strict=True):
        factors = {"shift": 1, "common-scale": common, "scale-ratio": own / common, "spread": 1 / (norm * own)}
        expected = m if "shift" in on else x
        for channel in on:
            expected = expected * factors[channel]
        np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_centring_removes_each_mean_and_separate_lambdas_move_one_modality():
    for ours, x in zip(GapAlignment(alignment="centring").fit(IMAGE, TEXT).transform(IMAGE, TEXT), (IMAGE, TEXT), strict=True):
        np.testing.assert_allclose(ours, unit(unit(x) - unit(x).mean(axis=0)), atol=1e-14)
    image, text = GapAlignment(0.0, lam_text=0.6).fit(IMAGE, TEXT).transform(IMAGE, TEXT)
    np.testing.assert_allclose(image, unit(IMAGE), atol=1e-14)
    assert np.abs(text - unit(TEXT)).max() > 0.1


def test_bad_alignments_are_named_and_only_fit_checks_parameters():
    estimator = clone(GapAlignment(lam="not checked here"))
    for wrong, said in (
        (lambda: estimator.fit(IMAGE, TEXT), "must be a finite number between -2 and 2, got not checked here"),
        (lambda: GapAlignment().transform(IMAGE, TEXT), "not fitted yet"),
        (lambda: GapAlignment().fit(IMAGE, TEXT).transform(IMAGE[:, :5], TEXT), "fitted on 6"),
        (lambda: Alignment("spred"), "'spread'"),
        (lambda: Alignment("lambda", np.nan), "lambda_image must"),
        (lambda: Alignment("centring", 0.5), "has no lambda"),
        (lambda: align(np.eye(3), np.eye(3), 2 * np.eye(3)[0], 1.0), "zero-norm"),
        (lambda: unalign(unit(IMAGE), unit(TEXT), 2.1 * unit(IMAGE)[0], 1.0), "only below 1"),
    ):
        with pytest.raises(ValueError, match=said):
            wrong()


ENTRANCES = {
    "align": lambda lam: align(IMAGE, TEXT, gap_vector(IMAGE, TEXT), lam),
    "unalign": lambda lam: unalign(IMAGE, TEXT, 0.1 * gap_vector(IMAGE, TEXT), lam),
    "GapAlignment": lambda lam: GapAlignment(lam).fit(IMAGE, TEXT).transform(IMAGE, TEXT),
    "lam_text": lambda lam: GapAlignment(0.5, lam).fit(IMAGE, TEXT),
    "PairAlignment": lambda lam: PairAlignment(lam=lam).fit(np.hstack([IMAGE, TEXT])),
    "Alignment": lambda lam: Alignment("spread", 0.5, lam),
    "residual_gap": lambda lam: residual_gap(IMAGE, TEXT, lam),
    "predicted_residual_gap": lambda lam: predicted_residual_gap(IMAGE, TEXT, lam),
    "grid of a sweep": lambda lam: alignment_grid([0, lam]),
    "lambdas": lambda lam: Grid(lambdas=[lam]),
    "alignment_lambdas": lambda lam: Grid(alignment_lambdas=[lam]),
    "name": lambda lam: make_alignment(f"lambda-{abs(lam):f}").fit(IMAGE, TEXT),
}


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_every_entrance_takes_lambda_in_one_range(entrance):
    for lam in (-2.0, 0.0, 2.0):
        ENTRANCES[entrance](lam)
    for lam in (2.001, -3.0, 1e20, -1e300, *[float("inf"), float("nan")] * (entrance != "name")):
        with pytest.raises(ValueError, match="must be a finite number between -2 and 2, got "):
            ENTRANCES[entrance](lam)


NO_NUMBERS = [None, True, np.True_, "nan", "1e309", "-inf", [0.5], 1j, 10**30, 10**400, np.array([0.5, 1.0])]


@pytest.mark.parametrize("entrance", sorted({*ENTRANCES} - {"name"}))
def test_no_entrance_takes_for_lambda_what_is_no_number(entrance):
    for lam in NO_NUMBERS[entrance == "lam_text" :]:  # there, None stands for the lambda of images
        with pytest.raises(ValueError, match="must be a finite number between -2 and 2|is not a finite number"):
            ENTRANCES[entrance](lam)


@pytest.mark.parametrize("alignment", [GapAlignment(0.7), GapAlignment(0.7, alignment="scale-ratio"), make_alignment("realign")])
def test_one_modality_alone_moves_as_in_both_and_labels_in_its_place_are_refused(alignment):
    fitted = alignment.fit(IMAGE, TEXT)
    image, text = fitted.transform(IMAGE, TEXT)
    for alone, whole in ((fitted.transform(image=IMAGE), (image, None)), (fitted.transform(text=TEXT), (None, text))):
        assert all(a is None if w is None else np.array_equal(a, w) for a, w in zip(alone, whole, strict=True))
    with pytest.raises(ValueError, match="neither image nor text"):
        fitted.transform()
    for labels in (np.arange(50) % 2, None):
        with pytest.raises(ValueError, match="got a text of shape .*in a scikit-learn pipeline.*use PairAlignment"):
            clone(alignment).fit(IMAGE, labels)
