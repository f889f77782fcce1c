"""Write the sentences that compare our own tables with a claim; None if no row is relevant to it."""

import numpy as np
import pandas as pd

from ...datasets.audit import shipped_diversity
from ...datasets.registry import title
from ...files import project_root
from ...published import BACKBONES, HARD_AUC, is_contributed, paper_name
from .runs import CURVE, Runs

WORDS = {
    "effective_rank": "effective rank",
    "gap_norm": "norm of the gap",
    "cos_gap_pc1": "|cos| of the gap and the first principal direction",
    "pc1_share": "share of variance along it",
    "residual_gap": "gap left at λ = 1",
    "image": " of images",
    "text": " of texts",
    "joint": "",
}
TEXTS = {"clean": ", clean text", "authors": ", the authors' text"}


def geometry_of(*names: str):
    """Return a function (runs) -> sentence with the range of each quantity and modality over our sets."""

    def sentence(runs: Runs) -> str | None:
        rows = runs.quantities(names)
        if rows is None:
            return None
        groups = rows.groupby(["quantity", "modality"], sort=False)
        return "; ".join(
            f"{WORDS.get(quantity, quantity)}{WORDS[of]}: {_range(group, 'value', '.3f')}, {_count(group, 'set')}"
            for (quantity, of), group in groups
        )

    return sentence


def means_by_domain(runs: Runs) -> str | None:
    """Return the mean R of medical and of natural data sets, per backbone and modality."""
    rows = runs.quantities(("R",))
    if rows is None:
        return None
    table = rows.pivot_table(index=["backbone", "modality"], columns="domain", values="value", aggfunc="mean")
    counts = rows.groupby(["backbone", "modality", "domain"])["dataset"].nunique()
    return (
        "; ".join(
            f"R{WORDS[modality]} under {_label(backbone)}: "
            + ", ".join(f"{domain} {value:.3f} ({counts[(backbone, modality, domain)]})" for domain, value in row.dropna().items())
            for (backbone, modality), row in table.iterrows()
        )
        + " (number of data sets)"
    )


def diversity(runs: Runs) -> str | None:
    """Return the diversity of the shipped data sets measured without an encoder, and their R."""
    resultants = geometry_of("R")(runs)
    if resultants is None:
        return None
    raw = shipped_diversity()
    sets = (
        f"{title(row.dataset)}: variance of a pixel over images {row.pixel_variance:.4f}, share of distinct texts "
        f"{row.distinct_text_share:.3f}"
        for row in raw[raw["subset"] == "all pairs"].itertuples()
    )
    return f"measured without an encoder, {'; '.join(sets)}; {resultants}"


def gains_at(lam: float):
    """Return a function (runs) -> sentence: range of AUC(lam) - AUC(0) per protocol in its headline AUC, joint features."""

    def sentence(runs: Runs) -> str | None:
        gains = runs.gains
        if gains is None:
            return None
        groups = gains[gains["lambda"].round(6) == lam].groupby("protocol")
        return (
            "; ".join(f"{protocol}: {_range(group, 'gain', '+.4f')}, {_count(group, 'curve')}" for protocol, group in groups)
            or None
        )

    return sentence


def best_lambda(runs: Runs) -> str | None:
    """Return, per protocol, how many test curves peak at either end and how far the last point lies below the peak."""
    gains = runs.gains
    if gains is None:
        return None
    peaks = []
    for _, curve in gains.rename(columns={"lambda": "lam"}).groupby(CURVE):
        best, last = curve.loc[curve["auc"].idxmax()], curve.loc[curve["lam"].idxmax()]
        peaks.append({**best, "drop": best.auc - last.auc, "at_zero": best.lam == 0, "at_last": best.lam == last.lam})
    return "; ".join(
        f"{protocol}: of {_count(group, 'curve')} {group['at_zero'].sum()} peak at lambda 0 and {group['at_last'].sum()} at the "
        f"largest; largest drop from the peak {_range(group.nlargest(1, 'drop'), 'drop', '.4f')}"
        for protocol, group in pd.DataFrame(peaks).groupby("protocol")
    )


def best_lambda_and_resolution(runs: Runs) -> str | None:
    """Return :func:`best_lambda` together with :func:`resolution_of_seeds`."""
    return "; ".join(filter(None, [best_lambda(runs), resolution_of_seeds(runs)])) or None


def resolution_of_seeds(runs: Runs) -> str | None:
    """Compare the unpaired with the paired SD over seeds of AUC(lambda) - AUC(0), over the curves of our sweeps."""
    if runs.sweep is None:
        return None
    rows = runs.sweep.query(
        "split == 'test' and metric == 'auc' and alignment == 'lambda' and `class`.isna() and features == 'joint'"
    )
    rows = rows[rows["lambda_image"] == rows["lambda_text"]]
    ratios = []
    for _, curve in rows.groupby(CURVE):
        auc = curve.pivot_table(index="seed", columns="lambda_image", values="value")
        if len(auc) < 3 or 0.0 not in auc:
            continue
        others = auc.drop(columns=0.0)
        paired = others.sub(auc[0.0], axis=0).std()
        unpaired = np.hypot(others.std(), auc[0.0].std())
        ratios.extend((unpaired / paired)[paired > 0])
    if not ratios:
        return None
    return (
        f"seeds are shared over λ: the unpaired SD of a difference is {min(ratios):.2f} to {max(ratios):.1f} times the paired one "
        f"(median {np.median(ratios):.1f}, {len(ratios)} differences), so published SDs of levels cannot resolve a drop"
    )


def gap_against_gain(runs: Runs) -> str | None:
    """Return the rank correlation of the gap before alignment and the gain at lambda = 1 over our sets, per protocol."""
    gains, gaps = runs.gains, runs.quantities(("gap_norm",))
    if gains is None or gaps is None:
        return None
    at_one = gains[gains["lambda"].round(6) == 1].assign(
        dataset=lambda t: t["dataset"].map(paper_name), backbone=lambda t: t["backbone"].map(paper_name)
    )
    gaps = gaps.assign(dataset=gaps["dataset"].map(paper_name), backbone=gaps["backbone"].map(paper_name))
    keys = ["dataset", "variant", "backbone"]
    both = at_one.merge(gaps[[*keys, "value"]], on=keys)
    found = [
        f"{protocol}: {group['gain'].corr(group['value'], method='spearman'):+.2f} over {len(group)} sets"
        for protocol, group in both.groupby("protocol")
        if len(group) > 2
    ]
    return f"rank correlation of gap and gain, {'; '.join(found)}" if found else None


def gap_against_gain_and_dial(runs: Runs) -> str | None:
    """Return :func:`gap_against_gain` and the effect of a gap set by hand on the test bench."""
    return "; ".join(filter(None, [gap_against_gain(runs), evidence_by_hand()])) if runs.gains is not None else None


def selected_gains(runs: Runs) -> str | None:
    """Return the test gain of the lambda chosen on validation rows, per protocol, joint features."""
    if runs.selected is None:
        return None
    rows = runs.selected[runs.selected["features"] == "joint"]
    sentences = []
    for protocol, group in rows.groupby("protocol"):
        clear = ((group["low"] > 0) | (group["high"] < 0)).sum()
        sentences.append(
            f"{protocol}: chosen λ from {group['lambda_image'].min():g} to {group['lambda_image'].max():g}, gain on test "
            f"{_range(group, 'difference', '+.4f')}, {clear} of {len(group)} intervals clear of zero"
        )
    return "; ".join(sentences) or None


def _range(rows: pd.DataFrame, column: str, spec: str) -> str:
    least, most = rows.loc[rows[column].idxmin()], rows.loc[rows[column].idxmax()]
    ends = [f"{format(row[column], spec)} ({_set(row)})" for row in (least, most)]
    return ends[0] if len(rows) == 1 else " to ".join(ends)


def _count(rows: pd.DataFrame, what: str) -> str:
    return f"{len(rows)} {what}{'s' * (len(rows) != 1)}"


def _set(row) -> str:
    hard = f"; {HARD_AUC}" * (row.get("metric") == HARD_AUC)
    contributed = "; contributed" * bool(is_contributed(pd.Series([row.get("route")]))[0])
    return f"{title(row['dataset'])}{TEXTS.get(row.get('variant'), '')}, {_label(row['backbone'])}{hard}{contributed}"


def _label(backbone: str) -> str:
    printed = paper_name(backbone)
    return printed if printed in BACKBONES else f"{printed} (test bench)"


def evidence_by_hand() -> str:
    """Return how gains follow a gap set by hand, as evidence of the test bench on a claim."""
    axes = {"exact": "with the cone axes outside the span of the data", "in-span": "with the axes inside it"}
    tests = pd.read_csv(project_root() / "data/measured/gap_dials_tests.csv").query("cause == 'gap' and dial in @axes")
    parts = []
    for dial, rows in tests.groupby("dial", sort=False):
        one = (f"{title(r.dataset)} {r.protocol} {r.correlation:+.2f} (p = {r.p:.3f}, n = {r.n})" for r in rows.itertuples())
        parts.append(f"{axes[dial]}: {', '.join(one)}")
    return "test-bench evidence, rank correlation of the gain with a gap set by hand, " + "; ".join(parts)
