"""Summarise the stored results of the test bench: tables, and sentences with numbers and verdicts computed from them."""

import pandas as pd

from ..datasets.registry import title
from ..files import project_root

FOLDER = "data/measured"
SETTLED = 0.02  # a smaller change of the gap between the last two measured epochs counts as none
CLEAR = 0.05  # p-value of a permutation test
DIALS = {"exact": "with the cone axes outside the span of the data", "in-span": "with the axes inside it"}


def shipped(name: str) -> pd.DataFrame:
    """Return one of the tables that ``benchmarks/gap_study.py`` writes: gap_heads, gap_study, gap_dials or gap_dials_tests."""
    return pd.read_csv(project_root() / FOLDER / f"{name}.csv")


def heads_over_seeds(heads: pd.DataFrame, measures: list[str]) -> pd.DataFrame:
    """Return mean and range over training seeds of each measure, one row per data set and temperature.

    Args:
        heads: the table gap_heads.
    """
    rows = []
    for (dataset, temperature), part in heads.groupby(["dataset", "temperature"], sort=False):
        shown = {m: f"{part[m].mean():.2f} ({part[m].min():.2f} to {part[m].max():.2f})" for m in measures}
        rows.append({"dataset": dataset, "temperature": temperature, "seeds": len(part), **shown})
    return pd.DataFrame(rows)


def heads_sentence(heads: pd.DataFrame, dataset: str) -> str:
    """Compare heads at the fixed temperature with those at a learned one: gap of each, and recall@10 paired by seed."""
    rows = heads[heads["dataset"] == dataset].set_index("random_state")
    fixed, learned = rows[rows["temperature"] != "learned"], rows[rows["temperature"] == "learned"]
    lost = (fixed["recall"] - learned["recall"]).dropna()
    return (
        f"{title(dataset)}: at a temperature of {fixed['temperature'].iloc[0]} the gap is {fixed['gap'].min():.2f} to "
        f"{fixed['gap'].max():.2f} over {len(fixed)} training seeds, with a learned temperature {learned['gap'].min():.2f} to "
        f"{learned['gap'].max():.2f}. The fixed temperature changes recall@10 by {lost.mean():+.3f} ({lost.min():+.3f} to "
        f"{lost.max():+.3f})."
    )


def answer(study: pd.DataFrame, tests: pd.DataFrame) -> list[str]:
    """Return two sentences: whether the gap of a low temperature is a transient, and whether gains follow a gap set by hand.

    Args:
        study: the table gap_study.
        tests: the table gap_dials_tests.
    """
    return [_on_training(study), _on_dials(tests)]


def _on_training(study: pd.DataFrame) -> str:
    low = study[study["temperature"] == study["temperature"].min()]
    paths = low.sort_values("epoch").groupby(["dataset", "rate", "random_state"])["gap"]
    end, last_change = paths.last(), paths.apply(lambda gap: gap.iloc[-1] - gap.iloc[-2])
    falling, narrower = int((last_change < -SETTLED).sum()), int((end < paths.first()).sum())
    verdict = "a transient and no equilibrium" if falling > len(end) / 2 else "settled"
    return (
        f"At a temperature of {low['temperature'].iloc[0]:g} the gap of {len(end)} heads first widens, on average from "
        f"{paths.first().mean():.2f} to {paths.max().mean():.2f}, and is {end.mean():.2f} at the last epoch, where it is narrower "
        f"than at initialisation in {narrower} heads and still falls in {falling}; by this measure the gap is {verdict}."
    )


def _on_dials(tests: pd.DataFrame) -> str:
    exact = tests[(tests["dial"] == "exact") & (tests["cause"] == "gap")]
    clear = exact[exact["p"] < CLEAR]
    named = [f"{title(r.dataset)} under {r.protocol} ({r.correlation:+.2f}, p = {r.p:.3f})" for r in clear.itertuples()]
    where = f"in {len(clear)} of {len(exact)} combinations of data set and protocol: {', '.join(named)}" if named else "nowhere"
    return f"With the gap set by hand and all else fixed, the gain of λ = 1 follows the gap {where}."


def dial_evidence() -> str:
    """Return how gains follow the gap set by the dials, as evidence of the test bench on a claim."""
    tests = shipped("gap_dials_tests").query("cause == 'gap' and dial in @DIALS")
    parts = []
    for dial, rows in tests.groupby("dial", sort=False):
        one = (f"{title(r.dataset)} {r.protocol} {r.correlation:+.2f} (p = {r.p:.3f}, n = {r.n})" for r in rows.itertuples())
        parts.append(f"{DIALS[dial]}: {', '.join(one)}")
    return "test-bench evidence, rank correlation of the gain with a gap set by hand, " + "; ".join(parts)
