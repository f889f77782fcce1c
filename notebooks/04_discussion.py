# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Discussion: the claims, one by one

# %% tags=["parameters"]
contributed = None  # folder of contributed reports; None for data/contributed
results = None  # folder with the tables of notebooks 01 and 03; None for ./results
made_with = None  # JSON of fingerprints of the parameters of 01 and 03, from the workflow; None takes any

# %% tags=["hide-input", "remove-stderr"]
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml
from IPython.display import Markdown, display
from scipy.stats import binomtest, ttest_1samp, ttest_ind

from helpers.contributed import read_contributed
from helpers.datasets.registry import title
from helpers.files import project_root
from helpers.page import Page, escape_markdown, format_table, optional, text
from helpers.probing.protocol import PROTOCOLS
from helpers.published import (
    BACKBONES,
    HARD_AUC,
    MEDICAL_BACKBONES,
    NAMES,
    ROUNDING,
    SCORE_AUC,
    authors_longer_sweep,
    authors_sweep,
    curve_summary,
    datasets,
    gap_bounds,
    in_paper_names,
    is_contributed,
    join_contributed,
    paper_name,
    protocol_differences,
    sweep_gains,
    table1,
)
from helpers.statistics import holm, permutation_p

page = Page("04_discussion", globals(), {name: optional(text()) for name in ("contributed", "results", "made_with")})
lead = display(Markdown(""), display_id=True)  # filled in below, once the claims are judged
geometry, sweep = page.read_table("cone_effect", "01_cone_effect"), page.read_table("lambda_sweep", "03_lambda_sweep")
selected = page.read_table("lambda_selected", "03_lambda_sweep")
page.describe_sets(list(dict.fromkeys(zip(sweep["dataset"], sweep["backbone"], strict=True))))
reports = read_contributed(contributed)
geometry = join_contributed(geometry, reports.table("geometry"))
sweep = join_contributed(sweep, reports.table("sweep"), ("dataset", "backbone", "protocol"))
selected = join_contributed(selected, reports.table("selected"), ("dataset", "backbone", "protocol"))

# %% [markdown]
# Verdicts rest on the published numbers. Where these cannot decide, runs of the paper's own encoders on at least two of its data sets do,
# and the verdict says how many, and how many of them were contributed ({doc}`/book/contribute`). Other encoders, such as the two of the test bench, are shown apart and never decide.
#
# {doc}`03_lambda_sweep` draws its own conclusions from `converged` probes; the verdicts here rest on published curves of probes that had
# not converged. Both are right about their question: a verdict says whether the paper's numbers bear out the paper's sentence, and
# only the converged probe says whether $\lambda$ would help a probe trained to the end.

# %% tags=["hide-input"]
overview = display(Markdown(""), display_id=True)  # filled in below

# %% [markdown]
# ## The rule behind the verdicts
#
# One table decides all claims; the first line that applies gives the verdict, and the code that judges is the code that prints it. The
# units are data sets, not curves or cells; only the drop near $\lambda = 1$ is compared between curves, which favours the claim. Where a claim can be analysed in several defensible ways (with and without the hard-label AUC of
# HAM10000, absolute or relative to the headroom $1 - \mathrm{AUC}(0)$), all are run and the largest p-value decides. Where a claim
# concerns two pairs of encoders, each pair is judged and the verdict says for which it stands.

# %%
LEVEL = 0.05  # of p-values after Holm's correction over all claims
CLEAR = 2  # a single curve counts beyond this number of standard errors over seeds
VERDICTS = ("holds", "contradicted", "holds on average only", "suggested", "not resolved", "not testable here")  # strongest first

HOLM = f"p < {LEVEL} after Holm in every analysis"
RULES = [  # what is found, the verdict, and the condition on one part of a claim; clear: its p-value after Holm is below LEVEL
    ("No published number measures the quantity.", "not testable here", lambda part, clear: not part.exact and not part.effects),
    (
        "The claim follows or fails by arithmetic on published values (bounds, no sampling), and at least one case is against it.",
        "contradicted", lambda part, clear: part.exact and part.against > 0,
    ),
    (
        "By arithmetic: no case is against the claim and at least one is for it. The verdict covers the cases that are decided.",
        "holds", lambda part, clear: part.exact and part.supporting > 0,
    ),
    (
        f"The mean effect over data sets has the sign opposite to the claim, with {HOLM}.",
        "contradicted", lambda part, clear: clear and part.sign < 0,
    ),
    (
        f"The mean effect has the claimed sign with {HOLM}, but the claim speaks of every case and at least one case counts against it.",
        "holds on average only", lambda part, clear: clear and part.sign > 0 and part.universal and part.against > 0,
    ),
    (
        f"The mean effect has the claimed sign with {HOLM}, and no case counts against a claim about every case.",
        "holds", lambda part, clear: clear and part.sign > 0,
    ),
    (
        f"The mean effect has the claimed sign with p < {LEVEL} in every analysis before Holm's correction, but not after it.",
        "suggested", lambda part, clear: part.p < LEVEL and part.sign > 0,
    ),
    ("Anything else: what was published cannot tell the effect from none.", "not resolved", lambda part, clear: True),
]  # fmt: skip


def verdict_of(part, p_holm: float) -> str:
    """Return the verdict of the first line of RULES that applies to a part of a claim."""
    return next(verdict for _, verdict, applies in RULES if applies(part, p_holm < LEVEL))


def combined(parts, verdicts) -> tuple[str, str]:
    """Return the strongest verdict of the parts, and the parts to which it is limited ("" if all reach it)."""
    best = min(verdicts, key=VERDICTS.index)
    reached = [part.name for part, verdict in zip(parts, verdicts, strict=True) if verdict == best]
    return best, "" if len(reached) == len(parts) else " and ".join(reached)


def corrected(p_values) -> dict[float, float]:
    """Return p -> p after Holm's correction over the distinct tests; a test that serves two claims counts once."""
    distinct = sorted({p for p in p_values if p == p})
    return dict(zip(distinct, holm(distinct).tolist(), strict=True))


# %% tags=["hide-input"]
page.show_text(
    "A single case counts against a claim where it lies below zero beyond its uncertainty: rounding for values of Table 1, {clear} standard errors "
    "over seeds for a curve. Such errors are unpaired, because published spreads are those of levels, and hold for the stored test "
    "rows only: seeds say how much the training varies, not how much another test set would.",
    clear=CLEAR,
)
page.show_text(
    "Holm's correction runs over all distinct tests of this page. It is strict: eight data sets cannot give an exact p-value small enough to pass it. "
    "Read *suggested* as: clear when tested alone, not among so many claims.",
)
decisions = pd.DataFrame([(i, found, verdict) for i, (found, verdict, _) in enumerate(RULES, start=1)], columns=["order", "what is found", "verdict"])
format_table(decisions, stacked=True)

# %% [markdown]
# ## The tests
#
# A claim has one part, or one for each of its subjects. A part holds mean effects with Student's or Welch's interval, one for each
# defensible analysis, and the lowest and highest value of each single case. All are positive if the claim is right.

# %%
FEWEST = 3  # a group of fewer values does not determine its spread: then the exact permutation test, and no interval


class Effect(NamedTuple):
    """A mean effect with its 95 % interval, two-sided p-value and number of independent units; ``how`` names the analysis."""

    value: float
    low: float
    high: float
    p: float
    n: int
    how: str = ""

    def __str__(self) -> str:
        interval = "" if np.isnan(self.low) else f" [{self.low:+.4f}, {self.high:+.4f}]"
        return f"{self.how}{': ' * bool(self.how)}{self.value:+.4f}{interval}"


def mean_effect(values, how: str = "") -> Effect:
    """Return the mean of independent values with Student's interval and p-value against zero."""
    values = np.asarray(values, dtype=float)
    test = ttest_1samp(values, 0.0)
    return Effect(float(values.mean()), *map(float, test.confidence_interval(0.95)), float(test.pvalue), len(values), how)


def difference_effect(a, b, how: str = "") -> Effect:
    """Return the difference of the means of two independent samples with Welch's interval and p-value."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    difference, n = float(a.mean() - b.mean()), len(a) + len(b)
    if min(len(a), len(b)) < FEWEST:
        return Effect(difference, np.nan, np.nan, min(1.0, 2 * min(permutation_p(a, b), permutation_p(b, a))), n, how)
    test = ttest_ind(a, b, equal_var=False)
    return Effect(difference, *map(float, test.confidence_interval(0.95)), float(test.pvalue), n, how)


def within(values, margin=0.0) -> np.ndarray:
    """Return the lowest and highest value of cases known to within ``margin``, (m, 2)."""
    values = np.asarray(values, dtype=float)
    return np.column_stack([values - margin, values + margin])


def part(effects=(), cases=(), universal: bool = False, name: str = "") -> SimpleNamespace:
    """Return the test of a claim or of one subject; ``universal`` if the claim is about every case ("all", "always")."""
    cases = np.asarray(cases, dtype=float).reshape(-1, 2)
    weakest = max(effects, key=lambda effect: effect.p, default=None)  # the largest p-value decides
    signs = {int(np.sign(effect.value)) for effect in effects}
    return SimpleNamespace(
        name=name, effects=effects, cases=cases, universal=universal, weakest=weakest, p=weakest.p if effects else np.nan,
        exact=not effects and len(cases) > 0, sign=signs.pop() if len(signs) == 1 else 0,
        against=int((cases[:, 1] < 0).sum()), supporting=int((cases[:, 0] > 0).sum()),
    )  # fmt: skip


def finding(evidence: str, why: str, *parts, scope: str = "") -> SimpleNamespace:
    """Return the evidence and the basis of a verdict in a sentence each, the tests, and what the numbers cover if not all."""
    return SimpleNamespace(evidence=evidence, why=why, parts=parts, scope=scope)


# %% [markdown]
# ### Claims on the cones, from Table 1

# %%
NARROW = 45.0  # degrees from the axis below which we call a cone narrow: closer to the axis than to any orthogonal direction
COUNTERPARTS = {"CLIP": "BioMedCLIP", "SigLIP": "MedSigLIP"}  # generalist and medical encoder of one family of training objective
published = {}  # id of a claim -> what the published numbers say
table = table1()

angle, least, most = (np.degrees(np.arccos(table["R"] + shift)) for shift in (0, ROUNDING, -ROUNDING))
wide = table.loc[angle > NARROW, ["dataset", "modality"]].drop_duplicates().groupby("modality")["dataset"].agg(", ".join)
worst = table.loc[angle.idxmax()]
published["narrow"] = finding(
    f"mean angle to the axis, arccos R, from {angle.min():.0f} to {angle.max():.0f} degrees; {(angle > NARROW).sum()} of {len(table)} cells "
    f"are wider than {NARROW:.0f} degrees ({'; '.join(f'{m}s of {d}' for m, d in wide.items())})",
    f"the paper does not say what narrow is, {NARROW:.0f} degrees is our reading; the widest cone ({worst['dataset']}, {worst['modality']}, "
    f"{worst['backbone']}) has {angle.max():.0f} degrees. The effect is {NARROW:.0f} minus the angle",
    part([mean_effect(NARROW - angle.groupby(table["dataset"]).mean())], np.column_stack([NARROW - most, NARROW - least]), universal=True),
)

means = table.groupby(["domain", "dataset"])["R"].mean()
higher = difference_effect(means["medical"], means["natural"])
columns = table.pivot_table(index=["modality", "backbone"], columns="domain", values="R")
differences = columns["medical"] - columns["natural"]
published["higher_on_average"] = finding(
    f"mean R higher on medical data in {(differences > 0).sum()} of {len(differences)} backbone-modality columns, by "
    f"{differences.min():.3f} to {differences.max():.3f}",
    f"difference of the domain means {higher}, 4 against 4 data sets; exact one-sided permutation p = "
    f"{permutation_p(means['medical'], means['natural']):.3f}, the smallest that eight data sets can give, so no result of this size can pass a "
    "correction over many claims",
    part([higher], within(differences, ROUNDING / 2)),
)

medical, natural = (table[table["domain"] == d].drop(columns="domain") for d in ("medical", "natural"))
pairs = medical.merge(natural, on=["modality", "backbone"], suffixes=("_medical", "_natural"))
pairs = pairs.assign(difference=pairs["R_medical"] - pairs["R_natural"])
fails, worst = pairs[pairs["difference"] < -2 * ROUNDING], pairs.loc[pairs["difference"].idxmin()]
by = ", ".join(f"{name} {count}" for name, count in fails["backbone"].value_counts().items())
published["higher_set_by_set"] = finding(
    f"higher in {(pairs['difference'] > 2 * ROUNDING).sum()} of {len(pairs)} pairs; exceptions: {by or 'none'}",
    f"the largest exception is {-worst['difference']:.3f}: {worst['modality']} R under {worst['backbone']}, "
    f"{worst['dataset_medical']} {worst['R_medical']:.3f} against {worst['dataset_natural']} {worst['R_natural']:.3f}",
    part([higher], within(pairs["difference"], 2 * ROUNDING), universal=True),
)

variance = table.assign(variance=1 - table["R"] ** 2)  # of unit vectors
by_set, by_modality = (variance.groupby(["domain", of])["variance"].mean() for of in ("dataset", "modality"))
lower = difference_effect(by_set["natural"], by_set["medical"])
published["lower_variance"] = finding(
    "; ".join(
        f"variance of {m}s {by_modality['medical', m]:.3f} on medical, {by_modality['natural', m]:.3f} on natural data" for m in ("image", "text")
    ),
    f"1 - R² is the variance of unit vectors, so Table 1 tests Eq. 4 for four given sets of weights: natural minus medical {lower}. "
    "It does not test whether diversity is the cause",
    part([lower]),
)

cells = table.pivot_table(index=["dataset", "modality"], columns="backbone", values="R")
falls = {f"{general} to {medical}": cells[general] - cells[medical] for general, medical in COUNTERPARTS.items()}
parts = [
    part([mean_effect(fall.groupby("dataset").mean(), name)], within(fall, 2 * ROUNDING), universal=True, name=name) for name, fall in falls.items()
]
published["wider_under_medical"] = finding(
    "R lower under the medical encoder, by data set and modality: "
    + ", ".join(f"{name} in {(fall > 0).sum()} of {len(fall)}" for name, fall in falls.items()),
    f"R falls from {parts[0].effects[0]} and from {parts[1].effects[0]} over 8 data sets. BioMedCLIP starts from an ImageNet "
    "vision transformer and PubMedBERT, not from CLIP, so the pairs differ in more than their data",
    *parts,
)

# %% [markdown]
# ### Claims on the gap, from bounds
#
# The mean resultant lengths bound the gap: $|R_v - R_t| \le \lVert\Delta\rVert \le R_v + R_t$. The authors' projections bound the gaps of CLIP
# tightly ({doc}`01_cone_effect`). At $\lambda = 1$ both shifted means are $m = (\mu_v + \mu_t)/2$, and to leading order renormalisation leaves
# the gap $\lVert m \rVert\, | 1/\sqrt{\lVert m \rVert^2 + 1 - R_t^2} - 1/\sqrt{\lVert m \rVert^2 + 1 - R_v^2} |$.


# %%
def residual_range(r_image: float, r_text: float, steps: int = 1001) -> tuple[float, float]:
    """Return the least and largest residual gap at lambda = 1 that two mean resultant lengths allow, over all cosines of the means."""
    m = np.linspace(abs(r_image - r_text) / 2, (r_image + r_text) / 2, steps)
    residual = m * np.abs(1 / np.sqrt(m**2 + 1 - r_text**2) - 1 / np.sqrt(m**2 + 1 - r_image**2))
    return float(residual.min()), float(residual.max())


projected = gap_bounds()
at_zero = projected[projected["lambda"] == 0].sort_values(["domain", "low"], ascending=[True, False], ignore_index=True)
medical, natural = (at_zero[at_zero["domain"] == domain] for domain in ("medical", "natural"))
pairs = medical.merge(natural, how="cross", suffixes=("_medical", "_natural"))
cases = np.column_stack([pairs["low_medical"] - pairs["high_natural"], pairs["high_medical"] - pairs["low_natural"]])
larger = difference_effect(medical["low"], natural["low"])
published["larger_gap"] = finding(
    "gap under CLIP: " + ", ".join(f"{row.dataset} {row.low:.3f} to {row.high:.3f}" for row in at_zero.itertuples()),
    f"medical exceeds natural in {(cases[:, 0] > 0).sum()} of {len(pairs)} pairs, by {larger.value:.3f} on average; with {len(medical)} against "
    f"{len(natural)} data sets the exact one-sided p is {permutation_p(medical['low'], natural['low']):.1f}, the smallest possible",
    part([larger], cases),
    scope="CLIP, 5 data sets",
)

excess = at_zero["cosine_low"] ** 2 - 0.5
published["first_direction"] = finding(
    "cosine of the gap and the first principal direction at least "
    + ", ".join(f"{row.cosine_low:.4f} ({row.dataset})" for row in at_zero.itertuples()),
    "bounds from the authors' projections at λ = 0; a wide gap makes this near-automatic, for two distant clouds differ mostly by their distance",
    part(cases=np.column_stack([excess, np.full(len(excess), 0.5)])),
    scope="CLIP, 5 data sets",
)

path = projected[projected["dataset"] == "HAM10000"].sort_values("lambda")
before, after = path.iloc[:-1].reset_index(drop=True), path.iloc[1:].reset_index(drop=True)
cases = np.column_stack([before["low"] - after["high"], before["high"] - after["low"]])
last = after["lambda"][cases[:, 0] > 0].max()
ends = {lam: path.loc[np.isclose(path["lambda"], lam)].iloc[0] for lam in (-1.0, 0.0, 0.5, 1.0)}
published["lambda_controls"] = finding(
    f"gap on HAM10000 under CLIP: {ends[-1.0].low:.3f} at λ = -1, {ends[0.0].low:.3f} at 0, {ends[0.5].low:.3f} at 0.5, "
    f"at most {ends[1.0].high:.3f} at 1",
    f"{(cases[:, 0] > 0).sum()} of {len(cases)} steps of 0.1 are falls beyond the bounds and none is a rise; beyond λ = {last:.1f} the bounds are "
    "wider than the steps, because the gap is no longer the first direction",
    part(cases=cases),
    scope=f"HAM10000 under CLIP, λ from -1 to {last:.1f}",
)

bounds = table.pivot_table(index=["dataset", "backbone"], columns="modality", values="R").reset_index()
bounds = bounds.assign(low=(bounds["image"] - bounds["text"]).abs(), high=bounds["image"] + bounds["text"])
medical = bounds["backbone"].isin(MEDICAL_BACKBONES)
pairs = bounds[medical].merge(bounds[~medical], on="dataset", suffixes=("_medical", "_general"))
decided = (pairs["high_medical"] < pairs["low_general"]) | (pairs["low_medical"] >= pairs["high_general"])
published["smaller_gaps"] = finding(
    f"no gap is printed; bounds from R decide {decided.sum()} of {len(pairs)} comparisons",
    "the paper shows projections only, and the authors' stored projections are of CLIP alone",
)

toward = np.minimum((bounds["image"] - bounds["text"]).abs() / 2, ROUNDING) * np.sign(bounds["image"] - bounds["text"])
nearest = zip(bounds["image"] - toward, bounds["text"] + toward, strict=True)  # as near each other as rounding allows
residuals = np.array([residual_range(image, text) for image, text in nearest])
residuals[residuals < 1e-9] = 0.0
least, widest = residuals[:, 0], bounds.iloc[residuals[:, 0].argmax()]
published["closes_at_one"] = finding(
    f"R_v and R_t differ by more than rounding in {(least > 0).sum()} of {len(bounds)} cells; there a gap remains whatever the angle of the means",
    f"decided on lower bounds: to leading order {widest['dataset']} under {widest['backbone']} keeps at least {least.max():.2f}, and "
    f"{(least > 0.01).sum()} cells keep at least 0.01",
    part(cases=-residuals[:, ::-1]),
)

half = bounds["high"] / 2 + ROUNDING
published["removes_information"] = finding(
    f"‖Δ‖/2 is at most {half.max():.4f} in all {len(bounds)} data-set-backbone cells",
    "below 1 the aligned map is a bijection of the sphere, so no mutual information, between the modalities or with the label, "
    "depends on λ; what a restricted probe can use may. The effect is ‖Δ‖/2 - 1 at most",
    part(cases=np.column_stack([np.full(len(half), -1.0), half - 1])),
)

# %% [markdown]
# ### Claims on downstream gains, from the authors' stored curves
#
# These are the 16 curves behind the paper's Fig. 3, and four of a longer-trained probe on BRSET that the paper does not report.

# %%
FAR = 0.1  # share of the headroom 1 - AUC(0) that the best lambda must recover for the pretrained gap to be far from optimal
NOT_COMPARABLE = "the AUC of HAM10000 is of hard labels, so effects are given with and without it, absolute and relative to headroom"
stored = pd.concat([authors_sweep().assign(probe="Fig. 3"), authors_longer_sweep().assign(probe="longer-trained")], ignore_index=True)
curves = curve_summary(stored)


def listed(effects) -> str:
    return ", ".join(map(str, effects))


def by_metric(cases: pd.DataFrame, value: pd.Series, prefix: str = "") -> list[Effect]:
    """Return the mean over data sets of a value per curve, with HAM10000's hard-label AUC and without it."""
    cases = cases.assign(value=value)
    scores = cases[cases["metric"] == SCORE_AUC]
    of_sets, of_scores = (rows.groupby("dataset")["value"].mean() for rows in (cases, scores))
    return [mean_effect(of_sets, f"{prefix}4 data sets"), mean_effect(of_scores, f"{prefix}3 without hard labels")]


def absolute_and_relative(cases: pd.DataFrame, gain: pd.Series) -> list[Effect]:
    return by_metric(cases, gain) + by_metric(cases, gain / cases["headroom"], "of headroom, ")


def gain_everywhere(lam: float) -> SimpleNamespace:
    """Test AUC(lam) - AUC(0) on every stored curve."""
    keys = ["dataset", "backbone", "probe"]
    at, zero = (stored[stored["lambda"] == value].set_index(keys) for value in (lam, 0.0))
    se = np.hypot(at["auc_std"], zero["auc_std"].loc[at.index]) / np.sqrt(5)
    at = at.assign(se=se, headroom=1 - zero["auc_mean"].loc[at.index]).reset_index()
    first, longer = (at[at["probe"] == probe] for probe in ("Fig. 3", "longer-trained"))
    sign_test = binomtest(int((first["gain"] > 0).sum()), len(first), alternative="greater").pvalue
    effects, worst = absolute_and_relative(at, at["gain"]), longer.loc[longer["gain"].idxmin()]
    return finding(
        f"{(first['gain'] > 0).sum()} of {len(first)} curves behind the paper's Fig. 3 gain at λ = {lam:g} ({first['gain'].min():+.4f} to "
        f"{first['gain'].max():+.4f}; one-sided sign test p = {sign_test:.1g}, curves not independent); longer-trained on BRSET: "
        + ", ".join(f"{row.backbone} {row.gain:+.4f}" for row in longer.itertuples()),
        f"mean gain, {listed(effects)}; {NOT_COMPARABLE}. The least of the longer-trained curves is {worst['backbone']}'s "
        f"{worst['gain']:+.5f}: {abs(worst['gain'] / worst['se']):.1f} standard errors over seeds, on one fixed test set, "
        "the worst of four curves of a configuration that the paper does not report",
        part(effects, within(at["gain"], CLEAR * at["se"]), universal=True),
    )


published["moderate_helps"], published["always_desirable"] = gain_everywhere(0.5), gain_everywhere(1.0)

probed = authors_sweep()["dataset"].drop_duplicates().map(datasets().set_index("dataset")["domain"]).value_counts()
published["more_sensitive"] = finding(
    f"curves exist for {probed.get('medical', 0)} medical and {probed.get('natural', 0)} natural data sets",
    "the natural data sets were embedded but no probing result of theirs is published",
)

share = curves["best_gain"] / curves["headroom"]
effects = by_metric(curves, share - FAR)
published["far_from_optimal"] = finding(
    f"the best of eleven λ recovers {share.min():.1%} to {share.max():.1%} of the headroom 1 - AUC(0), {share.mean():.1%} on average",
    f"the paper does not say what far is, {FAR:.0%} of the headroom is our reading; share minus {FAR:g}: {listed(effects)}, although "
    "a best test score favours the claim",
    part(effects, within(share - FAR, CLEAR * curves["se_zero"] / curves["headroom"])),
)

clear = curves[curves["drop"] > CLEAR * curves["se"]]
clear_drops = f"{len(clear)} of {len(curves)} fall from their peak by more than {CLEAR} unpaired standard errors over seeds"
named = ", ".join(f"{row.dataset} {row.backbone}, {row.probe}, {row.drop / row.se:.1f}" for row in clear.itertuples(index=False))
clear_drops += f" ({named})" * bool(named)
effects = by_metric(curves, curves["interior"])
published["intermediate_best"] = finding(
    f"{(curves['best'] == 1).sum()} of {len(curves)} curves peak at λ = 1; {clear_drops}",
    f"best interior AUC minus AUC(1): {listed(effects)}, although the best of nine test scores favours the claim. Seeds are shared over λ and "
    "only SDs of levels are published, which cannot resolve a drop",
    part(effects, within(curves["interior"], CLEAR * curves["se"])),
)

is_named = curves["medical"] & curves["dataset"].isin(["BRSET", "mBRSET"])
named, others = curves[is_named], curves[~is_named]
declines = difference_effect(named["drop"], others["drop"], "named minus other curves")
longer = curves[curves["probe"] == "longer-trained"]
again = ", ".join(
    f"{row.backbone} {row.drop:.5f} ({row.drop / row.se:.2g} standard errors)" for row in longer[longer["medical"]].itertuples(index=False)
)
published["declines_near_one"] = finding(
    f"drops of the {len(named)} named curves {named['drop'].min():.5f} to {named['drop'].max():.5f}; {clear_drops}. Longer-trained on "
    f"BRSET: {again}, while {longer.loc[~longer['medical'], 'best'].eq(1).sum()} of 2 generalists peak at λ = 1",
    f"{declines}, curves not independent. The standard errors are unpaired, though seeds are shared over λ: what was published cannot "
    "resolve these drops either way; the longer-trained curves show the pattern that the claim names",
    part([declines], within(named["drop"], CLEAR * named["se"])),
)

pooled = curves.groupby(["dataset", "medical"])["gain"].mean().unstack()
excess = pooled[False] - pooled[True]
parts = []
for generalist, medical in COUNTERPARTS.items():
    one, other = (curves[curves["backbone"] == name].set_index(["dataset", "probe", "metric"]) for name in (generalist, medical))
    gain, share = one["gain"] - other["gain"], one["gain"] / one["headroom"] - other["gain"] / other["headroom"]
    keys = gain.index.to_frame(index=False)
    effects = by_metric(keys, gain.to_numpy()) + by_metric(keys, share.to_numpy(), "of headroom, ")
    parts.append(part(effects, within(gain, CLEAR * np.hypot(one["se_gain"], other["se_gain"])), name=f"{generalist} against {medical}"))
published["generalists_gain_more"] = published["medical_gain_less"] = finding(
    f"two generalists together gain more than two medical encoders on {(excess > 0).sum()} of {len(excess)} data sets, by "
    f"{excess.min():.4f} to {excess.max():.4f}",
    f"{'; '.join(f'{one.name}: {listed(one.effects)}' for one in parts)}. Two encoders against two: a difference between pairs is "
    f"not one between kinds of pretraining; {NOT_COMPARABLE}",
    *parts,
)

gains_of_medical = curves[curves["medical"]]
spread = {kind: rows.groupby("dataset")["gain"].mean() for kind, rows in curves.groupby("medical")}
variation = {kind: values.std() / values.mean() for kind, values in spread.items()}
effects, gain = absolute_and_relative(gains_of_medical, gains_of_medical["gain"]), gains_of_medical["gain"]
published["medical_gain_steadily"] = finding(
    f"{(gain > 0).sum()} of {len(gain)} gains positive ({gain.min():+.4f} to {gain.max():+.4f}); "
    f"coefficient of variation over data sets {variation[True]:.2f}, against {variation[False]:.2f} of the generalists",
    f"{listed(effects)}; relative to their size the gains vary more than those of the generalists",
    part(effects, within(gain, CLEAR * gains_of_medical["se_gain"]), universal=True),
)

for name, quantity in {
    "diversity": "a measure of the diversity of the data",
    "lower_dimension": "a rank or spectrum of the embeddings",
    "follows_gap": "the norm of the gap beside gains, but for two data sets under CLIP",
    "task_dependent": "any validation score",
}.items():
    published[name] = finding("none", f"no published table or stored result holds {quantity}")

# %% [markdown]
# ### Own runs of the paper's encoders, where published numbers cannot decide

# %%
hard = [name for name, protocol in PROTOCOLS.items() if protocol.multiclass_auc == "hard"]
labels, scores = sweep_gains(sweep, "auc_hard").assign(metric=HARD_AUC), sweep_gains(sweep).assign(metric=SCORE_AUC)
gains = pd.concat([labels[labels["protocol"].isin(hard)], scores]).drop_duplicates([*NAMES, "protocol", "features", "lambda"])
gains = gains[gains["features"] == "joint"].reset_index(drop=True)  # each curve in the headline AUC of its protocol


def quantities(*names: str) -> pd.DataFrame:
    return geometry[geometry["quantity"].isin(names)]


def of_paper(rows: pd.DataFrame) -> pd.DataFrame:
    rows = in_paper_names(rows)
    return rows[rows["dataset"].isin(datasets()["dataset"]) & rows["backbone"].isin(BACKBONES) & (rows["variant"] != "clean")]


def own_finding(tested, rows: pd.DataFrame, what: str) -> SimpleNamespace:
    sets, encoders = rows["dataset"].nunique(), rows["backbone"].nunique()
    others = rows.loc[is_contributed(rows["route"]), "dataset"].nunique() if "route" in rows else 0
    scope = f"our runs, {sets} data sets" + f", {others} of them contributed" * bool(others)
    return finding("", f"our runs of {sets} data sets under {encoders} of the paper's encoders: {what} {tested.effects[0]}", tested, scope=scope)


def lower_under_medical(quantity: str) -> SimpleNamespace | None:
    """Test a quantity under generalist minus under medical encoders; None with fewer than two data sets."""
    rows = of_paper(quantities(quantity))
    medical = rows["backbone"].isin(MEDICAL_BACKBONES).rename("medical")
    if not {True, False} <= set(medical):
        return None
    means = rows.groupby(["dataset", "modality", medical])["value"].mean().unstack()
    excess = (means[False] - means[True]).dropna().groupby("dataset").mean()
    if len(excess) < 2:
        return None
    tested = part([mean_effect(excess)], within(excess), universal=True)
    return own_finding(tested, rows[rows["dataset"].isin(excess.index)], "generalist minus medical encoders")


def medical_gains_exceed_natural(at_one: pd.DataFrame) -> SimpleNamespace | None:
    """Test the gain on medical minus natural data sets; None with fewer than two of either."""
    means, domain = at_one.groupby("dataset")["gain"].mean(), datasets().set_index("dataset")["domain"]
    medical, natural = (means[means.index.map(domain) == d] for d in ("medical", "natural"))
    if min(len(medical), len(natural)) < 2:
        return None
    return own_finding(part([difference_effect(medical, natural)]), at_one, "gain on medical minus natural data sets")


def gains_follow_the_gap(at_one: pd.DataFrame) -> SimpleNamespace | None:
    """Test the rank correlation of gain and gap over data sets; None with fewer than two encoders of three data sets each."""
    both = at_one[[*NAMES, "gain"]].merge(of_paper(quantities("gap_norm"))[[*NAMES, "value"]], on=NAMES)
    slopes = [rows["gain"].corr(rows["value"], method="spearman") for _, rows in both.groupby("backbone") if len(rows) > 2]
    if len(slopes) < 2:
        return None
    return own_finding(part([mean_effect(slopes)]), both, "rank correlation of gain and gap over data sets, mean over encoders")


at_one = of_paper(gains[(gains["lambda"].round(6) == 1) & (gains["protocol"] == "authors-code")])
recomputed = {
    "lower_dimension": lower_under_medical("effective_rank"),
    "smaller_gaps": lower_under_medical("gap_norm"),
    "more_sensitive": medical_gains_exceed_natural(at_one),
    "follows_gap": gains_follow_the_gap(at_one),
}

# %% [markdown]
# ### What our runs show beside each claim
#
# These sentences never decide.

# %% tags=["hide-input"]
WORDS = {
    "effective_rank": "effective rank", "gap_norm": "norm of the gap", "cos_gap_pc1": "|cos| of the gap and the first principal direction",
    "pc1_share": "share of variance along it", "residual_gap": "gap left at λ = 1", "image": " of images", "text": " of texts", "joint": "",
}  # fmt: skip
TEXTS = {"clean": ", clean text", "authors": ", the authors' text"}


def label(backbone: str) -> str:
    return paper_name(backbone) if paper_name(backbone) in BACKBONES else f"{paper_name(backbone)} (test bench)"


def set_name(row) -> str:
    given = "; contributed" * bool(is_contributed(pd.Series([row.get("route")]))[0])
    metric = f"; {HARD_AUC}" * (row.get("metric") == HARD_AUC)
    return f"{title(row['dataset'])}{TEXTS.get(row.get('variant'), '')}, {label(row['backbone'])}{metric}{given}"


def span(rows: pd.DataFrame, column: str, spec: str) -> str:
    """Return the smallest and the largest value of a column, each with its set."""
    ends = [rows.loc[rows[column].idxmin()], rows.loc[rows[column].idxmax()]][: len(rows)]
    return " to ".join(f"{row[column]:{spec}} ({set_name(row)})" for row in ends)


def count(rows, what: str) -> str:
    return f"{len(rows)} {what}{'s' * (len(rows) != 1)}"


def ranges(*names: str) -> str:
    """Return the range of each quantity and modality over our sets."""
    groups = quantities(*names).groupby(["quantity", "modality"], sort=False)
    return "; ".join(f"{WORDS.get(q, q)}{WORDS[of]}: {span(rows, 'value', '.3f')}, {count(rows, 'set')}" for (q, of), rows in groups)


def means_by_domain() -> str:
    """Return the mean R of medical and of natural data sets, per encoder and modality."""
    rows = quantities("R")
    of = rows.groupby(["backbone", "modality", "domain"])
    means, counts = of["value"].mean(), of["dataset"].nunique()
    cones = [
        f"R{WORDS[modality]} under {label(backbone)}: "
        + ", ".join(f"{domain} {value:.3f} ({counts[backbone, modality, domain]})" for domain, value in cone.droplevel([0, 1]).items())
        for (backbone, modality), cone in means.groupby(level=[0, 1])
    ]
    return "; ".join(cones) + " (number of data sets)" * bool(cones)


def diversity() -> str:
    """Return the diversity of the shipped data sets measured without an encoder, and their R."""
    raw = pd.concat([pd.read_csv(path) for path in sorted((project_root() / "data/diversity").glob("*.csv"))])
    sets = [
        f"{title(row.dataset)}: variance of a pixel over images {row.pixel_variance:.4f}, share of distinct texts {row.distinct_text_share:.3f}"
        for row in raw[raw["subset"] == "all pairs"].itertuples()
    ]
    return f"measured without an encoder, {'; '.join(sets)}; {ranges('R')}" * bool(ranges("R"))


def gains_at(lam: float) -> str:
    groups = gains[gains["lambda"].round(6) == lam].groupby("protocol")
    return "; ".join(f"{protocol}: {span(rows, 'gain', '+.4f')}, {count(rows, 'curve')}" for protocol, rows in groups)


def best_lambda() -> str:
    """Return, per protocol, how many test curves peak at either end and how far the last point lies below the peak."""
    peaks = []
    for _, curve in gains.rename(columns={"lambda": "lam"}).groupby([*NAMES, "protocol"]):
        best, last = curve.loc[curve["auc"].idxmax()], curve.loc[curve["lam"].idxmax()]
        peaks.append({**best, "drop": best.auc - last.auc, "at_zero": best.lam == 0, "at_last": best.lam == last.lam})
    return "; ".join(
        f"{protocol}: of {count(rows, 'curve')} {rows['at_zero'].sum()} peak at lambda 0 and {rows['at_last'].sum()} at the "
        f"largest; largest drop from the peak {span(rows.nlargest(1, 'drop'), 'drop', '.4f')}"
        for protocol, rows in (pd.DataFrame(peaks).groupby("protocol") if peaks else ())
    )


def resolution_of_seeds() -> str:
    """Compare the unpaired with the paired SD over seeds of AUC(lambda) - AUC(0), over the curves of our sweeps."""
    rows = sweep.query("split == 'test' and metric == 'auc' and alignment == 'lambda' and `class`.isna() and features == 'joint'")
    ratios = []
    for _, curve in rows[rows["lambda_image"] == rows["lambda_text"]].groupby([*NAMES, "protocol"]):
        auc = curve.pivot_table(index="seed", columns="lambda_image", values="value")
        if len(auc) > 2 and 0.0 in auc:
            others = auc.drop(columns=0.0)
            paired, unpaired = others.sub(auc[0.0], axis=0).std(), np.hypot(others.std(), auc[0.0].std())
            ratios.extend((unpaired / paired)[paired > 0])
    if not ratios:
        return ""
    return (
        f"seeds are shared over λ: the unpaired SD of a difference is {min(ratios):.2f} to {max(ratios):.1f} times the paired one "
        f"(median {np.median(ratios):.1f}, {len(ratios)} differences), so published SDs of levels cannot resolve a drop"
    )


def gap_against_gain() -> str:
    """Return the rank correlation of the gap and the gain at lambda = 1 over our sets, and over gaps set by hand."""
    gaps = in_paper_names(quantities("gap_norm"))[[*NAMES, "value"]]
    both = in_paper_names(gains[gains["lambda"].round(6) == 1]).merge(gaps, on=NAMES)
    found = [
        f"{protocol}: {rows['gain'].corr(rows['value'], method='spearman'):+.2f} over {len(rows)} sets"
        for protocol, rows in both.groupby("protocol") if len(rows) > 2
    ]  # fmt: skip
    set_by_hand = pd.read_csv(project_root() / "data/measured/gap_dials_tests.csv").query("cause == 'gap'").groupby("dial", sort=False)
    axes = {"exact": "with the cone axes outside the span of the data", "in-span": "with the axes inside it"}
    by_hand = [
        f"{axes[dial]}: " + ", ".join(f"{title(r.dataset)} {r.protocol} {r.correlation:+.2f} (p = {r.p:.3f}, n = {r.n})" for r in rows.itertuples())
        for dial, rows in set_by_hand if dial in axes
    ]  # fmt: skip
    sentences = [f"rank correlation of gap and gain, {'; '.join(found)}"] * bool(found)
    sentences.append("test-bench evidence, rank correlation of the gain with a gap set by hand, " + "; ".join(by_hand))
    return "; ".join(sentences) * (len(gains) > 0)


def selected_gains() -> str:
    """Return the test gain of the lambda chosen on validation rows, per protocol."""
    return "; ".join(
        f"{protocol}: chosen λ from {rows['lambda_image'].min():g} to {rows['lambda_image'].max():g}, gain on test "
        f"{span(rows, 'difference', '+.4f')}, {((rows['low'] > 0) | (rows['high'] < 0)).sum()} of {len(rows)} intervals clear of zero"
        for protocol, rows in selected[selected["features"] == "joint"].groupby("protocol")
    )


peaks = "; ".join(filter(None, [best_lambda(), resolution_of_seeds()]))
own = {
    "narrow": ranges("R"), "wider_under_medical": ranges("R"), "lower_dimension": ranges("effective_rank"),
    "larger_gap": ranges("gap_norm"), "smaller_gaps": ranges("gap_norm"), "first_direction": ranges("cos_gap_pc1", "pc1_share"),
    "lambda_controls": ranges("gap_norm", "residual_gap"), "closes_at_one": ranges("residual_gap"), "diversity": diversity(),
    **dict.fromkeys(["higher_on_average", "higher_set_by_set", "lower_variance"], means_by_domain()),
    "moderate_helps": gains_at(0.5), "far_from_optimal": best_lambda(), "intermediate_best": peaks, "declines_near_one": peaks,
    "follows_gap": gap_against_gain(), "task_dependent": selected_gains(),
}  # fmt: skip

# %% [markdown]
# ## The evidence for each claim

# %%
claims = yaml.safe_load((project_root() / "data/published/claims.yml").read_text("utf-8"))
found = {c["id"]: published[c["id"]] if published[c["id"]].parts else recomputed.get(c["id"]) or published[c["id"]] for c in claims}
p_holm = corrected(part.p for claim in found.values() for part in claim.parts)


def judged(claim: SimpleNamespace) -> dict:
    """Return verdict, scope, reason and the effect that decides: that of the part with the smallest p-value."""
    effect, scope, verdict = Effect(*[np.nan] * 4, 0), "", "not testable here"
    if claim.parts:
        verdict, limited = combined(claim.parts, [verdict_of(part, p_holm.get(part.p, np.nan)) for part in claim.parts])
        scope = ", ".join(filter(None, [f"{limited} only" * bool(limited), claim.scope]))
        shown = min(claim.parts, key=lambda part: part.p)
        effect = shown.weakest
        if shown.exact:  # the bound of the case most clearly against the claim, else least clearly for it
            bound = shown.cases[:, 1].min() if shown.against else shown.cases[shown.cases[:, 0] > 0, 0].min(initial=np.inf)
            effect = Effect(float(bound), np.nan, np.nan, np.nan, len(shown.cases))
    numbers = {"effect": effect.value, "low": effect.low, "high": effect.high, "n": effect.n, "p": effect.p}
    return {**numbers, "p_holm": p_holm.get(effect.p, np.nan), "verdict": verdict, "scope": scope, "why": claim.why}


ledger = pd.DataFrame(
    [
        {
            "claim": claim["statement"], "where": claim["where"], "test": claim["test"],
            "published_evidence": published[claim["id"]].evidence, **judged(found[claim["id"]]),
            "our_evidence": own.get(claim["id"], gains_at(1.0)) or None,
        }
        for claim in claims
    ]
)  # fmt: skip
page.save_table(ledger, "claims")
counts = ledger["verdict"].value_counts()
counted = "; ".join(f"{verdict}: {counts[verdict]}" for verdict in VERDICTS if verdict in counts)
page.glue(n_differences=len(protocol_differences()), n_claims=len(ledger), verdict_counts=counted)
lead.update(Markdown(f"Of {len(ledger)} claims, {counted}. Each claim is listed below with the test that answers it and the evidence."))
overview.update(format_table(ledger[["claim", "where", "verdict", "scope", "why"]].rename(columns={"where": "where in the paper"}), stacked=True))

# %% tags=["hide-input"]
blocks, given = [], {}
for number, row in enumerate(ledger.itertuples(), start=1):
    scope = f" ({row.scope})" * bool(row.scope)
    lines = [f"**{number}. {row.claim}** ({row.where}): *{row.verdict}*{scope}. {row.why[0].upper()}{row.why[1:]}", ""]
    lines += [f"- Test: {row.test}", f"- Published: {row.published_evidence}"]
    if pd.notna(row.effect):
        interval = f" [{row.low:.4f}, {row.high:.4f}]" if pd.notna(row.low) else ""
        tested = f", p = {row.p:.2g}, after Holm {row.p_holm:.2g}" if pd.notna(row.p) else ""
        lines.append(f"- Effect: {row.effect:.4f}{interval}, n = {row.n}{tested}")
    if row.our_evidence:
        first = given.setdefault(row.our_evidence, number)  # what already stands under an earlier claim becomes a reference to it
        lines.append(f"- Our runs: {escape_markdown(row.our_evidence) if first == number else f'as under claim {first}'}")
    blocks.append("\n".join(lines))
Markdown("\n\n".join(blocks))

# %% [markdown]
# ## What was not tested
#
# Claims on the paper's downstream results rest on four medical data sets and on means and standard deviations over five seeds. The
# authors' row-level scores are not public, so no interval over test rows can be given for the published curves. A verdict on
# one data set says nothing about another.
#
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer()
