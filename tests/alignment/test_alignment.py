import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import GapAlignment, align, gap_norm, gap_vector
from helpers.alignment.channels import CHANNELS, PAIRS, SWEPT, Alignment
from helpers.alignment.shift import predicted_residual_gap, residual_gap, unalign

RNG = np.random.default_rng(0)
IMAGE, TEXT = RNG.normal(size=(50, 6)) + 1, RNG.normal(size=(50, 6)) * 0.4 - 1
LAMBDAS = st.floats(-1, 1, allow_nan=False)


def unit(x):
    return x / np.sqrt((x**2).sum(axis=1))[:, None]


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0, -1.0, 1.7])
def test_align_is_equation_5(lam):
    gap = unit(IMAGE).mean(axis=0) - unit(TEXT).mean(axis=0)
    image, text = align(IMAGE, TEXT, gap_vector(IMAGE, TEXT), lam)
    np.testing.assert_allclose(image, unit(unit(IMAGE) - lam / 2 * gap), atol=1e-14)
    np.testing.assert_allclose(text, unit(unit(TEXT) + lam / 2 * gap), atol=1e-14)
    single = align(IMAGE.astype(np.float32), TEXT.astype(np.float32), gap, lam)
    assert single[0].dtype == np.float32
    np.testing.assert_allclose(single[0], image, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(lam=LAMBDAS, seed=st.integers(0, 2**32 - 1))
def test_the_map_is_undone_in_closed_form(lam, seed):
    rng = np.random.default_rng(seed)
    image, text = unit(rng.normal(size=(20, 5)) + 1), unit(rng.normal(size=(20, 5)) - 1)
    gap = gap_vector(image, text)
    back = unalign(*align(image, text, gap, lam), gap, lam)
    np.testing.assert_allclose(back[0], image, atol=1e-12)
    np.testing.assert_allclose(back[1], text, atol=1e-12)


def test_a_shift_of_length_one_cannot_be_undone():
    with pytest.raises(ValueError, match="only below 1"):
        unalign(unit(IMAGE), unit(TEXT), 2.1 * unit(IMAGE)[0], 1.0)


def test_residual_gap_and_its_prediction():
    rng = np.random.default_rng(1)
    image, text = rng.normal(size=(3000, 64)) + 0.35, rng.normal(size=(3000, 64)) - 1.5
    assert residual_gap(image, text, 0) == pytest.approx(gap_norm(image, text))
    for lam in (0.5, 1.0):
        assert predicted_residual_gap(image, text, lam) == pytest.approx(residual_gap(image, text, lam), abs=0.02)
    assert residual_gap(image, text, 1.0) > 0.1
    mirrored = rng.normal(size=(3000, 64)) - 1.5
    assert predicted_residual_gap(-text, mirrored, 1.0) < 0.02
    assert residual_gap(-text, mirrored, 1.0) < 0.02


def test_estimator_matches_the_function_and_learns_on_the_rows_given():
    fitted = GapAlignment(lam=0.7).fit(IMAGE[:30], TEXT[:30])
    np.testing.assert_allclose(fitted.gap_, gap_vector(IMAGE[:30], TEXT[:30]))
    for ours, plain in zip(fitted.transform(IMAGE, TEXT), align(IMAGE, TEXT, fitted.gap_, 0.7), strict=True):
        np.testing.assert_allclose(ours, plain, atol=1e-14)
    assert not np.allclose(fitted.gap_, GapAlignment().fit(IMAGE, TEXT).gap_)


def test_single_channels_compose_to_the_full_alignment():
    full = GapAlignment(0.8).fit(IMAGE, TEXT)
    image, text = full.transform(IMAGE, TEXT)
    factors = [1.0, 1.0]
    for kind in ("common-scale", "scale-ratio", "spread"):
        part = GapAlignment(0.8, alignment=kind).fit(IMAGE, TEXT).transform(unit(IMAGE), unit(TEXT))
        factors = [f * (p / unit(x))[:, :1] for f, p, x in zip(factors, part, (IMAGE, TEXT), strict=True)]
    shifted = GapAlignment(0.8, alignment="shift").fit(IMAGE, TEXT).transform(IMAGE, TEXT)
    np.testing.assert_allclose(factors[0] * shifted[0], image, atol=1e-12)
    np.testing.assert_allclose(factors[1] * shifted[1], text, atol=1e-12)
    spread = GapAlignment(0.8, alignment="spread").fit(IMAGE, TEXT).transform(IMAGE, TEXT)
    np.testing.assert_allclose([np.linalg.norm(s, axis=1).mean() for s in spread], 1, atol=1e-12)
    ratio = GapAlignment(0.8, alignment="scale-ratio").fit(IMAGE, TEXT).transform(IMAGE, TEXT)
    assert np.linalg.norm(ratio[0][0]) * np.linalg.norm(ratio[1][0]) == pytest.approx(1)


def test_centring_removes_each_mean_and_separate_lambdas_move_one_modality():
    image, text = GapAlignment(alignment="centring").fit(IMAGE, TEXT).transform(IMAGE, TEXT)
    np.testing.assert_allclose(image, unit(unit(IMAGE) - unit(IMAGE).mean(axis=0)), atol=1e-14)
    np.testing.assert_allclose(text, unit(unit(TEXT) - unit(TEXT).mean(axis=0)), atol=1e-14)
    image, text = GapAlignment(0.0, lam_text=0.6).fit(IMAGE, TEXT).transform(IMAGE, TEXT)
    np.testing.assert_allclose(image, unit(IMAGE), atol=1e-14)
    assert np.abs(text - unit(TEXT)).max() > 0.1


@pytest.mark.parametrize("name", SWEPT)
def test_saved_alignment_is_the_same(name, tmp_path):
    fitted = GapAlignment(0.4, None if name == "centred" else 0.9, name).fit(IMAGE, TEXT)
    again = GapAlignment.load(fitted.save(tmp_path / "a.safetensors"))
    for a, b in zip(fitted.transform(IMAGE, TEXT), again.transform(IMAGE, TEXT), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(again.gap_, fitted.gap_)
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_scikit_learn_contract():
    from sklearn.base import clone
    from sklearn.exceptions import NotFittedError

    estimator = GapAlignment(lam="not checked here")
    assert clone(estimator).get_params() == estimator.get_params()
    with pytest.raises(ValueError):
        estimator.fit(IMAGE, TEXT)
    with pytest.raises(NotFittedError):
        GapAlignment().transform(IMAGE, TEXT)
    with pytest.raises(ValueError, match="fitted on 6"):
        GapAlignment().fit(IMAGE, TEXT).transform(IMAGE[:, :5], TEXT)


def test_bad_alignments_are_named():
    with pytest.raises(ValueError, match="did you mean 'spread'"):
        Alignment("spred")
    with pytest.raises(ValueError, match="lambda_image must be a finite"):
        Alignment("lambda", float("nan"))
    with pytest.raises(ValueError, match="has no lambda"):
        Alignment("centring", 0.5, 0.5)
    with pytest.raises(ValueError, match="sent to zero|zero-norm"):
        align(np.eye(3), np.eye(3), 2 * np.eye(3)[0], 1.0)


def test_an_alignment_is_none_by_default_and_pairs_are_two_channels():
    assert Alignment() == Alignment("lambda", 0.0, 0.0)
    assert all(len(set(Alignment(pair, 0.5, 0.5).channels)) == 2 for pair in PAIRS) and len(set(PAIRS)) == 6


def test_switching_one_channel_off_leaves_the_other_three():
    unit_image, unit_text = unit(IMAGE), unit(TEXT)
    full = GapAlignment(0.8).fit(IMAGE, TEXT).transform(IMAGE, TEXT)
    shifted = GapAlignment(0.8, alignment="shift").fit(IMAGE, TEXT).transform(IMAGE, TEXT)
    for name in CHANNELS:
        alone = GapAlignment(0.8, alignment=name).fit(IMAGE, TEXT).transform(IMAGE, TEXT)
        rest = GapAlignment(0.8, alignment=f"without-{name}").fit(IMAGE, TEXT).transform(IMAGE, TEXT)
        for x, a, r, s, f in zip((unit_image, unit_text), alone, rest, shifted, full, strict=True):
            whole = r + (s - x) * np.linalg.norm(f, axis=1, keepdims=True) / np.linalg.norm(s, axis=1, keepdims=True)
            factor = np.linalg.norm(a, axis=1, keepdims=True) / np.linalg.norm(x, axis=1, keepdims=True)
            np.testing.assert_allclose(whole if name == "shift" else factor * r, f, atol=1e-12)


def test_every_flipped_bit_of_a_saved_alignment_is_found(tmp_path):
    path = GapAlignment(0.4).fit(IMAGE, TEXT).save(tmp_path / "a.safetensors")
    intact = path.read_bytes()
    for bit in range(0, 8 * len(intact), 3):
        damaged = bytearray(intact)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="a.safetensors is not an intact alignment"):
            GapAlignment.load(path)
    for cut in (b"", intact[:20], intact[:-1]):
        path.write_bytes(cut)
        with pytest.raises(ValueError, match="not an intact alignment"):
            GapAlignment.load(path)
