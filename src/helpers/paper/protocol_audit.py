"""The 23 differences between the paper's text and the authors' code, with what running them showed.

Measured values are those that the repository ships, made by ``benchmarks/protocol_audit.py``.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ..files import project_root
from ..geometry import mean_resultant_length
from .published import protocol_differences

MEASURED = ("training_gain", "training_gain_limit", "training_gain_longer", "protocol_steps", "protocol_data", "protocol_choice")
SETS = ["dataset", "variant", "backbone"]


def read_measured() -> dict[str, pd.DataFrame]:
    """Return the shipped measurements of the protocol audit by name."""
    return {name: pd.read_csv(project_root() / "data/measured" / f"{name}.csv") for name in MEASURED}


def gains_at(paths: pd.DataFrame, optimizer: str, rate: float, updates: int) -> pd.DataFrame:
    """Return the rows of the whole alignment at one setting, one per set.

    Raises:
        ValueError: no probe was measured there.
    """
    found = paths[(paths["alignment"] == "lambda") & (paths["optimizer"] == optimizer) & (paths["updates"] == updates)]
    found = found[np.isclose(found["rate"], rate)]
    if found.empty:
        raise ValueError(f"no probe of {optimizer} at rate {rate:g} was measured after {updates} updates")
    return found


def step_summary(steps: pd.DataFrame, mode: str = "alone") -> pd.DataFrame:
    """Return for each step its changes of AUC and gain over the sets.

    Returns:
        a row per leg and step: ``number``, smallest and largest ``auc_change`` and ``gain_change`` (columns ``*_low``, ``*_high``),
        ``sets``, and ``clear``, the sets whose interval of the change of the gain excludes zero.
    """
    rows = steps[steps["mode"] == mode]
    clear = (rows["gain_change_low"] > 0) | (rows["gain_change_high"] < 0)
    by = rows.assign(clear=clear).groupby(["leg", "step", "number"], sort=False)
    return by.agg(
        auc_low=("auc_change", "min"), auc_high=("auc_change", "max"), gain_low=("gain_change", "min"),
        gain_high=("gain_change", "max"), clear=("clear", "sum"), sets=("clear", "size"),
    ).reset_index()  # fmt: skip


def executed_differences(measured: dict[str, pd.DataFrame], rows_of_r: float) -> pd.DataFrame:
    """Return all 23 differences: whether they were executed, how, with which effect, or why not.

    Args:
        measured: :func:`read_measured`.
        rows_of_r: largest change of R from all rows to training rows, see :func:`resultant_of_rows`.
    """
    execution = pd.read_csv(project_root() / "data/audit/protocol_execution.csv", keep_default_na=False)
    table = protocol_differences()[["number", "topic"]].merge(execution, on="number", validate="one_to_one")
    effects = {n: _effect_of_steps(rows) for n, rows in step_summary(measured["protocol_steps"]).groupby("number")}
    effects |= {n: _effect_of_data(rows) for n, rows in measured["protocol_data"].groupby("number")}
    effects |= _other_effects(measured) | {21: f"R moves by at most {rows_of_r:.4f}"}
    return table.assign(effect=[effects.get(n, "") for n in table["number"]])[
        ["number", "topic", "executed", "how", "effect", "why_not"]
    ]


def _span(values: Iterable[float], digits: int = 4) -> str:
    values = list(values)
    return f"{min(values):+.{digits}f} to {max(values):+.{digits}f}"


def _effect_of_steps(rows: pd.DataFrame) -> str:
    parts = [
        f"{r.step}: gain {r.gain_low:+.4f} to {r.gain_high:+.4f}, AUC(0) {r.auc_low:+.3f} to {r.auc_high:+.3f}"
        for r in rows.itertuples()
    ]
    return "; ".join(parts)


def _effect_of_data(rows: pd.DataFrame) -> str:
    parts = [
        f"{protocol}: gain {_span(mine['gain_change'])}, AUC(0) {_span(mine['auc_change'], 3)}"
        for protocol, mine in rows.groupby("protocol", sort=False)
    ]
    return "; ".join(parts)


def _other_effects(measured: dict[str, pd.DataFrame]) -> dict[int, str]:
    limit, choice = measured["training_gain_limit"], measured["protocol_choice"]
    whole = limit[limit["alignment"] == "lambda"]
    natural = whole[whole["dataset"] == "flickr8k"]
    ratio = choice["standard_error"] / choice["seed_sd"]
    lost = choice["best_gain"] - choice["chosen_gain"]
    return {
        5: f"gain of the converged probe {_span(whole['gain'])}",
        9: f"gain of the converged probe on Flickr8k {_span(natural['gain'])}",
        14: f"standard error over test rows is {ratio.min():.1f} to {ratio.max():.1f} times the spread over seeds",
        15: f"the best λ on test rows gains {_span(choice['best_gain'])}, {_span(lost)} more than the chosen λ",
    }


def resultant_of_rows(sets) -> float:
    """Return the largest difference between R of all rows and R of the training rows, over both modalities of some sets."""
    return max(
        abs(mean_resultant_length(of(s.rows())) - mean_resultant_length(of(s.rows("train"))))
        for s in sets
        for of in (s.image_of, s.text_of)
    )
