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
lambdas = [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0]  # stops of the slider
points = 800  # points shown per modality, at most 800
store = None  # folder of embedding sets; None for data/embeddings, then runs/embeddings
data_root = None  # folder of raw data, to extract what is not stored
results = None  # folder for result tables; None for ./results

# %% tags=["hide-input", "remove-stderr"]
import json
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown, display
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from helpers import align, gap_vector, mean_resultant_length
from helpers.arrays import unit_rows
from helpers.cones import cone_table
from helpers.datasets import canonical_variant
from helpers.datasets.registry import title
from helpers.extraction.find import select
from helpers.files import project_root, replacing
from helpers.geometry import effective_rank, mean_direction, principal_directions
from helpers.page import SOURCE, Page, count, fill, format_table, integer, many, number, span
from helpers.plotting import FEATURES, GRID, INK, MARKERS, PALE, panels, share_legend
from helpers.published import authors_pca, facts_of, table1, with_routes
from helpers.published import datasets as paper_datasets
from helpers.schemas import shipped_table

kinds = {"n_boot": integer(0, 100_000), "lambdas": many(number(-2, 2), least=2), "points": integer(1, 800)}
page = Page("01_cone_effect", globals(), {**SOURCE, **kinds})
from helpers.tower_features import TOWER_FEATURES, shipped_features

lead = display(Markdown(""), display_id=True)  # filled in below, once the cones are measured
sets = select(datasets, backbones, variant, store, data_root)

# %%
measured = pd.concat([cone_table(s, n_boot) for s in sets], ignore_index=True)
geometry = page.save_table(with_routes(measured, map(facts_of, sets)), "cone_effect")

# %% tags=["hide-input"]
gaps = geometry.loc[geometry["quantity"] == "gap_norm", "value"]
lead.update(Markdown(fill(
    "On {sets} of this build, images and texts form two separate cones: their means lie {range} apart (the maximum is 2).",
    sets=count(len(sets), "embedding set"), range=span(gaps.min(), gaps.max(), ".2f"),
)))  # fmt: skip
page.describe_sets(sets, [variant])
empty = geometry[geometry["value"].isna()].groupby(["dataset", "backbone", "modality"], sort=False)
for (dataset, backbone, modality), of in empty:
    page.show_text(
        "{dataset} under {backbone}: all {vectors} are equal, so {quantities} cannot be computed.",
        dataset=dataset, backbone=backbone, quantities=", ".join(of["quantity"]),
        vectors="vectors" if modality == "joint" else f"{modality} vectors",
    )  # fmt: skip

# %% [markdown]
# ## The cones on the sphere
#
# The vectors are shown on the three directions that carry most of their squared length, rescaled to unit length. The view distorts angles: vectors
# that differ outside these directions look closer than they are. {numref}`fig-resultants` gives the undistorted measure, $R$ ({eq}`eq-resultant`).

# %% tags=["hide-input"]
def mean_directions(embeddings, lambdas):
    """Return the mean image vector and the mean text vector after Eq. 5 at each lambda, over all pairs: two arrays (lambdas, d)."""
    image, text = embeddings.image_of(), embeddings.text_of()
    gap = gap_vector(image, text)
    means = [[mean_direction(moved) for moved in align(image, text, gap, lam)] for lam in lambdas]
    return np.array(means).swapaxes(0, 1)


def lambda_path(embeddings, lambdas):
    """Measure the gap (Eq. 1) and both R (Eq. 7) that remain after Eq. 5, in all d dimensions: one row per lambda."""
    image, text = mean_directions(embeddings, lambdas)
    return pd.DataFrame(
        {
            "dataset": embeddings.dataset,
            "backbone": embeddings.provenance.get("backbone", "own"),
            "lambda": np.array(lambdas, dtype=float),
            "residual_gap": np.linalg.norm(image - text, axis=1),
            "R_image": np.linalg.norm(image, axis=1),
            "R_text": np.linalg.norm(text, axis=1),
        }
    )


def sphere_view(embeddings, lambdas, points=800, random_state=0):
    """Return the data of one embedding set for the slider, rounded to four decimals.

    The three shown directions carry most of the squared length of the uncentred vectors. The view divides a projected vector by its
    own norm, so the factor by which Eq. 5 renormalises cancels: with B the three directions, unit(B x') = unit(B x -+ lambda/2 B Delta).
    Three numbers per point and B Delta therefore give its exact place at every lambda. Each modality is sampled separately and in random
    order, so that no point can be traced to its row or to its pair.

    Returns:
        ``name``, ``pairs``, ``share`` of the squared length shown, ``image`` and ``text`` as (3, points) coordinates at lambda = 0
        before their norm is brought to 1, ``gap`` (3,), and per lambda ``lambdas``, ``residual``, ``r_image``, ``r_text`` and the
        projected means ``mean_image``, ``mean_text`` (3,).
    """
    vectors = {"image": embeddings.image_of(), "text": embeddings.text_of()}
    directions, shares = principal_directions(np.concatenate(list(vectors.values())), k=3, centred=False)
    gap, both = gap_vector(*vectors.values()), sum(map(mean_direction, vectors.values()))
    directions = facing(directions @ both, directions @ gap) @ directions
    table, means = lambda_path(embeddings, lambdas), mean_directions(embeddings, lambdas) @ directions.T
    rng = np.random.default_rng(random_state)
    return {
        "name": f"{title(table['dataset'].iloc[0])} · {table['backbone'].iloc[0]}",
        "pairs": len(embeddings),
        "share": float(shares.sum()),
        **{name: rounded((x[rng.permutation(len(x))[:points]] @ directions.T).T) for name, x in vectors.items()},
        "gap": rounded(directions @ gap, 6),
        "lambdas": table["lambda"].tolist(),
        "residual": rounded(table["residual_gap"]),
        "r_image": rounded(table["R_image"]),
        "r_text": rounded(table["R_text"]),
        "mean_image": rounded(means[0]),
        "mean_text": rounded(means[1]),
    }


def facing(both, gap):
    """Return the rotation (3, 3) that sends ``both`` to the first axis, towards the reader, and ``gap`` to the right."""
    axes = np.linalg.qr(np.stack([both, gap], axis=1), mode="complete")[0].T
    axes[0] *= np.sign(axes[0] @ both) or 1
    axes[1] *= np.sign(axes[1] @ gap) or 1
    axes[2] *= np.sign(np.linalg.det(axes))
    return axes


def rounded(values, decimals=4):
    """Return nested lists of rounded numbers, none of them a negative zero."""
    return (np.round(np.asarray(values, dtype=np.float64), decimals) + 0.0).tolist()


views = [sphere_view(s, lambdas, points) for s in sets]

# %% tags=["hide-input"]
def shows_the_contrast(names):
    """Whether both encoders of the test bench are there on photographs and on lesions; names are (data set, encoder)."""
    return {(d, b) for d in ("flickr8k", "ham10000") for b in ("lit-natural", "lit-derm")} <= set(names)


if shows_the_contrast((s.dataset, s.identity.backbone) for s in sets):
    page.show_text(
        "Both encoders are of the test bench: `lit-natural` was aligned on photographs, `lit-derm` on skin lesions."
    )

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Test bench, counterpart of the paper's Fig. 2. Image and text embeddings in three uncentred principal directions, projected on the unit sphere. The arrow is the modality gap: it runs from the mean of the texts to the mean of the images, which lie inside the sphere.", "name": "fig-sphere"}, "image": {"alt": "Wire-frame unit spheres, one per data set and encoder, with image points and text points gathered in caps of different size and place, and an arrow from the mean text to the mean image."}}
figure, axes = panels(len(sets), 4, 2.3, 2.6, subplot_kw={"projection": "3d"})
u, v = np.mgrid[0 : 2 * np.pi : 25j, 0 : np.pi : 13j]
for ax, view in zip(axes, views, strict=True):
    ax.plot_wireframe(np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v), color=GRID, linewidth=0.4)
    for feature in ("image", "text"):
        ax.scatter(*unit_rows(np.array(view[feature]).T).T, s=4, alpha=0.5, linewidths=0, color=FEATURES[feature], label=feature, rasterized=True)
    tail, head = (np.array(view[f"mean_{feature}"][0]) for feature in ("text", "image"))
    ax.quiver(*tail, *(head - tail), color=INK, linewidth=1.6, arrow_length_ratio=0.2, label="gap, from text to image")
    ax.set(title=f"{view['name']}\n{100 * view['share']:.0f} % of squared length shown", xlim=(-1, 1), ylim=(-1, 1), zlim=(-1, 1))
    ax.set_box_aspect((1, 1, 1), zoom=1.6)
    ax.set_axis_off()
    ax.view_init(elev=18, azim=20)
share_legend(figure, axes, markerscale=3);

# %% [markdown]
# ## Width of the two cones

# %% tags=["hide-input"] tables=["cone_effect"] mystnb={"figure": {"caption": "Mean resultant length of images and texts over all pairs, with 95 % bootstrap intervals. The bootstrap resamples groups.", "name": "fig-resultants"}, "image": {"alt": "Dot plot of the mean resultant length of images and of texts for each data set and encoder."}}
def resultants(table):
    """Draw R of image and text with bootstrap intervals, one line per data set and backbone."""
    rows = table[table["quantity"] == "R"]
    names = list(dict.fromkeys(zip(rows["dataset"], rows["backbone"], strict=True)))
    figure, (ax,) = panels(1, 1, 6.4, 0.9 + 0.36 * len(names))
    for feature, offset in (("image", -0.12), ("text", 0.12)):
        mine = rows[rows["modality"] == feature].set_index(["dataset", "backbone"]).loc[names]
        value = mine["value"].to_numpy()
        error = np.abs(np.stack([value - mine["low"], mine["high"] - value]))
        style = {"fmt": MARKERS[feature == "text"], "color": FEATURES[feature], "capsize": 2}
        ax.errorbar(value, np.arange(len(names)) + offset, xerr=error, label=feature, **style)
    labels = [f"{title(d)} · {b}" for d, b in names]
    ax.set(xlim=(0, 1.02), xlabel="mean resultant length R", yticks=range(len(names)), yticklabels=labels)
    ax.set_ylim(len(names) - 0.5, -0.5)
    share_legend(figure, (ax,))
    return figure


resultants(geometry);

# %% [markdown]
# $R$ is over pairs, so an item counts once per pair. Over distinct items it can be lower, above all for texts written from a template. The
# effective rank {cite}`roy2007effective` is the number of directions over which the centred vectors spread.

# %%
by_modality = geometry[geometry["modality"] != "joint"].pivot_table(
    index=["dataset", "backbone", "modality"], columns="quantity", values="value", sort=False
)

# %% tags=["hide-input"]
shown = by_modality.reindex(columns=["R", "R_distinct", "distinct_share", "effective_rank"]).reset_index()
format_table(
    shown.rename(columns={"R_distinct": "R over distinct items", "distinct_share": "share of distinct items"}),
    caption="Width of the cones and number of directions of their spread.", effective_rank="{:.0f}",
)  # fmt: skip

# %% [markdown]
# ## Cone width in the frozen towers
#
# The two encoders share their frozen {term}`towers <tower>` and differ in the {term}`heads <head>`, so the towers' features show which width the
# data bring along.

# %%
bench = {d: by_modality["R"].unstack("backbone").loc[d] for d in by_modality.index.unique("dataset") if (project_root() / TOWER_FEATURES / d).is_dir()}
bench = {d: R for d, R in bench.items() if {"lit-natural", "lit-derm"} <= set(R.dropna(axis=1))}
towers = []
for d, R in bench.items():
    features = shipped_features(d)
    own = features.of_variant(canonical_variant(d, variant), own=True)  # row numbers of each pair's image and text
    for m in ("image", "text"):
        before = mean_resultant_length(getattr(features, m)[own[m]])
        towers.append({"dataset": d, "modality": m, "towers": before, "lit-natural": R.loc[m, "lit-natural"], "lit-derm": R.loc[m, "lit-derm"]})

# %% tags=["hide-input"]
if towers:
    display(format_table(pd.DataFrame(towers), precision=2, caption="R of the towers' own features and of either encoder of the test bench."))
else:
    page.show_text("No data set is shown here under both encoders of the test bench.")

# %% tags=["hide-input"]
if {"flickr8k", "ham10000"} <= set(bench):
    R = pd.DataFrame(towers).set_index(["dataset", "modality"])
    photographs, captions, lesions, phrases = (R.loc[key] for d in ("flickr8k", "ham10000") for key in ((d, "image"), (d, "text")))
    page.show_text(
        "In the towers, R of lesions is {lesions:.2f} and of photographs {photographs:.2f}; R of their texts is {phrases:.2f} and {captions:.2f}. Lesion texts "
        "have R = {own:.2f} under `lit-derm`, which was trained to tell them apart, and {other:.2f} under `lit-natural`, which was not.",
        lesions=lesions["towers"], photographs=photographs["towers"], phrases=phrases["towers"], captions=captions["towers"],
        own=phrases["lit-derm"], other=phrases["lit-natural"],
    )  # fmt: skip
    page.show_text(
        "Photographs come to {own:.2f} under `lit-natural`, which was trained on them, and to {other:.2f} under `lit-derm`, which never saw any.",
        own=photographs["lit-natural"], other=photographs["lit-derm"],
    )  # fmt: skip

# %% [markdown]
# ## Real encoders have a gap before and after training
#
# CLIP, the medical ConVIRT {cite}`zhang2022convirt`, VideoCLIP {cite}`xu2021videoclip` and CLASP {cite}`clasp`, each with its twin of random weights
# (`studies/public_encoders.py`; the vectors are not shipped).

# %% tags=["hide-input"]
headings = {
    "gap_norm": "gap", "cos_gap_pc1": "cosine with PC 1", "gap_share": "variance along it", "pc1_share": "variance along PC 1",
    "residual_gap": "gap left at λ = 1", "residual_gap_predicted": "as predicted",
}  # fmt: skip
real = shipped_table("measured/public_encoders")
real = real.assign(quantity=real["quantity"].where(real["modality"] == "joint", real["quantity"] + " " + real["modality"]))
real = real.pivot_table(index=["encoder", "weights"], columns="quantity", values="value", sort=False).reset_index()
real_headings = {"R image": "R of images", "R text": "R of texts", **headings, "relative_modality_gap": "relative modality gap"}
format_table(real[["encoder", "weights", *real_headings]].rename(columns=real_headings), 2, caption="Published vectors of real encoders.")

# %% [markdown]
# ## The data differ in diversity before any encoder sees them
#
# Diversity of images is the variance of a pixel over images (in units of the full range, images reduced to 32 by 32 pixels); of texts, the share of
# distinct ones. As a control, we use a narrow natural subset: photographs of dogs.

# %% tags=["hide-input"]
raw = pd.concat([shipped_table(f"diversity/{path.stem}") for path in sorted((project_root() / "data/diversity").glob("*.csv"))], ignore_index=True)
raw = raw[raw["subset"].isin(["all pairs", "dog"])]
format_table(raw, caption="Diversity of the data without an encoder.", pixel_variance="{:.4f}")

# %% tags=["hide-input"]
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
in_words = {f"{what} {of}": f"{what} of {of}s" for what in ("R", "effective rank") for of in ("image", "text")}
format_table(narrow.rename(columns=in_words), caption="Cones of the same subsets.", pairs="{:,}", **dict.fromkeys(list(in_words.values())[2:], "{:.0f}"))

# %% [markdown]
# ### Some narrow natural subjects have narrower cones than other natural data
#
# More subjects, from vectors that others published. Most are of different CLIP models, so the order is rough.

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
    "data sets and {medical_low:.2f} to {medical_high:.2f} on its medical ones.",
    n=len(narrow_subjects), low=narrow_subjects["R of images"].min(), high=narrow_subjects["R of images"].max(), natural_low=natural_R.min(),
    natural_high=natural_R.max(), medical_low=medical_R.min(), medical_high=medical_R.max(),
)  # fmt: skip
format_table(ladder[["subject", "domain", "encoder", "pairs", "R of images", "R of texts", "gap"]], 2, caption="Subjects by the width of their image cone.")

# %% [markdown]
# ## The gap of the authors' own embeddings
#
# The medical data sets have the wider gaps under CLIP, but with so few data sets an exact permutation test cannot tell that from chance
# ({doc}`04_discussion`). The paper prints no gap; an earlier repository of its authors holds projections of CLIP embeddings on their first two principal
# components, which bound its norm. The docstring of `gap_bounds` in the next cell derives the bounds.

# %% tags=["hide-input"]
DIGITS = 0.000005  # half a unit of the fifth decimal, the last one of the authors' means and variances


def gap_bounds(pca: pd.DataFrame) -> pd.DataFrame:
    """Return the least and greatest norm of the gap, and the least absolute cosine of gap and PC1, by data set and lambda.

    PC1, e1, is an eigenvector of the pooled covariance C = W + Delta Delta' / 4, with W the mean covariance within a modality. For a unit
    vector u orthogonal to e1, u' Delta = -4 u' W e1 / a with a the gap along PC1. So the part of the gap outside PC1 is at most
    4 sqrt(W11 lambda2) / |a|, and at most 2 sqrt(lambda2), because no direction orthogonal to PC1 carries more variance than PC2.
    The smaller of the two counts. The gap within the plane is the lower bound.
    """
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


# %%
bounds = page.save_table(gap_bounds(authors_pca()), "authors_gaps")

# %% tags=["hide-input"] tables=["authors_gaps"] mystnb={"figure": {"caption": "Norm of the gap that the authors' stored CLIP projections allow. Left: without alignment; the bounds are narrower than the marks. Right: HAM10000 over $\\lambda$; where the band is wide the gap is no longer the first principal direction.", "name": "fig-authors-gaps"}, "image": {"alt": "Left, a dot plot of the gap under CLIP: BRSET and HAM10000 above Recipes5k, COCO-QA and Fakeddit. Right, the gap on HAM10000 falling with lambda."}}
figure, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.0))
unshifted = bounds[bounds["lambda"] == 0].sort_values(["domain", "low"], ascending=[True, False], ignore_index=True)
for domain, marker, face in (("medical", "o", INK), ("natural", "s", "white")):
    mine = unshifted[unshifted["domain"] == domain]
    left.plot(mine["high"], mine.index, marker, color=INK, markerfacecolor=face, label=f"{domain} data")
left.set(xlim=(0, 1.08 * unshifted["high"].max()), yticks=unshifted.index, yticklabels=unshifted["dataset"], xlabel="norm of the gap, CLIP, λ = 0")
left.invert_yaxis()
path = bounds[bounds["dataset"] == "HAM10000"].sort_values("lambda")
right.fill_between(path["lambda"], path["low"], path["high"], color=PALE, label="bounds of the gap, HAM10000")
right.plot(path["lambda"], path["low"], ".-", color=INK, linewidth=1, label="gap within the plane")
right.set(ylim=(0, None), xlabel="λ", ylabel="norm of the gap")
share_legend(figure, (left, right))

# %% [markdown]
# ## At λ = 1 part of the gap is left

# %%
path = page.save_table(pd.concat([lambda_path(s, lambdas) for s in sets], ignore_index=True), "lambda_path")

# %% tags=["hide-input"]
first, last = min(lambdas), max(lambdas)
gaps = path.pivot_table(index=["dataset", "backbone"], columns="lambda", values="residual_gap")
left = gaps[last] / gaps[first]
page.show_text(
    "On the pairs that estimated the gap, moving λ from {first:g} to {last:g} leaves {share} of it (embedding sets: {n}).",
    first=first, last=last, share=span(left.min(), left.max(), ".1%"), n=len(sets),
)  # fmt: skip

# %% [markdown]
# At λ = 1 the two means coincide *before* {eq}`eq-align` rescales the vectors to unit length. The gap that remains is real: renormalisation pulls the
# wider cone and the narrower one to different depths ({doc}`/book/theory`). On other rows more is left, because their means differ by chance;
# {doc}`11_what_lambda_closes` takes that noise out.

# %% tags=["hide-input"]
joint = geometry[geometry["modality"] == "joint"].pivot_table(index=["dataset", "backbone"], columns="quantity", values="value", sort=False)
format_table(joint.reindex(columns=list(headings)).rename(columns=headings).reset_index(), caption="The gap before and after the shift at λ = 1, and as predicted to leading order from the two means.")

# %% [markdown]
# Where two clouds lie far apart, the gap and the first principal direction nearly coincide, so their cosine says little. The share of the variance
# along the gap says more.
#
# **Interactive view.** Move λ with the slider and watch the two cones meet on the sphere; drag the sphere to turn it. Angles are distorted as in
# {numref}`fig-sphere`. The large points are the means, projected but not rescaled. The curves are measured in all dimensions.

# %% tags=["hide-input"]
assets = project_root() / "book/_static"  # the script of the slider, its style and its two templates
templates = Environment(loader=FileSystemLoader(assets), autoescape=True)


def slider(views, static="../../_static", file=""):
    """Return the slider for one or more views as HTML, which loads only the book's own files.

    Args:
        static: path of those files relative to the page, here that of a page in ``book/executed``.
        file: name of a separate page (:func:`standalone`) for readers whose page runs no scripts.
    """
    data = json.dumps({"views": views, "colours": FEATURES}, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    return templates.get_template("lambda.html").render(
        names=[view["name"] for view in views],
        first=max(range(len(views)), key=lambda i: views[i]["residual"][-1]),  # where most of the gap is left
        last=len(views[0]["lambdas"]) - 1,
        static=static,
        file=file,
        data=Markup(data),
        scripts=("plotly-gl3d.min.js", "lambda.js"),
    )


def standalone(views, path):
    """Write the slider as a separate page, which opens from disk and reads the same files as the book."""
    there = Path(os.path.relpath(assets, Path(path).resolve().parent)).as_posix()
    with replacing(path, is_ours=lambda earlier: "<title>Moving λ by hand</title>" in earlier.read_text("utf-8")) as temporary:
        body = Markup(slider(views, there))
        temporary.write_text(templates.get_template("lambda-page.html").render(body=body), encoding="utf-8")
    return path


alone = standalone(views, page.results / "slider.html")
HTML(slider(views, file="/".join(alone.parts[-3:])))

# %% tags=["hide-input", "hide-output"] mystnb={"code_prompt_show": "Details: the gap and R in numbers"}
stops = path[path["lambda"].isin(lambdas[:: max(1, (len(lambdas) - 1) // 4)])]
in_words = {"lambda": "λ", "residual_gap": "gap", "R_image": "R of images", "R_text": "R of texts"}
format_table(stops.rename(columns=in_words), caption="Gap and R over λ.", **{"λ": "{:g}"})

# %% [markdown]
# ## What was not tested
#
# Neither the training data nor the subject was varied alone, so these sets do not show what *causes* a narrow cone. Pixel variance and repeated texts
# are crude measures of diversity. Whether a probe reads the vectors better with a smaller gap is measured in {doc}`03_lambda_sweep`.
#
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer(sets)
