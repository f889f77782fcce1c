"""The certified distance bounds the true one, in weights and bias, at strengths where the solver's own measure falls short."""

import numpy as np
import pytest
from oracles import problem_of
from samples import embedding_set

from helpers.probing.solver import minimise
from helpers.probing.strength import certified_distance
from helpers.probing.sweep import alignment_grid

GRID = alignment_grid([0, 1.0])


def true_distance(problem, parameters, strength) -> np.ndarray:
    best = minimise(problem, problem.zeros(), strength, 1e-15, 3000).parameters

    def value(at):
        loss, _ = problem.loss_and_residual(problem.logits(problem.centred(at)))
        return loss + strength / 2 * problem.total(at[..., :-1].square())

    here = value(parameters)
    return ((here - value(best)) / here).amax(dim=0)[:, 0].numpy()


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("strength", [1.0, 1e-3])
def test_certificate_bounds_the_true_distance_and_is_tight_at_strong_penalties(kind, strength):
    problem = problem_of(embedding_set(kind, seed=1), GRID)
    for tolerance, iterations in ((1e-1, 2), (1e-5, 500), (1e-9, 500)):
        parameters = minimise(problem, problem.zeros(), strength, tolerance, iterations).parameters
        bound, true = certified_distance(problem, parameters, strength).numpy(), true_distance(problem, parameters, strength)
        assert (bound >= true - 1e-14).all()
        if strength == 1.0:
            assert (bound <= 1.5 * true + 1e-14).all()


def test_a_wrong_bias_is_seen_where_the_solvers_own_measure_is_no_bound():
    problem = problem_of(embedding_set("binary"), GRID)
    parameters = minimise(problem, problem.zeros(), 1.0, 1e-12).parameters
    parameters[..., -1] += 1e-3
    true = true_distance(problem, parameters, 1.0)
    assert (certified_distance(problem, parameters, 1.0).numpy() == pytest.approx(true, rel=0.01)) and (true > 1e-8).all()
    problem = problem_of(embedding_set("multiclass", seed=1), GRID)
    solution = minimise(problem, problem.zeros(), 1.0, 1e-5)
    true = true_distance(problem, solution.parameters, 1.0).max()
    assert solution.optimality.max() < true <= certified_distance(problem, solution.parameters, 1.0).max()
