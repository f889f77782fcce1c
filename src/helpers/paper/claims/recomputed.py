"""Test claims on our runs if published numbers cannot: only with the paper's encoders on at least two of its data sets."""

import pandas as pd

from ...published import BACKBONES, MEDICAL_BACKBONES, datasets, is_contributed, paper_name
from .evidence import Finding, Part, difference_effect, intervals, mean_effect
from .runs import Runs

SET = ["dataset", "variant", "backbone"]


def lower_under_medical(quantity: str):
    """Return a function (runs) -> finding on a quantity under generalist minus under medical encoders."""

    def finding(runs: Runs) -> Finding | None:
        rows = _of_paper(runs.quantities((quantity,)))
        medical = rows["backbone"].isin(MEDICAL_BACKBONES).rename("medical")
        means = rows.groupby(["dataset", "modality", medical])["value"].mean().unstack().reindex(columns=[False, True])
        excess = (means[False] - means[True]).dropna().groupby("dataset").mean()
        if len(excess) < 2:
            return None
        part = Part((mean_effect(excess),), intervals(excess), universal=True)
        return _finding(part, rows[rows["dataset"].isin(excess.index)], "generalist minus medical encoders")

    return finding


def medical_gains_exceed_natural(runs: Runs) -> Finding | None:
    """Return a finding on the gain at lambda = 1 under the authors' protocol, medical minus natural data sets."""
    gains = _of_paper(runs.gains)
    gains = gains[(gains["lambda"].round(6) == 1) & (gains["protocol"] == "authors-code")]
    means, domain = gains.groupby("dataset")["gain"].mean(), datasets().set_index("dataset")["domain"]
    medical, natural = (means[means.index.map(domain) == d] for d in ("medical", "natural"))
    if min(len(medical), len(natural)) < 2:
        return None
    return _finding(Part((difference_effect(medical, natural),)), gains, "gain on medical minus natural data sets")


def gains_follow_the_gap(runs: Runs) -> Finding | None:
    """Return a finding on the rank correlation of gain (lambda = 1, authors' protocol) and initial gap over data sets."""
    gains, gaps = _of_paper(runs.gains), _of_paper(runs.quantities(("gap_norm",)))
    gains = gains[(gains["lambda"].round(6) == 1) & (gains["protocol"] == "authors-code")]
    if not len(gains) or not len(gaps):
        return None
    both = gains[[*SET, "gain"]].merge(gaps[[*SET, "value"]], on=SET)
    many = both.groupby("backbone").filter(lambda rows: len(rows) > 2)
    slopes = [rows["gain"].corr(rows["value"], method="spearman") for _, rows in many.groupby("backbone")]
    if len(slopes) < 2:
        return None
    return _finding(Part((mean_effect(slopes),)), both, "rank correlation of gain and gap over data sets, mean over encoders")


def _finding(part: Part, rows: pd.DataFrame, what: str) -> Finding:
    sets, encoders = rows["dataset"].nunique(), rows["backbone"].nunique()
    why = f"our runs of {sets} data sets under {encoders} of the paper's encoders: {what} {part.effects[0]}"
    contributed = rows.loc[is_contributed(rows["route"]), "dataset"].nunique() if "route" in rows else 0
    scope = f"our runs, {sets} data sets" + f", {contributed} of them contributed" * bool(contributed)
    return Finding("", why, (part,), scope=scope)


def _of_paper(rows: pd.DataFrame | None) -> pd.DataFrame:
    if rows is None:
        columns = ["dataset", "variant", "backbone", "protocol", "modality", "lambda", "gain", "value"]
        return pd.DataFrame(columns=columns, dtype=float)
    rows = rows.assign(dataset=rows["dataset"].map(paper_name), backbone=rows["backbone"].map(paper_name))
    return rows[rows["dataset"].isin(datasets()["dataset"]) & rows["backbone"].isin(BACKBONES) & (rows["variant"] != "clean")]
