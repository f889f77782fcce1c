"""How often the book's intervals cover the truth and its tests reject it, by simulation with known truth.

    python tests/verification/interval_coverage.py [--simulations 1000] [--json tests/verification/results/coverage.json]

Probes: scores of a binary task at five lambdas with correlated errors. Cones: unit vectors whose cosine with the axis is uniform
around R, so that R is exact.
"""

import argparse
import json
import math
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.probing.inference import effects, some_lambda_beats_zero
from helpers.probing.result import SweepResult
from helpers.statistics import bootstrap_interval
from helpers.tasks import Task

LAMBDAS, ROWS, POSITIVE, SIGNAL, SHARED = (0.0, 0.25, 0.5, 0.75, 1.0), 300, 0.2, 1.5, 0.95
DIMENSIONS, GROUP = 32, 5


def probes(rng: np.random.Generator, gain: float = 0.0) -> tuple[SweepResult, float]:
    """Return test scores of one probe per lambda, and the true AUC(1) - AUC(0) where lambda = 1 adds ``gain`` to the signal."""
    positive, common = rng.permutation(np.arange(ROWS) < POSITIVE * ROWS), rng.normal(size=ROWS)
    signal = np.array([SIGNAL + gain * (lam == 1) for lam in LAMBDAS])
    errors = SHARED * common + math.sqrt(1 - SHARED**2) * rng.normal(size=(len(LAMBDAS), ROWS))
    runs = pd.DataFrame({"features": "joint", "alignment": "lambda", "lambda_image": LAMBDAS, "lambda_text": LAMBDAS, "seed": 0})
    scores, targets = (signal[:, None] * positive + errors)[..., None], positive[:, None].astype(int)
    about = {"task": Task("binary", ("negative", "positive")), "provenance": {"headline_metric": "auc"}}
    rows = {"groups": np.arange(ROWS), "subgroups": pd.DataFrame(index=range(ROWS))}
    result = SweepResult(table=pd.DataFrame(), runs=runs, scores=scores, targets=targets, **about, **rows)
    return result, 0.5 * (math.erf((SIGNAL + gain) / 2) - math.erf(SIGNAL / 2))


def cone(rng: np.random.Generator, r: float, n: int, group: int = 1) -> np.ndarray:
    """Return (n, DIMENSIONS) unit vectors with mean resultant length ``r``; most rows of a group share their vector."""
    width, drawn = min(r, 1 - r, 0.3) * 0.9, []
    for count in (n, n // group):
        along = rng.uniform(r - width, r + width, count)
        across = rng.normal(size=(count, DIMENSIONS - 1))
        across *= np.sqrt(1 - along**2)[:, None] / np.linalg.norm(across, axis=1, keepdims=True)
        drawn.append(np.column_stack([along, across]))
    return np.where(rng.random((n, 1)) < (0.8 if group > 1 else 0.0), np.repeat(drawn[1], group, axis=0), drawn[0])


def of_probes(i: int, n_boot: int) -> dict[str, bool]:
    """Tell whether the max-t statement rejects and the paired interval covers in simulation ``i``."""
    null, _ = probes(np.random.default_rng([1, i]))
    other, truth = probes(np.random.default_rng([2, i]), gain=0.15)
    at_one = [effects(result, n_boot, random_state=i).set_index("lambda_image").loc[1] for result in (null, other)]
    return {
        "type I error of the max-t statement": bool(some_lambda_beats_zero(null, n_boot, i)["p_value"].item() < 0.05),
        "paired interval, no difference": _covers(at_one[0][["low", "high"]], 0.0),
        "paired interval, a difference": _covers(at_one[1][["low", "high"]], truth),
    }


def _covers(interval, truth: float) -> bool:
    return bool(min(interval) <= truth <= max(interval))


def of_cones(i: int, n_boot: int) -> dict[str, bool]:
    """Tell whether R's interval covers in simulation ``i``: for large and small R, of n rows and of the population, with groups."""
    rng, found = np.random.default_rng([3, i]), {}
    length = partial(np.linalg.norm, axis=1)
    for size, r in (("large", 0.95), ("small", 0.05)):
        interval = bootstrap_interval(length, cone(rng, r, ROWS), n_boot=n_boot, random_state=i)
        found[f"R {size} ({r}), R of n rows"] = _covers(interval, math.sqrt(r**2 + (1 - r**2) / ROWS))
        found[f"R {size} ({r}), R of the population"] = _covers(interval, r)
    rows = cone(rng, 0.7, ROWS, GROUP)
    for name, groups in (("groups", np.arange(ROWS) // GROUP), ("rows, though groups share vectors", None)):
        interval = bootstrap_interval(length, rows, groups=groups, n_boot=n_boot, random_state=i)
        found[f"R 0.7, resampling {name}"] = _covers(interval, 0.7)
    return found


def simulate(simulation, simulations: int, n_boot: int) -> dict[str, dict]:
    """Return, for each thing that a simulation tells, the share in which it is true, with one standard error."""
    shares = pd.DataFrame([simulation(i, n_boot) for i in range(simulations)]).mean()
    errors = np.sqrt(np.maximum(shares * (1 - shares), 1e-9) / simulations)
    return pd.DataFrame({"share": shares, "error": errors}).round(4).assign(simulations=simulations).to_dict("index")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--n-boot", type=int, default=400)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = simulate(of_probes, given.simulations, given.n_boot) | simulate(of_cones, given.simulations, given.n_boot)
    settings = {"rows": ROWS, "positive": POSITIVE, "n_boot": given.n_boot, "dimensions": DIMENSIONS, "group": GROUP}
    print(text := json.dumps({"settings": settings, "results": found}, indent=2))
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")
