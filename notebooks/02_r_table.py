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
# Of the {glue:text}`n_cells` cells of the paper's Table 1, this build recomputed {glue:text}`n_recomputed`, others contributed
# {glue:text}`n_contributed`, and {glue:text}`n_missing` lack their data set, their encoder or both. A cell that was not recomputed says what
# is missing.
#
# The paper's Table 1 gives $R$ ({eq}`eq-resultant`) for eight data sets, four encoders and two modalities.

# %% tags=["parameters"]
datasets = []  # data sets; an empty list means all that are stored
backbones = []  # encoders; an empty list means all that are stored
variant = "authors"  # the paper's R is over the authors' text; "clean" is never compared with it
n_boot = 1000  # bootstrap replicates for the interval of R; 0 for none
store = None  # folder of embedding sets; None for data/embeddings, then runs/embeddings
data_root = None  # folder of raw data, to extract what is not stored
contributed = None  # folder of contributed reports; None for data/contributed
results = None  # folder for result tables; None for ./results

# %% tags=["hide-input", "remove-stderr"]
import pandas as pd

from helpers.cones import cone_table
from helpers.contributed import read_contributed
from helpers.extraction.find import select
from helpers.page import SOURCE, Page, format_table, integer, optional, text
from helpers.plotting.published import published_resultants
from helpers.published import (
    compare_table1,
    facts_of,
    is_contributed,
    join_contributed,
    missing_by_dataset,
    sets_apart,
    with_routes,
)

page = Page("02_r_table", globals(), {**SOURCE, "n_boot": integer(0, 100_000), "contributed": optional(text())})
sets = select(datasets, backbones, variant, store, data_root)
page.describe_sets(sets, [variant])
reports = read_contributed(contributed)
facts = [facts_of(s) for s in sets]
ours = with_routes(pd.concat([cone_table(s, n_boot) for s in sets], ignore_index=True), facts)
table = page.save_table(compare_table1(join_contributed(ours, reports.table("geometry"))), "r_table")
filled, others = table["ours"].notna(), is_contributed(table["route"])
page.glue(n_cells=len(table), n_recomputed=int((filled & ~others).sum()), n_contributed=int((filled & others).sum()), n_missing=int((~filled).sum()))

# %% [markdown]
# ## The published values at a glance

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Published mean resultant lengths (the paper's Table 1); the dotted line separates medical from natural data sets. A cross marks a recomputed cell, a plus sign a contributed one.", "name": "fig-table1"}, "image": {"alt": "Dot plots of the 64 published values of R, one panel for texts and one for images, data sets in rows, encoders by colour and marker."}}
published_resultants(table);

# %% [markdown]
# ### The same values as numbers

# %% tags=["hide-input"]
cells = table.pivot_table(index="dataset", columns=["modality", "backbone"], values="published", sort=False)
cells.columns = [f"{modality}, {backbone}" for modality, backbone in cells.columns]
format_table(cells.reset_index())

# %% [markdown]
# ## Recomputed and published cells compared
#
# The same rows under the same encoder have no sampling error. A cell therefore agrees if it differs by no more than the rounding of the printed
# value and a numeric tolerance for decoding and arithmetic. Only where the authors' choice of rows cannot be repeated (Fakeddit) does
# the bootstrap interval decide.
#
# The interval is that of the $R$ of as many rows of the same population. It does not cover another data set, another choice of text or
# prompt, another checkpoint, or rows that depend on each other beyond the groups we know.

# %% tags=["hide-input"]
compared = table.loc[filled, ["dataset", "modality", "backbone", "published", "ours", "difference", "low", "high", "status", "route"]]
format_table(compared) if len(compared) else page.show_text("This build recomputed no cell of the paper's Table 1: no data set of the paper is stored under an encoder of the paper.")

# %% [markdown]
# ## What counts as a cell, and what does not
#
# A set is a cell of the paper if it has the paper's number of pairs and test pairs, the encoder's dimension, its repository and a commit of
# it, and if its record says how it was made: extracted by this package, or imported as vectors. A set that only has the names of a cell
# stands here with the reason, and never in Table 1, the paper's Fig. 3 or the ledger.

# %% tags=["hide-input"]
apart = sets_apart([*facts, *reports.facts])
format_table(apart, stacked=True) if len(apart) else page.show_text("No set of this build or of a report is named like a cell without being one.")

# %% [markdown]
# {doc}`/book/contribute` says how to contribute a cell and what is checked. The reports of this build:

# %% tags=["hide-input"]
listing = reports.listing()
for path, reason in reports.refused.items():
    page.show_text("{file} was refused: {reason}.", file=path.name, reason=reason)
format_table(listing.drop(columns="file"), stacked=True) if len(listing) else page.show_text("None was contributed.")

# %% [markdown]
# ## The cells that were not recomputed, and what they need
#
# `python -m helpers doctor` says how to get each data set and encoder. With both, `snakemake --configfile config/paper.yml` fills the cells
# ({doc}`/book/reexecute`).

# %% tags=["hide-input"]
format_table(missing_by_dataset(table), stacked=True)

# %% [markdown]
# ## R of every set of this build
#
# `lit-natural` and `lit-derm` are not the paper's encoders, so their values have no published counterpart.

# %% tags=["hide-input"]
own = ours[ours["quantity"].isin(["R", "R_distinct"]) & (ours["modality"] != "joint")]
wide = own.pivot(index=["domain", "dataset", "variant", "backbone", "modality"], columns="quantity", values="value")
format_table(wide.reset_index().rename(columns={"R_distinct": "R over distinct items"}))

# %% [markdown]
# ## What was not tested
#
# A cell that agrees shows that the published number follows from the authors' rows and encoder. It does not show that another sample of
# the same data, or another wording of the texts, would give the same $R$. The authors drew their subset of Fakeddit
# without a seed, so its rows cannot be matched.
#
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer(sets)
