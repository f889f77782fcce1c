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
# # Moving lambda by hand
#
# Moving λ from 0 to 1 brings the two cones together, but does not always close the gap. What remains at λ = 1 is real: renormalisation
# pulls the wider cone and the narrower one to different depths ({doc}`/book/theory`).
#
# {eq}`eq-align` shifts every image vector by −λ/2 of the gap and every text vector by +λ/2, then rescales both to unit length. Move
# the slider to see the two cones move.

# %% tags=["parameters"]
datasets = []  # data sets; an empty list means all that are stored
backbones = []  # encoders; an empty list means all that are stored
variant = "clean"  # "clean" (no label proxies in the text) or "authors" (the authors' text)
lambdas = [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0]  # stops of the slider
points = 800  # points shown per modality, at most 800
store = None  # folder of embedding sets; None for data/embeddings, then runs/embeddings
data_root = None  # folder of raw data, to extract what is not stored
results = None  # folder for result tables; None for ./results

# %% tags=["hide-input", "remove-stderr"]
import pandas as pd
from IPython.display import HTML

from helpers.book.slider import MOST_POINTS, lambda_path, slider, sphere_view, standalone
from helpers.extraction.find import select
from helpers.page import SOURCE, Page, format_table, integer, many, number

page = Page("06_slider", globals(), {**SOURCE, "lambdas": many(number(-2, 2), least=2), "points": integer(1, MOST_POINTS)})
sets = select(datasets, backbones, variant, store, data_root)
page.describe_sets(sets, [variant])
path = page.save_table(pd.concat([lambda_path(s, lambdas) for s in sets], ignore_index=True), "lambda_path")

# %% tags=["hide-input"]
views = [sphere_view(s, lambdas, points) for s in sets]
alone = standalone(views, page.results / "06_slider.html")
HTML(slider(views, file="/".join(alone.parts[-3:])))

# %% [markdown]
# Drag the sphere to turn it. Image and text vectors are projected on the three directions that carry most of their squared length at λ = 0
# and rescaled to unit length. **Angles are therefore distorted**: vectors that differ outside these directions look closer than they are.
# The two large points inside the ball are the means, projected but not rescaled. The line between them is the visible part of the gap.
# The gap and R in the curves and in the sentence are not projected: they are measured in all dimensions, over all pairs.
#
# ## The gap and R in numbers

# %% tags=["hide-input"]
stops = path[path["lambda"].isin(lambdas[:: max(1, (len(lambdas) - 1) // 4)])]
format_table(stops.rename(columns={"lambda": "λ", "residual_gap": "gap"}), **{"λ": "{:g}"})

# %% [markdown]
# ## What was not tested
#
# This page shows geometry only. A smaller gap does not mean that a probe reads the vectors better: {doc}`03_lambda_sweep` measures that.
# The picture shows three of all dimensions, chosen at λ = 0.
#
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer(sets)
