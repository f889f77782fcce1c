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
# # What λ closes and what it does not

# %% tags=["parameters"]
alignments = []  # alignments of the heat maps; an empty list means all
dataset = "flickr8k"  # stored data set whose retrieval is measured on this page
backbone = "lit-natural"  # encoder of that set
task_alignments = ["lambda-0.5", "lambda-1", "centring", "z-scores", "leace"]  # alignments in the figure of few labels
n_boot = 500  # bootstrap replicates over test rows
results = None  # folder for result tables; None for ./results

# %% tags=["hide-input", "remove-stderr"]
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from matplotlib.patches import Patch, Rectangle

from helpers import gap_vector
from helpers.alignment.registry import ALIGNMENTS, COMPARED
from helpers.arrays import distinct_rows, unit_both, unit_rows
from helpers.datasets.registry import title
from helpers.extraction.find import embeddings_for
from helpers.page import NAME, Page, count, format_table, integer, many, span, text
from helpers.plotting import INK, MARKERS, SPARE, panels, share_legend
from helpers.retrieval import retrieval_ranks, several_distinct
from helpers.schemas import shipped_table
from helpers.separation import nearest, similarity_blocks
from helpers.statistics import bootstrap_counts, percentile_interval

names = many(text(ALIGNMENTS, "alignment"))
spec = {"alignments": names, "task_alignments": names, "dataset": text(), "backbone": text(), "n_boot": integer(100, 100_000), "results": NAME | None}
page = Page("11_what_lambda_closes", globals(), spec)
from helpers.recommend import aligned

# A page of many numbers: text in its figures is lighter than outlines of letters. Verdana is as wide as DejaVu Sans.
plt.rcParams.update({"svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans", "Verdana"]})


def stored(name):
    """Rows of a table of `make measured`; an alignment that could not be fitted has a reason and no measure."""
    table = shipped_table(f"measured/alignments_{name}", dtype={"reason": str})
    return table.assign(reason=table["reason"].fillna("")) if "reason" in table else table


SET, RECALLS = ["dataset", "variant", "backbone"], ("recall_image_to_text", "recall_text_to_image")
CLIP = "CLIP ViT-B/16"
TO_LOSE = 0.1  # a lower recall@1 can hardly fall
SEPARABLE = 0.9  # modalities with a higher held-out AUC count as separable
measured = page.save_table(pd.concat([stored("public"), stored("shipped")], ignore_index=True), "alignments")
galleries = page.save_table(pd.concat([stored("galleries_public"), stored("galleries_shipped")], ignore_index=True), "alignment_galleries")
tasks_stored, residual = stored("tasks"), shipped_table("measured/residual_gap")

# %% tags=["hide-input"]
of_set = measured[measured["renormalise"] & measured["measure"].notna()].set_index(["alignment", "measure", *SET]).sort_index()
shifted, centred = (of_set.loc[name] for name in ("lambda-1", "centring"))
left = residual.pivot_table(index=SET, columns="alignment", values=["gap", "share", "low", "high"])
public = left.index.get_level_values("variant") == "public"
page.show_text(
    "On {n} sets ({public} of published vectors of real encoders, {bench} of our two small test-bench encoders), λ = 1 leaves {least:.1%} to {most:.0%} of the gap "
    "once the sampling noise of finite rows is taken out, and in {separable} of them a linear classifier still tells held-out images from texts with an AUC "
    "above {limit:g}.",
    n=len(left), public=int(public.sum()), bench=int((~public).sum()), least=left["share"]["lambda-1"].min(), most=left["share"]["lambda-1"].max(), limit=SEPARABLE,
    separable=int((shifted.loc["modality_auc", "value"] > SEPARABLE).sum()),
)  # fmt: skip

of_clip = of_set.xs(CLIP, level="backbone").droplevel(["dataset", "variant"])["value"]
page.show_text(
    "Noise included, the gap measured after λ = 1 exceeds the 95 % quantile of what noise alone shows in {clear} of {n} sets. On {name} {gap:.1%} of the gap "
    "is left, and noise alone shows {noise:.1%}.",
    clear=int((shifted.loc["gap", "value"] > shifted.loc["gap_null_95", "value"]).sum()), n=len(left), name=CLIP,
    gap=of_clip["lambda-1", "gap"] / of_clip["none", "gap"], noise=of_clip["lambda-1", "gap_null"] / of_clip["none", "gap"],
)  # fmt: skip


def of_recall(rows):
    """In how many sets each recall clearly falls and rises, and by how much both change on CLIP's vectors."""
    found = {"clip": []}
    for way, measure in zip("vt", RECALLS, strict=True):
        of = rows.loc[measure]
        found |= {f"falls_{way}": int((of["change_high"] < 0).sum()), f"rises_{way}": int((of["change_low"] > 0).sum())}
        clip = of.xs(CLIP, level="backbone").iloc[0]
        found["clip"].append("{change:+.3f} ({change_low:+.3f} to {change_high:+.3f})".format(**clip))
    return found | {"clip": " and ".join(found["clip"])}


page.show_text(
    "λ = 1 clearly lowers recall@1 from image to text in {falls_v} of {n} sets and raises it in {rises_v}; from text to image it lowers it in {falls_t} and raises "
    "it in {rises_t}. Only {able} sets have a recall@1 of at least {least:g} both ways without alignment, and so much to lose. On {name} λ = 1 changes the two by {clip}.",
    n=len(left), name=CLIP, able=int((of_set.loc["none"].loc[list(RECALLS), "value"].groupby(level=SET).min() >= TO_LOSE).sum()), least=TO_LOSE, **of_recall(shifted),
)  # fmt: skip
page.show_text(
    "Centring leaves a clearly smaller gap than λ = 1 in {smaller} of {n} sets and a larger one in {larger} (intervals that do not overlap). It clearly lowers "
    "recall@1 from image to text in {falls_v} and from text to image in {falls_t}; on {name} it changes them by {clip}.",
    smaller=int((left["high"]["centring"] < left["low"]["lambda-1"]).sum()), larger=int((left["low"]["centring"] > left["high"]["lambda-1"]).sum()), n=len(left), name=CLIP, **of_recall(centred),
)  # fmt: skip

# %% [markdown]
# A change is clear when its 95 % interval, given in brackets, excludes zero; nothing here corrects for the number of sets and measures.
#
# ## Closing the gap against λ
#
# Each alignment is fitted on half of the pairs and measured on the other half, over five splits. Equal images, equal texts and rows of one
# group stay on one side. Intervals allow for the rows that splits share ({doc}`/book/methods`). The shipped sets are measured on
# validation and test rows only, because {term}`heads <head>` were trained on training rows.

# %% tags=["hide-input"] tables=["alignments"] mystnb={"figure": {"caption": "Six measures of held-out pairs against λ, one line per set, with 95 % intervals over five splits. Lines are displaced sideways so that intervals stay apart.", "name": "fig-closes-lambda"}, "image": {"alt": "Line plots of gap, relative gap, modality AUC, mixing and recall at 1 in both directions against lambda 0, 0.5 and 1, one line per embedding set."}}
LINES = ("#0072b2", "#009e73", "#d55e00", "#cc79a7", "#000000", *SPARE[:2])
LAMBDAS = {"none": 0.0, "lambda-0.5": 0.5, "lambda-1": 1.0}
shown = ["gap", "relative_gap", "modality_auc", "mixing", *RECALLS]


def line(ax, x, rows, value, low, high, **style):
    """One line with its intervals."""
    ax.errorbar(x, rows[value], [rows[value] - rows[low], rows[high] - rows[value]], capsize=2, **style)


along = measured[measured["renormalise"] & measured["alignment"].isin(LAMBDAS)]
along = along.assign(lam=along["alignment"].map(LAMBDAS)).sort_values("lam")
sets = list(along.groupby(SET, sort=False))
figure, axes = panels(len(shown), 3, 3.0, 2.6)
for ax, measure in zip(axes, shown, strict=True):
    for i, (name, rows) in enumerate(sets):
        style = {"color": LINES[i % len(LINES)], "linestyle": ("-", "--")[i // len(LINES) % 2], "marker": MARKERS[i % len(MARKERS)]}
        rows = rows[rows["measure"] == measure]
        line(ax, rows["lam"] + 0.012 * (i - len(sets) / 2), rows, "value", "low", "high", label=" · ".join((title(name[0]), *name[1:])), **style)
    ax.set(title=measure.replace("_", " ").replace("auc", "AUC"), xlabel="λ", xticks=list(LAMBDAS.values()), ylim=(0, None))
share_legend(figure, axes)

# %% [markdown]
# - **Gap**: distance between the two means. Finite rows show a gap even where the true gap is zero; `studies/residual_gap.py` takes this noise out, and
#   `null_gaps` in `studies/alignments.py` measures it on random halves of both halves, cut by whole groups (mean and 95 % quantile: `gap_null` and
#   `gap_null_95` in the result table `alignments`).
# - **Relative gap**: mean distance of pairs relative to the distances within modalities {cite}`schrodi2024two`. It is 0.5 when pairs are
#   no closer than random rows of one modality.
# - **Modality AUC**: AUC of a logistic regression that tells images from texts. 0.5 is chance.
# - **Mixing**: share of the other modality among the ten nearest neighbours, relative to chance. 1 is complete mixing.
# - **Recall@1**: how often the nearest text is the right one, and the nearest image. Equal texts are one text.
#
# ## The other alignments
#
# The others are centring, as in GR-CLIP {cite}`li2025mixed`, ReAlign {cite}`yu2026realign`, LEACE {cite}`belrose2023leace`, Procrustes
# {cite}`schonemann1966procrustes` and canonical correlations {cite}`hotelling1936relations`. All renormalise. A cell gives the value and half the length of
# its 95 % interval. Violet is better than no alignment and orange worse; bold marks a clear change, and a frame the best alignment of a set, which may be
# chance. A modality AUC is best at one half and mixing at 1. A dash means too few pairs: Procrustes, CCA and whitening need as many rows as dimensions.

# %% tags=["hide-input"]
def in_words(measure):
    """A measure as a reader says it: `text_to_image_auc` is the AUC from text to image."""
    way, _, what = measure.rpartition("_") if re.search("_to_.*_auc$", measure) else ("", "", measure)
    return f"AUC from {way}".replace("_", " ") if way else what.replace("_", " ").replace("auc", "AUC")


LESS_IS_BETTER = re.compile("gap|hub|loss|brier|calibration|spread")
BEST_AT = {"modality_auc": 0.5, "mixing": 1.0}  # images and texts cannot be told apart, and mix as by chance
CELL = 0.53, 0.36  # inches


def merit(measures, values):
    """Values on scales on which more is better, whichever way the measures run."""
    pairs = zip(measures, values, strict=True)
    return np.array([-abs(v - BEST_AT[m]) if m in BEST_AT else -v if LESS_IS_BETTER.search(m) else v for m, v in pairs])


def named_sets(rows):
    """Rows with their set on two lines: data set and, if it can have several, the variant; the encoder below."""
    variant = np.where(rows["variant"].isin(("common", "public")), "", ", " + rows["variant"])
    return rows.assign(set=rows["dataset"].map(title) + variant + "\n" + rows["backbone"])


def draw_panel(ax, rows, names, digits=2):
    """The cells of one panel, sets in rows and alignments in columns; colours are scaled within the panel."""
    sets, merits = list(dict.fromkeys(rows["set"])), merit(rows["measure"], rows["value"])
    rows = rows.assign(merit=merits, better=merits - merit(rows["measure"], rows["value"] - rows["change"]))
    wide = {c: rows.pivot(index="set", columns="alignment", values=c).reindex(index=sets, columns=names).to_numpy() for c in
            ("value", "low", "high", "change_low", "change_high", "merit", "better")}  # fmt: skip
    largest = np.nanmax(np.abs(wide["better"]), initial=1e-12)
    ax.imshow(wide["better"] / largest, cmap="PuOr", vmin=-1.6, vmax=1.6, aspect="auto")
    clear, half = (wide["change_low"] > 0) | (wide["change_high"] < 0), (wide["high"] - wide["low"]) / 2
    for (i, j), value in np.ndenumerate(wide["value"]):
        shown = "–" if np.isnan(value) else f"{value:.{digits}f}\n±{half[i, j]:.{digits}f}"
        cell = ax.text(j, i, shown, ha="center", va="center", fontsize=8, color=INK, weight="bold" if clear[i, j] else "normal")
        cell.set_in_layout(False)  # it lies inside the axes, and measuring hundreds of texts takes long
    for i, of in enumerate(wide["merit"]):
        if not np.isnan(of).all():
            ax.add_patch(Rectangle((np.nanargmax(of) - 0.47, i - 0.44), 0.94, 0.88, fill=False, color=INK, linewidth=1.2))
    ax.set(xticks=range(len(names)), yticks=range(len(sets)))
    ax.set_xticklabels(names, rotation=30, ha="right", fontsize=8)
    ax.set_yticklabels(sets, fontsize=8)
    ax.grid(False)


def heat_map(rows, measures, digits=2):
    """A panel per measure."""
    rows, names = named_sets(rows), list(dict.fromkeys(rows["alignment"]))
    most = max(rows.loc[rows["measure"] == m, "set"].nunique() for m in measures)
    figure, axes = panels(len(measures), 1, 1.7 + CELL[0] * len(names), 0.95 + CELL[1] * most)
    for ax, measure in zip(axes, measures, strict=True):
        draw_panel(ax, rows[rows["measure"] == measure], names, digits=digits)
        ax.set_title(in_words(measure), fontsize=9)
    key = [Patch(color=plt.get_cmap("PuOr")(share), label=f"{word} than no alignment") for share, word in ((0.8, "better"), (0.2, "worse"))]
    key.append(Patch(fill=False, edgecolor=INK, label="best of its set"))
    figure.legend(handles=key, loc="outside lower center", ncols=3)


# %% tags=["hide-input"] tables=["alignments"] mystnb={"figure": {"caption": "What each alignment closes: the gap, how well a classifier tells the modalities apart, and how far they mix. One panel per measure, a row per set, a column per alignment, over five splits.", "name": "fig-closes-alignments"}, "image": {"alt": "Heat maps of the gap, modality AUC and mixing, one panel each, with sets as rows and alignments as columns, values with half intervals in the cells, clear changes in bold and the best of each row framed."}}
among = measured[measured["alignment"].isin(alignments or COMPARED)]
heat_map(among[among["renormalise"]], ["gap", "modality_auc", "mixing"])

# %% tags=["hide-input"] tables=["alignments"] mystnb={"figure": {"caption": "What each alignment costs in retrieval: recall@1 in both directions, laid out as in the figure above.", "name": "fig-costs-alignments"}, "image": {"alt": "Heat maps of recall at 1 from image to text and from text to image, with sets as rows and alignments as columns."}}
heat_map(among[among["renormalise"]], RECALLS)

# %% [markdown]
# ### The loss of recall against the size of the gallery
#
# Alignments are fitted on the same number of pairs of every set, and other pairs form the gallery.

# %% tags=["hide-input"]
SEARCHABLE = 0.2  # a lower recall leaves too few hits for a change relative to them
unaligned = galleries[(galleries["alignment"] == "none") & (galleries["gallery"] == galleries["gallery"].min())]
least = unaligned.groupby(SET)["value"].min()
searchable = least.index[least >= SEARCHABLE]
page.show_text(
    "{n} of the {all} sets with enough pairs have a recall@1 below {least:g} one way in the smallest gallery, too low for a relative change. They are in the "
    "result table `alignment_galleries` alone.",
    least=SEARCHABLE, n=len(least) - len(searchable), all=len(least),
)  # fmt: skip

clip = galleries[galleries["backbone"] == CLIP].set_index(["alignment", "measure", "gallery"])
few, most = clip.index.levels[2].min(), clip.index.levels[2].max()
for name, said in (("lambda-1", "λ = 1"), ("centring", "centring")):
    changes = []
    for measure, way in zip(RECALLS, ("from image to text", "from text to image"), strict=True):
        ends = [clip.loc[(name, measure, size), ["relative", "relative_low", "relative_high"]] for size in (few, most)]
        first, last = ("{:+.0f} % ({:+.0f} % to {:+.0f} %)".format(*(round(100 * value) + 0.0 for value in of)) for of in ends)
        low, high = clip.loc[(name, measure, most), ["growth_low", "growth_high"]]
        clear = "a clear difference" if low > 0 or high < 0 else "no clear difference"
        changes.append(f"{way} by {first} among {few} pairs and by {last} among {most}, {clear}")
    page.show_text("On {clip}, {said} changes recall@1 {changes}.", clip=CLIP, said=said, changes="; ".join(changes))

# %% tags=["hide-input"] tables=["alignment_galleries"] mystnb={"figure": {"caption": "Relative change of recall@1 against the size of the gallery, with 95 % intervals over draws. The numbers above a panel are recall without alignment in the smallest gallery, from image to text and from text to image. Intervals are cut at 100 %.", "name": "fig-galleries"}, "image": {"alt": "Line plots of the relative change of recall at 1 against the number of pairs in the gallery, one panel per set, for lambda 1 and centring in both directions."}}
shown_galleries = named_sets(galleries[pd.MultiIndex.from_frame(galleries[SET]).isin(searchable)])
sets = list(shown_galleries.groupby("set", sort=False))
figure, axes = panels(len(sets), 3, 3.0, 2.6, sharey=True)
for ax, (name, of) in zip(axes, sets, strict=True):
    lines = list(of[of["alignment"] != "none"].groupby(["alignment", "measure"], sort=False))
    for i, ((alignment, measure), rows) in enumerate(lines):
        style = {"color": LINES[i // 2], "linestyle": ("-", "--")[i % 2], "marker": MARKERS[i % 2], "markersize": 3, "linewidth": 1}
        label = f"{alignment}, {measure.removeprefix('recall_').replace('_', ' ')}"
        line(ax, rows["gallery"] * 1.04 ** (i - len(lines) / 2), rows, "relative", "relative_low", "relative_high", label=label, **style)
    ax.axhline(0, color=INK, linewidth=0.8)
    sizes = sorted(of["gallery"].unique())
    recalls = of.loc[(of["alignment"] == "none") & (of["gallery"] == sizes[0]), "value"]
    ax.set_title(f"{name}\n{' / '.join(f'{value:.2f}' for value in recalls)}", fontsize=8)
    ax.set(xscale="log", ylim=(-1, 1), xlabel="pairs in the gallery")
    ax.set_xticks(sizes[:: 1 + len(sizes) // 5], [str(size) for size in sizes[:: 1 + len(sizes) // 5]], fontsize=7)
    ax.minorticks_off()
axes[0].set_ylabel("relative change\nof recall@1")
share_legend(figure, axes)

# %% [markdown]
# ### Why retrieval changes: one penalty for every query
#
# {eq}`eq-align` adds $\beta\, t \cdot \Delta$ to the similarity of each candidate, whatever the query. The shift at λ = 1 without renormalising is
# exactly the dashed line. Renormalising acts to first order like the dotted one: with $s$ the mean similarity of shifted pairs and $n^2$ the
# mean squared norm of shifted candidates, $\beta = -\frac12 (1 + s / n^2)$ near the right one.

# %% tags=["hide-input"]
def penalty_of_renormalising(queries, candidates, gap):
    """The penalty to which Eq. 5 at λ = 1 amounts to first order, for unit vectors of pairs and the gap towards the queries."""
    queries, candidates = queries - gap / 2, candidates + gap / 2
    length = np.linalg.norm(queries, axis=1, keepdims=True)
    matched = (queries / length * candidates).sum(axis=1).mean() * length.mean()
    return -0.5 * (1 + matched / (candidates**2).sum(axis=1).mean())


embeddings = embeddings_for(dataset, backbone)
for split in ("train", "test"):
    if not len(embeddings.rows(split)):
        raise ValueError(f"{embeddings.dataset} has no {split} rows; the gap comes from train rows, recall is of test rows: give the set a split")
train, test = embeddings.rows("train"), embeddings.rows("test")
image_test, text_test = embeddings.image_of(test), embeddings.text_of(test)
several_distinct(image_test, "image")
several_distinct(text_test, "text")
gap = gap_vector(embeddings.image_of(train), embeddings.text_of(train))
groups = embeddings.pairs["group"].to_numpy()
weights = bootstrap_counts(len(test), n_boot, groups=groups[test])
curves, special = [], []
for direction, queries, candidates, towards in (("image to text", image_test, text_test, gap), ("text to image", text_test, image_test, -gap)):
    along_gap = candidates @ towards
    for beta in np.linspace(-1.5, 1.0, 26).round(10):
        hit = (retrieval_ranks(queries, candidates, beta * along_gap) < 1).astype(float)
        curves.append((direction, beta, hit.mean(), *percentile_interval(weights @ hit / weights.sum(axis=1))))
    special += [(direction, "shift", -0.5), (direction, "renormalised", penalty_of_renormalising(queries, candidates, towards))]
curves = page.save_table(pd.DataFrame(curves, columns=["direction", "beta", "recall", "low", "high"]), "alignment_penalty")
page.show_text("Measured on {set}: the gap comes from its training rows, recall@1 from its test rows.", set=str(embeddings.identity))

# %% tags=["hide-input"] tables=["alignment_penalty"] mystnb={"figure": {"caption": "Recall@1 against the penalty on candidates along the gap, with 95 % bootstrap intervals over queries.", "name": "fig-penalty"}, "image": {"alt": "Line plots of recall at 1 from image to text and from text to image against the penalty beta, with the two penalties of lambda 1 marked."}}
figure, axes = panels(2, 2, 4.2, 2.8)
for ax, (direction, rows) in zip(axes, curves.groupby("direction", sort=False), strict=True):
    ax.plot(rows["beta"], rows["recall"], color=LINES[0], label="recall@1, 95 % interval")
    ax.fill_between(rows["beta"], rows["low"], rows["high"], color=LINES[0], alpha=0.2, linewidth=0)
    marks = [(form, beta) for way, form, beta in special if way == direction]
    for colour, style, (form, beta) in zip(LINES[1:], ("--", ":"), marks, strict=False):
        ax.axvline(beta, color=colour, linestyle=style, label=f"λ = 1, {form}")
    ax.axvline(0, color=INK, linewidth=0.8, label="no alignment")
    ax.set(title=direction, xlabel="penalty β", ylabel="recall@1", ylim=(0, None))
share_legend(figure, axes)

# %% [markdown]
# ### Cosines of pairs and of other image-text combinations
#
# Retrieval works as far as the two histograms of the test rows differ.

# %% tags=["hide-input"]
def cosine_counts(image, text, edges):
    """Counts of the cosines of pairs, and of the other combinations of an image and a text, but those of an equal image or text."""
    image, text = unit_both(image, text, pairs=True)
    codes = [distinct_rows(x)[1] for x in (image, text)]
    counts = {"pair": np.histogram(np.einsum("ij,ij->i", image, text).clip(-1, 1), edges)[0], "non_pair": np.zeros(len(edges) - 1, dtype=int)}
    for rows, cosines in similarity_blocks(image, text):
        same = (codes[0][rows, None] == codes[0]) | (codes[1][rows, None] == codes[1])
        counts["non_pair"] += np.histogram(cosines[~same].clip(-1, 1), edges)[0]
    return counts


moved = {name: aligned(embeddings, name)[1] for name in ("none", "lambda-1", "centring")}
counted, edges = [], np.linspace(-1, 1, 41)
for name, s in moved.items():
    for kind, counts in cosine_counts(s.image_of(test), s.text_of(test), edges).items():
        middle = (edges[1:] + edges[:-1]) / 2
        counted.append(pd.DataFrame({"alignment": name, "kind": kind, "cosine": middle, "share": counts / counts.sum()}))
cosines = page.save_table(pd.concat(counted, ignore_index=True), "alignment_cosines")

# %% tags=["hide-input"] tables=["alignment_cosines"] mystnb={"figure": {"caption": "Cosines of test pairs and of all other combinations of a test image and a test text, under no alignment, λ = 1 and centring.", "name": "fig-histograms"}, "image": {"alt": "Histograms of the cosines of pairs and of non-pairs, one panel per alignment."}}
filled = cosines.loc[cosines["share"] > 0, "cosine"]
figure, axes = panels(len(moved), 3, 3.0, 2.3, sharey=True)
for ax, (name, of) in zip(axes, cosines.groupby("alignment", sort=False), strict=True):
    for colour, (kind, bars) in zip(LINES, of.groupby("kind", sort=False), strict=False):
        ax.fill_between(bars["cosine"], bars["share"], step="mid", color=colour, alpha=0.4, linewidth=0, label=kind.replace("_", "-"))
    ax.set(title=name, xlabel="cosine", xlim=(filled.min() - 0.05, filled.max() + 0.05), ylim=(0, None))
axes[0].set_ylabel("share per bin")
share_legend(figure, axes)

# %% [markdown]
# ### Search among images and texts together
#
# Validation texts search the test rows, some stored as images and the others as texts. A row is relevant if it has a label in common with the query. The
# question is whether a wide gap ranks texts before images, whatever they show.

# %%
CHANGES = ["value", "low", "high", "change", "change_low", "change_high"]


def mixed_search_ndcg(queries, relevant, image, text, share, k=10, random_state=0):
    """NDCG@k of each query (q, d) in a corpus of pairs (n, d) in which a random share of rows are images and the others texts.

    ``relevant`` (q, n) tells which rows are relevant. The ideal DCG is over all of them; the retrieved ones alone would inflate the score.
    """
    as_image = np.zeros(len(image), dtype=bool)
    as_image[np.random.default_rng(random_state).permutation(len(image))[: round(share * len(image))]] = True
    found = nearest(np.where(as_image[:, None], *unit_both(image, text)), k, unit_rows(queries))
    discount = 1 / np.log2(np.arange(2, k + 2))
    return (np.take_along_axis(relevant, found, axis=1) @ discount) / np.cumsum(discount)[np.minimum(relevant.sum(axis=1), k) - 1]


def search_mixed(moved, queries, test, n_boot):
    """NDCG of the texts of ``queries`` among the rows ``test``, and its change, for each alignment and share of images, with intervals."""
    embeddings, found = moved["none"], []
    relevant = embeddings.targets[queries].astype(int) @ embeddings.targets[test].T.astype(int) > 0
    queries, relevant = queries[relevant.any(axis=1)], relevant[relevant.any(axis=1)]
    weights = bootstrap_counts(len(queries), n_boot, groups=embeddings.pairs["group"].to_numpy()[queries])
    for name, s in moved.items():
        image, texts, asked = s.image_of(test), s.text_of(test), s.text_of(queries)
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):  # of rows that are stored as images; five draws of them, the same for all alignments
            ndcg = np.mean([mixed_search_ndcg(asked, relevant, image, texts, share, k=10, random_state=draw) for draw in range(5)], axis=0)
            found.append((name, share, ndcg))
    without = {share: ndcg for name, share, ndcg in found if name == "none"}
    rows = []
    for name, share, ndcg in found:
        rows.append([name, share])
        for values in (ndcg, ndcg - without[share]):
            rows[-1] += [values.mean(), *percentile_interval(weights @ values / weights.sum(axis=1))]
    return pd.DataFrame(rows, columns=["alignment", "share", *CHANGES])


queries = embeddings.rows("val")
can_search = embeddings.labelled and len(queries) > 0
if can_search:
    search = page.save_table(search_mixed(moved, queries, test, n_boot), "alignment_mixed_search")
    words = {r.alignment: f"{r.change:+.3f} ({r.change_low:+.3f} to {r.change_high:+.3f})" for r in search[search["share"] == 0.5].itertuples()}
    page.show_text("In a corpus of as many images as texts, λ = 1 changes NDCG by {shift} and centring by {centring}.", shift=words["lambda-1"], centring=words["centring"])
else:
    lacks = "validation rows, whose texts search" if embeddings.labelled else "labels, which say what is relevant"
    page.show_text("Not measured: {set} has no {lacks}.", set=str(embeddings.identity), lacks=lacks)

# %% tags=["hide-input"] tables=["alignment_mixed_search"] mystnb={"figure": {"caption": "NDCG of a search by text against the share of images in the corpus, and its change from no alignment, with 95 % bootstrap intervals over queries.", "name": "fig-mixed-search"}, "image": {"alt": "Line plots of NDCG and of its change against the share of images in the corpus, one line per alignment."}}
if can_search:
    figure, axes = panels(2, 2, 4.2, 2.6)
    for ax, ends, label in zip(axes, (CHANGES[:3], CHANGES[3:]), ("NDCG", "change of NDCG"), strict=True):
        for i, (name, rows) in enumerate(search.groupby("alignment", sort=False)):
            style = {"color": LINES[i], "marker": MARKERS[i], "markersize": 3, "linewidth": 1}
            line(ax, rows["share"] + 0.012 * (i - len(moved) / 2), rows, *ends, label=name, **style)
        ax.set(xlabel="share of images in the corpus", ylabel=label)
    share_legend(figure, axes)

# %% [markdown]
# ## Tasks of labels
#
# Alignments and {term}`converged` probes learn from the training rows and the test rows judge, with paired bootstrap intervals by group.
#
# - **Probe AUC**: a linear probe on both modalities, as in {doc}`03_lambda_sweep`.
# - **Text to image, image to text**: a probe that is trained on one modality and scored on the other.
# - **Zero-shot AUC**: of the cosine with one prompt per class, encoded by the same text tower and moved as a text.
# - **Recall@10**: retrieval among all test rows.
# - **Log loss, calibration error**: of the joint probe. The last is the mean distance of predicted probabilities from observed shares, class by class.
# - **Subgroup spread**: distance between the best and the worst AUC over the levels of a subgroup.

# %% tags=["hide-input"]
def count_clear(tasks):
    """In how many sets each alignment clearly improves each measure, and in how many it clearly worsens it."""
    rows = tasks[tasks["measure"].notna() & (tasks["alignment"] != "none")]
    less = rows["measure"].map(lambda measure: LESS_IS_BETTER.search(measure) is not None)
    falls, rises = rows["change_high"] < 0, rows["change_low"] > 0
    counted = rows.assign(sets=1, better=falls.where(less, rises).astype(int), worse=rises.where(less, falls).astype(int))
    return counted.groupby(["measure", "alignment"], sort=False)[["sets", "better", "worse"]].sum().reset_index()


def show_what_holds(counts, least=2):
    """Say in two sentences what λ = 1 and centring do, and which alignments help everywhere, on measures that so many sets have."""
    counts = counts[counts["sets"] >= least]
    if counts.empty:
        page.show_text("No measure was taken on {least} sets or more, so this says nothing about sets in general.", least=least)
        return
    shift, centring = (counts.loc[counts["alignment"] == name, ["sets", "better", "worse"]].sum() for name in ("lambda-1", "centring"))
    page.show_text(
        "Over {measures} measures, λ = 1 makes {better} of {sets} combinations of measure and set clearly better and {worse} clearly worse, centring {also_better} and "
        "{also_worse} of {also_sets}; chance alone gives 2.5 % on either side.", measures=counts["measure"].nunique(), **shift, **centring.add_prefix("also_"),
    )  # fmt: skip
    always = counts[(counts["better"] == counts["sets"]) & counts["measure"].str.contains("auc|recall")].groupby("measure", sort=False)["alignment"]
    listed = "; ".join(f"{in_words(measure)} ({', '.join(names)})" for measure, names in always)
    page.show_text("Of AUC and recall, an alignment clearly improves in every set: {listed}.", listed=listed or "none")


tasks_of_all = page.save_table(tasks_stored[tasks_stored["protocol"] == "converged"], "alignment_tasks_of_all_sets")
show_what_holds(page.save_table(count_clear(tasks_of_all), "alignment_counts"))

# %% tags=["hide-input"] tables=["alignment_tasks_of_all_sets"] mystnb={"figure": {"caption": "What each alignment does to the joint probe, to zero-shot classification and to retrieval, on test rows of each set. Cells, colours, bold and frames as in the figures above; intervals are bootstraps over test rows.", "name": "fig-tasks-all"}, "image": {"alt": "Heat maps of probe AUC, zero-shot AUC and recall at 10 in both directions, with sets as rows and alignments as columns."}}
tasks_shown = tasks_of_all[tasks_of_all["alignment"].isin(alignments or COMPARED)]
heat_map(tasks_shown, ["probe_auc", "zero_shot_auc", "recall@10_image_to_text", "recall@10_text_to_image"], digits=3)

# %% tags=["hide-input", "hide-output"] tables=["alignment_tasks_of_all_sets"] mystnb={"code_prompt_show": "Details: transfer between the modalities", "figure": {"caption": "Transfer: a probe trained on one modality and scored on the other, laid out as in the figure above.", "name": "fig-tasks-transfer"}, "image": {"alt": "Heat maps of AUC and log loss of probes trained on texts and scored on images, and the reverse."}}
heat_map(tasks_shown, [f"{way}_{measure}" for way in ("text_to_image", "image_to_text") for measure in ("auc", "log_loss")], digits=3)

# %% tags=["hide-input", "hide-output"] tables=["alignment_tasks_of_all_sets"] mystnb={"code_prompt_show": "Details: calibration and subgroups", "figure": {"caption": "Calibration of the joint probe and its spread over subgroups, laid out as in the figures above.", "name": "fig-tasks-calibration"}, "image": {"alt": "Heat maps of log loss, calibration error and subgroup spreads, with sets as rows and alignments as columns."}}
heat_map(tasks_shown, ["log_loss", "calibration_error", *sorted(m for m in tasks_shown["measure"].dropna().unique() if m.endswith("_spread"))], digits=3)

# %% [markdown]
# ### Few labels
#
# The joint probe learns from few labelled rows, drawn several times; alignments see all training pairs. The last point has all labels.

# %% tags=["hide-input"]
labels = tasks_of_all["measure"].str.extract(r"auc_(\d+)_labels")[0].astype(float).where(tasks_of_all["measure"] != "probe_auc", np.inf)
by_labels = named_sets(tasks_of_all).assign(labels=labels).dropna(subset=["labels"]).sort_values("labels")
sets = list(by_labels.groupby("set", sort=False))
fewest = by_labels[by_labels["labels"] == by_labels["labels"].min()].groupby("alignment")["change"]
page.show_text(
    "With {few:.0f} labelled rows, λ = 1 changes AUC by {shift} and centring by {centring}, over {sets}.", few=by_labels["labels"].min(),
    shift=span(*fewest.get_group("lambda-1").agg(["min", "max"]), "+.3f"), centring=span(*fewest.get_group("centring").agg(["min", "max"]), "+.3f"), sets=count(len(sets), "set"),
)  # fmt: skip

# %% tags=["hide-input"] tables=["alignment_tasks_of_all_sets"] mystnb={"figure": {"caption": "Change of AUC from no alignment against the number of labelled training rows, with 95 % bootstrap intervals. Numbers below the axis are labelled rows and the AUC without an alignment.", "name": "fig-label-curves"}, "image": {"alt": "Line plots of the change in AUC against the number of labelled rows, one panel per set and one line per alignment."}}
figure, axes = panels(len(sets), 3, 3.0, 2.6)
for ax, (name, of) in zip(axes, sets, strict=True):
    unaligned = of[of["alignment"] == "none"]
    places = {size: place for place, size in enumerate(unaligned["labels"])}
    for i, alignment in enumerate(task_alignments):
        rows = of[of["alignment"] == alignment]
        style = {"color": LINES[i % len(LINES)], "marker": MARKERS[i % len(MARKERS)], "markersize": 3, "linewidth": 1}
        x = rows["labels"].map(places) + 0.08 * (i - (len(task_alignments) - 1) / 2)
        line(ax, x, rows, "change", "change_low", "change_high", label=alignment, **style)
    ax.axhline(0, color=INK, linewidth=0.8)
    ticks = [f"{'all' if np.isinf(size) else int(size)}\n{auc:.2f}" for size, auc in zip(places, unaligned["value"], strict=True)]
    ax.set_xticks(list(places.values()), ticks, fontsize=7)
    ax.set_title(name, fontsize=8)
    ax.set(xlabel="labelled rows", ylabel="change of AUC")
share_legend(figure, axes)

# %% [markdown]
# ### The same under the protocol of the authors' code
#
# Before convergence an alignment also acts as a learning rate ({doc}`/book/theory`).

# %% tags=["hide-input"]
tasks_of_code = page.save_table(tasks_stored[tasks_stored["protocol"] == "authors-code"], "alignment_tasks_authors_code")
show_what_holds(count_clear(tasks_of_code))

# %% tags=["hide-input", "hide-output"] tables=["alignment_tasks_authors_code"] mystnb={"code_prompt_show": "Details: the same under the protocol of the authors' code", "figure": {"caption": "Joint probe and transfer under the protocol of the authors' code, laid out as in the figures above. The result table `alignment_tasks_authors_code` has the log loss too.", "name": "fig-tasks-authors-code"}, "image": {"alt": "Heat maps of probe AUC and transfer AUC in both directions under the authors' protocol."}}
heat_map(tasks_of_code[tasks_of_code["alignment"].isin(alignments or COMPARED)], ["probe_auc", "text_to_image_auc", "image_to_text_auc"], digits=3)

# %% [markdown]
# ## Robustness and storage
#
# {cite:t}`chowers2026robustness` find that a smaller gap makes retrieval more robust at the same accuracy. We count the images whose nearest text stays the
# same when both modalities get noise, or are stored with 16 levels a coordinate (`studies/robustness.py`). Their *projected shift* moves images by the
# part of the gap that is orthogonal to the texts. Renormalising expands what a shift has shortened, so the same noise weighs less.

# %% tags=["hide-input"]
robust = shipped_table("measured/robustness")
moves = robust[(robust["move"] != "none") & ~((robust["measure"] == "recall") & ~robust["renormalise"])]
counted = moves.assign(rises=moves["change_low"] > 0, falls=moves["change_high"] < 0).groupby(["move", "renormalise", "measure"], sort=False)
counted = counted[["rises", "falls"]].sum().reset_index()
of = counted[counted["renormalise"]].assign(sets=lambda t: t["rises"].astype(str) + " / " + t["falls"].astype(str))
of = of.pivot(index="move", columns="measure", values="sets")[["noise", "storage", "recall"]].reset_index()
display(format_table(
    of.rename(columns={"noise": "nearest texts that survive noise", "storage": "nearest texts that survive storage", "recall": "recall@1"}),
    caption=f"Number of the {robust.groupby(SET).ngroups} sets in which a renormalised move clearly raises / lowers a measure, over 20 splits; recall@1 is from image to text.",
))  # fmt: skip

# %% tags=["hide-input", "hide-output"] mystnb={"code_prompt_show": "Details: robustness on CLIP's vectors"}
of_clip = robust[(robust["backbone"] == CLIP) & (robust["move"] != "none")].assign(form=lambda t: t["renormalise"].map({True: "renormalised", False: "as shifted"}))
of_clip["change"] = [f"{r.change:+.2f} ({r.change_low:+.2f} to {r.change_high:+.2f})" for r in of_clip.itertuples()]
of_clip = of_clip.pivot(index=["move", "form"], columns="measure", values="change")[["noise", "storage", "recall"]].reset_index()
format_table(
    of_clip.rename(columns={"noise": "nearest texts that survive noise", "storage": "nearest texts that survive storage", "recall": "recall@1"}),
    caption="CLIP on MS COCO: change from no move, with 95 % interval. Texts are searched by cosine, so renormalising does not change recall@1.",
)

# %% [markdown]
# The *distribution gap* {cite}`liu2026geometry` is what is left once each modality is centred, here the mean distance of pairs.

# %% tags=["hide-input"]
both_gaps = shipped_table("measured/distribution_gap")
bench = both_gaps[both_gaps["variant"] != "public"]
of_recall_at_1 = both_gaps[["gap", "distribution_gap"]].corrwith(both_gaps["recall"], method="spearman")
page.show_text(
    "Over the {n} sets the rank correlation of recall@1 (galleries of equal size) is {distribution:+.2f} with the distribution gap and {gap:+.2f} with the gap. "
    "The sets depend on one another: {bench} come from {data} data sets and {encoders} test-bench encoders.",
    n=len(both_gaps), bench=len(bench), data=bench["dataset"].nunique(), encoders=bench["backbone"].nunique(), distribution=of_recall_at_1["distribution_gap"], gap=of_recall_at_1["gap"],
)  # fmt: skip

# %% [markdown]
# ### Procrustes, CCA and whitening need as many rows as dimensions

# %% tags=["hide-input", "hide-output"] mystnb={"code_prompt_show": "Details: what could not be fitted, and why"}
failed = measured[measured["reason"] != ""]
failed = failed.assign(reason=[reason.removeprefix(f"{name} ").partition(";")[0] for reason, name in zip(failed["reason"], failed["alignment"], strict=True)])
failed = failed.groupby([*SET, "reason"], sort=False)["alignment"].agg(lambda names: ", ".join(dict.fromkeys(names))).reset_index()
format_table(failed[["dataset", "backbone", "alignment", "reason"]], caption="Alignments that could not be fitted.", stacked=True)

# %% [markdown]
# ## Renormalising can make the modality visible again
#
# The same splits without renormalising:

# %% tags=["hide-input"]
rows = measured[(measured["measure"] == "modality_auc") & (measured["alignment"] != "none")]
both = rows.set_index([*SET, "alignment", "renormalise"])["value"].unstack("renormalise").dropna()
page.show_text(
    "In {again} of {n} combinations of set and alignment, the modality AUC is above {limit:g} only because of renormalising.",
    again=int(((both[True] > SEPARABLE) & (both[False] <= SEPARABLE)).sum()), n=len(both), limit=SEPARABLE,
)

# %% tags=["hide-input", "hide-output"] tables=["alignments"] mystnb={"code_prompt_show": "Details: modality AUC without renormalising", "figure": {"caption": "Modality AUC without renormalising, to be compared with the same panel above. Cells, colours, bold and frames as there.", "name": "fig-not-renormalised"}, "image": {"alt": "Heat map of modality AUC for alignments that do not renormalise, with sets as rows and alignments as columns."}}
heat_map(among[~among["renormalise"]], ["modality_auc"])

# %% [markdown]
# ## What was not tested
#
# The encoders with published vectors have no labels, so tasks of labels are measured on the test bench alone. {doc}`05_is_lambda_worth_it` recommends an
# alignment, or none, for one set and task. `make measured` makes the tables of this page again; `python studies/alignments_public.py` needs the vectors
# that {cite:t}`liang2022mind` published.

# %% tags=["hide-input"]
page.show_text(
    "At most {pairs} pairs of each set are measured; galleries have at most {gallery}, and {of_clip} for CLIP.",
    pairs=int(measured["pairs"].max()), gallery=int(galleries["gallery"].max()), of_clip=int(galleries.loc[galleries["backbone"] == CLIP, "gallery"].max()),
)  # fmt: skip

# %% [markdown]
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer()
