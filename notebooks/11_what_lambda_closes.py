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
# {glue:text}`answer`
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
from helpers.extraction.find import embeddings_for
from helpers.extraction.prompts import prompts_of
from helpers.page import NAME, Page, format_table, integer, many, optional, text
from helpers.plotting import write_numbers_as_text
from helpers.plotting.alignments import (
    against_lambda,
    gallery_curves,
    heat_map,
    histograms,
    label_curves,
    mixed_corpora,
    penalty,
    task_map,
)
from helpers.recommend import (
    compare_tasks,
    count_clear,
    gallery_sentences,
    mixed_search,
    not_measured,
    pair_histograms,
    renormalising_sentence,
    shipped_alignments,
    shipped_galleries,
    shipped_tasks,
    task_sentence,
    three_sentences,
    what_holds,
)
from helpers.recommend.findings import CLIP, SEARCHABLE, SET, searchable
from helpers.recommend.galleries import FIT
from helpers.recommend.mechanism import penalty_curves

names = many(text(ALIGNMENTS, "alignment"))
spec = {"alignments": names, "task_alignments": names, "dataset": text(), "backbone": text(), "n_boot": integer(100, 100_000), "results": optional(NAME)}
page = Page("11_what_lambda_closes", globals(), spec)
write_numbers_as_text()
measured = page.save_table(shipped_alignments(), "alignments")
page.glue(answer=" ".join(three_sentences(measured)))

# %% [markdown]
# A change counts as clear when its 95 % interval excludes zero. Nothing here corrects for the number of sets and measures.
#
# ## Closing the gap against lambda
#
# Each alignment is fitted on half of the pairs and measured on the other half, over five splits. Equal images, equal texts and rows of one
# group stay on one side. Intervals allow for the rows that splits share ({doc}`/book/statistics`). The shipped sets are measured on
# validation and test rows only, because the heads of the test bench were trained on the training rows of one set each.
#
# - **Gap**: distance between the two means. Finite rows show a gap even where the true gap is zero; the result table `alignments` gives it as `gap_null`.
# - **Relative gap**: mean distance of pairs relative to the distances within modalities {cite}`schrodi2024two`. It is 0.5 when pairs are
#   no closer than random rows of one modality.
# - **Modality AUC**: AUC of a logistic regression that tells images from texts. 0.5 is chance and 1 complete separation.
# - **Mixing**: share of the other modality among the ten nearest neighbours, relative to chance. 1 is complete mixing.
# - **V-measure**: agreement of two k-means clusters with the modality {cite}`rosenberg2007v`. 1 is agreement and 0 independence.
# - **Recall@1**: how often the nearest text is the right one, and the nearest image. Equal texts are one text.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Six measures of held-out pairs against λ, one line per set, with 95 % intervals over five splits. Lines are displaced sideways so that intervals stay apart.", "name": "fig-closes-lambda"}, "image": {"alt": "Line plots of gap, relative gap, modality AUC, mixing and recall at 1 in both directions against lambda 0, 0.5 and 1, one line per embedding set."}}
shown = ["gap", "relative_gap", "modality_auc", "mixing", "recall_image_to_text", "recall_text_to_image"]
against_lambda(measured, shown);

# %% [markdown]
# ## The other alignments
#
# All alignments here renormalise to unit length. Each cell gives the value on held-out pairs and half the length of its 95 % interval.
# Violet is better than no alignment and orange worse. Bold marks a change whose interval excludes zero, and a frame the best alignment of
# a set; where intervals overlap, the order may be chance. A modality AUC is best at one half and mixing at 1, where nothing tells images from
# texts. A dash means that the set has too few pairs for that alignment.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What each alignment closes: the gap, how well a classifier and two clusters tell the modalities apart, and how far they mix. One panel per measure, a row per set, a column per alignment, over five splits.", "name": "fig-closes-alignments"}, "image": {"alt": "Heat maps of the gap, modality AUC, V-measure and mixing, one panel each, with sets as rows and alignments as columns, values with half intervals in the cells, clear changes in bold and the best of each row framed."}}
among = measured[measured["alignment"].isin(alignments or ALIGNMENTS)]
heat_map(among, ["gap", "modality_auc", "v_measure", "mixing"]);

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What each alignment costs in retrieval: recall@1 in both directions, laid out as in the figure above.", "name": "fig-costs-alignments"}, "image": {"alt": "Heat maps of recall at 1 from image to text and from text to image, with sets as rows and alignments as columns."}}
heat_map(among, ["recall_image_to_text", "recall_text_to_image"]);

# %% [markdown]
# ### How the loss depends on the size of the gallery
#
# Alignments are fitted on {glue:text}`fit_pairs` pairs, and other pairs form galleries of growing size. We show the change of recall@1 as a
# share of the recall without alignment, for the sets with a recall of at least {glue:text}`searchable` in the smallest gallery. In the other
# {glue:text}`not_searchable` sets retrieval is close to chance, and their rows are in the result table `alignment_galleries`. In HAM10000 texts
# repeat, so that a gallery has fewer texts than pairs.

# %% tags=["hide-input"]
galleries = page.save_table(shipped_galleries(), "alignment_galleries")
shown_galleries = searchable(galleries)
not_shown = len(galleries[SET].drop_duplicates()) - len(shown_galleries[SET].drop_duplicates())
page.glue(fit_pairs=FIT, searchable=SEARCHABLE, not_searchable=not_shown)
page.glue(largest_gallery=int(galleries["gallery"].max()), clip_gallery=int(galleries.loc[galleries["backbone"] == CLIP, "gallery"].max()))
for sentence in gallery_sentences(galleries):
    page.show_text("{sentence}", sentence=sentence)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Relative change of recall@1 against the size of the gallery, with 95 % intervals over draws. The numbers above a panel are recall without alignment in the smallest gallery, from image to text and from text to image. Intervals are cut at 100 %.", "name": "fig-galleries"}, "image": {"alt": "Line plots of the relative change of recall at 1 against the number of pairs in the gallery, one panel per set, for lambda 1 and centring in both directions."}}
gallery_curves(shown_galleries);

# %% [markdown]
# ### Why retrieval changes: one penalty for every query
#
# Eq. 5 adds $\beta\, t \cdot \Delta$ to the similarity of each candidate, whatever the query. The shift at λ = 1 without renormalising is
# exactly the dashed line. Renormalising acts to first order like the dotted one ({doc}`/book/api`, `penalty_of_renormalising`). The gap
# comes from the training rows, and recall@1 is over the test rows.

# %% tags=["hide-input"]
embeddings = embeddings_for(dataset, backbone)
curves, special = penalty_curves(embeddings, n_boot=n_boot)
page.save_table(curves, "alignment_penalty")
page.show_text("Measured on {set}.", set=str(embeddings.identity))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Recall@1 against the penalty on candidates along the gap, with 95 % bootstrap intervals over queries.", "name": "fig-penalty"}, "image": {"alt": "Line plots of recall at 1 from image to text and from text to image against the penalty beta, with the two penalties of lambda 1 marked."}}
penalty(curves, special);

# %% [markdown]
# ### Cosines of pairs and of other image-text combinations
#
# The same set: alignments are fitted on the training rows, and the test rows are counted. Retrieval works as far as the two histograms differ.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Cosines of test pairs and of all other combinations of a test image and a test text, under no alignment, λ = 1 and centring.", "name": "fig-histograms"}, "image": {"alt": "Histograms of the cosines of pairs and of non-pairs, one panel per alignment."}}
histograms(page.save_table(pair_histograms(embeddings), "alignment_cosines"));

# %% [markdown]
# ### Search among images and texts together
#
# Validation texts search the test rows, some of which are stored as images and the others as texts. A row is relevant if it has a label in
# common with the query. A wide gap ranks texts before images, whatever they show. Intervals resample queries.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "NDCG of a search by text against the share of images in the corpus, and its change from no alignment, with 95 % bootstrap intervals over queries.", "name": "fig-mixed-search"}, "image": {"alt": "Line plots of NDCG and of its change against the share of images in the corpus, one line per alignment."}}
mixed_corpora(page.save_table(mixed_search(embeddings, n_boot=n_boot), "alignment_mixed_search"));

# %% [markdown]
# ## Tasks of labels
#
# Alignments and probes learn from the training rows and the test rows judge. Intervals are paired bootstraps over test rows, drawn by
# group. Probes are converged and their strength is chosen on validation rows.
#
# - **Probe AUC**: a linear probe on both modalities, as in {doc}`03_lambda_sweep`.
# - **Text to image, image to text**: a probe that is trained on one modality and scored on the other.
# - **Zero-shot AUC**: AUC of the cosine with one prompt per class, encoded by the same text tower and moved as a text.
# - **Labels**: AUC of the joint probe from so few labelled rows, mean over draws; alignments see all training pairs.
# - **Recall@10**: retrieval among all test rows, after an alignment that was fitted on the training rows.
# - **Log loss, calibration error**: of the joint probe, at the class shares of the training rows. The last is the mean distance of predicted
#   probabilities from observed shares, class by class. Brier scores are in the result table.
# - **Spread**: distance between the best and the worst AUC over the levels of a subgroup.

# %% tags=["hide-input"]
tasks_of_all = page.save_table(shipped_tasks("converged"), "alignment_tasks_of_all_sets")
page.show_text("Sets measured: {sets}.", sets="; ".join(" / ".join(name) for name in tasks_of_all[SET].drop_duplicates().itertuples(index=False)))
for finding in what_holds(page.save_table(count_clear(tasks_of_all), "alignment_counts")):
    page.show_text("{finding}", finding=finding)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What each alignment does to the joint probe, to zero-shot classification and to retrieval, on test rows of each set. Cells, colours, bold and frames as in the figures above; intervals are bootstraps over test rows.", "name": "fig-tasks-all"}, "image": {"alt": "Heat maps of probe AUC, zero-shot AUC and recall at 10 in both directions, with sets as rows and alignments as columns."}}
tasks_shown = tasks_of_all[tasks_of_all["alignment"].isin(alignments or ALIGNMENTS)]
heat_map(tasks_shown, ["probe_auc", "zero_shot_auc", "recall@10_image_to_text", "recall@10_text_to_image"], digits=3);

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Transfer: a probe trained on one modality and scored on the other, laid out as in the figure above.", "name": "fig-tasks-transfer"}, "image": {"alt": "Heat maps of AUC and log loss of probes trained on texts and scored on images, and the reverse."}}
heat_map(tasks_shown, [f"{way}_{measure}" for way in ("text_to_image", "image_to_text") for measure in ("auc", "log_loss")], digits=3);

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Calibration of the joint probe and its spread over subgroups, laid out as in the figures above.", "name": "fig-tasks-calibration"}, "image": {"alt": "Heat maps of log loss, calibration error and subgroup spreads, with sets as rows and alignments as columns."}}
heat_map(tasks_shown, ["log_loss", "calibration_error", *sorted(m for m in tasks_shown["measure"].dropna().unique() if m.endswith("_spread"))], digits=3);

# %% [markdown]
# ### Few labels
#
# The same probe learns from few labelled rows, drawn several times; the last point has all training rows. Every alignment sees the same
# draws. Intervals resample draws and test rows, except for all rows, which are drawn once.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Change of AUC from no alignment against the number of labelled training rows, with 95 % bootstrap intervals. Numbers below the axis are labelled rows and the AUC without an alignment.", "name": "fig-label-curves"}, "image": {"alt": "Line plots of the change in AUC against the number of labelled rows, one panel per set and one line per alignment."}}
label_curves(tasks_of_all, task_alignments);

# %% [markdown]
# ### The same under the protocol of the authors' code
#
# AdamW with an early stop need not reach the minimum, so an alignment also acts as a learning rate ({doc}`/book/theory`). The AUC of
# several classes is that of arg-max predictions. Alignments are fitted on training rows here too.

# %% tags=["hide-input"]
tasks_of_code = page.save_table(shipped_tasks("authors-code"), "alignment_tasks_authors_code")
for finding in what_holds(count_clear(tasks_of_code)):
    page.show_text("{finding}", finding=finding)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Joint probe and transfer under the protocol of the authors' code, laid out as in the figures above.", "name": "fig-tasks-authors-code"}, "image": {"alt": "Heat maps of probe AUC, transfer AUC in both directions and log loss under the authors' protocol."}}
heat_map(tasks_of_code[tasks_of_code["alignment"].isin(alignments or ALIGNMENTS)], ["probe_auc", "text_to_image_auc", "image_to_text_auc", "log_loss"], digits=3);

# %% [markdown]
# ### One set, measured on this page
#
# The parameters `dataset` and `backbone` choose any stored set with labels.

# %% tags=["hide-input", "remove-stderr"]
tasks = page.save_table(compare_tasks(embeddings, task_alignments, prompts_of(embeddings), sizes=(20,), n_draws=3, n_boot=n_boot), "alignment_tasks")
page.show_text("Measured on {set}.", set=str(embeddings.identity))
for alignment in task_alignments:
    page.show_text("{sentence}", sentence=task_sentence(tasks, alignment))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What alignments do to tasks on test rows: a row per measure, a column per alignment, with half 95 % bootstrap intervals. Colours, bold and frames as in the figures above.", "name": "fig-tasks-alignments"}, "image": {"alt": "Heat map of probe AUC, calibration, transfer, retrieval, few-label and zero-shot measures by alignment, with values and half intervals, clear changes in bold and the best of each row framed."}}
task_map(tasks);

# %% [markdown]
# ### What could not be fitted, and why

# %% tags=["hide-input"]
format_table(not_measured(measured).drop(columns="variant"))

# %% [markdown]
# ## Without renormalising
#
# Renormalising can make the modality visible again. All alignments were measured without it, on the same splits. Their recall by inner
# product is in the result table `alignments`. By cosine it would be that of the renormalised form, except for `realign`, which moves texts
# again. Other measures need unit vectors.

# %% tags=["hide-input"]
page.show_text("{sentence}", sentence=renormalising_sentence(measured))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Modality AUC without renormalising, to be compared with the same panel above. Cells, colours, bold and frames as there.", "name": "fig-not-renormalised"}, "image": {"alt": "Heat map of modality AUC for alignments that do not renormalise, with sets as rows and alignments as columns."}}
heat_map(among, ["modality_auc"], renormalise=False);

# %% tags=["remove-cell"]
page.glue(most_pairs=int(measured["pairs"].max()))

# %% [markdown]
# ## How to get these numbers again
#
# `make measured` makes the tables of the shipped sets again. It takes many minutes, so building the book uses the stored ones. The workflow
# runs `python benchmarks/alignments.py`, which measures at most {glue:text}`most_pairs` pairs of each set, with `--galleries` the galleries
# and with `--tasks` the tasks of their labels under two protocols. `--only` measures some sets and leaves the rows of others.
# `python studies/prompts.py` encodes the prompts in `data/prompts`. `python benchmarks/alignments.py --public FOLDER` measures the vectors of real
# encoders that {cite}`liang2022mind` published, which are not part of the project. All tables are in `data/measured`, with the number of
# pairs, the rows they come from and the number of splits or draws.
#
# ## What was not tested
#
# Galleries here have at most {glue:text}`largest_gallery` pairs, and {glue:text}`clip_gallery` for CLIP. Whether the loss of recall grows
# further in larger ones was not measured. The encoders with published vectors have no labels, so tasks of labels are measured on the test bench alone. {doc}`05_is_lambda_worth_it` recommends an alignment, or
# none, for one set and task.
#
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer()
