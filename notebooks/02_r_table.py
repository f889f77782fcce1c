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
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from helpers import published as paper
from helpers.cones import cone_table
from helpers.extraction.find import select
from helpers.page import SOURCE, Page, fill, format_table, integer, text
from helpers.plotting import INK, MARKERS, colour, panels, share_legend

page = Page("02_r_table", globals(), {**SOURCE, "n_boot": integer(0, 100_000), "contributed": text() | None})
from helpers.contributed import Contributed

lead = display(Markdown(""), display_id=True)  # filled in below, once the cells are compared
sets = select(datasets, backbones, variant, store, data_root)
reports = Contributed(contributed)
facts = [paper.facts_of(s) for s in sets]

# %% [markdown]
# The paper's Table 1 gives $R$ ({eq}`eq-resultant`) for eight data sets, four encoders and two modalities. The same rows under the same encoder have no
# sampling error, so a {term}`cell` agrees if it differs by no more than rounding and the tolerance of decoding and arithmetic. Where the authors'
# rows cannot be drawn again (Fakeddit), the bootstrap interval decides.

# %% tags=["hide-input"]
TOLERANCE = paper.ROUNDING + 0.0005  # and the largest change of R by image decoding and 32-bit arithmetic on other hardware
CELL = ["dataset", "backbone", "modality"]
NOT_RECOMPUTED, WEIGHTS = "not recomputed: ", "the weights of "


def missing_for(dataset: str, backbone: str, own: pd.DataFrame) -> str:
    """Return what a cell needs, judged by the content of the own table, whose names are the paper's."""
    has_data, has_weights = (own["dataset"] == dataset).any(), (own["backbone"] == backbone).any()
    both = own[(own["dataset"] == dataset) & (own["backbone"] == backbone)]
    if len(both):
        return f"no such row for {dataset} under {backbone} (there is {', '.join(sorted(set(both['variant'])))})"
    wanted = {f"the data of {dataset}": has_data, WEIGHTS + backbone: has_weights}
    return " and ".join(what for what, there in wanted.items() if not there) or f"{dataset} was not embedded with {backbone}"


def status(cell, mine: pd.DataFrame, same_rows: bool) -> str:
    """Return whether a cell of Table 1 agrees with the recomputed R, or what is missing."""
    if not np.isfinite(cell.ours):
        return NOT_RECOMPUTED + missing_for(cell.dataset, cell.backbone, mine)
    if same_rows:
        return f"{'agrees' if abs(cell.difference) <= TOLERANCE else 'differs'} (same rows, tolerance {TOLERANCE:.3f})"
    if not np.isfinite(cell.low):
        return "recomputed, no interval"
    inside = cell.low - paper.ROUNDING <= cell.published <= cell.high + paper.ROUNDING
    return f"{'agrees' if inside else 'differs'} (other rows, 95 % interval)"


def compare_table1(ours: pd.DataFrame) -> pd.DataFrame:
    """Return Table 1 beside our R of each cell; the text of the variant ``clean`` is not the paper's."""
    mine = paper.in_paper_names(ours)
    cells = mine[(mine["quantity"] == "R") & (mine["variant"] != "clean")].set_index(CELL)[["value", "low", "high", "route"]]
    table = paper.table1().rename(columns={"R": "published"}).join(cells.rename(columns={"value": "ours"}), on=CELL, validate="1:1")
    table["difference"] = table["ours"] - table["published"]
    same_rows = paper.datasets().set_index("dataset")["rows_known"] == "yes"
    table["status"] = [status(cell, mine, same_rows[cell.dataset]) for cell in table.itertuples()]
    return table[["domain", "dataset", "modality", "backbone", "published", "ours", "difference", "low", "high", "route", "status"]]


# %%
ours = paper.with_routes(pd.concat([cone_table(s, n_boot) for s in sets], ignore_index=True), facts)
table = page.save_table(compare_table1(reports.join(ours, "geometry")), "r_table")

# %% tags=["hide-input"]
filled, others = table["ours"].notna(), paper.is_contributed(table["route"])
page.glue(n_cells=len(table), n_recomputed=int((filled & ~others).sum()))
if filled.any():
    sentence = "Of the {cells} cells of the paper's Table 1, this build recomputed {recomputed}, others contributed {contributed}, and {missing} are open."
else:
    sentence = "None of the {cells} cells of the paper's Table 1 has been recomputed yet: each needs weights, and most need data, that were not at hand."
lead.update(Markdown(fill(
    sentence, cells=len(table), recomputed=(filled & ~others).sum(), contributed=(filled & others).sum(), missing=(~filled).sum()
)))  # fmt: skip

# %% tags=["hide-input"]
names = list(dict.fromkeys(table.sort_values("domain", kind="stable")["dataset"]))  # medical data sets above natural ones
shown = table.assign(
    cell=[f"{c.published:.3f} · " if pd.isna(c.ours) else f"{c.published:.3f} {c.ours:.3f}" for c in table.itertuples()], domain=table["domain"] + " data"
)
shown = shown.pivot_table(index=["domain", "dataset"], columns=["modality", "backbone"], values="cell", aggfunc="first", sort=False)
shown = shown.reindex(columns=["text", "image"], level="modality").loc[["medical data", "natural data"]].rename_axis(index=[None, None], columns=[None, None])
shown.style.set_caption("The paper's Table 1: published R, then the recomputed value, or a dot where there is none.").set_properties(
    **{"text-align": "right", "white-space": "nowrap"}
)

# %% tags=["hide-input"] tables=["r_table"] mystnb={"figure": {"caption": "Published mean resultant lengths (the paper's Table 1); the line separates medical from natural data sets.", "name": "fig-table1"}, "image": {"alt": "Dot plots of the 64 published values of R, one panel for texts and one for images, data sets in rows, encoders by colour and marker."}}
figure, axes = panels(2, 2, 4.0, 0.9 + 0.32 * len(names), sharey=True)
for ax, modality in zip(axes, ("text", "image"), strict=True):
    for i, (backbone, key) in enumerate(paper.BACKBONES.items()):
        mine = table[(table["modality"] == modality) & (table["backbone"] == backbone)].set_index("dataset").loc[names]
        y = np.arange(len(names)) + (i - 1.5) * 0.16
        ax.plot(mine["published"], y, MARKERS[i], color=colour(key), label=backbone, markersize=5)
        given = paper.is_contributed(mine["route"])
        for marker, kind, chosen in (("x", "recomputed", ~given), ("+", "contributed", given)):
            if mine.loc[chosen, "ours"].notna().any():
                ax.plot(mine["ours"].astype(float).where(chosen), y, marker, color=INK, markersize=6, label=kind)
    ax.axhline(table.loc[table["domain"] == "medical", "dataset"].nunique() - 0.5, color=INK, linewidth=0.8, linestyle=":")
    least = np.nanmin([0.57, *table["ours"].astype(float)]) - 0.02
    ax.set(xlim=(least, 1.005), xlabel=f"published R, {modality}", yticks=range(len(names)), yticklabels=names)
axes[0].invert_yaxis()
share_legend(figure, axes)

# %% tags=["hide-input"]
compared = table.loc[filled, ["dataset", "modality", "backbone", "published", "ours", "difference", "low", "high", "status", "route"]]
if len(compared):
    display(format_table(compared, caption="Recomputed and published cells. The interval is that of the R of as many rows of the same population."))

# %% [markdown]
# ## What counts as a cell
#
# A set is a cell if it has the paper's number of pairs and test pairs, and the encoder's dimension, repository and a commit of it. Its record must say
# whether it was extracted by this package or imported as vectors. {doc}`/book/reexecute` says how to contribute a cell.

# %% tags=["hide-input"]
apart = [(*f.names, f.route, "; ".join(faults)) for f in [*facts, *(report.facts for report in reports.reports)] if (faults := paper.cell_faults(f))]
if apart:
    apart = pd.DataFrame(apart, columns=[*paper.NAMES, "route", "why"])
    display(format_table(apart, caption="Sets that match a cell by name alone: they are not counted.", stacked=True))
for file, reason in reports.refused.items():
    page.show_text("{file} was refused: {reason}.", file=file, reason=reason)
listing = pd.DataFrame([
    (*report.names, report.by, str(report.date), report.how, ", ".join(dict.fromkeys(protocol for protocol, *_ in report.sweep)),
     "no" if paper.cell_faults(report.facts) else "yes")
    for report in reports.reports
], columns=[*paper.NAMES, "by", "on", "how", "protocols", "fills a cell"])  # fmt: skip
if len(listing):
    display(format_table(listing, caption="Contributed reports.", stacked=True))

# %% [markdown]
# `python -m helpers doctor` says how to get each data set and encoder. With both, `snakemake --configfile config/paper.yml` fills the cells.

# %% tags=["hide-input", "hide-output"] mystnb={"code_prompt_show": "Details: what the open cells need"}
needed = []
for dataset, cells in table[~filled].groupby("dataset", sort=False):
    parts = [part for status in cells["status"] for part in status.removeprefix(NOT_RECOMPUTED).split(" and ")]
    weights = dict.fromkeys(part.removeprefix(WEIGHTS) for part in parts if part.startswith(WEIGHTS))
    missing = [part for part in dict.fromkeys(parts) if not part.startswith(WEIGHTS)]
    if weights:
        missing.append(WEIGHTS + ", ".join(weights))
    needed.append((dataset, len(cells), "; ".join(missing)))
format_table(pd.DataFrame(needed, columns=["dataset", "cells", "missing"]), caption="What the open cells need.", stacked=True)

# %% tags=["hide-input", "hide-output"] mystnb={"code_prompt_show": "Details: R of every set of this build"}
page.describe_sets(sets, [variant])
if unpublished := sorted({s.identity.backbone for s in sets} - set(paper.BACKBONES.values())):
    page.show_text("Encoders that are not the paper's, whose values have no published counterpart: {names}.", names=", ".join(unpublished))
own = ours[ours["quantity"].isin(["R", "R_distinct"]) & (ours["modality"] != "joint")]
wide = own.pivot(index=["domain", "dataset", "variant", "backbone", "modality"], columns="quantity", values="value")
format_table(wide.reset_index().rename(columns={"R_distinct": "R over distinct items"}), caption="R of every set of this build.")

# %% [markdown]
# ## What was not tested
#
# A cell that agrees does not show that another sample of the same data, or another wording of the texts, would give the same $R$. The authors drew
# their subset of Fakeddit without a seed.
#
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer(sets)
