"""Claims on the cone effect and the gap, tested on the 64 values of R in Table 1."""

import numpy as np
import pandas as pd

from ...resampling import permutation_p
from ..published import MEDICAL_BACKBONES, ROUNDING, datasets, table1
from . import our_runs as ours
from . import recomputed as decided
from .evidence import CONTRADICTED, HOLDS, UNTESTABLE, Claim, Finding, difference_interval, mean_interval, verdict_of


def concentrated() -> Finding:
    """Every R against 1/sqrt(N), the root mean square R of N directions drawn uniformly."""
    table = table1().merge(datasets()[["dataset", "rows"]], on="dataset")
    ratio = table["R"] * np.sqrt(table["rows"])
    low = table.loc[table["R"].idxmin()]
    angle = np.degrees(np.arccos(low["R"]))
    return Finding(
        f"R from {table['R'].min():.3f} to {table['R'].max():.3f}, at least {ratio.min():.0f} times that of uniform directions",
        HOLDS if ratio.min() > 2 else CONTRADICTED,
        f"the widest cone ({low['dataset']}, {low['modality']}, {low['backbone']}) still has a mean cosine of {low['R']:.3f} "
        f"with its axis, that is {angle:.0f} degrees",
        effect=float(table["R"].min()),
        n=len(table),
    )


def medical_above_natural_on_average() -> Finding:
    """Difference of the domain means of R, data sets as units."""
    table, (effect, low, high), p = table1(), *_domain_difference()
    columns = table.pivot_table(index=["modality", "backbone"], columns="domain", values="R")
    differences = columns["medical"] - columns["natural"]
    return Finding(
        f"mean R higher on medical data in {(differences > 0).sum()} of {len(differences)} backbone-modality columns, by "
        f"{differences.min():.3f} to {differences.max():.3f}",
        verdict_of(differences, low, high),
        f"difference of the domain means {effect:+.3f} [{low:.3f}, {high:.3f}], 4 against 4 data sets; "
        f"exact one-sided permutation p = {p:.3f}",
        effect,
        low,
        high,
        table["dataset"].nunique(),
    )


def medical_above_natural_pairwise() -> Finding:
    """Every medical data set against every natural one, within a backbone and modality."""
    pairs = _domain_pairs()
    effect, low, high = _domain_difference()[0]
    fails = pairs[pairs["difference"] <= 0]
    worst = pairs.loc[pairs["difference"].idxmin()]
    by = ", ".join(f"{name} {count}" for name, count in fails["backbone"].value_counts().items())
    return Finding(
        f"higher in {len(pairs) - len(fails)} of {len(pairs)} pairs; exceptions: {by or 'none'}",
        verdict_of(pairs["difference"], low, high),
        f"the largest exception is {worst['modality']} R under {worst['backbone']}: "
        f"{worst['dataset_medical']} {worst['R_medical']:.3f} against {worst['dataset_natural']} {worst['R_natural']:.3f}",
        effect,
        low,
        high,
        8,
    )


def medical_backbones_widen_the_cone() -> Finding:
    """R under the medical backbones minus R under the generalists, per data set and modality."""
    table = table1()
    medical = table["backbone"].isin(MEDICAL_BACKBONES)
    means = table.groupby(["dataset", "modality", medical.rename("medical")])["R"].mean().unstack()
    narrowing = means[False] - means[True]
    effect, low, high = mean_interval(narrowing.groupby("dataset").mean())
    against = ", ".join(f"{d} {m} ({-v:+.3f})" for (d, m), v in narrowing[narrowing <= 0].items())
    return Finding(
        f"mean R lower under medical backbones in {(narrowing > 0).sum()} of {len(narrowing)} data-set-modality cells",
        verdict_of(narrowing, low, high),
        f"R is lower by {effect:.3f} [{low:.3f}, {high:.3f}] over 8 data sets; not so: {against or 'none'}",
        effect,
        low,
        high,
        8,
    )


def smaller_gap_of_medical_backbones() -> Finding:
    """What R alone says of the gap: | R_v - R_t | <= ||Delta|| <= R_v + R_t."""
    bounds = gap_bounds()
    medical = bounds["backbone"].isin(MEDICAL_BACKBONES)
    pairs = bounds[medical].merge(bounds[~medical], on="dataset", suffixes=("_medical", "_general"))
    decided = (pairs["high_medical"] < pairs["low_general"]) | (pairs["low_medical"] >= pairs["high_general"])
    return Finding(
        f"no gap is printed; bounds from R decide {decided.sum()} of {len(pairs)} comparisons",
        UNTESTABLE,
        "the paper shows projections only, and the norm of the gap is in no published table",
        n=int(decided.sum()),
    )


def gap_closed_at_one() -> Finding:
    """First-order residual gap at lambda = 1 from R_v and R_t, over every cosine of the means that they allow."""
    bounds = gap_bounds()
    told_apart = bounds[(bounds["image"] - bounds["text"]).abs() > 2 * ROUNDING + 1e-9]
    residuals = np.array([residual_range(v, t) for v, t in zip(told_apart["image"], told_apart["text"], strict=True)])
    top = told_apart.iloc[residuals[:, 1].argmax()]
    return Finding(
        f"R_v and R_t differ in {len(told_apart)} of {len(bounds)} cells by more than rounding; there a gap remains",
        CONTRADICTED,
        f"to first order up to {residuals[:, 1].max():.3f} remains ({top['dataset']}, {top['backbone']}); the median over "
        f"cells of the largest residual that R allows is {np.median(residuals[:, 1]):.3f}",
        float(np.median(residuals[:, 1])),
        float(residuals.min()),
        float(residuals.max()),
        len(told_apart),
    )


def collapse_removes_information() -> Finding:
    """Eq. 5 can be undone while ||lambda Delta|| / 2 < 1, and (R_v + R_t) / 2 bounds that at lambda = 1."""
    bounds = gap_bounds()
    half = bounds["high"].max() / 2 + ROUNDING
    return Finding(
        f"||Delta||/2 is at most {half:.4f} in all {len(bounds)} data-set-backbone cells",
        CONTRADICTED if half < 1 else UNTESTABLE,
        "below 1 the aligned map is a bijection of the sphere, so no mutual information, between the modalities or with the label, "
        "depends on lambda; what a restricted probe can use may",
        effect=float(half),
        n=len(bounds),
    )


def not_published(what: str):
    """A test that cannot be run, because the quantity is in no published table."""
    return lambda: Finding("none", UNTESTABLE, f"no published table or stored result holds {what}")


def gap_bounds() -> pd.DataFrame:
    """Bounds of ||Delta|| that R_v and R_t give: dataset, backbone, image, text, low, high; 32 rows."""
    table = table1().pivot_table(index=["dataset", "backbone"], columns="modality", values="R").reset_index()
    return table.assign(low=(table["image"] - table["text"]).abs(), high=table["image"] + table["text"])


def residual_range(r_image: float, r_text: float, steps: int = 1001) -> tuple[float, float]:
    r"""Least and largest first-order residual gap at lambda = 1 that two mean resultant lengths allow.

    Both shifted means are :math:`m = (\mu_v + \mu_t)/2`, so the residual is
    :math:`\lVert m \rVert\, | 1/\sqrt{\lVert m \rVert^2 + 1 - R_t^2} - 1/\sqrt{\lVert m \rVert^2 + 1 - R_v^2} |` with
    :math:`\lVert m \rVert` between :math:`|R_v - R_t|/2` and :math:`(R_v + R_t)/2`.
    """
    m = np.linspace(abs(r_image - r_text) / 2, (r_image + r_text) / 2, steps)
    residual = m * np.abs(1 / np.sqrt(m**2 + 1 - r_text**2) - 1 / np.sqrt(m**2 + 1 - r_image**2))
    return float(residual.min()), float(residual.max())


def _domain_difference() -> tuple[tuple[float, float, float], float]:
    means = table1().groupby(["domain", "dataset"])["R"].mean()
    medical, natural = means["medical"], means["natural"]
    return difference_interval(medical, natural), permutation_p(medical, natural)


def _domain_pairs() -> pd.DataFrame:
    table = table1()
    medical, natural = (table[table["domain"] == d].drop(columns="domain") for d in ("medical", "natural"))
    pairs = medical.merge(natural, on=["modality", "backbone"], suffixes=("_medical", "_natural"))
    return pairs.assign(difference=pairs["R_medical"] - pairs["R_natural"])


CLAIMS = (
    Claim(
        "Across all models, image and text embeddings concentrate into narrow regions of the sphere",
        "Section 3, Fig. 2 and Table 1",
        "each R of Table 1 against 1/sqrt(N), that of uniform directions",
        concentrated,
        ours.geometry_of("R"),
    ),
    Claim(
        "Medical data have higher R than natural data (on average)",
        "Section 3, Table 1",
        "difference of domain means, Welch interval over data sets, exact permutation test",
        medical_above_natural_on_average,
        ours.means_by_domain,
    ),
    Claim(
        "Medical data have consistently higher R than natural data (set by set)",
        "Section 3, Table 1",
        "every medical against every natural data set, within backbone and modality",
        medical_above_natural_pairwise,
        ours.means_by_domain,
    ),
    Claim(
        "Lower semantic and visual diversity causes the narrower cones of medical data",
        "Introduction; Eq. 3 and 4",
        "diversity of the data, measured without an encoder, against R",
        not_published("a measure of the diversity of the data"),
        ours.diversity,
    ),
    Claim(
        "Medical pretraining alleviates the cone effect, for medical and non-medical data",
        "Section 3",
        "R under generalist minus R under medical backbones, Student interval over data sets",
        medical_backbones_widen_the_cone,
        ours.geometry_of("R"),
    ),
    Claim(
        "Medical pretraining gives a manifold of lower dimension",
        "Section 2.1, after Eq. 4 (conjecture)",
        "effective rank of the embeddings under medical and generalist backbones",
        not_published("a rank or spectrum of the embeddings"),
        ours.geometry_of("effective_rank"),
        decided.lower_under_medical("effective_rank"),
    ),
    Claim(
        "The gap lies largely along the first principal direction",
        "Section 3",
        "squared cosine of the gap and the first principal direction against one half, beside the share of variance",
        not_published("the direction of the gap"),
        ours.geometry_of("cos_gap_pc1", "pc1_share"),
        decided.along_first_direction,
    ),
    Claim(
        "Medical backbones have smaller gaps on all data sets",
        "Section 3",
        "bounds of the norm of the gap that R allows, medical against generalist",
        smaller_gap_of_medical_backbones,
        ours.geometry_of("gap_norm"),
        decided.lower_under_medical("gap_norm"),
    ),
    Claim(
        "Lambda controls the size of the gap",
        "Section 2.1, after Eq. 5",
        "residual gap against lambda: is it monotone",
        not_published("the gap after alignment"),
        ours.geometry_of("gap_norm", "residual_gap"),
    ),
    Claim(
        "Lambda = 1 closes the gap fully",
        "Abstract and Section 3 (full collapse as lambda tends to 1)",
        "first-order residual gap at lambda = 1 over all cosines of the means; effect and interval: median and range over cells",
        gap_closed_at_one,
        ours.geometry_of("residual_gap"),
    ),
    Claim(
        "Full collapse of the gap removes modality-specific information",
        "Section 3 and Conclusion",
        "is the aligned map invertible: ||Delta||/2 < 1",
        collapse_removes_information,
        ours.gains_at(1.0),
    ),
)
