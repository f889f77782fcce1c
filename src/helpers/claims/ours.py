"""Sentences that put our own tables beside a claim; None when no row bears on it."""

import pandas as pd

from ..published import BACKBONES, paper_name, sweep_gains

CURVE = ["dataset", "variant", "backbone", "protocol"]
GEOMETRY_COLUMNS = ("dataset", "variant", "backbone", "domain", "modality", "quantity", "value")


def nothing(geometry, sweep) -> None:
    """For a claim on which our runs cannot bear."""
    return None


def geometry_of(*quantities: str, modality: str | None = None):
    """A function (geometry, sweep) -> sentence that lists the quantities, data set by data set."""

    def sentence(geometry: pd.DataFrame | None, sweep: pd.DataFrame | None) -> str | None:
        rows = _rows(geometry, quantities, modality)
        return (
            None
            if rows is None
            else "; ".join(_line(key, group) for key, group in rows.groupby(["dataset", "variant", "backbone"]))
        )

    return sentence


def means_by_domain(geometry: pd.DataFrame | None, sweep: pd.DataFrame | None) -> str | None:
    """Mean R of medical and of natural data sets, per backbone and modality."""
    rows = _rows(geometry, ("R",))
    if rows is None:
        return None
    table = rows.pivot_table(index=["backbone", "modality"], columns="domain", values="value", aggfunc="mean")
    counts = rows.groupby(["backbone", "modality", "domain"])["dataset"].nunique()
    return (
        "; ".join(
            f"{_label(backbone)} {modality}: "
            + ", ".join(f"{domain} {value:.3f} ({counts[(backbone, modality, domain)]})" for domain, value in row.dropna().items())
            for (backbone, modality), row in table.iterrows()
        )
        + " (number of data sets)"
    )


def gains_at(lam: float):
    """A function (geometry, sweep) -> sentence of AUC(lam) - AUC(0), per set, backbone and protocol, joint features."""

    def sentence(geometry: pd.DataFrame | None, sweep: pd.DataFrame | None) -> str | None:
        gains = _joint(sweep)
        rows = () if gains is None else gains[gains["lambda"].round(6) == lam].itertuples()
        return "; ".join(f"{_curve(row)} {row.gain:+.4f}" for row in rows) or None

    return sentence


def best_lambda(geometry: pd.DataFrame | None, sweep: pd.DataFrame | None) -> str | None:
    """Best lambda of each curve and how much its last point lies below, read off the test curve as the paper does."""
    gains = _joint(sweep)
    if gains is None:
        return None
    lines = []
    for _, curve in gains.rename(columns={"lambda": "lam"}).groupby(CURVE):
        best, last = curve.loc[curve["auc"].idxmax()], curve.loc[curve["lam"].idxmax()]
        lines.append(f"{_curve(best)} best at {best.lam:g}, {best.auc - last.auc:.4f} above lambda {last.lam:g}")
    return "; ".join(lines)


def _joint(sweep):
    if sweep is None:
        return None
    gains = sweep_gains(sweep)
    gains = gains[gains["features"] == "joint"]
    return gains if len(gains) else None


def _rows(geometry, quantities, modality=None):
    if geometry is None:
        return None
    missing = [c for c in GEOMETRY_COLUMNS if c not in geometry]
    if missing:
        raise ValueError(f"our geometry table lacks the column {missing[0]!r}; it needs {', '.join(GEOMETRY_COLUMNS)}")
    rows = geometry[geometry["quantity"].isin(quantities)]
    rows = rows if modality is None else rows[rows["modality"] == modality]
    return rows if len(rows) else None


def _line(key, group) -> str:
    values = ", ".join(f"{row.quantity} {row.modality} {row.value:.3f}" for row in group.itertuples())
    return f"{paper_name(key[0])} ({key[1]}), {_label(key[2])}: {values}"


def _curve(row) -> str:
    return f"{row.dataset} ({row.variant}), {_label(row.backbone)}, {row.protocol}:"


def _label(backbone: str) -> str:
    printed = paper_name(backbone)
    return printed if printed in BACKBONES else f"{printed} (miniature)"
