"""Sentences that put our own tables beside a claim; None when no row bears on it."""

import pandas as pd

from ...datasets.audit import shipped_diversity
from ...plotting.style import title
from ...probing import PROTOCOLS
from ..published import BACKBONES, HARD_AUC, SCORE_AUC, paper_name, sweep_gains

CURVE = ["dataset", "variant", "backbone", "protocol"]
GEOMETRY_COLUMNS = ("dataset", "variant", "backbone", "domain", "modality", "quantity", "value")
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


def nothing(geometry, sweep) -> None:
    """For a claim on which our runs cannot bear."""
    return None


def geometry_of(*names: str, modality: str | None = None):
    """A function (geometry, sweep) -> sentence with the range of each quantity and modality over our sets."""

    def sentence(geometry: pd.DataFrame | None, sweep: pd.DataFrame | None) -> str | None:
        rows = quantities(geometry, names, modality)
        if rows is None:
            return None
        groups = rows.groupby(["quantity", "modality"], sort=False)
        return "; ".join(
            f"{WORDS.get(quantity, quantity)}{WORDS[of]}: {_range(group, 'value', '.3f')}, {_count(group, 'set')}"
            for (quantity, of), group in groups
        )

    return sentence


def means_by_domain(geometry: pd.DataFrame | None, sweep: pd.DataFrame | None) -> str | None:
    """Mean R of medical and of natural data sets, per backbone and modality."""
    rows = quantities(geometry, ("R",))
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


def diversity(geometry: pd.DataFrame | None, sweep: pd.DataFrame | None) -> str | None:
    """Diversity of the shipped data sets measured without an encoder, beside R."""
    resultants = geometry_of("R")(geometry, sweep)
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
    """A function (geometry, sweep) -> sentence: range of AUC(lam) - AUC(0) per protocol in its headline AUC, joint features."""

    def sentence(geometry: pd.DataFrame | None, sweep: pd.DataFrame | None) -> str | None:
        gains = joint_gains(sweep)
        if gains is None:
            return None
        groups = gains[gains["lambda"].round(6) == lam].groupby("protocol")
        return (
            "; ".join(f"{protocol}: {_range(group, 'gain', '+.4f')}, {_count(group, 'curve')}" for protocol, group in groups)
            or None
        )

    return sentence


def best_lambda(geometry: pd.DataFrame | None, sweep: pd.DataFrame | None) -> str | None:
    """Per protocol, how many curves peak at either end and how far the last point lies below the peak, read off the test curve."""
    gains = joint_gains(sweep)
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


def joint_gains(sweep: pd.DataFrame | None) -> pd.DataFrame | None:
    """Return the joint-feature rows of :func:`helpers.paper.published.sweep_gains`, each curve in its headline AUC."""
    if sweep is None:
        return None
    hard = [name for name, protocol in PROTOCOLS.items() if protocol.multiclass_auc == "hard"]
    labels, scores = sweep_gains(sweep, "auc_hard").assign(metric=HARD_AUC), sweep_gains(sweep).assign(metric=SCORE_AUC)
    gains = pd.concat([labels[labels["protocol"].isin(hard)], scores]).drop_duplicates([*CURVE, "features", "lambda"])
    gains = gains[gains["features"] == "joint"].reset_index(drop=True)
    return gains if len(gains) else None


def quantities(geometry: pd.DataFrame | None, names, modality: str | None = None) -> pd.DataFrame | None:
    """The rows of some quantities of our geometry table."""
    if geometry is None:
        return None
    missing = [c for c in GEOMETRY_COLUMNS if c not in geometry]
    if missing:
        raise ValueError(f"our geometry table lacks the column {missing[0]!r}; it needs {', '.join(GEOMETRY_COLUMNS)}")
    rows = geometry[geometry["quantity"].isin(names)]
    rows = rows if modality is None else rows[rows["modality"] == modality]
    return rows if len(rows) else None


def _range(rows: pd.DataFrame, column: str, spec: str) -> str:
    least, most = rows.loc[rows[column].idxmin()], rows.loc[rows[column].idxmax()]
    ends = [f"{format(row[column], spec)} ({_set(row)})" for row in (least, most)]
    return ends[0] if len(rows) == 1 else " to ".join(ends)


def _count(rows: pd.DataFrame, what: str) -> str:
    return f"{len(rows)} {what}{'s' * (len(rows) != 1)}"


def _set(row) -> str:
    hard = f"; {HARD_AUC}" * (row.get("metric") == HARD_AUC)
    return f"{title(row['dataset'])}{TEXTS.get(row['variant'], '')}, {_label(row['backbone'])}{hard}"


def _label(backbone: str) -> str:
    printed = paper_name(backbone)
    return printed if printed in BACKBONES else f"{printed} (test bench)"
