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
# {eq}`eq-align` shifts every image vector by −λ/2 of the gap and every text vector by +λ/2, and brings both back to unit length. Move
# the slider to see what that does to the two cones.

# %% tags=["parameters"]
datasets = []  # data sets; an empty list stands for all that are stored
backbones = []  # encoders; an empty list stands for all that are stored
variant = "clean"  # "clean" (no label proxies in the text) or "authors" (the authors' text)
lambdas = [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0]  # stops of the slider
points = 800  # points drawn per modality, at most 800
store = None  # folder of embedding sets; None for data/embeddings, then runs/embeddings
data_root = None  # folder of raw data, to extract what is not stored
results = None  # folder for result tables; None for ./results

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import HTML

from helpers.book.formatting import format_table
from helpers.book.page import Page
from helpers.book.parameters import SOURCE, integer, many, number
from helpers.book.slider import MOST_POINTS, lambda_path, slider, sphere_view, standalone
from helpers.extraction.find import select

page = Page("06_slider", globals(), {**SOURCE, "lambdas": many(number(-2, 2), least=2), "points": integer(1, MOST_POINTS)})
sets = select(datasets, backbones, variant, store, data_root)
page.describe_sets(sets, [variant])
path = page.save_table(pd.concat([lambda_path(s, lambdas) for s in sets], ignore_index=True), "lambda_path")

# %% tags=["hide-input"]
views = [sphere_view(s, lambdas, points) for s in sets]
alone = standalone(views, page.results / "06_slider.html")
HTML(slider(views, file="/".join(alone.parts[-3:])))

# %% [markdown]
# Drag the sphere to turn it. Image and text vectors are shown in the span of the three directions that carry most of their squared
# length at λ = 0, brought back to unit length in it, so that **angles are distorted**: vectors that differ outside this span look
# closer than they are. The two large points are the means, inside the ball; they are projected and not renormalised, and the line
# between them is what the span shows of the gap. The gap and R in the curves and in the sentence are not projected: they are
# measured in all dimensions, over all pairs.
#
# ## The same in numbers

# %% tags=["hide-input"]
stops = path[path["lambda"].isin(lambdas[:: max(1, (len(lambdas) - 1) // 4)])]
format_table(stops.rename(columns={"lambda": "λ", "residual_gap": "gap"}), **{"λ": "{:g}"})

# %% [markdown]
# A gap that is left at λ = 1 is no fault of the measurement: renormalising moves the two means apart again when one cone is narrower
# than the other ({doc}`/book/theory`).
#
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer(sets)
