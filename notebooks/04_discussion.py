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
from html import escape
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml
from IPython.display import HTML, Markdown, display
from scipy.stats import ttest_1samp, ttest_ind

from helpers import mean_resultant_length
from helpers import published as paper
from helpers.contributed import Contributed
from helpers.datasets.registry import title
from helpers.files import shipped_file
from helpers.page import Page, count, format_table, printed, span, text
from helpers.probing.protocol import PROTOCOLS
from helpers.schemas import shipped_table
from helpers.statistics import holm, permutation_p

page = Page("04_discussion", globals(), {name: text() | None for name in ("contributed", "results", "made_with")})
lead = display(Markdown(""), display_id=True)  # like the cards, filled in below, once the claims are judged
geometry = page.read_table("cone_effect", "01_cone_effect")
sweep, selected = (page.read_table(name, "03_lambda_sweep") for name in ("lambda_sweep", "lambda_selected"))
reports = Contributed(contributed)
geometry = reports.join(geometry, "geometry")
sweep, selected = (reports.join(t, name, ("dataset", "backbone", "protocol")) for t, name in ((sweep, "sweep"), (selected, "selected")))

# %% [markdown]
# Each claim has two answers. *In the authors' numbers* counts all that they printed or stored for it. A statement about every case (all, always,
# consistently, steadily) is not true if one number lies against it by more than rounding; one about an average is true if the mean has the claimed sign.
# *Beyond them* says whether these numbers can tell it of other data sets, by the rule below. The test bench never decides. The published curves are of
# probes that had not {term}`converged`; {doc}`03_lambda_sweep` and {doc}`14_what_the_probe_lacks` say what $\lambda$ does to a probe trained to the end.

# %% tags=["hide-input"]
cards = display(HTML(""), display_id=True)

# %% [markdown]
# ## The rule behind the verdicts
#
# The units are data sets, not curves or cells; only the drop near $\lambda = 1$ is compared between curves, which favours the claim. Where a claim
# can be analysed in several defensible ways (with and without the hard-label AUC of HAM10000, absolute or relative to the headroom
# $1 - \mathrm{AUC}(0)$), all are run and the largest p-value decides. Of two pairs of encoders, the weaker verdict stands. Where nothing was published,
# runs of the paper's own encoders on at least two of its data sets answer. Holm's correction runs over all distinct tests of this page, and eight data
# sets cannot give an exact p-value small enough to pass it. So *suggested* and *points the other way* mean: clear when tested alone.

# %%
LEVEL = 0.05  # of p-values after Holm's correction over all claims
CLEAR = 2  # a single curve counts beyond this number of standard errors over seeds
VERDICTS = (  # strongest first
    "holds", "contradicted", "holds where decided", "contradicted where decided", "holds on average only", "suggested", "suggested on average only", "points the other way", "not resolved", "not testable here",
)  # fmt: skip

HOLM = f"with p < {LEVEL} after Holm in every analysis"
RULES = [  # what is found, the verdict, and the condition on one part of a claim; clear: its p-value after Holm is below LEVEL
    ("No published number measures the quantity.", "not testable here", lambda part, clear: not part.exact and not part.effects),
    ("By arithmetic (bounds, no sampling), or by a counterexample computed on this page: a case is against a claim about every case.",
     "contradicted", lambda part, clear: part.exact and part.universal and part.against > 0),
    ("By arithmetic: at least one case is against the claim. Other cases are not covered.",
     "contradicted where decided", lambda part, clear: part.exact and part.against > 0),
    ("By arithmetic: no case is against the claim and at least one is for it. Other cases are not covered.",
     "holds where decided", lambda part, clear: part.exact and part.supporting > 0),
    (f"The mean effect over data sets has the sign opposite to the claim, {HOLM}.",
     "contradicted", lambda part, clear: clear and part.sign < 0),
    (f"The mean effect has the claimed sign {HOLM}, but the claim speaks of every case and at least one case counts against it.",
     "holds on average only", lambda part, clear: clear and part.sign > 0 and part.universal and part.against > 0),
    (f"The mean effect has the claimed sign {HOLM}, and no case counts against a claim about every case.",
     "holds", lambda part, clear: clear and part.sign > 0),
    (f"The mean effect has the opposite sign with p < {LEVEL} in every analysis before Holm's correction, but not after it.",
     "points the other way", lambda part, clear: part.p < LEVEL and part.sign < 0),
    (f"It has the claimed sign with p < {LEVEL} before Holm's correction only, and a case counts against a claim about every case.",
     "suggested on average only", lambda part, clear: part.p < LEVEL and part.sign > 0 and part.universal and part.against > 0),
    (f"It has the claimed sign with p < {LEVEL} before Holm's correction only.",
     "suggested", lambda part, clear: part.p < LEVEL and part.sign > 0),
    ("Anything else: what was published cannot tell the effect from none.", "not resolved", lambda part, clear: True),
]  # fmt: skip

def verdict_of(part, p_holm: float) -> str:
    """Return the verdict of the first line of RULES that applies to a part of a claim."""
    return next(verdict for _, verdict, applies in RULES if applies(part, p_holm < LEVEL))

def own_numbers(part) -> str:
    """Return whether a part is true of the authors' numbers themselves, and of how many of the cases."""
    if not len(part.stored):
        return "no number" if not part.effects else "yes" if part.sign > 0 else "no"
    true = part.stored[:, 0] > 0 if part.exact else part.stored.mean(axis=1) > 0
    if part.exact or part.universal:
        partly = "yes where decided" if part.exact else "undecided"
        answer = "no" if (part.stored[:, 1] < 0).any() else "yes" if true.all() else partly
    else:
        answer = "yes" if part.stored.mean() > 0 else "no"
    return f"{answer}, {true.sum()} of {len(true)}"
# %% tags=["hide-input"]
page.show_text(
    "A single case counts against a claim where it lies below zero beyond its uncertainty: rounding for Table 1, {clear} unpaired standard errors over "
    "seeds for a curve.", clear=CLEAR,
)  # fmt: skip
decisions = pd.DataFrame([(i, found, verdict) for i, (found, verdict, _) in enumerate(RULES, start=1)], columns=["order", "what is found", "verdict"])
format_table(decisions, caption="The first line that applies gives the verdict.", stacked=True)

# %% [markdown]
# ## The tests
#
# Each effect is positive if the claim is right. Claims on the cones are tested on Table 1. The mean resultant lengths bound the gap:
# $|R_v - R_t| \le \lVert\Delta\rVert \le R_v + R_t$; the authors' projections bound the gaps of CLIP tightly ({doc}`01_cone_effect`). What
# $\lambda = 1$ leaves is (A8) of {doc}`/book/theory`, the leading order. Claims on gains are tested on the curves behind the paper's Fig. 3, and on four
# of a longer-trained probe on BRSET that the paper does not report. `data/published/claims.yml` holds the statements and their sentences. *Our runs* are
# of the sets that {doc}`01_cone_effect` and {doc}`03_lambda_sweep` show.

# %% tags=["hide-input"]
class Effect(NamedTuple):
    """A mean effect with its 95 % interval, two-sided p-value and number of independent units; ``how`` names the analysis."""

    value: float
    low: float
    high: float
    p: float
    n: int
    how: str = ""

    def __str__(self) -> str:
        interval = "" if np.isnan(self.low) else f" [{digits(self.low)}, {digits(self.high)}]"
        return ": ".join(filter(None, [self.how, f"{digits(self.value)}{interval}"]))

def digits(value: float, form: str = "+") -> str:
    """Return a number with four decimals, or six if it would print as zero, so that its side of zero is seen."""
    return f"{value:{form}.{6 if 0 < abs(value) < 5e-5 else 4}f}"

def mean_effect(values, how: str = "") -> Effect:
    """Return the mean of independent values with Student's interval and p-value against zero."""
    values = np.asarray(values, dtype=float)
    test = ttest_1samp(values, 0.0)
    return Effect(float(values.mean()), *map(float, test.confidence_interval(0.95)), float(test.pvalue), len(values), how)

def difference_effect(a, b, how: str = "") -> Effect:
    """Return the difference of the means of two independent samples with Welch's interval and p-value."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    difference, n = float(a.mean() - b.mean()), len(a) + len(b)
    if min(len(a), len(b)) < 3:  # too few to determine a spread: the exact permutation test, and no interval
        return Effect(difference, np.nan, np.nan, min(1.0, 2 * min(permutation_p(a, b), permutation_p(b, a))), n, how)
    test = ttest_ind(a, b, equal_var=False)
    return Effect(difference, *map(float, test.confidence_interval(0.95)), float(test.pvalue), n, how)

def within(values, margin=0.0) -> np.ndarray:
    """Return the lowest and highest value of cases known to within ``margin``, (m, 2)."""
    values = np.asarray(values, dtype=float)
    return np.column_stack([values - margin, values + margin])

def part(effects=(), cases=(), universal: bool = False, name: str = "", stored=None) -> SimpleNamespace:
    """Return the test of a claim or of one subject; ``universal`` if it is about every case, ``stored`` are the numbers without spread."""
    cases = np.asarray(cases, dtype=float).reshape(-1, 2)
    weakest = max(effects, key=lambda effect: effect.p, default=None)  # the largest p-value decides
    signs = {int(np.sign(effect.value)) for effect in effects}
    return SimpleNamespace(
        name=name, effects=effects, cases=cases, stored=cases if stored is None else stored, universal=universal, weakest=weakest, p=weakest.p if effects
        else np.nan, exact=not effects and len(cases) > 0, sign=signs.pop() if len(signs) == 1 else 0, against=int((cases[:, 1] < 0).sum()),
        supporting=int((cases[:, 0] > 0).sum()),
    )  # fmt: skip

def finding(*parts, scope: str = "", why: str | None = None, **numbers) -> SimpleNamespace:
    """Return the tests of a claim, what they cover if not all, and the numbers that fill its sentences in claims.yml."""
    numbers = {name: ", ".join(map(str, value)) if isinstance(value, list) else value for name, value in numbers.items()}
    return SimpleNamespace(parts=parts, scope=scope, why=why, numbers=numbers)

# %% tags=["hide-input"]
# Claims on the cones, from Table 1
claims = yaml.safe_load(shipped_file("data/published/claims.yml").read_text("utf-8"))
found = {claim["id"]: finding() for claim in claims}  # without a test where nothing below replaces it
NARROW = 45.0  # degrees from the axis below which we call a cone narrow: closer to the axis than to any orthogonal direction
COUNTERPARTS = {"CLIP": "BioMedCLIP", "SigLIP": "MedSigLIP"}  # generalist and medical encoder of one family of training objective
table = paper.table1()

angle, least, most = (np.degrees(np.arccos(table["R"] + shift)) for shift in (0, paper.ROUNDING, -paper.ROUNDING))
wide = table.loc[angle > NARROW, ["dataset", "modality"]].drop_duplicates().groupby("modality")["dataset"].agg(", ".join)
found["narrow"] = finding(
    part([mean_effect(NARROW - angle.groupby(table["dataset"]).mean())], np.column_stack([NARROW - most, NARROW - least]), universal=True),
    narrow=NARROW, least=angle.min(), most=angle.max(), wider=(angle > NARROW).sum(), cells=len(table),
    wide="; ".join(f"{m}s of {d}" for m, d in wide.items()), widest=", ".join(table.loc[angle.idxmax(), ["dataset", "modality", "backbone"]]),
)  # fmt: skip

means = table.groupby(["domain", "dataset"])["R"].mean()
higher = difference_effect(means["medical"], means["natural"])
columns = table.pivot_table(index=["modality", "backbone"], columns="domain", values="R")
excess = columns["medical"] - columns["natural"]
found["higher_on_average"] = finding(
    part([higher], within(excess, paper.ROUNDING / 2)), higher=(excess > 0).sum(), columns=len(excess), least=excess.min(), most=excess.max(), effect=higher,
)  # fmt: skip

medical, natural = (table[table["domain"] == d].drop(columns="domain") for d in ("medical", "natural"))
pairs = medical.merge(natural, on=["modality", "backbone"], suffixes=("_medical", "_natural"))
excess = pairs["R_medical"] - pairs["R_natural"]
fails, worst = pairs[excess < -2 * paper.ROUNDING], pairs.loc[excess.idxmin()]
found["higher_set_by_set"] = finding(
    part([higher], within(excess, 2 * paper.ROUNDING), universal=True), higher=(excess > 2 * paper.ROUNDING).sum(), pairs=len(pairs),
    largest=-excess.min(), medical=worst["dataset_medical"], natural=worst["dataset_natural"], **worst[["modality", "backbone", "R_medical", "R_natural"]],
    exceptions=", ".join(f"{name} {count}" for name, count in fails["backbone"].value_counts().items()) or "none",
)  # fmt: skip

variance = table.assign(variance=1 - table["R"] ** 2)  # of unit vectors
by_set, by_modality = (variance.groupby(["domain", of])["variance"].mean() for of in ("dataset", "modality"))
lower = difference_effect(*(by_set[domain] for domain in ("natural", "medical")))
found["lower_variance"] = finding(part([lower]), effect=lower, **{f"{m}_{d}": value for (d, m), value in by_modality.items()})

cells = table.pivot_table(index=["dataset", "modality"], columns="backbone", values="R")
falls = {f"{general} to {medical}": cells[general] - cells[medical] for general, medical in COUNTERPARTS.items()}
effects = {name: mean_effect(fall.groupby("dataset").mean(), name) for name, fall in falls.items()}
found["wider_under_medical"] = finding(
    *[part([effects[name]], within(fall, 2 * paper.ROUNDING), universal=True, name=name) for name, fall in falls.items()],
    lower=", ".join(f"{name} in {(fall > 0).sum()} of {len(fall)}" for name, fall in falls.items()),
    effects=" and from ".join(map(str, effects.values())) + " over 8 data sets",
)  # fmt: skip

images = cells.xs("image", level="modality")
narrower = images[list(COUNTERPARTS.values())].mean(axis=1) - images[list(COUNTERPARTS)].mean(axis=1)
narrow = part([mean_effect(narrower)], within(narrower, paper.ROUNDING), universal=True)
found["increased_concentration"] = finding(narrow, narrower=(narrower > 0).sum(), sets=len(narrower), effect=narrow.weakest)

def random_network(activation, layers: int = 12, width: int = 256, items: int = 500) -> float:
    """Return R of the outputs of a network without biases, at random weights, for inputs in random directions."""
    rng = np.random.default_rng(0)
    h = rng.normal(size=(items, width))
    for _ in range(layers):
        h = activation(h @ rng.normal(scale=np.sqrt(2 / width), size=(width, width)))
    return mean_resultant_length(h)

relu, tanh = random_network(lambda x: np.maximum(x, 0)), random_network(np.tanh)
cone = within(np.array([relu, tanh]) - np.cos(np.radians(NARROW)))
found["all_activations"] = finding(part(cases=cone, universal=True, stored=cone[:0]), scope="computed here", relu=relu, tanh=tanh)

# %% tags=["hide-input"]
# Claims on the gap, from bounds
def residual_range(r_image: float, r_text: float, steps: int = 1001) -> tuple[float, float]:
    """Return the least and largest residual gap at lambda = 1 that two mean resultant lengths allow, over all cosines of the means."""
    m = np.linspace(abs(r_image - r_text) / 2, (r_image + r_text) / 2, steps)
    residual = m * np.abs(1 / np.sqrt(m**2 + 1 - r_text**2) - 1 / np.sqrt(m**2 + 1 - r_image**2))
    return float(residual.min()), float(residual.max())

projected = page.read_table("authors_gaps", "01_cone_effect")
at_zero = projected[projected["lambda"] == 0].sort_values(["domain", "low"], ascending=[True, False], ignore_index=True)
medical, natural = (at_zero[at_zero["domain"] == domain] for domain in ("medical", "natural"))
pairs = medical.merge(natural, how="cross", suffixes=("_medical", "_natural"))
cases = np.column_stack([pairs["low_medical"] - pairs["high_natural"], pairs["high_medical"] - pairs["low_natural"]])
larger = difference_effect(medical["low"], natural["low"])
found["larger_gap"] = finding(
    part([larger], cases), scope="CLIP, 5 data sets", gaps=", ".join(f"{row.dataset} {row.low:.3f} to {row.high:.3f}" for row in at_zero.itertuples()),
    more=(cases[:, 0] > 0).sum(), pairs=len(pairs), effect=larger.value, medical=len(medical), natural=len(natural),
)  # fmt: skip

found["first_direction"] = finding(
    part(cases=np.column_stack([at_zero["cosine_low"] ** 2 - 0.5, np.full(len(at_zero), 0.5)])), scope="CLIP, 5 data sets",
    cosines=", ".join(f"{row.cosine_low:.4f} ({row.dataset})" for row in at_zero.itertuples()),
)  # fmt: skip

path = projected[projected["dataset"] == "HAM10000"].sort_values("lambda")
before, after = path.iloc[:-1].reset_index(drop=True), path.iloc[1:].reset_index(drop=True)
cases = np.column_stack([before["low"] - after["high"], before["high"] - after["low"]])
last = after["lambda"][cases[:, 0] > 0].max()
low, high = (path.set_index(path["lambda"].round(6))[column] for column in ("low", "high"))
found["lambda_controls"] = finding(
    part(cases=cases), scope=f"HAM10000 under CLIP, λ from -1 to {last:.1f}",
    opened=low[-1.0], start=low[0.0], half=low[0.5], closed=high[1.0], falls=(cases[:, 0] > 0).sum(), steps=len(cases), last=last,
)  # fmt: skip

bounds = table.pivot_table(index=["dataset", "backbone"], columns="modality", values="R").reset_index()
bounds = bounds.assign(low=(bounds["image"] - bounds["text"]).abs(), high=bounds["image"] + bounds["text"])
medical = bounds["backbone"].isin(paper.MEDICAL_BACKBONES)
pairs = bounds[medical].merge(bounds[~medical], on="dataset", suffixes=("_medical", "_general"))
decided = ((pairs["high_medical"] < pairs["low_general"]) | (pairs["low_medical"] >= pairs["high_general"])).sum()
found["smaller_gaps"] = finding(decided=decided, pairs=len(pairs))

toward = np.minimum((bounds["image"] - bounds["text"]).abs() / 2, paper.ROUNDING) * np.sign(bounds["image"] - bounds["text"])
nearest = zip(bounds["image"] - toward, bounds["text"] + toward, strict=True)  # as near each other as rounding allows
residuals = np.array([residual_range(image, text) for image, text in nearest])
residuals[residuals < 1e-9] = 0.0
least, widest = residuals[:, 0], bounds.iloc[residuals[:, 0].argmax()]
found["closes_at_one"] = finding(
    part(cases=-residuals[:, ::-1], universal=True), differ=(least > 0).sum(), cells=len(bounds), keeps=least.max(), many=(least > 0.01).sum(),
    widest=f"{widest['dataset']} under {widest['backbone']}",
)  # fmt: skip

half = bounds["high"] / 2 + paper.ROUNDING
found["removes_information"] = finding(part(cases=np.column_stack([np.full(len(half), -1.0), half - 1])), half=half.max(), cells=len(half))

# %% tags=["hide-input"]
# Claims on downstream gains, from the authors' stored curves
FAR = 0.1  # share of the headroom 1 - AUC(0) that the best lambda must recover for the pretrained gap to be far from optimal
LONGER = "longer-trained"
stored = pd.concat([paper.authors_sweep().assign(probe="Fig. 3"), paper.authors_sweep(longer=True).assign(probe=LONGER)], ignore_index=True)
auc, std = (stored.pivot(index=["dataset", "backbone", "probe", "metric"], columns="lambda", values=v) for v in ("auc_mean", "auc_std"))
peak, best, inside = auc.max(axis=1), auc.idxmax(axis=1), auc[[lam for lam in auc if 0 < lam < 1]].max(axis=1)
std_best = pd.Series([std.loc[curve, lam] for curve, lam in best.items()], index=best.index)
levels = {"best": best, "gain": auc[1.0] - auc[0.0], "best_gain": peak - auc[0.0], "drop": peak - auc[1.0], "interior": inside - auc[[0.0, 1.0]].max(axis=1)}
errors = {"se": (std_best, std[1.0]), "se_gain": (std[1.0], std[0.0]), "se_zero": (std_best, std[0.0])}  # of drop, gain, best gain, as if unpaired
errors = {name: np.hypot(*ends) / np.sqrt(paper.SEEDS) for name, ends in errors.items()}
curves = pd.DataFrame({**levels, **errors, "headroom": 1 - auc[0.0]}).reset_index()
curves["medical"] = curves["backbone"].isin(paper.MEDICAL_BACKBONES)

def by_metric(cases: pd.DataFrame, values, prefix: str = "") -> list[Effect]:
    """Return the mean over data sets of one value per curve, with HAM10000's hard-label AUC and without it."""
    cases = cases.assign(value=values)
    scores = cases[cases["metric"] == paper.SCORE_AUC]
    of_sets, of_scores = (rows.groupby("dataset")["value"].mean() for rows in (cases, scores))
    return [mean_effect(of_sets, f"{prefix}4 data sets"), mean_effect(of_scores, f"{prefix}3 without hard labels")]

def gain_everywhere(lam: float) -> SimpleNamespace:
    """Test AUC(lam) - AUC(0) on every stored curve."""
    keys = ["dataset", "backbone", "probe"]
    at, zero = (stored[stored["lambda"] == value].set_index(keys) for value in (lam, 0.0))
    zero = zero.loc[at.index]
    at = at.assign(se=np.hypot(at["auc_std"], zero["auc_std"]) / np.sqrt(paper.SEEDS), share=at["gain"] / (1 - zero["auc_mean"])).reset_index()
    first, longer = at[at["probe"] != LONGER], at[at["probe"] == LONGER]
    positive, worst = int((first["gain"] > 0).sum()), longer.loc[longer["gain"].idxmin()]
    effects = by_metric(at, at["gain"]) + by_metric(at, at["share"], "of headroom, ")
    return finding(
        part(effects, within(at["gain"], CLEAR * at["se"]), universal=True, stored=within(at["gain"])), lam=lam, positive=positive, curves=len(first),
        least=first["gain"].min(), most=first["gain"].max(), effects=effects, worst=worst["backbone"], longer=", ".join(f"{row.backbone} {row.gain:+.4f}"
        for row in longer.itertuples()), worst_gain=worst["gain"], worst_errors=abs(worst["gain"] / worst["se"]),
    )  # fmt: skip

found["moderate_helps"], found["always_desirable"] = gain_everywhere(0.5), gain_everywhere(1.0)

probed = paper.authors_sweep()["dataset"].drop_duplicates().map(paper.datasets().set_index("dataset")["domain"]).value_counts()
found["more_sensitive"] = finding(medical=probed.get("medical", 0), natural=probed.get("natural", 0))

share = curves["best_gain"] / curves["headroom"]
effects = by_metric(curves, share - FAR)
found["far_from_optimal"] = finding(
    part(effects, within(share - FAR, CLEAR * curves["se_zero"] / curves["headroom"]), stored=within(share - FAR)),
    least=share.min(), most=share.max(), mean=share.mean(), far=FAR, effects=effects,
)  # fmt: skip

clear = curves[curves["drop"] > CLEAR * curves["se"]]
named = ", ".join(f"{row.dataset} {row.backbone}, {row.probe}, {row.drop / row.se:.1f}" for row in clear.itertuples(index=False))
clear_drops = f"{len(clear)} of {len(curves)} fall from their peak by more than {CLEAR} unpaired standard errors over seeds"
clear_drops += f" ({named})" if named else ""
effects = by_metric(curves, curves["interior"])
found["intermediate_best"] = finding(
    part(effects, within(curves["interior"], CLEAR * curves["se"]), stored=within(curves["interior"])),
    at_one=(curves["best"] == 1).sum(), curves=len(curves), clear_drops=clear_drops, effects=effects,
)  # fmt: skip

inside = curves["best"].between(0, 1, inclusive="neither").sum()
both = part(cases=within(-np.ones(len(curves))), universal=True)  # no curve can do both
found["both"] = finding(both, curves=len(curves), at_one=(curves["best"] == 1).sum(), inside=inside)

is_named, longer = curves["medical"] & curves["dataset"].isin(["BRSET", "mBRSET"]), curves[curves["probe"] == LONGER]
named, declines = curves[is_named], difference_effect(*(curves.loc[of, "drop"] for of in (is_named, ~is_named)))
again = (f"{row.backbone} {row.drop:.5f} ({row.drop / row.se:.2g} standard errors)" for row in longer[longer["medical"]].itertuples(index=False))
found["declines_near_one"] = finding(
    part([declines], within(named["drop"], CLEAR * named["se"]), stored=within(named["drop"])), named=len(named), least=named["drop"].min(),
    most=named["drop"].max(), clear_drops=clear_drops, effect=declines, longer=", ".join(again), at_one=longer.loc[~longer["medical"], "best"].eq(1).sum(),
)  # fmt: skip

pooled = curves.groupby(["dataset", "medical"])["gain"].mean().unstack()
excess, parts = pooled[False] - pooled[True], []
for generalist, medical in COUNTERPARTS.items():
    one, other = (curves[curves["backbone"] == name].set_index(["dataset", "probe", "metric"]) for name in (generalist, medical))
    gain, share = one["gain"] - other["gain"], one["gain"] / one["headroom"] - other["gain"] / other["headroom"]
    keys = gain.index.to_frame(index=False)
    effects = by_metric(keys, gain.to_numpy()) + by_metric(keys, share.to_numpy(), "of headroom, ")
    margin = CLEAR * np.hypot(one["se_gain"], other["se_gain"])
    parts.append(part(effects, within(gain, margin), name=f"{generalist} against {medical}", stored=within(gain)))
found["generalists_gain_more"] = found["medical_gain_less"] = finding(
    *parts, more=(excess > 0).sum(), sets=len(excess), least=excess.min(), most=excess.max(),
    effects="; ".join(f"{one.name}: {', '.join(map(str, one.effects))}" for one in parts),
)  # fmt: skip

of_medical = curves[curves["medical"]]
gain = of_medical["gain"]
spread = {kind: rows.groupby("dataset")["gain"].mean() for kind, rows in curves.groupby("medical")}
effects = by_metric(of_medical, gain) + by_metric(of_medical, gain / of_medical["headroom"], "of headroom, ")
found["medical_gain_steadily"] = finding(
    part(effects, within(gain, CLEAR * of_medical["se_gain"]), universal=True, stored=within(gain)),
    positive=(gain > 0).sum(), curves=len(gain), least=gain.min(), most=gain.max(), effects=effects,
    medical=spread[True].std() / spread[True].mean(), general=spread[False].std() / spread[False].mean(),
)  # fmt: skip

# %% tags=["hide-input"]
# Own runs of the paper's encoders, where published numbers cannot decide
hard = [name for name, protocol in PROTOCOLS.items() if protocol.multiclass_auc == "hard"]
labels, scores = paper.sweep_gains(sweep, "auc_hard").assign(metric=paper.HARD_AUC), paper.sweep_gains(sweep).assign(metric=paper.SCORE_AUC)
gains = pd.concat([labels[labels["protocol"].isin(hard)], scores]).drop_duplicates([*paper.NAMES, "protocol", "features", "lambda"])
gains = gains[gains["features"] == "joint"].reset_index(drop=True)  # each curve in the headline AUC of its protocol

def quantities(*names: str) -> pd.DataFrame:
    return geometry[geometry["quantity"].isin(names)]

def of_paper(rows: pd.DataFrame) -> pd.DataFrame:
    rows = paper.in_paper_names(rows)
    return rows[rows["dataset"].isin(paper.datasets()["dataset"]) & rows["backbone"].isin(paper.BACKBONES) & (rows["variant"] != "clean")]

def own_finding(effect: Effect, rows: pd.DataFrame, what: str, **cases) -> SimpleNamespace:
    sets, encoders = rows[["dataset", "backbone"]].nunique()
    others = rows.loc[paper.is_contributed(rows["route"]), "dataset"].nunique() if "route" in rows else 0
    scope = f"our runs, {count(sets, 'data set')}" + (f", {others} of them contributed" if others else "")
    return finding(part([effect], **cases), scope=scope, why=f"our runs of {sets} data sets under {encoders} of the paper's encoders: {what} {effect}")

def lower_under_medical(quantity: str) -> SimpleNamespace | None:
    """Test a quantity under generalist minus under medical encoders; None with fewer than two data sets."""
    rows = of_paper(quantities(quantity))
    medical = rows["backbone"].isin(paper.MEDICAL_BACKBONES).rename("medical")
    means = rows.groupby(["dataset", "modality", medical])["value"].mean().unstack().reindex(columns=[False, True])
    excess = (means[False] - means[True]).dropna().groupby("dataset").mean()
    rows = rows[rows["dataset"].isin(excess.index)]
    return own_finding(mean_effect(excess), rows, "generalist minus medical encoders", cases=within(excess), universal=True) if len(excess) > 1 else None

def medical_gains_exceed_natural(at_one: pd.DataFrame) -> SimpleNamespace | None:
    """Test the gain on medical minus natural data sets; None with fewer than two of either."""
    means, domain = at_one.groupby("dataset")["gain"].mean(), paper.datasets().set_index("dataset")["domain"]
    medical, natural = (means[means.index.map(domain) == d] for d in ("medical", "natural"))
    enough = min(len(medical), len(natural)) > 1
    return own_finding(difference_effect(medical, natural), at_one, "gain on medical minus natural data sets") if enough else None

def gains_follow_the_gap(at_one: pd.DataFrame) -> SimpleNamespace | None:
    """Test the rank correlation of gain and gap over data sets; None with fewer than two encoders of three data sets each."""
    both = at_one[[*paper.NAMES, "gain"]].merge(of_paper(quantities("gap_norm"))[[*paper.NAMES, "value"]], on=paper.NAMES)
    slopes = [rows["gain"].corr(rows["value"], method="spearman") for _, rows in both.groupby("backbone") if len(rows) > 2]
    return own_finding(mean_effect(slopes), both, "rank correlation of gain and gap, mean over encoders") if len(slopes) > 1 else None

at_one = of_paper(gains[(gains["lambda"].round(6) == 1) & (gains["protocol"] == "authors-code")])
recomputed = {"lower_dimension": lower_under_medical("effective_rank"), "smaller_gaps": lower_under_medical("gap_norm")}
recomputed |= {"more_sensitive": medical_gains_exceed_natural(at_one), "follows_gap": gains_follow_the_gap(at_one)}
# %% tags=["hide-input"]
WORDS = {
    "effective_rank": "effective rank", "gap_norm": "norm of the gap", "cos_gap_pc1": "|cos| of the gap and the first principal direction", "joint": "",
    "pc1_share": "share of variance along it", "residual_gap": "gap left at λ = 1", "image": " of images", "text": " of texts",
}  # fmt: skip
TEXTS = {"clean": ", clean text", "authors": ", the authors' text"}

def set_name(row) -> str:
    encoder = paper.paper_name(row["backbone"])
    name = f"{title(row['dataset'])}{TEXTS.get(row.get('variant'), '')}, {encoder}{'' if encoder in paper.BACKBONES else ' (test bench)'}"
    given = "contributed" if paper.is_contributed(pd.Series([row.get("route")]))[0] else ""
    return "; ".join(filter(None, [name, paper.HARD_AUC if row.get("metric") == paper.HARD_AUC else "", given]))

def extremes(rows: pd.DataFrame, column: str, spec: str) -> str:
    ends = [rows.loc[rows[column].idxmin()], rows.loc[rows[column].idxmax()]][: len(rows)]
    return " to ".join(f"{row[column]:{spec}} ({set_name(row)})" for row in ends)

def ranges(*names: str) -> str:
    groups = quantities(*names).groupby(["quantity", "modality"], sort=False)
    forms = {"effective_rank": ".0f"}
    return "; ".join(f"{WORDS.get(q, q)}{WORDS[of]}: {extremes(rows, 'value', forms.get(q, '.3f'))}, sets: {len(rows)}" for (q, of), rows in groups)

def gains_at(lam: float) -> str:
    groups = gains[gains["lambda"].round(6) == lam].groupby("protocol")
    return "; ".join(f"{protocol}: {extremes(rows, 'gain', '+.4f')}, curves: {len(rows)}" for protocol, rows in groups)

def resolution_of_seeds() -> str:
    rows = sweep.query("split == 'test' and metric == 'auc' and alignment == 'lambda' and `class`.isna() and features == 'joint'")
    ratios = []
    for _, curve in rows[rows["lambda_image"] == rows["lambda_text"]].groupby([*paper.NAMES, "protocol"]):
        auc = curve.pivot_table(index="seed", columns="lambda_image", values="value")
        if len(auc) > 2 and 0.0 in auc:
            paired, unpaired = auc.sub(auc[0.0], axis=0).std(), np.hypot(auc.std(), auc[0.0].std())
            ratios.extend((unpaired / paired)[paired > 0])
    return (
        f"seeds are shared over λ: the unpaired SD of a difference is {min(ratios):.2f} to {max(ratios):.1f} times the paired one "
        f"(median {np.median(ratios):.1f}, {len(ratios)} differences), so published SDs of levels cannot resolve a drop"
    ) if ratios else ""

def selected_gains() -> str:
    return "; ".join(
        f"{protocol}: chosen λ {span(rows['lambda_image'].min(), rows['lambda_image'].max(), 'g')}, gain on test "
        f"{extremes(rows, 'difference', '+.4f')}, {((rows['low'] > 0) | (rows['high'] < 0)).sum()} of {len(rows)} intervals clear of zero"
        for protocol, rows in selected[selected["features"] == "joint"].groupby("protocol")
    )

def contrasts(name: str, value: str, sets, of: str) -> str:
    """Effects in a table of data/measured with their intervals; ``sets`` chooses rows, ``of`` names each."""
    rows = shipped_table(f"measured/{name}").query(sets)
    return "; ".join(f"{of.format(**row)} {row[value]:+.4f} ({row['low']:+.4f} to {row['high']:+.4f})" for row in rows.to_dict("records"))

random = shipped_table("measured/random_networks").query("data == 'medical / natural' and depth > 0")["value"]
own = {
    "diversity": f"under networks with random weights the data induce {random.min():.2f} to {random.max():.2f} times as much variance on HAM10000 as on Flickr8k, less "
    f"in {(random < 1).sum()} of {len(random)} combinations of network, input and output; the page on where the gap comes from varies diversity alone",
    "more_sensitive": "HAM10000 minus Flickr8k, equally many rows that the heads have not seen, gain in AUC: "
    + contrasts("matched_sensitivity", "gain", "dataset == 'ham10000 minus flickr8k' and measure == 'AUC'", "{backbone}, {training}"),
    "follows_gap": "slope of the gain in a gap set by hand, converged probe: "
    + contrasts("gap_slopes", "slope", "protocol == 'converged'", "{dataset}, cone axes {dial}"),
    "narrow": ranges("R"), "wider_under_medical": ranges("R"), "lower_dimension": ranges("effective_rank"), "higher_on_average": ranges("R"),
    "larger_gap": ranges("gap_norm"), "smaller_gaps": ranges("gap_norm"), "first_direction": ranges("cos_gap_pc1", "pc1_share"),
    "lambda_controls": ranges("gap_norm", "residual_gap"), "closes_at_one": ranges("residual_gap"), "always_desirable": gains_at(1.0),
    "moderate_helps": gains_at(0.5), "declines_near_one": resolution_of_seeds(), "task_dependent": selected_gains(),
}  # fmt: skip

# %% tags=["hide-input"]
judged_by = {name: claim if claim.parts else recomputed.get(name) or claim for name, claim in found.items()}
distinct = sorted({part.p for claim in judged_by.values() for part in claim.parts if part.p == part.p})  # a test may serve two claims
p_holm = dict(zip(distinct, holm(distinct).tolist(), strict=True))

def judged(claim: SimpleNamespace) -> dict:
    """Return the weakest verdict of the parts with its effect, and what the other parts reach."""
    effect, scope, verdict = Effect(*[np.nan] * 4, 0), "", "not testable here"
    if claim.parts:
        verdicts = [verdict_of(part, p_holm.get(part.p, np.nan)) for part in claim.parts]
        verdict = max(verdicts, key=VERDICTS.index)
        others = [f"{part.name}: {its}" for part, its in zip(claim.parts, verdicts, strict=True) if its != verdict]
        scope = ", ".join(filter(None, [*others, claim.scope]))
        shown = max((p for p, its in zip(claim.parts, verdicts, strict=True) if its == verdict), key=lambda part: np.nan_to_num(part.p))
        effect = shown.weakest
        if shown.exact:  # the bound of the case most clearly against the claim, else least clearly for it
            bound = shown.cases[:, 1].min() if shown.against else shown.cases[shown.cases[:, 0] > 0, 0].min(initial=np.inf)
            effect = Effect(float(bound), np.nan, np.nan, np.nan, len(shown.cases))
            scope = ", ".join(filter(None, [f"{shown.against or shown.supporting} of {count(len(shown.cases), 'case')}", scope]))
    numbers = {"effect": effect.value, "low": effect.low, "high": effect.high, "n": effect.n, "p": effect.p}
    return {**numbers, "p_holm": p_holm.get(effect.p, np.nan), "verdict": verdict, "scope": scope}

def true_of(claim: SimpleNamespace) -> str:
    """Return what is true of the published numbers themselves, part by part."""
    return "; ".join(": ".join(filter(None, [part.name, own_numbers(part)])) for part in claim.parts) or "no number"

rows = []
for claim in claims:
    of, numbers = judged_by[claim["id"]], found[claim["id"]].numbers
    row = {"claim": claim["statement"], "where": claim["where"], "test": claim["test"], "published_evidence": claim["evidence"].format(**numbers)}
    ours = own.get(claim["id"]) or None
    rows.append({**row, "own_numbers": true_of(found[claim["id"]]), **judged(of), "why": of.why or claim["why"].format(**numbers), "our_evidence": ours})
ledger = page.save_table(pd.DataFrame(rows), "claims")
of_parts = ledger["own_numbers"].str.findall(r"(?:^|: )(yes|no number|no)\b").map(set)  # of the parts; one that is not true decides
counts, own_counts = ledger["verdict"].value_counts(), of_parts.map(lambda of: next((a for a in ("no", "yes", "no number") if a in of), "undecided")).value_counts()
counted = "; ".join(f"{verdict}: {counts[verdict]}" for verdict in VERDICTS if verdict in counts)
yes, no, none = (own_counts.get(answer, 0) for answer in ("yes", "no", "no number"))
fig3 = auc[auc.index.get_level_values("probe") == "Fig. 3"]  # claims that only the longer-trained curves decide against
gains_at_one = fig3[1.0] - fig3[0.0]
at_one_medical = gains_at_one[gains_at_one.index.get_level_values("backbone").isin(paper.MEDICAL_BACKBONES)]
unreported = sum(bool((gain > 0).all()) for gain in (fig3[0.5] - fig3[0.0], at_one_medical, gains_at_one))
page.glue(n_differences=len(paper.protocol_differences()), n_claims=len(ledger), own_counts=f"{yes} true, {no} not true ({unreported} of these by a run that the paper does not report), {none} without a published number")
same = [" and ".join(str(i + 1) for i in of.index) for _, of in ledger[ledger["p"].notna()].groupby(["effect", "p"], sort=False) if len(of) > 1]
lead.update(Markdown(printed(
    f"Of {len(ledger)} statements, {yes} are true of the numbers that the authors printed or stored, {no} are not (a statement of two parts "
    f"needs both; {unreported} would be true of the curves of Fig. 3 alone), and for {none} there is no number. One test serves claims {'; another claims '.join(same)}. What these numbers say of other data sets: {counted}."
)))

def said(words: str) -> str:
    """Return words for HTML: escaped, with true minus signs, a capital first and a full stop."""
    return escape(printed(words[0].upper() + words[1:].rstrip("."))) + "."

def badge(question: str, answer: str) -> str:
    kind = {"yes": "for", "holds": "for", "no": "against", "contradicted": "against"}.get(answer.split(",")[0].split(" ")[0], "open")
    return f'<span class="badge {kind if answer != "no number" else "open"}">{question}: <b>{escape(printed(answer))}</b></span>'

given: dict[str, int] = {}

def once(words: str, number: int) -> str:
    """Return words of a claim, or a reference to the earlier claim under which they already stand."""
    first = given.setdefault(words, number)
    return words if words == "none" or first == number else f"as under claim {first}"

html, section = [], None
for number, row in enumerate(ledger.itertuples(), start=1):
    if claims[number - 1]["section"] != section:
        section = claims[number - 1]["section"]
        html.append(f'<p class="claims-section">{escape(section)}</p>')
    beyond = f"{row.verdict} ({row.scope})" if row.scope else row.verdict
    evidence = {"Test": row.test, "Published": row.published_evidence}
    if pd.notna(row.effect):
        interval = f" [{digits(row.low, '')}, {digits(row.high, '')}]" if pd.notna(row.low) else ""
        tested = f", p = {row.p:.2g}, after Holm {row.p_holm:.2g}" if pd.notna(row.p) else ""
        evidence["Effect"] = f"{digits(row.effect, '')}{interval}, n = {row.n}{tested}"
    if pd.notna(row.our_evidence):
        evidence["Our runs"] = row.our_evidence
    items = "".join(f"<li><b>{name}:</b> {said(once(words, number))}</li>" for name, words in evidence.items())
    html.append(
        f'<div class="claim"><p><b>{number}. {escape(row.claim)}</b> <span class="where">{escape(row.where)}</span></p>'
        f"<p>{badge('in the authors’ numbers', row.own_numbers)} {badge('beyond them', beyond)}</p>"
        f'<p>{said(once(row.why, number))}</p><details class="evidence"><summary>Evidence</summary><ul>{items}</ul></details></div>'
    )
cards.update(HTML("\n".join(html)))

# %% [markdown]
# ## What was not tested
#
# The authors' row-level scores are not public, so no interval over test rows can be given for the published curves.
#
# ## How this page was made
# %% tags=["hide-input"]
page.show_footer()
