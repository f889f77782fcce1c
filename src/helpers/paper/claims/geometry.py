"""Test claims on the cone effect and the gap on Table 1 and on the authors' two-dimensional projections of CLIP embeddings."""

from functools import cache

import numpy as np
import pandas as pd

from ...published import COUNTERPARTS, MEDICAL_BACKBONES, ROUNDING, table1
from ...statistics import permutation_p
from ..authors_gap import gap_bounds
from . import own_runs, recomputed
from .evidence import Claim, Effect, Finding, Part, difference_effect, intervals, mean_effect

WIDEST = 45.0  # degrees from the axis below which we call a cone narrow: closer to the axis than to any orthogonal direction


def concentrated() -> Finding:
    """Test the angle arccos R, whose cosine is the mean cosine with a cone's axis, against 45 degrees."""
    table = table1()
    angle, least, most = (np.degrees(np.arccos(table["R"] + shift)) for shift in (0, ROUNDING, -ROUNDING))
    by_set = angle.groupby(table["dataset"]).mean()
    wide = table.loc[angle > WIDEST, ["dataset", "modality"]].drop_duplicates().groupby("modality")["dataset"].agg(", ".join)
    worst = table.loc[angle.idxmax()]
    return Finding(
        f"mean angle to the axis, arccos R, from {angle.min():.0f} to {angle.max():.0f} degrees; "
        f"{(angle > WIDEST).sum()} of {len(table)} cells are wider than {WIDEST:.0f} degrees "
        f"({'; '.join(f'{m}s of {d}' for m, d in wide.items())})",
        f"the paper does not say what narrow is, {WIDEST:.0f} degrees is our reading; the widest cone ({worst['dataset']}, "
        f"{worst['modality']}, {worst['backbone']}) has {angle.max():.0f} degrees. The effect is {WIDEST:.0f} minus the angle",
        (Part((mean_effect(WIDEST - by_set),), np.column_stack([WIDEST - most, WIDEST - least]), universal=True),),
    )


def medical_above_natural_on_average() -> Finding:
    """Test the difference of the domain means of R, with data sets as units."""
    columns = table1().pivot_table(index=["modality", "backbone"], columns="domain", values="R")
    differences = columns["medical"] - columns["natural"]
    effect, p = _domain_effect("R")
    return Finding(
        f"mean R higher on medical data in {(differences > 0).sum()} of {len(differences)} backbone-modality columns, by "
        f"{differences.min():.3f} to {differences.max():.3f}",
        f"difference of the domain means {effect}, 4 against 4 data sets; exact one-sided permutation p = {p:.3f}, the "
        "smallest that "
        "eight data sets can give, so no result of this size can pass a correction over many claims",
        (Part((effect,), intervals(differences, ROUNDING / 2)),),
    )


def medical_above_natural_pairwise() -> Finding:
    """Test R of every medical data set against every natural one, within a backbone and modality."""
    pairs = _domain_pairs()
    fails = pairs[pairs["difference"] < -2 * ROUNDING]
    worst = pairs.loc[pairs["difference"].idxmin()]
    by = ", ".join(f"{name} {count}" for name, count in fails["backbone"].value_counts().items())
    return Finding(
        f"higher in {(pairs['difference'] > 2 * ROUNDING).sum()} of {len(pairs)} pairs; exceptions: {by or 'none'}",
        f"the largest exception is {-worst['difference']:.3f}: {worst['modality']} R under {worst['backbone']}, "
        f"{worst['dataset_medical']} {worst['R_medical']:.3f} against {worst['dataset_natural']} {worst['R_natural']:.3f}",
        (Part((_domain_effect("R")[0],), intervals(pairs["difference"], 2 * ROUNDING), universal=True),),
    )


def medical_variance_is_lower() -> Finding:
    """Test the total variance of the unit vectors, 1 - R^2: natural minus medical data."""
    means = table1().assign(variance=lambda t: 1 - t["R"] ** 2).groupby(["modality", "domain"])["variance"].mean()
    effect, _ = _domain_effect("variance")
    return Finding(
        "; ".join(
            f"variance of {m}s {means[m, 'medical']:.3f} on medical, {means[m, 'natural']:.3f} on natural data"
            for m in ("image", "text")
        ),
        "1 - R² is the variance of unit vectors, so Table 1 tests Eq. 4 for four given sets of weights: natural minus "
        f"medical {effect}. "
        "It does not test whether diversity is the cause",
        (Part((effect,)),),
    )


def medical_backbones_widen_the_cone() -> Finding:
    """Test R under a generalist minus R under its medical counterpart, per data set and modality."""
    cells = table1().pivot_table(index=["dataset", "modality"], columns="backbone", values="R")
    parts, lower = [], []
    for generalist, medical in COUNTERPARTS.items():
        fall = cells[generalist] - cells[medical]
        name = f"{generalist} to {medical}"
        parts.append(
            Part((mean_effect(fall.groupby("dataset").mean(), name),), intervals(fall, 2 * ROUNDING), universal=True, name=name)
        )
        lower.append(f"{name} in {(fall > 0).sum()} of {len(fall)}")
    return Finding(
        f"R lower under the medical encoder, by data set and modality: {', '.join(lower)}",
        f"R falls from {parts[0].effects[0]} and from {parts[1].effects[0]} over 8 data sets. BioMedCLIP starts from an ImageNet "
        "vision transformer and PubMedBERT, not from CLIP, so the pairs differ in more than their data",
        tuple(parts),
    )


def smaller_gap_of_medical_backbones() -> Finding:
    """Bound the gap by R alone: | R_v - R_t | <= ||Delta|| <= R_v + R_t."""
    bounds = resultant_bounds()
    medical = bounds["backbone"].isin(MEDICAL_BACKBONES)
    pairs = bounds[medical].merge(bounds[~medical], on="dataset", suffixes=("_medical", "_general"))
    decided = (pairs["high_medical"] < pairs["low_general"]) | (pairs["low_medical"] >= pairs["high_general"])
    return Finding(
        f"no gap is printed; bounds from R decide {decided.sum()} of {len(pairs)} comparisons",
        "the paper shows projections only, and the authors' stored projections are of CLIP alone",
    )


def gap_is_larger_on_medical_data() -> Finding:
    """Test the norm of the gap, medical minus natural data sets, from the authors' projections of CLIP embeddings."""
    bounds = _gaps_at_zero()
    medical, natural = (bounds[bounds["domain"] == domain] for domain in ("medical", "natural"))
    pairs = medical.merge(natural, how="cross", suffixes=("_medical", "_natural"))
    cases = np.column_stack([pairs["low_medical"] - pairs["high_natural"], pairs["high_medical"] - pairs["low_natural"]])
    effect = difference_effect(medical["low"], natural["low"])
    return Finding(
        "gap under CLIP: " + ", ".join(f"{row.dataset} {row.low:.3f} to {row.high:.3f}" for row in bounds.itertuples()),
        f"medical exceeds natural in {(cases[:, 0] > 0).sum()} of {len(pairs)} pairs, by {effect.value:.3f} on average; with "
        f"{len(medical)} against {len(natural)} data sets the exact one-sided p is "
        f"{permutation_p(medical['low'], natural['low']):.1f}, "
        "the smallest possible",
        (Part((effect,), cases),),
        scope="CLIP, 5 data sets",
    )


def gap_along_first_direction() -> Finding:
    """Test the least squared cosine of the gap and PC1 that the authors' projections allow, minus one half."""
    bounds = _gaps_at_zero()
    excess = bounds["cosine_low"] ** 2 - 0.5
    return Finding(
        "cosine of the gap and the first principal direction at least "
        + ", ".join(f"{row.cosine_low:.4f} ({row.dataset})" for row in bounds.itertuples()),
        "bounds from the authors' projections at λ = 0; a wide gap makes this near-automatic, for two distant clouds differ "
        "mostly by their distance",
        (Part(cases=np.column_stack([excess, np.full(len(excess), 0.5)])),),
        scope="CLIP, 5 data sets",
    )


def lambda_controls_the_gap() -> Finding:
    """Test the fall of the gap from each lambda to the next on HAM10000, from the authors' projections."""
    bounds = _bounds().query("dataset == 'HAM10000'").sort_values("lambda")
    falls = bounds.iloc[:-1].reset_index(drop=True), bounds.iloc[1:].reset_index(drop=True)
    cases = np.column_stack([falls[0]["low"] - falls[1]["high"], falls[0]["high"] - falls[1]["low"]])
    last = falls[1]["lambda"][cases[:, 0] > 0].max()
    ends = {lam: bounds.loc[np.isclose(bounds["lambda"], lam)].iloc[0] for lam in (-1.0, 0.0, 0.5, 1.0)}
    return Finding(
        f"gap on HAM10000 under CLIP: {ends[-1.0].low:.3f} at λ = -1, {ends[0.0].low:.3f} at 0, {ends[0.5].low:.3f} at 0.5, "
        "at most "
        f"{ends[1.0].high:.3f} at 1",
        f"{(cases[:, 0] > 0).sum()} of {len(cases)} steps of 0.1 are falls beyond the bounds and none is a rise; beyond λ = "
        f"{last:.1f} the "
        "bounds are wider than the steps, because the gap is no longer the first direction",
        (Part(cases=cases),),
        scope=f"HAM10000 under CLIP, λ from -1 to {last:.1f}",
    )


def gap_closed_at_one() -> Finding:
    """Test the least residual gap at lambda = 1 that R_v and R_t allow, to leading order, over every cosine of the means."""
    bounds = resultant_bounds()
    toward = np.minimum((bounds["image"] - bounds["text"]).abs() / 2, ROUNDING) * np.sign(bounds["image"] - bounds["text"])
    pairs = zip(bounds["image"] - toward, bounds["text"] + toward, strict=True)  # as near each other as rounding allows
    residuals = np.array([residual_range(image, text) for image, text in pairs])
    residuals[residuals < 1e-9] = 0.0
    least, top = residuals[:, 0], residuals[:, 0].argmax()
    cell, above = bounds.iloc[top], (residuals[:, 0] > 0).sum()
    return Finding(
        f"R_v and R_t differ by more than rounding in {above} of {len(bounds)} cells; there a gap remains whatever the angle "
        "of the means",
        f"decided on lower bounds: to leading order {cell['dataset']} under {cell['backbone']} keeps at least "
        f"{least[top]:.2f}, and "
        f"{(least > 0.01).sum()} cells keep at least 0.01",
        (Part(cases=-residuals[:, ::-1]),),
    )


def collapse_removes_information() -> Finding:
    """Test whether Eq. 5 is invertible: ||lambda Delta|| / 2 < 1, and at lambda = 1 at most (R_v + R_t) / 2."""
    bounds = resultant_bounds()
    half = bounds["high"] / 2 + ROUNDING
    return Finding(
        f"‖Δ‖/2 is at most {half.max():.4f} in all {len(bounds)} data-set-backbone cells",
        "below 1 the aligned map is a bijection of the sphere, so no mutual information, between the modalities or with the label, "
        "depends on λ; what a restricted probe can use may. The effect is ‖Δ‖/2 - 1 at most",
        (Part(cases=np.column_stack([np.full(len(half), -1.0), half - 1])),),
    )


def not_published(what: str):
    """Return a test without result, because no published table holds the quantity."""
    return lambda: Finding("none", f"no published table or stored result holds {what}")


def resultant_bounds() -> pd.DataFrame:
    """Return the bounds of ||Delta|| that R_v and R_t give: dataset, backbone, image, text, low, high; 32 rows."""
    table = table1().pivot_table(index=["dataset", "backbone"], columns="modality", values="R").reset_index()
    return table.assign(low=(table["image"] - table["text"]).abs(), high=table["image"] + table["text"])


def residual_range(r_image: float, r_text: float, steps: int = 1001) -> tuple[float, float]:
    r"""Return the least and largest residual gap at lambda = 1 that two mean resultant lengths allow, to leading order.

    Both shifted means are :math:`m = (\mu_v + \mu_t)/2`, so the residual is
    :math:`\lVert m \rVert\, | 1/\sqrt{\lVert m \rVert^2 + 1 - R_t^2} - 1/\sqrt{\lVert m \rVert^2 + 1 - R_v^2} |` with
    :math:`\lVert m \rVert` between :math:`|R_v - R_t|/2` and :math:`(R_v + R_t)/2`.
    """
    m = np.linspace(abs(r_image - r_text) / 2, (r_image + r_text) / 2, steps)
    residual = m * np.abs(1 / np.sqrt(m**2 + 1 - r_text**2) - 1 / np.sqrt(m**2 + 1 - r_image**2))
    return float(residual.min()), float(residual.max())


def _domain_effect(quantity: str) -> tuple[Effect, float]:
    """Return the difference of domain means of R (medical minus natural) or variance (natural minus medical), and exact p."""
    means = table1().assign(variance=lambda t: 1 - t["R"] ** 2).groupby(["domain", "dataset"])[quantity].mean()
    order = ("medical", "natural") if quantity == "R" else ("natural", "medical")
    larger, smaller = (means[domain] for domain in order)
    return difference_effect(larger, smaller), permutation_p(larger, smaller)


@cache
def _bounds() -> pd.DataFrame:
    return gap_bounds()


def _gaps_at_zero() -> pd.DataFrame:
    return _bounds().query("`lambda` == 0").sort_values(["domain", "low"], ascending=[True, False], ignore_index=True)


def _domain_pairs() -> pd.DataFrame:
    table = table1()
    medical, natural = (table[table["domain"] == d].drop(columns="domain") for d in ("medical", "natural"))
    pairs = medical.merge(natural, on=["modality", "backbone"], suffixes=("_medical", "_natural"))
    return pairs.assign(difference=pairs["R_medical"] - pairs["R_natural"])


CLAIMS = (
    Claim(
        "Across all models, image and text embeddings concentrate into narrow regions of the sphere",
        "Section 3, Fig. 2 and Table 1",
        "angle arccos R of each cell of Table 1 against 45 degrees, Student interval over data sets",
        concentrated,
        own_runs.geometry_of("R"),
    ),
    Claim(
        "Medical data have higher R than natural data (on average)",
        "Section 3, Table 1",
        "difference of domain means, Welch interval over data sets, exact permutation test",
        medical_above_natural_on_average,
        own_runs.means_by_domain,
    ),
    Claim(
        "Medical data have consistently higher R than natural data (set by set)",
        "Section 3, Table 1",
        "every medical against every natural data set, within backbone and modality",
        medical_above_natural_pairwise,
        own_runs.means_by_domain,
    ),
    Claim(
        "Medical data give a lower output variance (Eq. 4)",
        "Section 2.1, Eq. 4",
        "natural minus medical mean of 1 - R², Welch interval over data sets",
        medical_variance_is_lower,
        own_runs.means_by_domain,
    ),
    Claim(
        "The modality gap is larger on medical data",
        "Introduction (significantly more pronounced)",
        "norm of the gap from the authors' CLIP projections, medical minus natural data sets, exact permutation test",
        gap_is_larger_on_medical_data,
        own_runs.geometry_of("gap_norm"),
    ),
    Claim(
        "Lower semantic and visual diversity causes the narrower cones of medical data",
        "Introduction; Eq. 3 and 4",
        "diversity of the data, measured without an encoder, against R",
        not_published("a measure of the diversity of the data"),
        own_runs.diversity,
    ),
    Claim(
        "Medical pretraining alleviates the cone effect, for medical and non-medical data",
        "Section 3",
        "R under a generalist minus R under its medical counterpart, pair by pair, Student interval over data sets",
        medical_backbones_widen_the_cone,
        own_runs.geometry_of("R"),
    ),
    Claim(
        "Medical pretraining gives a manifold of lower dimension",
        "Section 2.1, after Eq. 4 (conjecture)",
        "effective rank of the embeddings under medical and generalist backbones",
        not_published("a rank or spectrum of the embeddings"),
        own_runs.geometry_of("effective_rank"),
        recomputed.lower_under_medical("effective_rank"),
    ),
    Claim(
        "The gap lies largely along the first principal direction",
        "Section 3",
        "least squared cosine of the gap and the first principal direction against one half",
        gap_along_first_direction,
        own_runs.geometry_of("cos_gap_pc1", "pc1_share"),
    ),
    Claim(
        "Medical backbones have smaller gaps on all data sets",
        "Section 3",
        "bounds of the norm of the gap that R allows, medical against generalist",
        smaller_gap_of_medical_backbones,
        own_runs.geometry_of("gap_norm"),
        recomputed.lower_under_medical("gap_norm"),
    ),
    Claim(
        "Lambda controls the size of the gap",
        "Section 2.1, after Eq. 5",
        "does the gap fall from each λ to the next, beyond its bounds",
        lambda_controls_the_gap,
        own_runs.geometry_of("gap_norm", "residual_gap"),
    ),
    Claim(
        "Lambda = 1 closes the gap fully",
        "Abstract and Section 3 (full collapse as lambda tends to 1)",
        "least residual gap at λ = 1, to leading order, over all cosines of the means",
        gap_closed_at_one,
        own_runs.geometry_of("residual_gap"),
    ),
    Claim(
        "Full collapse of the gap removes modality-specific information",
        "Section 3 and Conclusion",
        "is the aligned map invertible: ‖Δ‖/2 < 1",
        collapse_removes_information,
        own_runs.gains_at(1.0),
    ),
)
