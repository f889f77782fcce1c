"""How often the book's intervals cover the truth and its tests reject it, by simulation with known truth.

    python tests/verification/interval_coverage.py [--simulations 1000] [--json tests/verification/results/coverage.json]

Probes: scores of a binary task at five lambdas whose errors are correlated, as those of one seed are. Cones: unit vectors whose
cosine with the axis is uniform around R, so that R is exact.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.probing.inference import effects, some_lambda_beats_zero
from helpers.probing.result import SweepResult
from helpers.statistics import bootstrap_interval
from helpers.tasks import Task

LAMBDAS = (0.0, 0.25, 0.5, 0.75, 1.0)
ROWS, POSITIVE, SIGNAL, SHARED = 300, 0.2, 1.5, 0.95
DIMENSIONS, GROUP = 32, 5


def probes(rng: np.random.Generator, gain: float = 0.0) -> tuple[SweepResult, float]:
    """Return test scores of one probe per lambda, and the true AUC(1) - AUC(0) where lambda = 1 adds ``gain`` to the signal."""
    positive = rng.permutation(np.arange(ROWS) < POSITIVE * ROWS)
    common = rng.normal(size=ROWS)
    signal = np.array([SIGNAL + gain * (lam == 1) for lam in LAMBDAS])
    errors = SHARED * common + math.sqrt(1 - SHARED**2) * rng.normal(size=(len(LAMBDAS), ROWS))
    runs = pd.DataFrame({"features": "joint", "alignment": "lambda", "lambda_image": LAMBDAS, "lambda_text": LAMBDAS, "seed": 0})
    result = SweepResult(
        table=pd.DataFrame(),
        runs=runs,
        scores=(signal[:, None] * positive + errors)[..., None],
        targets=positive[:, None].astype(int),
        groups=np.arange(ROWS),
        task=Task("binary", ("negative", "positive")),
        provenance={"headline_metric": "auc"},
        subgroups=pd.DataFrame(index=range(ROWS)),
    )
    auc_at = [0.5 * (1 + math.erf(s / 2)) for s in (SIGNAL, SIGNAL + gain)]
    return result, auc_at[1] - auc_at[0]


def cone(rng: np.random.Generator, r: float, n: int, group: int = 1) -> np.ndarray:
    """Return (n, DIMENSIONS) unit vectors with mean resultant length ``r``; most rows of a group share their vector."""
    width = min(r, 1 - r, 0.3) * 0.9

    def rows(count: int) -> np.ndarray:
        along = rng.uniform(r - width, r + width, count)
        across = rng.normal(size=(count, DIMENSIONS - 1))
        across *= np.sqrt(1 - along**2)[:, None] / np.linalg.norm(across, axis=1, keepdims=True)
        return np.column_stack([along, across])

    own = rows(n)
    shared = np.repeat(rows(n // group), group, axis=0)
    return np.where(rng.random((n, 1)) < (0.8 if group > 1 else 0.0), shared, own)


def of_probes(i: int, n_boot: int) -> dict[str, bool]:
    """Tell whether the max-t statement rejects and the paired interval covers in simulation ``i``."""
    null, _ = probes(np.random.default_rng([1, i]))
    other, truth = probes(np.random.default_rng([2, i]), gain=0.15)
    return {
        "type I error of the max-t statement": bool(some_lambda_beats_zero(null, n_boot, i)["p_value"].item() < 0.05),
        "paired interval, no difference": _covers(effects(null, n_boot, random_state=i), 0.0),
        "paired interval, a difference": _covers(effects(other, n_boot, random_state=i), truth),
    }


def _covers(table: pd.DataFrame, truth: float) -> bool:
    row = table[table["lambda_image"] == 1].iloc[0]
    return bool(row["low"] <= truth <= row["high"])


def of_cones(i: int, n_boot: int) -> dict[str, bool]:
    """Tell whether R's interval covers in simulation ``i``: for large and small R, of n rows and of the population, with groups."""
    rng, found = np.random.default_rng([3, i]), {}
    for size, r in (("large", 0.95), ("small", 0.05)):
        low, high = bootstrap_interval(_length, cone(rng, r, ROWS), n_boot=n_boot, random_state=i)
        found[f"R {size} ({r}), R of n rows"] = bool(low <= math.sqrt(r**2 + (1 - r**2) / ROWS) <= high)
        found[f"R {size} ({r}), R of the population"] = bool(low <= r <= high)
    rows = cone(rng, 0.7, ROWS, GROUP)
    for name, groups in (("groups", np.arange(ROWS) // GROUP), ("rows, though groups share vectors", None)):
        low, high = bootstrap_interval(_length, rows, groups=groups, n_boot=n_boot, random_state=i)
        found[f"R 0.7, resampling {name}"] = bool(low <= 0.7 <= high)
    return found


def _length(mean: np.ndarray) -> np.ndarray:
    return np.linalg.norm(mean, axis=1)


def simulate(simulation, simulations: int, n_boot: int) -> dict[str, dict]:
    """Return, for each thing that a simulation tells, the share in which it is true, with one standard error."""
    shares = pd.DataFrame([simulation(i, n_boot) for i in range(simulations)]).mean()
    errors = np.sqrt(np.maximum(shares * (1 - shares), 1e-9) / simulations)
    return {
        name: {"share": round(shares[name], 4), "error": round(errors[name], 4), "simulations": simulations}
        for name in shares.index
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--n-boot", type=int, default=400)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = {**simulate(of_probes, given.simulations, given.n_boot), **simulate(of_cones, given.simulations, given.n_boot)}
    settings = {"rows": ROWS, "positive": POSITIVE, "n_boot": given.n_boot, "dimensions": DIMENSIONS, "group": GROUP}
    text = json.dumps({"settings": settings, "results": found}, indent=2)
    print(text)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")
