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
# # The cone effect

# %% tags=["parameters"]
datasets = []  # data sets; an empty list means all that are stored
backbones = []  # encoders; an empty list means all that are stored
variant = "clean"  # "clean" (no label proxies in the text) or "authors" (the authors' text)
n_boot = 1000  # bootstrap replicates for intervals; 0 for none
store = None  # folder of embedding sets; None for data/embeddings, then runs/embeddings
data_root = None  # folder of raw data, to extract what is not stored
results = None  # folder for result tables; None for ./results

# %% tags=["hide-input", "remove-stderr"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers import mean_resultant_length
from helpers.arrays import unit_rows
from helpers.cones import cone_table, undefined_quantities
from helpers.datasets import canonical_variant
from helpers.datasets.registry import title
from helpers.extraction.find import select
from helpers.files import project_root
from helpers.geometry import effective_rank, principal_directions
from helpers.page import SOURCE, Page, count, format_table, integer, span
from helpers.plotting import FEATURES, GRID, INK, PALE, colour, distinct_legend, panels, plane, resultants, sample, share_legend
from helpers.published import authors_pca, facts_of, table1, with_routes
from helpers.published import datasets as paper_datasets

page = Page("01_cone_effect", globals(), {**SOURCE, "n_boot": integer(0, 100_000)})
from helpers.heads import features_folder, shipped_features
from helpers.schemas import shipped_table

sets = select(datasets, backbones, variant, store, data_root)

# %%
measured = pd.concat([cone_table(s, n_boot) for s in sets], ignore_index=True)
geometry = page.save_table(with_routes(measured, map(facts_of, sets)), "cone_effect")

# %% tags=["hide-input"]
gaps = geometry.loc[geometry["quantity"] == "gap_norm", "value"]
page.show_text(
    "On {sets} of this build, the gap between the mean image and the mean text is {range}, where two points opposite each other on the sphere "
    "would be 2 apart.",
    sets=count(len(sets), "embedding set"), range=span(gaps.min(), gaps.max(), ".2f"),
)  # fmt: skip
page.describe_sets(sets, [variant])
for reason in undefined_quantities(geometry):
    page.show_text("{reason}", reason=reason)

# %% [markdown]
# Unit vectors in a narrow cone have a long mean. Its length is the mean resultant length $R$ ({eq}`eq-resultant`): 0 when directions
# cancel, 1 when they coincide. Images and texts form one cone each. The vector between the two means is the modality gap $\Delta$
# ({eq}`eq-gap`). {numref}`fig-resultants` gives the width of both cones with its interval.
#
# ## Images and texts form two clouds
#
# We project both modalities on the first two principal directions of all vectors, centred. The encoders of the paper's Fig. 2
# were trained on general or on medical data. The two shipped encoders are a test bench for that contrast: `lit-natural` was aligned on
# photographs and `lit-derm` on skin lesions.

# %% tags=["hide-input"]
def shows_the_contrast(names):
    """Whether both encoders of the test bench are there on photographs and on lesions; names are (data set, encoder)."""
    return {(d, b) for d in ("flickr8k", "ham10000") for b in ("lit-natural", "lit-derm")} <= set(names)


if shows_the_contrast((s.dataset, s.identity.backbone) for s in sets):
    page.show_text("Both are shown on both kinds of data, in-domain and out-of-domain.")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Image and text embeddings on the first two principal directions of both together (centred). The arrow joins the mean of the images to the mean of the texts. At most 1,500 points per modality are shown; the directions come from all of them.", "name": "fig-plane"}, "image": {"alt": "Scatter plots, one per data set and encoder: image points and text points form two clouds whose separation differs by panel."}}
plane(sets);

# %% [markdown]
# ## On the sphere, each cloud is a cap
#
# Here we project the uncentred vectors on the three directions that carry most of their squared length and rescale them to unit length.
# The view shows the cones but distorts angles: two vectors that differ outside these three directions look closer
# than they are. {numref}`fig-resultants` gives the undistorted measure.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Image and text embeddings in three uncentred principal directions, projected on the unit sphere. Angles are distorted.", "name": "fig-sphere"}, "image": {"alt": "Wire-frame unit spheres, one per data set and encoder, with image points and text points gathered in caps of different size and place."}}
figure, axes = panels(len(sets), 2, 3.7, 3.5, subplot_kw={"projection": "3d"})
u, v = np.mgrid[0 : 2 * np.pi : 25j, 0 : np.pi : 13j]
for ax, s in zip(axes, sets, strict=True):
    both = {"image": s.image_of(), "text": s.text_of()}
    directions, shares = principal_directions(np.concatenate([*both.values()]), k=3, centred=False)
    ax.plot_wireframe(np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v), color=GRID, linewidth=0.4)
    for feature, x in both.items():
        xyz = unit_rows(x[sample(len(s), 700)] @ directions.T)
        ax.scatter(*xyz.T, s=4, alpha=0.5, linewidths=0, color=FEATURES[feature], label=feature, rasterized=True)
    name = f"{title(s.dataset)} · {s.provenance.get('backbone', 'own')}"
    ax.set(title=f"{name}\n{shares.sum():.0%} of squared length shown", xlim=(-1, 1), ylim=(-1, 1), zlim=(-1, 1))
    ax.set_box_aspect((1, 1, 1), zoom=1.25)
    ax.set_axis_off()
    ax.view_init(elev=18, azim=35)
share_legend(figure, axes[0], markerscale=3);

# %% [markdown]
# ## The two modalities differ in the width of their cones

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Mean resultant length of images and texts over all pairs, with 95 % bootstrap intervals. The bootstrap resamples groups.", "name": "fig-resultants"}, "image": {"alt": "Dot plot of the mean resultant length of images and of texts for each data set and encoder."}}
resultants(geometry);

# %% [markdown]
# We compute $R$ over pairs, so an item that occurs in many pairs counts many times. Over distinct items $R$ can be lower, above all for
# texts written from a template. The effective rank {cite}`roy2007effective` is the number of directions over which the centred vectors spread.

# %%
by_modality = geometry[geometry["modality"] != "joint"].pivot_table(
    index=["dataset", "backbone", "modality"], columns="quantity", values="value", sort=False
)

# %% tags=["hide-input"]
shown = by_modality.reindex(columns=["R", "R_distinct", "distinct_share", "effective_rank"]).reset_index()
format_table(shown.rename(columns={"R_distinct": "R over distinct items", "distinct_share": "share of distinct items"}), effective_rank="{:.1f}")

# %% [markdown]
# ## What is narrow before a head is trained
#
# `lit-natural` and `lit-derm` share two frozen towers and differ in one linear head per tower. The towers' own features therefore show which
# width the data bring along.

# %%
bench = {d: by_modality["R"].unstack("backbone").loc[d] for d in by_modality.index.unique("dataset") if (features_folder() / d).is_dir()}
bench = {d: R for d, R in bench.items() if {"lit-natural", "lit-derm"} <= set(R.dropna(axis=1))}
towers = [
    {"dataset": d, "modality": m, "towers": before, "lit-natural": R.loc[m, "lit-natural"], "lit-derm": R.loc[m, "lit-derm"]}
    for d, R in bench.items()
    for m, before in shipped_features(d).resultants(canonical_variant(d, variant)).items()
]

# %% tags=["hide-input"]
format_table(pd.DataFrame(towers)) if towers else page.show_text("No data set is shown here under both encoders of the test bench.")

# %% tags=["hide-input"]
if {"flickr8k", "ham10000"} <= set(bench):
    R = pd.DataFrame(towers).set_index(["dataset", "modality"])
    photographs, captions, lesions, phrases = (R.loc[key] for d in ("flickr8k", "ham10000") for key in ((d, "image"), (d, "text")))
    page.show_text(
        "In the towers, R of lesions is {lesions:.2f} and of photographs {photographs:.2f}; R of their texts is {phrases:.2f} and {captions:.2f}.",
        lesions=lesions["towers"], photographs=photographs["towers"], phrases=phrases["towers"], captions=captions["towers"],
    )  # fmt: skip
    page.show_text(
        "The head of `lit-natural`, trained on photographs, brings them to {own:.2f}; that of `lit-derm`, which saw lesions only, to {other:.2f}. "
        "Our reading: the loss rewards any difference between pairs, so a head can keep what it was trained on in a narrow cone, and a head "
        "that never saw photographs passes their spread on.",
        own=photographs["lit-natural"], other=photographs["lit-derm"],
    )  # fmt: skip
    page.show_text(
        "The texts of lesions come to {own:.2f} under `lit-derm`, whose training had to tell them apart, and to {other:.2f} under "
        "`lit-natural`, for which they are nearly one sentence.",
        own=phrases["lit-derm"], other=phrases["lit-natural"],
    )  # fmt: skip
    page.show_text("These readings fit the numbers of two encoders; no run of this page tests them.")

# %% [markdown]
# {doc}`10_where_the_gap_comes_from` trains more heads.
#
# ## The full shift leaves part of the gap
#
# Where two clouds lie far apart compared with their own spread, the gap and the first principal direction nearly coincide, and their cosine
# says little. The share of the total variance along the gap then says more. After the alignment of {eq}`eq-align` with $\lambda = 1$
# the two means coincide *before* renormalisation. The table gives the gap that renormalisation reopens, with the gap estimated on the same rows,
# and its prediction to leading order from the two means ({doc}`/book/theory`). On other rows than those that estimated it more is left, because
# their means differ by chance; {doc}`11_what_lambda_closes` takes that noise out.

# %% tags=["hide-input"]
joint = geometry[geometry["modality"] == "joint"].pivot_table(index=["dataset", "backbone"], columns="quantity", values="value", sort=False)
headings = {
    "gap_norm": "gap", "cos_gap_pc1": "cosine with PC 1", "gap_share": "variance along it", "pc1_share": "variance along PC 1",
    "residual_gap": "gap left at λ = 1", "residual_gap_predicted": "as predicted",
}  # fmt: skip
format_table(joint.reindex(columns=list(headings)).rename(columns=headings).reset_index())

# %% [markdown]
# ## Real encoders under the same measures
#
# Published vectors of real encoders give the same measures: CLIP, the medical ConVIRT {cite}`zhang2022convirt`, VideoCLIP {cite}`xu2021videoclip` and
# CLASP {cite}`clasp`, each with its twin of random weights.
# The project ships these numbers and not the vectors; `studies/public_encoders.py` computes them.

# %% tags=["hide-input"]
real = shipped_table("measured/public_encoders")
real = real.assign(quantity=real["quantity"].where(real["modality"] == "joint", real["quantity"] + " " + real["modality"]))
real = real.pivot_table(index=["encoder", "weights"], columns="quantity", values="value", sort=False).reset_index()
real_headings = {"R image": "R of images", "R text": "R of texts", **headings, "relative_modality_gap": "relative modality gap"}
format_table(real[["encoder", "weights", *real_headings]].rename(columns=real_headings))

# %% [markdown]
# ## The data differ in diversity before any encoder sees them
#
# Diversity can be measured without an encoder. For images it is the variance of a pixel
# over images (in units of the full range, images reduced to 32 by 32 pixels); for texts it is the share of distinct texts. As a control,
# we use a narrow natural subset, photographs of dogs: one subject, as dermatoscopic images show one subject.

# %% tags=["hide-input"]
raw = pd.concat([shipped_table(f"diversity/{path.stem}") for path in sorted((project_root() / "data/diversity").glob("*.csv"))], ignore_index=True)
raw = raw[raw["subset"].isin(["all pairs", "dog"])]
format_table(raw, pixel_variance="{:.4f}")

# %% [markdown]
# The cones of the same subsets under each encoder:

# %%
def cones_of(s, rows, name):
    """Return R and effective rank of the images and texts of some rows of a set."""
    image, text = s.paired("image", rows), s.paired("text", rows)
    lengths = {"R image": mean_resultant_length(image), "R text": mean_resultant_length(text)}
    ranks = {"effective rank image": effective_rank(image), "effective rank text": effective_rank(text)}
    return {"dataset": s.dataset, "backbone": s.identity.backbone, "subset": name, "pairs": len(rows), **lengths, **ranks}


subsets = [cones_of(s, s.rows(), "all pairs") for s in sets]
subsets += [cones_of(s, np.flatnonzero(s.pairs["label_dog"] == 1), "photographs of dogs") for s in sets if "label_dog" in s.pairs]
narrow = page.save_table(pd.DataFrame(subsets), "narrow_subsets")

# %% tags=["hide-input"]
format_table(narrow, **dict.fromkeys(["effective rank image", "effective rank text"], "{:.1f}"))

# %% [markdown]
# ### Narrow subjects that are not medical
#
# Vectors that others published show more subjects. Most are of CLIP models, which differ, so the order is rough.

# %% tags=["hide-input"]
ladder = shipped_table("published/public_ladder")
ladder = ladder[ladder["quantity"].isin(["R", "gap_norm"])].assign(what=lambda t: t["quantity"] + " " + t["modality"])
ladder = ladder.pivot_table(index=["domain", "subject", "encoder", "pairs"], columns="what", values="value").reset_index()
ladder = ladder.rename(columns={"R image": "R of images", "R text": "R of texts", "gap_norm joint": "gap"}).sort_values("R of images", ascending=False)
paper_R = table1().query("backbone == 'CLIP' and modality == 'image'")
narrow_subjects, natural_R, medical_R = (
    ladder[ladder["domain"] == "narrow, not medical"], *(paper_R.loc[paper_R["domain"] == d, "R"] for d in ("natural", "medical"))
)  # fmt: skip
page.show_text(
    "R of images of {n} narrow subjects that are not medical is {low:.2f} to {high:.2f}. Under CLIP the paper has {natural_low:.2f} to {natural_high:.2f} on its natural "
    "data sets and {medical_low:.2f} to {medical_high:.2f} on its medical ones: a narrow subject has a narrow cone without being medical, and fundus photographs and "
    "chest X-rays have narrower cones than any of these subjects.",
    n=len(narrow_subjects), low=narrow_subjects["R of images"].min(), high=narrow_subjects["R of images"].max(), natural_low=natural_R.min(),
    natural_high=natural_R.max(), medical_low=medical_R.min(), medical_high=medical_R.max(),
)  # fmt: skip
format_table(ladder[["subject", "domain", "encoder", "pairs", "R of images", "R of texts", "gap"]])

# %% [markdown]
# ## The gap of the authors' own embeddings
#
# The paper prints no gap, but an earlier repository of its authors holds projections of CLIP embeddings on their first two principal
# components. These bound the norm of the gap: tightly at $\lambda = 0$, and on one data set over $\lambda$ until the gap is no longer the
# first direction. The medical data sets have the wider gaps here. With so few data sets the exact permutation test cannot tell that from chance
# ({doc}`/book/executed/04_discussion`).
#
# PC1 is an eigenvector of the pooled covariance $C = W + \Delta\Delta^\top/4$, with $W$ the mean covariance within a modality. For a unit vector
# $u$ orthogonal to it, $u^\top\Delta = -4\, u^\top W e_1 / a$ with $a$ the gap along PC1. So the part of the gap outside PC1 is at most
# $4\sqrt{W_{11}\lambda_2}/|a|$. It is also at most $2\sqrt{\lambda_2}$, because no direction orthogonal to PC1 carries more variance than PC2.
# The smaller of the two counts. The gap within the plane is the lower bound.

# %%
DIGITS = 0.000005  # half a unit of the fifth decimal, the last one of the authors' means and variances


def gap_bounds(pca: pd.DataFrame) -> pd.DataFrame:
    """Return the least and greatest norm of the gap, and the least absolute cosine of gap and PC1, by data set and lambda."""
    domain, rows = paper_datasets().set_index("dataset")["domain"], []
    for (dataset, backbone, lam), pair in pca.groupby(["dataset", "backbone", "lambda"]):
        image, text = (pair[pair["modality"] == modality].iloc[0] for modality in ("image", "text"))
        along, across = abs(image["mean_pc1"] - text["mean_pc1"]), abs(image["mean_pc2"] - text["mean_pc2"])
        within = (image["var_pc1"] + text["var_pc1"]) / 2 + DIGITS
        second = (image["var_pc2"] + text["var_pc2"]) / 2 + (across / 2 + DIGITS) ** 2 + DIGITS
        outside = min(4 * np.sqrt(within * second) / max(along - 2 * DIGITS, DIGITS), 2 * np.sqrt(second))
        low = np.hypot(max(along - 2 * DIGITS, 0), max(across - 2 * DIGITS, 0))
        cosine = along / np.hypot(along, outside)
        rows.append((dataset, domain[dataset], backbone, lam, low, np.hypot(along + 2 * DIGITS, outside), cosine))
    return pd.DataFrame(rows, columns=["dataset", "domain", "backbone", "lambda", "low", "high", "cosine_low"])


bounds = page.save_table(gap_bounds(authors_pca()), "authors_gaps")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Norm of the gap that the authors' stored CLIP projections allow. Left: without alignment; the bounds are narrower than the marks. Right: HAM10000 over $\\lambda$; where the band is wide the gap is no longer the first principal direction.", "name": "fig-authors-gaps"}, "image": {"alt": "Left, a dot plot of the gap under CLIP: BRSET and HAM10000 above Recipes5k, COCO-QA and Fakeddit. Right, the gap on HAM10000 falling with lambda."}}
figure, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.0))
unshifted = bounds[bounds["lambda"] == 0].sort_values(["domain", "low"], ascending=[True, False], ignore_index=True)
for domain, shade, marker in (("medical", colour("biomedclip"), "o"), ("natural", colour("clip"), "s")):
    mine = unshifted[unshifted["domain"] == domain]
    left.plot(mine["high"], mine.index, marker, color=shade, label=f"{domain} data")
left.set(xlim=(0, None), yticks=unshifted.index, yticklabels=unshifted["dataset"], xlabel="norm of the gap, CLIP, λ = 0")
left.invert_yaxis()
path = bounds[bounds["dataset"] == "HAM10000"].sort_values("lambda")
right.fill_between(path["lambda"], path["low"], path["high"], color=PALE, label="bounds of the gap, HAM10000")
right.plot(path["lambda"], path["low"], ".-", color=INK, linewidth=1, label="gap within the plane")
right.set(ylim=(0, None), xlabel="λ", ylabel="norm of the gap")
distinct_legend(figure, (left, right))

# %% [markdown]
# ## What was not tested
#
# The sets of this page are few, and each differs from the others in more than its domain. They do not show what *causes* a narrow cone:
# neither the training data nor the subject was varied alone. Pixel variance and repeated texts are two crude measures of diversity.
# The paper's own encoders count only where {doc}`02_r_table` lists them as recomputed.
#
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer(sets)
