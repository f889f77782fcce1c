"""Post-hoc alignments match closed forms and libraries, keep their contract, and refuse unsuitable rows."""

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from sklearn.cross_decomposition import CCA as ReferenceCCA
from sklearn.linear_model import LogisticRegression, Ridge

from helpers import GapAlignment, gap_norm
from helpers.alignment import posthoc
from helpers.alignment.registry import ALIGNMENTS, CLASSES, COMPARED, load_alignment, make_alignment


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 8))
    image = common + 0.5 * rng.normal(size=(200, 8)) + np.eye(8)[0] * 3
    text = common + 0.5 * rng.normal(size=(200, 8)) - np.eye(8)[1] * 2
    return unit(image), unit(text)


@pytest.mark.parametrize("renormalise", [True, False])
@pytest.mark.parametrize("name", COMPARED)
def test_every_alignment_keeps_the_contract(pairs, tmp_path, name, renormalise):
    image, text = pairs
    before, fresh = image.copy(), make_alignment(name, renormalise=renormalise).fit(image[:100], text[:100])
    alignment = make_alignment(name, renormalise=renormalise).fit(image[100:], text[100:]).fit(image[:100], text[:100])
    moved = alignment.transform(image[100:], text[100:])
    np.testing.assert_array_equal(moved, fresh.transform(image[100:], text[100:]))  # a fit forgets the earlier one
    assert moved[0].shape == moved[1].shape and moved[0].dtype == np.float64 and (image == before).all()
    if renormalise:
        np.testing.assert_allclose([np.linalg.norm(x, axis=1) for x in moved], 1)
    assert alignment.transform(image.astype(np.float32), text.astype(np.float32))[1].dtype == np.float32
    again = load_alignment(alignment.save(tmp_path / "a.safetensors")).transform(image[100:], text[100:])
    np.testing.assert_array_equal(moved, again)
    with pytest.raises(ValueError, match="dimensions"):
        alignment.transform(image[:, :5], text[:, :5])


def test_leace_agrees_with_its_general_form_and_no_linear_classifier_beats_chance_after_it(pairs):
    x, z = np.concatenate(pairs), np.repeat([[1.0, 0.0], [0.0, 1.0]], 200, axis=0)
    centred = x - x.mean(axis=0)
    covariance, cross = centred.T @ centred / 400, centred.T @ (z - z.mean(axis=0)) / 400
    values, vectors = np.linalg.eigh(covariance)
    whiten = (vectors / np.sqrt(values)) @ vectors.T
    basis = np.linalg.svd(whiten @ cross)[0][:, :1]
    expected = x - centred @ (np.linalg.inv(whiten) @ basis @ basis.T @ whiten).T
    moved = np.concatenate(posthoc.Leace(renormalise=False).fit(*pairs).transform(*pairs))
    np.testing.assert_allclose(moved, expected, atol=1e-10)
    model = LogisticRegression(C=1e6, solver="newton-cholesky", tol=1e-10).fit(moved, z[:, 0])
    assert -np.log(model.predict_proba(moved)[np.arange(400), z[:, 0].astype(int)]).mean() >= np.log(2) - 1e-9


def test_procrustes_ridge_and_cca_agree_with_scipy_and_scikit_learn(pairs):
    image, text = (x - x.mean(axis=0) for x in pairs)
    moved = posthoc.Procrustes(renormalise=False).fit(*pairs).transform(*pairs)
    np.testing.assert_allclose(moved, (image @ orthogonal_procrustes(image, text)[0], text), atol=1e-12)
    moved, target = posthoc.RidgeMap(renormalise=False).fit(*pairs).transform(*pairs)
    assert min(np.abs(moved - Ridge(a).fit(*pairs).predict(pairs[0])).max() for a in posthoc.RIDGE_STRENGTHS) < 1e-8
    np.testing.assert_allclose(target, pairs[1], atol=1e-12)
    ours = posthoc.CCA(n_components=3, regularisation=0.0, renormalise=False).fit(*pairs)
    moved = ours.transform(*pairs)
    theirs = ReferenceCCA(n_components=3, scale=False, max_iter=5000, tol=1e-12).fit(*pairs).transform(*pairs)
    for j in range(3):
        for a, b, expected in ((moved[0], theirs[0], 1), (moved[1], theirs[1], 1), (*moved, ours.correlations_[j])):
            assert abs(np.corrcoef(a[:, j], b[:, j])[0, 1]) == pytest.approx(expected, abs=1e-4)


def test_whitening_z_scores_removal_and_realign_give_the_moments_they_promise(pairs):
    for x in posthoc.Whitening(renormalise=False).fit(*pairs).transform(*pairs):
        np.testing.assert_allclose(np.cov(x.T, bias=True), np.eye(8), atol=1e-8)
    for x in posthoc.ZScores(renormalise=False).fit(*pairs).transform(*pairs):
        np.testing.assert_allclose((x.mean(axis=0), x.std(axis=0)), (np.zeros(8), np.ones(8)), atol=1e-12)
    for x, before in zip(posthoc.TopRemoval(2, renormalise=False).fit(*pairs).transform(*pairs), pairs, strict=True):
        kept, all_values = (np.sort(np.linalg.eigvalsh(np.cov(y.T)))[::-1] for y in (x, before))
        np.testing.assert_allclose(kept, [*all_values[2:], 0, 0], atol=1e-12)
    image, text = posthoc.ReAlign(renormalise=False).fit(*pairs).transform(*pairs)
    np.testing.assert_allclose(text.mean(axis=0), image.mean(axis=0), atol=1e-12)
    assert text.var(axis=0).sum() == pytest.approx(image.var(axis=0).sum())
    assert gap_norm(*posthoc.ReAlign().fit(*pairs).transform(*pairs)) < 0.1 * gap_norm(*pairs)


@pytest.mark.parametrize("name", CLASSES)
def test_rows_that_do_not_determine_an_alignment_are_refused(pairs, name):
    image, text = pairs
    bad = {"rows": (image[:5], text[:5]), "spread": (image, text[:1].repeat(200, axis=0)), "pairs": (image[:-1], text)}
    said = {"rows": "at least as many rows as dimensions", "spread": "text has one distinct vector", "pairs": "one row per pair"}
    for need in CLASSES[name].needs.split():
        with pytest.raises(ValueError, match=said[need]):
            make_alignment(name).fit(*bad[need])


@pytest.mark.parametrize("name", COMPARED)
def test_equal_rows_stay_equal_to_the_last_bit(name):
    image, noise, few = np.random.default_rng(0).normal(size=(3, 301, 64)).astype(np.float32)
    text = few[np.arange(301) % 40]
    _, moved = make_alignment(name).fit(image, text + noise).transform(image, text)
    assert len(np.unique(moved, axis=0)) == len(np.unique(text, axis=0))


def test_one_registry_holds_shifts_channels_and_post_hoc_alignments(pairs):
    with pytest.raises(ValueError, match="did you mean 'leace'"):
        make_alignment("laece")
    with pytest.raises(ValueError, match="between 1 and 7"):
        make_alignment("top-removal", k=8).fit(*pairs)
    assert {"none", "lambda-1", "centring", "shift", "without-spread", "shift+spread", "leace"} <= set(ALIGNMENTS)
    of_shift = {"lambda-0.3": GapAlignment(0.3)} | {name: GapAlignment(1.0, None, name) for name in ("spread", "centring")}
    for name, same in of_shift.items():
        ours, expected = (a.fit(*pairs).transform(*pairs) for a in (make_alignment(name), same))
        np.testing.assert_allclose(ours, expected, atol=1e-14)
