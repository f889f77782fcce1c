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
#
# An encoder that maps its inputs into a narrow cone gives unit vectors whose mean is long. Its length is the mean resultant length
# $R$ ({eq}`eq-resultant`): 0 for directions that cancel, 1 for one direction. Two encoders give two cones, and the vector between their
# means is the modality gap $\Delta$ ({eq}`eq-gap`). This page measures both on every stored embedding set and looks at them.

# %% tags=["parameters"]
datasets = []  # data sets; an empty list stands for all that are stored
backbones = []  # encoders; an empty list stands for all that are stored
variant = "clean"  # "clean" (no label proxies in the text) or "authors" (the authors' text)
n_boot = 1000  # bootstrap replicates for intervals; 0 for none
store = None  # folder of embedding sets; None for data/embeddings, then runs/embeddings
data_root = None  # folder of raw data, to extract what is not stored
results = None  # folder for result tables; None for runs/notebooks

# %% tags=["hide-input"]
import pandas as pd

from helpers.book.page import Page, neat
from helpers.book.parameters import SOURCE, integer
from helpers.datasets.audit import shipped_diversity
from helpers.extraction.find import select
from helpers.measures import cone_table, subset_resultants
from helpers.plotting.geometry import plane, resultants, sphere
from helpers.testbench.public_encoders import shipped_measures

page = Page("01_cone_effect", globals(), {**SOURCE, "n_boot": integer(0, 100_000)})
sets = select(datasets, backbones, variant, store, data_root)
page.scope(sets, [variant])
geometry = page.keep(pd.concat([cone_table(s, n_boot) for s in sets], ignore_index=True), "cone_effect")

# %% [markdown]
# ## The two cones, in the plane
#
# Both modalities are projected on the first two principal directions of all vectors taken together, centred. In the paper's Fig. 2
# the encoders differ in what they were trained on, generalist or medical. The shipped encoders are a test bench:
# `lit-natural` was aligned on photographs, `lit-derm` on skin lesions. Each is shown on both kinds of data, so that the diagonal is
# in-domain and the off-diagonal out-of-domain.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Image and text embeddings on the first two principal directions of both together (centred). The arrow joins the mean of the images to the mean of the texts. At most 1,500 points per modality are drawn; the directions come from all of them.", "name": "fig-plane"}, "image": {"alt": "Scatter plots, one per data set and encoder: image points and text points form two clouds whose separation differs by panel."}}
plane(sets);

# %% [markdown]
# ## The two cones, on the sphere
#
# The same vectors, uncentred, in the span of the three directions that carry most of their squared length, brought back to unit length.
# The view keeps the idea of a cone on a sphere and distorts angles: two vectors that differ outside this span look closer
# than they are. {numref}`fig-resultants` has the undistorted measure.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Image and text embeddings in three uncentred principal directions, projected on the unit sphere. Angles are distorted.", "name": "fig-sphere"}, "image": {"alt": "Wire-frame unit spheres, one per data set and encoder, with image points and text points gathered in caps of different size and place."}}
sphere(sets);

# %% [markdown]
# ## How narrow

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Mean resultant length of images and texts over all pairs, with 95 % bootstrap intervals (resampling groups).", "name": "fig-resultants"}, "image": {"alt": "Dot plot of the mean resultant length of images and of texts for each data set and encoder."}}
resultants(geometry);

# %% [markdown]
# $R$ is over pairs: an item that occurs in many pairs counts as often. Over distinct items it can be lower, above all for texts
# that come from a template. The effective rank {cite}`roy2007effective` says over how many directions the centred vectors spread.

# %% tags=["hide-input"]
by_modality = geometry[geometry["modality"] != "joint"].pivot_table(
    index=["dataset", "backbone", "modality"], columns="quantity", values="value", sort=False
)
shown = by_modality[["R", "R_distinct", "distinct_share", "effective_rank"]].reset_index()
neat(shown.rename(columns={"R_distinct": "R over distinct items", "distinct_share": "share of distinct items"}), effective_rank="{:.1f}")

# %% [markdown]
# ## How far apart, and in which direction
#
# The cosine of the gap with the first principal direction is near 1 whenever the gap is wide, because two distant clouds differ
# mostly by their distance; the share of the total variance that lies along the gap says how much there is to it.
# After the alignment of {eq}`eq-align` with $\lambda = 1$ the shifted means coincide *before* renormalisation; what is left
# after it is measured, and predicted to first order from the two means alone (see {doc}`/book/theory`).

# %% tags=["hide-input"]
joint = geometry[geometry["modality"] == "joint"].pivot_table(index=["dataset", "backbone"], columns="quantity", values="value", sort=False)
headings = {
    "gap_norm": "gap", "cos_gap_pc1": "cosine with PC 1", "gap_share": "variance along it", "pc1_share": "variance along PC 1",
    "residual_gap": "gap left at λ = 1", "residual_gap_predicted": "as predicted",
}  # fmt: skip
neat(joint[list(headings)].rename(columns=headings).reset_index())

# %% [markdown]
# ## Real encoders beside the test bench
#
# Published vectors of real encoders give the same measures: CLIP and the medical ConVIRT first, each with its twin of random weights.
# The project ships these numbers and not the vectors; `python -m helpers measure FOLDER` computes them.

# %% tags=["hide-input"]
real = shipped_measures()
real = real.assign(quantity=real["quantity"].where(real["modality"] == "joint", real["quantity"] + " " + real["modality"]))
real = real.pivot_table(index=["encoder", "weights"], columns="quantity", values="value", sort=False).reset_index()
real_headings = {"R image": "R of images", "R text": "R of texts", **headings, "relative_modality_gap": "relative modality gap"}
neat(real[["encoder", "weights", *real_headings]].rename(columns=real_headings))

# %% [markdown]
# ## Is it the encoder or the data?
#
# Narrow data give narrow cones under any encoder, so the data need a measure of their own: the variance of a pixel over images
# (in units of the full range, images reduced to 32 by 32) and the share of distinct texts. As a control serves a narrow natural
# subject: photographs of dogs are natural images of one kind of thing, as dermatoscopic images are medical images of one kind.

# %% tags=["hide-input"]
raw = shipped_diversity()
raw = raw[raw["subset"].isin(["all pairs", "dog"])]
neat(raw, pixel_variance="{:.4f}")

# %% [markdown]
# What the encoders make of the same subsets:

# %% tags=["hide-input"]
subsets = [subset_resultants(s, s.rows(), "all pairs") for s in sets]
subsets += [
    subset_resultants(s, (s.pairs["label_dog"] == 1).to_numpy().nonzero()[0], "photographs of dogs") for s in sets if "label_dog" in s.pairs
]
narrow = page.keep(pd.DataFrame(subsets), "narrow_subsets")
neat(narrow, **dict.fromkeys(["effective rank image", "effective rank text"], "{:.1f}"))

# %% tags=["remove-cell"]
page.glue(n_sets=len(sets), n_pairs=int(sum(len(s) for s in sets)), widest_gap=float(joint["gap_norm"].max()), smallest_gap=float(joint["gap_norm"].min()))

# %% [markdown]
# Over the {glue:text}`n_sets` sets shown here the gap goes from {glue:text}`smallest_gap:.2f` to {glue:text}`widest_gap:.2f`.
#
# ## How this page was made

# %% tags=["hide-input"]
page.made(sets)
