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
# # Table 1: mean resultant length
#
# The paper's Table 1 has 64 cells: eight data sets, four encoders, two modalities. Below, each cell stands beside ours where both the
# data set and the encoder are available. A cell that was not recomputed says what is missing. Nothing is filled in.

# %% tags=["parameters"]
datasets = []  # data sets; an empty list stands for all that are stored
backbones = []  # encoders; an empty list stands for all that are stored
variant = "authors"  # the paper's R is over the authors' text; "clean" is never compared with it
n_boot = 1000  # bootstrap replicates for the interval of R; 0 for none
store = None  # folder of embedding sets; None for data/embeddings, then runs/embeddings
data_root = None  # folder of raw data, to extract what is not stored
results = None  # folder for result tables; None for runs/notebooks

# %% tags=["hide-input"]
import pandas as pd

from helpers.book.page import Page, neat
from helpers.book.parameters import SOURCE, integer
from helpers.extraction.find import select
from helpers.measures import cone_table
from helpers.paper.published import compare_table1, missing_by_dataset
from helpers.plotting.published import published_resultants

page = Page("02_r_table", globals(), {**SOURCE, "n_boot": integer(0, 100_000)})
sets = select(datasets, backbones, variant, store, data_root)
page.scope(sets, [variant])
ours = pd.concat([cone_table(s, n_boot) for s in sets], ignore_index=True)
table = page.keep(compare_table1(ours), "r_table")
recomputed = table["ours"].notna()
page.glue(n_cells=len(table), n_recomputed=int(recomputed.sum()), n_missing=int((~recomputed).sum()))

# %% [markdown]
# Of the {glue:text}`n_cells` published cells, {glue:text}`n_recomputed` were recomputed and {glue:text}`n_missing` were not.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Published mean resultant lengths (Table 1); the dotted line parts medical from natural data sets. A cross marks a recomputed cell.", "name": "fig-table1"}, "image": {"alt": "Dot plots of the 64 published values of R, one panel for texts and one for images, data sets in rows, encoders by colour and marker."}}
published_resultants(table);

# %% [markdown]
# ## The published values

# %% tags=["hide-input"]
cells = table.pivot_table(index=["domain", "dataset"], columns=["modality", "backbone"], values="published", sort=False)
cells.columns = [f"{modality}, {backbone}" for modality, backbone in cells.columns]
neat(cells.reset_index())

# %% [markdown]
# ### Recomputed
#
# The same rows under the same encoder have no sampling error. A cell therefore agrees where it differs by no more than the rounding of the printed
# value and a numeric tolerance for decoding and arithmetic. Only where the authors' choice of rows cannot be repeated (Fakeddit) does
# the bootstrap interval decide.
#
# The interval is that of the $R$ of as many rows of the same population. It does not cover another data set, another choice of text or
# prompt, another checkpoint, or rows that depend on each other beyond the groups we know.

# %% tags=["hide-input"]
beside = table.loc[recomputed, ["dataset", "modality", "backbone", "published", "ours", "difference", "low", "high", "status"]]
neat(beside) if len(beside) else page.say("No cell of the paper was recomputed in this build: none of its data sets is stored under one of its encoders.")

# %% [markdown]
# ### Not recomputed, and what is missing
#
# `python -m helpers doctor` says how to get each data set and encoder; with them, `snakemake --configfile config/paper.yml` fills the cells
# ({doc}`/book/reexecute`).

# %% tags=["hide-input"]
neat(missing_by_dataset(table))

# %% [markdown]
# ## Our own table
#
# Every set of this build. `lit-natural` and `lit-derm` are not the paper's encoders, so their values are compared with nothing.

# %% tags=["hide-input"]
own = ours[ours["quantity"].isin(["R", "R_distinct"]) & (ours["modality"] != "joint")]
wide = own.pivot(index=["domain", "dataset", "variant", "backbone", "modality"], columns="quantity", values="value")
neat(wide.reset_index().rename(columns={"R_distinct": "R over distinct items"}))

# %% [markdown]
# ## How this page was made

# %% tags=["hide-input"]
page.made(sets)
