"""The arithmetic of a sweep gives the digits that are stored beside this test, so that cached sweeps of one ENGINE stay comparable.

After a change that is meant to move them: raise ENGINE in ``helpers/probing/sweep.py``, then run
``PYTHONPATH=tests python tests/probing/test_engine.py``. Digits differ between machines by the order in which BLAS adds, which
descents in float64 amplify little. A converged probe is solved far beyond the default tolerance, and its digits are held to the
square root of that.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from samples import embedding_set

from helpers import PROTOCOLS, sweep
from helpers.probing.sweep import ENGINE

STORED = Path(__file__).with_name("engine_digits.json")
KINDS = ("binary", "multiclass", "multilabel")
FAST = {"batch_size": 16, "max_epochs": 5, "lr": 0.05}
CASES = {
    "paper": (PROTOCOLS["paper"].replace(**FAST), "float64", 1e-9),
    "authors-code": (PROTOCOLS["authors-code"].replace(**FAST), "float64", 1e-9),
    "authors-code-single": (PROTOCOLS["authors-code"].replace(**FAST), "float32", 1e-4),
    "converged": (PROTOCOLS["converged"].replace(tolerance=1e-13), "float64", 1e-5),
}


def digits(kind: str, case: str) -> dict[str, list[float]]:
    protocol, dtype, _ = CASES[case]
    options = {"alignments": ("lambda", "shift", "common-scale", "scale-ratio", "spread", "centred"), "dtype": dtype}
    result = sweep(embedding_set(kind, val=False), [0.5, 1.0], (1,), protocol, workers=1, progress=False, **options)
    table = result.table[(result.table["split"] == "test") & result.table["class"].isna()]
    scores = result.scores.astype(float)
    found = {"mean": scores.mean(axis=(1, 2)), "mean square": (scores**2).mean(axis=(1, 2)), "loss": result.runs["validation_loss"]}
    found |= {name: rows["value"] for name, rows in table.groupby("metric") if name in ("auc", "log_loss")}
    return {name: np.asarray(values, dtype=float).tolist() for name, values in found.items()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_engine_gives_the_stored_digits(kind, case):
    stored = json.loads(STORED.read_text())
    assert stored["engine"] == ENGINE, "ENGINE was raised: store the new digits, see the head of this file"
    for name, values in digits(kind, case).items():
        same = np.allclose(values, stored[f"{kind} {case}"][name], rtol=CASES[case][2], atol=CASES[case][2])
        assert same, f"numbers changed ({name}): raise ENGINE in helpers/probing/sweep.py, so that cached sweeps are trained again"


if __name__ == "__main__":
    found = {f"{kind} {case}": digits(kind, case) for kind in KINDS for case in CASES}
    rounded = {case: {name: [float(f"{v:.12g}") for v in values] for name, values in of.items()} for case, of in found.items()}
    STORED.write_text(json.dumps({"engine": ENGINE, **rounded}, indent=1) + "\n")
