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
# # What lambda closes and what it does not
#
# Moving λ to 1 shrinks the distance between the mean image and the mean text. It need not mix the modalities, and it changes which text
# is nearest to an image. This page measures both on held-out pairs, for λ and for the alignments that one could use instead.

# %% tags=["parameters"]
alignments = []  # alignments of the heat maps; an empty list means all
dataset = "flickr8k"  # stored data set whose tasks are measured on this page
backbone = "lit-natural"  # encoder of that set
task_alignments = ["lambda-0.5", "lambda-1", "centring", "z-scores", "leace"]  # alignments whose tasks are measured, beside none
n_boot = 500  # bootstrap replicates over test rows
results = None  # folder for result tables; None for ./results

# %% tags=["hide-input", "remove-stderr"]
from helpers.alignment.registry import ALIGNMENTS
from helpers.book.formatting import format_table
from helpers.book.page import Page
from helpers.book.parameters import NAME, integer, many, optional, text
from helpers.extraction.find import embeddings_for
from helpers.extraction.prompts import prompts_of
from helpers.plotting.alignments import against_lambda, heat_map, task_map
from helpers.recommend import compare_tasks, not_measured, shipped_alignments, task_sentence, three_sentences

names = many(text(ALIGNMENTS, "alignment"))
spec = {"alignments": names, "task_alignments": names, "dataset": text(), "backbone": text(), "n_boot": integer(100, 100_000), "results": optional(NAME)}
page = Page("11_what_lambda_closes", globals(), spec)
measured = page.save_table(shipped_alignments(), "alignments")
for finding in three_sentences(measured):
    page.show_text("{finding}", finding=finding)

# %% [markdown]
# A change counts as clear when its 95 % interval excludes zero. Nothing here corrects for the number of sets and measures.
#
# ## Closing the gap against lambda
#
# Each alignment is fitted on half of the pairs and measured on the other half, over five splits. Equal images, equal texts and rows of one
# group stay on one side. Intervals allow for the rows that splits share ({doc}`/book/statistics`). The shipped sets are measured on
# validation and test rows only, because the heads of the test bench were trained on the training rows of one set each.
#
# - **Gap**: distance between the two means. Finite rows show a gap even where the true gap is zero; the table gives it as *gap null*.
# - **Relative gap**: mean distance of pairs relative to the distances within modalities {cite}`schrodi2024two`. It is 0.5 when pairs are
#   no closer than random rows of one modality.
# - **Modality AUC**: AUC of a logistic regression that tells images from texts. 0.5 is chance and 1 complete separation.
# - **Mixing**: share of the other modality among the ten nearest neighbours, relative to chance. 1 is complete mixing.
# - **Recall@1**: how often the nearest text is the right one, and the nearest image. Equal texts are one text.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Six measures of held-out pairs against λ, one line per set, with 95 % intervals over five splits. Lines are displaced sideways so that intervals stay apart.", "name": "fig-closes-lambda"}, "image": {"alt": "Line plots of gap, relative gap, modality AUC, mixing and recall at 1 in both directions against lambda 0, 0.5 and 1, one line per embedding set."}}
shown = ["gap", "relative_gap", "modality_auc", "mixing", "recall_image_to_text", "recall_text_to_image"]
against_lambda(measured, shown);

# %% [markdown]
# ## The other alignments
#
# All alignments here renormalise to unit length. Each cell gives the value on held-out pairs and half the length of its 95 % interval.
# Violet is better than no alignment and orange worse. Bold marks a change whose interval excludes zero, and a frame the best alignment of
# a set; where intervals overlap, the order may be chance. A dash means that the set has too few pairs for that alignment.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What each alignment closes: the gap, how well a classifier tells the modalities apart, and how far they mix. One panel per measure, a row per set, a column per alignment, over five splits.", "name": "fig-closes-alignments"}, "image": {"alt": "Heat maps of the gap, modality AUC and mixing, one panel each, with sets as rows and alignments as columns, values with half intervals in the cells, clear changes in bold and the best of each row framed."}}
among = measured[measured["alignment"].isin(alignments or ALIGNMENTS)]
heat_map(among, ["gap", "modality_auc", "mixing"]);

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What each alignment costs in retrieval: recall@1 in both directions, laid out as in the figure above.", "name": "fig-costs-alignments"}, "image": {"alt": "Heat maps of recall at 1 from image to text and from text to image, with sets as rows and alignments as columns."}}
heat_map(among, ["recall_image_to_text", "recall_text_to_image"]);

# %% [markdown]
# ## Tasks beside retrieval
#
# On one set, alignments and probes learn from the training rows and the test rows judge. Intervals are paired bootstraps over test rows,
# drawn by group. Probes are converged and their strength is chosen on validation rows.
#
# - **Probe AUC**: a linear probe on both modalities, as in {doc}`03_lambda_sweep`.
# - **Text to image, image to text**: a probe that is trained on one modality and scored on the other.
# - **Zero-shot AUC**: AUC of the cosine with one prompt per class, encoded by the same text tower and moved as a text.
# - **Labels**: AUC of the joint probe from so few labelled rows, mean over draws; alignments see all training pairs.
# - **Log loss, Brier score, calibration error**: of the joint probe, at the class shares of the training rows. The last is the mean
#   distance of predicted probabilities from observed shares, class by class.

# %% tags=["hide-input", "remove-stderr"]
embeddings = embeddings_for(dataset, backbone)
tasks = page.save_table(compare_tasks(embeddings, task_alignments, prompts_of(embeddings), sizes=(20,), n_draws=3, n_boot=n_boot), "alignment_tasks")
page.show_text("Measured on {set}.", set=str(embeddings.identity))
for alignment in task_alignments:
    page.show_text("{sentence}", sentence=task_sentence(tasks, alignment))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What alignments do to tasks on test rows: a row per measure, a column per alignment, with half 95 % bootstrap intervals. Colours, bold and frames as in the figures above.", "name": "fig-tasks-alignments"}, "image": {"alt": "Heat map of probe AUC, calibration, transfer, few-label and zero-shot measures by alignment, with values and half intervals, clear changes in bold and the best of each row framed."}}
task_map(tasks);

# %% [markdown]
# ### What could not be fitted, and why

# %% tags=["hide-input"]
format_table(not_measured(measured).drop(columns="variant"))

# %% [markdown]
# ## Numbers and their change from no alignment

# %% tags=["hide-input"]
three = measured[measured["alignment"].isin(["none", "lambda-0.5", "lambda-1", "centring"]) & measured["renormalise"]]
columns = ["dataset", "variant", "backbone", "pairs", "alignment", "measure", "value", "low", "high", "change", "change_low", "change_high"]
format_table(three.loc[three["measure"].isin([*shown, "gap_null"]), columns])

# %% [markdown]
# ## Without renormalising
#
# Renormalising can make the modality visible again. The table compares the modality AUC of three alignments with and without it.

# %% tags=["hide-input"]
both = measured[measured["alignment"].isin(["lambda-1", "centring", "leace"]) & (measured["measure"] == "modality_auc")]
format_table(both[["dataset", "variant", "backbone", "alignment", "renormalise", "value", "low", "high"]])

# %% tags=["remove-cell"]
page.glue(most_pairs=int(measured["pairs"].max()), largest_gallery=int(measured["pairs"].max() // 2))

# %% [markdown]
# ## How to get these numbers again
#
# `python benchmarks/alignments.py` measures the shipped sets, at most {glue:text}`most_pairs` pairs of each, and with `--tasks` the tasks of all of
# them under two protocols. `python benchmarks/prompts.py` encodes the prompts in `data/prompts`. With `--public FOLDER` it measures the vectors of
# real encoders that {cite}`liang2022mind` published. Both write a table in `data/measured` with the number of pairs, the rows they come
# from and the number of splits.
#
# ## What was not tested
#
# Galleries here have at most about {glue:text}`largest_gallery` pairs; the loss of recall grows with the gallery. Whether a probe reads the moved vectors better is
# another question: {doc}`03_lambda_sweep` answers it for λ, and {doc}`05_is_lambda_worth_it` compares all alignments on one set and task.
#
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer()
