"""The solver against scikit-learn, and the choice of the strength against a grid search by hand."""

import numpy as np
import pytest
import torch
from oracles import features_of, problem_of
from samples import embedding_set
from sklearn.linear_model import LogisticRegression

from helpers import PROTOCOLS, EmbeddingSet, sweep
from helpers.probing.descent import Fitted
from helpers.probing.solver import minimise
from helpers.probing.strength import LOW_LOSS, _interpolated_minimum, _settled_minimum, choose_strength
from helpers.probing.sweep import alignment_grid

ALIGNMENTS = alignment_grid([0, 0.5, 1.0], ("lambda", "shift", "scale-ratio", "spread", "centred"))
STRENGTHS = (1e-1, 1e-3, 1e-5)


def reference(x, codes, n_classes, strength):
    """Return weights, bias and objective of scikit-learn's solution with weights N/(K n_k)."""
    weight = (len(codes) / (n_classes * np.bincount(codes, minlength=n_classes)))[codes]
    model = LogisticRegression(C=1 / (strength * weight.sum()), tol=1e-10, max_iter=20_000).fit(x, codes, sample_weight=weight)
    logits = model.decision_function(x)
    if n_classes == 2:
        losses = np.logaddexp(0, np.where(codes == 1, -logits, logits))
    else:
        losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(codes)), codes]
    return model, (weight * losses).sum() / weight.sum() + strength / 2 * (model.coef_**2).sum()


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_minimum_against_scikit_learn(kind):
    embeddings = embedding_set(kind)
    fit, targets = embeddings.rows("train"), embeddings.targets[embeddings.rows("train")].astype(int)
    problem, problems = problem_of(embeddings, ALIGNMENTS), targets.T if kind != "multiclass" else [targets.argmax(axis=1)]
    for strength in STRENGTHS:
        solution = minimise(problem, problem.zeros(), strength, 1e-8)
        assert solution.optimality.max() <= 1e-8
        for a in (0, 2, len(ALIGNMENTS) - 1):
            x = features_of(embeddings, ALIGNMENTS[a], fit, fit)[fit]
            models, values = zip(*(reference(x, codes, codes.max() + 1, strength) for codes in problems), strict=True)
            ours = float(solution.objective[a])
            assert ours <= sum(values) * (1 + 1e-8)
            assert ours == pytest.approx(sum(values), rel=1e-6)
            assert ours * (1 - float(solution.optimality[a])) <= sum(values) * (1 + 1e-13)  # rounding of two sums
            if strength == 1e-1:
                np.testing.assert_allclose(solution.parameters[:, a, :-1], np.concatenate([m.coef_ for m in models]), atol=2e-4)


def test_few_rows_of_many_features_are_preconditioned_as_by_their_whole_covariance():
    problem = problem_of(embedding_set("binary", n=60, d=64), ALIGNMENTS)
    n, d = len(problem.rows), problem.view.n_features
    assert n < d and problem.directions.shape == (d, n)
    ((_, batch),) = problem.blocks
    covariance = np.cov(torch.cat([x for x, _ in batch], dim=1).T, aweights=problem.weights[0, 0], bias=True)
    gradient, curvature = torch.randn_like(problem.zeros()), problem.curvature(problem.logits(problem.zeros()))
    found = problem.precondition(gradient, 1e-3, curvature)
    for a in range(len(ALIGNMENTS)):
        expected = np.linalg.solve(float(curvature[0, a]) * covariance + 1e-3 * np.eye(d), gradient[0, a, :-1])
        np.testing.assert_allclose(found[0, a, :-1], expected, rtol=1e-9, atol=1e-9)


def test_an_unsolved_problem_is_refused():
    embeddings, converged = embedding_set(), PROTOCOLS["converged"]
    p, val = problem_of(embeddings, ALIGNMENTS), torch.tensor(embeddings.rows("val"))
    parts = p.view, p.all_targets, p.objective, p.rows, val
    assert minimise(p, p.zeros(), 1e-5, 1e-8, max_iterations=2).optimality.max() > 1e-8
    with pytest.raises(RuntimeError, match="not even strength 1.0e[+]00 could be solved"):
        choose_strength(*parts, converged.replace(tolerance=1e-40), max_iterations=40)
    facts = choose_strength(*parts, converged.replace(strengths=(1e-1, 1e-3, 1e-9)), max_iterations=60).facts
    assert set(facts["unsolved"][~facts["unsolved"].isnan()].tolist()) == {1e-9}
    assert facts["strength"].min() >= 1e-3 and (facts["optimality"] <= 1e-8).all() and facts["strength_at_edge"].all()


def test_a_sweep_names_once_the_set_and_the_alignments_whose_weak_strengths_were_not_solved(monkeypatch):
    def stopped(view, *arguments, **options):
        found = choose_strength(view, *arguments, **options)
        unsolved = torch.tensor([torch.nan, 1e-6], dtype=torch.float64)[: view.n_alignments]
        return Fitted(found.parameters, found.facts | {"unsolved": unsolved})

    monkeypatch.setattr("helpers.probing.sweep.choose_strength", stopped)
    with pytest.warns(UserWarning) as caught:
        sweep(embedding_set(), [0, 1], features=["joint", "image"], protocol="converged", workers=1, progress=False)
    (message,) = [str(found.message) for found in caught if "not solved" in str(found.message)]
    where = "strengths of 1.0e-06 and weaker were not solved for lambda at lambda 1 (joint), lambda at lambda 1 (image)"
    assert message.startswith(str(embedding_set().identity)) and where in message


def test_strength_is_that_of_lowest_weighted_validation_loss():
    embeddings = embedding_set(d=8, n=200)
    result, grid = sweep(embeddings, [0, 1], protocol="converged-balanced", progress=False), PROTOCOLS["converged"].strengths[:20]
    fit, val, targets = embeddings.rows("train"), embeddings.rows("val"), embeddings.targets
    codes = targets.argmax(axis=1)
    weight = (len(fit) / (3 * targets[fit].sum(axis=0)))[codes[val]]
    for alignment, (_, run) in zip(alignment_grid([0, 1]), result.runs.iterrows(), strict=True):
        x, losses = features_of(embeddings, alignment, fit, fit), []
        for strength in grid:
            z = reference(x[fit], codes[fit], 3, strength)[0].decision_function(x[val])
            losses.append((weight * (np.logaddexp.reduce(z, axis=1) - z[np.arange(len(val)), codes[val]])).mean())
        best = int(np.argmin(losses))
        curve = np.polyfit(np.log(grid[best - 1 : best + 2]), losses[best - 1 : best + 2], 2)
        assert np.log(run["strength"]) == pytest.approx(-curve[1] / (2 * curve[0]), abs=0.02)
        assert run["validation_loss"] <= losses[best] * (1 + 1e-4) and not run["strength_at_edge"]
        assert run["strength_relative"] == pytest.approx(run["strength"] / x[fit].var(axis=0).mean(), rel=1e-6)


def test_what_only_shifts_or_rescales_all_features_leaves_the_converged_probe_as_it_is():
    embeddings = embedding_set(d=8, n=240, seed=3)
    result = sweep(embeddings, [0, 1], protocol="converged", alignments=("lambda", "shift", "common-scale"), progress=False)
    assert result.runs["alignment"].tolist() == ["lambda", "lambda", "shift", "common-scale"]
    (unaligned, aligned, shifted, scaled), relative = result.scores, result.runs["strength_relative"]
    np.testing.assert_allclose(shifted, unaligned, atol=1e-3)
    np.testing.assert_allclose(scaled, unaligned, atol=0.05)
    assert np.abs(aligned - unaligned).max() > 0.1
    assert relative[2] == pytest.approx(relative[0], rel=1e-3) and relative[3] == pytest.approx(relative[0], rel=0.02)
    assert result.runs["strength"][3] != pytest.approx(result.runs["strength"][0], rel=0.05)


def test_the_parabola_finds_a_minimum_between_unevenly_spaced_values():
    x = torch.tensor([0.0, -1.0, -1.5, -3.0]).double()
    losses = ((x - -1.2) ** 2)[:, None] * torch.tensor([[1.0, 5.0]]) + 1
    best = _settled_minimum(losses)
    np.testing.assert_allclose(_interpolated_minimum(x, losses, best), -1.2)
    rising = torch.arange(4.0).double()[:, None]
    assert _interpolated_minimum(x, rising, _settled_minimum(rising)).tolist() == [0.0]
    late = torch.tensor([3.0, 2.0, 2.5, 2.6, 2.7, 2.8, 1.0]).double()[:, None]  # the last is beyond the look-ahead
    assert _settled_minimum(late).tolist() == [1] and _settled_minimum(late[[0, 1, 2, 6]]).tolist() == [3]


def test_separable_rows_end_the_path_at_a_low_loss_and_say_so():
    rng, label = np.random.default_rng(0), np.arange(60) % 2
    image = rng.standard_normal((60, 6)) + 1
    text = rng.standard_normal((60, 6)) + 8 * (label[:, None] - 0.5)
    embeddings = EmbeddingSet.from_arrays(image, text, label.astype(str), np.repeat(["train", "val", "test"], 20))
    with pytest.warns(UserWarning, match="2 of 2 probes have a validation loss of at most 0.001, as separable rows allow"):
        runs = sweep(embeddings, [0, 1], protocol="converged", progress=False).runs
    assert runs["strength"].min() > 1e-7 and not runs["strength_at_edge"].any() and (runs["optimality"] <= 1e-8).all()
    assert runs["validation_loss"].between(2e-4, LOW_LOSS).all()  # the first strength that is low enough
    alone = sweep(embeddings, [0], protocol="converged", progress=False).runs
    assert alone["strength"][0] == runs["strength"][0]  # whatever else is in the grid
