"""What our runs decide where published numbers cannot: only the paper's encoders on at least two of its data sets."""

import pandas as pd

from ..published import BACKBONES, MEDICAL_BACKBONES, datasets, paper_name
from .evidence import Finding, difference_interval, mean_interval, verdict_of
from .our_runs import joint_gains, quantities


def lower_under_medical(quantity: str):
    """A function (geometry, sweep) -> finding on a quantity under generalist minus under medical backbones."""

    def decide(geometry: pd.DataFrame | None, sweep: pd.DataFrame | None) -> Finding | None:
        rows = _of_paper(quantities(geometry, (quantity,)))
        medical = rows["backbone"].isin(MEDICAL_BACKBONES).rename("medical")
        means = rows.groupby(["dataset", "modality", medical])["value"].mean().unstack().reindex(columns=[False, True])
        excess = (means[False] - means[True]).dropna().groupby("dataset").mean()
        return _finding(excess, rows[rows["dataset"].isin(excess.index)], "generalist minus medical backbones")

    return decide


def along_first_direction(geometry: pd.DataFrame | None, sweep: pd.DataFrame | None) -> Finding | None:
    """Squared cosine of the gap and the first principal direction minus one half: does most of the squared gap lie along it."""
    rows = _of_paper(quantities(geometry, ("cos_gap_pc1",)))
    return _finding((rows["value"] ** 2 - 0.5).groupby(rows["dataset"]).mean(), rows, "squared cosine minus one half")


def medical_gains_exceed_natural(geometry: pd.DataFrame | None, sweep: pd.DataFrame | None) -> Finding | None:
    """Gain at lambda = 1 under the authors' protocol, medical minus natural data sets."""
    gains = _of_paper(joint_gains(sweep))
    gains = gains[(gains["lambda"].round(6) == 1) & (gains["protocol"] == "authors-code")]
    means, domain = gains.groupby("dataset")["gain"].mean(), datasets().set_index("dataset")["domain"]
    medical, natural = (means[means.index.map(domain) == d] for d in ("medical", "natural"))
    if min(len(medical), len(natural)) < 2:
        return None
    cases = [a - b for a in medical for b in natural]
    return _finding(cases, gains, "gain on medical minus natural data sets", difference_interval(medical, natural))


def _finding(cases, rows: pd.DataFrame, what: str, interval: tuple[float, float, float] | None = None) -> Finding | None:
    sets, encoders = rows["dataset"].nunique(), rows["backbone"].nunique()
    if len(cases) < 2:
        return None
    effect, low, high = interval or mean_interval(cases)
    why = f"our runs of {sets} data sets under {encoders} of the paper's encoders: {what} {effect:+.4f} [{low:+.4f}, {high:+.4f}]"
    return Finding("", verdict_of(cases, low, high), why, effect, low, high, sets)


def _of_paper(rows: pd.DataFrame | None) -> pd.DataFrame:
    if rows is None:
        columns = ["dataset", "variant", "backbone", "protocol", "modality", "lambda", "gain", "value"]
        return pd.DataFrame(columns=columns, dtype=float)
    rows = rows.assign(dataset=rows["dataset"].map(paper_name), backbone=rows["backbone"].map(paper_name))
    return rows[rows["dataset"].isin(datasets()["dataset"]) & rows["backbone"].isin(BACKBONES) & (rows["variant"] != "clean")]
