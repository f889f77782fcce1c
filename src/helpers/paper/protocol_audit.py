"""List the 23 differences between the paper's text and the authors' code, with the measured effect of each.

Measured values are those that the repository ships, made by ``benchmarks/protocol_audit.py``.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ..arrays import choose
from ..files import project_root
from ..geometry import mean_resultant_length
from ..published import authors_longer_sweep, authors_sweep, curve_summary, protocol_differences

MEASURED = ("training_gain", "training_gain_limit", "training_gain_longer", "protocol_steps", "protocol_data", "protocol_choice")
SETS = ["dataset", "variant", "backbone"]
NOT_YET = "not measured on the sets audited so far"


def read_measured() -> dict[str, pd.DataFrame]:
    """Return the shipped measurements of the protocol audit by name; those that are not shipped yet are absent."""
    files = {name: project_root() / "data/measured" / f"{name}.csv" for name in MEASURED}
    return {name: pd.read_csv(file) for name, file in files.items() if file.is_file()}


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
    execution = pd.read_csv(project_root() / "data/measured/protocol_execution.csv", keep_default_na=False)
    table = protocol_differences()[["number", "topic"]].merge(execution, on="number", validate="one_to_one")
    effects = {n: _effect_of_steps(rows) for n, rows in step_summary(measured["protocol_steps"]).groupby("number")}
    effects |= {n: _effect_of_data(rows) for n, rows in measured["protocol_data"].groupby("number")}
    effects |= _other_effects(measured) | {21: f"R moves by at most {rows_of_r:.4f}"}
    effects |= {n: NOT_YET for n in table.loc[table["executed"] == "here", "number"] if n not in effects}
    table["effect"] = table["number"].map(effects).fillna("")
    return table[["number", "topic", "executed", "how", "effect", "why_not"]]


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


def differences(kind: str) -> pd.DataFrame:
    """Return the places of one kind where paper and code differ: ``contradicts``, ``bears on a claim`` or ``silent``."""
    table = protocol_differences()
    table = table[table["kind"] == choose(kind, dict.fromkeys(table["kind"]), "kind of difference")].drop(columns="kind")
    titles = {"number": "no.", "paper": "the paper says", "code": "the code does", "consequence": "what follows"}
    return table.rename(columns=titles).replace("`", "", regex=True)


def longer_training() -> pd.DataFrame:
    """Compare BRSET under the published probe and under the longer-trained one: AUC at both ends, gain, best lambda."""
    rows = []
    for label, curves in (
        ("batch 512, rate 3e-4 (the paper's Fig. 3)", authors_sweep()),
        ("batch 32, rate 1e-3", authors_longer_sweep()),
    ):
        curves = curves[curves["dataset"] == "BRSET"]
        at = {lam: curves[curves["lambda"] == lam].set_index("backbone")["auc_mean"] for lam in (0.0, 1.0)}
        for row in curve_summary(curves).itertuples():
            rows.append((row.backbone, label, at[0.0][row.backbone], at[1.0][row.backbone], row.gain, row.best))
    columns = ["encoder", "probe", "AUC, λ = 0", "AUC, λ = 1", "gain", "best λ"]
    return pd.DataFrame(rows, columns=columns).sort_values(["encoder", "probe"], ascending=[True, False], kind="stable")


def published_gains() -> pd.DataFrame:
    """Return the 16 curves behind the paper's Fig. 3, one line each."""
    table = curve_summary(authors_sweep())[["dataset", "backbone", "gain", "best", "drop", "std"]]
    return table.set_axis(
        ["data set", "encoder", "gain at λ = 1", "best λ", "drop from there to λ = 1", "SD over seeds at λ = 1"], axis=1
    )
