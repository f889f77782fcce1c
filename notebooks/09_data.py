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
# # The data, before any encoder
#
# This page describes {glue:text}`data_described` data sets by counts alone: how rare a class is, how often a text recurs, and whether an
# encoder sees a text to its end. The largest share of pairs whose text an encoder cuts is {glue:text}`data_cut:.1%`.
#
# What a probe can reach, how narrow a cone is and what a split gives away depend on these properties before they depend on an encoder. The page
# reads raw copies (easy-VQA comes with a Python package) and stored embedding sets. For the shipped sets it also reads the
# lengths of their texts, which were counted once on the raw data.

# %% tags=["parameters"]
datasets = []  # data sets; an empty list means all that are stored or unpacked here
backbones = []  # encoders whose tokenizers count the texts; an empty list means all with trained weights
store = None  # folder of embedding sets; None for data/embeddings, then runs/embeddings
data_root = None  # folder of raw data, <data_root>/<data set>, to read what is not stored and to count lengths of texts
results = None  # folder for result tables; None for ./results

# %% tags=["hide-input", "remove-stderr"]
import pandas as pd

from helpers.backbones import REGISTRY
from helpers.datasets.audit import texts_cut, tokenizers_at_hand
from helpers.datasets.overview import all_lengths, balance, describe_all, overview, repeats
from helpers.page import SOURCE, Page, format_table
from helpers.plotting.datasets import class_shares, coverage, text_lengths

page = Page("09_data", globals(), {name: reader for name, reader in SOURCE.items() if name != "variant"})
encoders = backbones or [name for name, entry in REGISTRY.items() if entry.library != "random"]
tokenizers, unavailable = tokenizers_at_hand(encoders)
here, unread = describe_all(datasets, store, data_root, tokenizers)
if not here:
    raise ValueError(f"nothing is stored or unpacked of {', '.join(unread)}; set store or data_root")

# %% [markdown]
# ## The data sets available here

# %% tags=["hide-input"]
table = page.save_table(overview(here), "data_overview")
shown = table[["dataset", "variant", "from", "task", "pairs", "distinct_images", "distinct_texts", "distinct_groups", "train", "val", "test"]]
format_table(shown.rename(columns=lambda c: c.replace("distinct_", "")), thousands=",")

# %% tags=["hide-input"]
spoiled = pd.DataFrame([(name, why) for name, why in unread.items() if " " in name], columns=["raw copy", "cannot be read because"])
format_table(spoiled) if len(spoiled) else None

# %% tags=["remove-cell"]
page.glue(data_absent=", ".join(name for name in unread if " " not in name) or "none", data_described=len({d.name for d in here}))

# %% [markdown]
# Not available here: {glue:text}`data_absent`; {doc}`/book/data_and_encoders` says how to get each. The columns *images* and *texts* count
# distinct items: an image counts once however many questions are asked about it.
#
# ## Some classes are rare
#
# AUC does not depend on how frequent a class is, but its uncertainty does, and so does what an unweighted loss learns first. A stratified split
# gives a class the same share in every part; other splits do so only roughly.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Share of the rows of each split that are positive for a class. Variants of a data set that agree share a panel.", "name": "fig-data-classes"}, "image": {"alt": "Dot plots, one panel per data set: classes from frequent to rare on the vertical axis, their share of the rows of train, validation and test on the horizontal axis."}}
classes = page.save_table(balance(here), "data_classes")
class_shares(classes);

# %% [markdown]
# ## Text length differs between data sets

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Words per text as a share of pairs.", "name": "fig-data-lengths"}, "image": {"alt": "Histograms of the number of words per text, one panel per data set and variant."}}
lengths = page.save_table(all_lengths(here), "data_lengths")
text_lengths(lengths);

# %% [markdown]
# An encoder cuts a text that is longer than its context, special tokens included. For each data set and encoder, the table gives the share of
# pairs whose text is cut and the longest text, counted by the encoder's own tokenizer.

# %% tags=["hide-input"]
cut = page.save_table(texts_cut(lengths), "data_texts_cut")
share = cut["share_cut"].map("{:.1%}".format) + " (longest " + cut["longest"].astype(str) + ")"
by_encoder = cut.assign(share=share, encoder=cut["encoder"] + ", " + cut["limit"].astype(str) + " tokens")
format_table(by_encoder.pivot(index=["dataset", "variant"], columns="encoder", values="share").rename_axis(columns=None).reset_index())

# %% tags=["remove-cell"]
longest = cut.loc[cut["longest"].idxmax()] if len(cut) else None
page.glue(
    data_asked=", ".join(t.name for t in tokenizers) or "none",
    data_unasked=", ".join(unavailable) or "none",
    data_cut=float(cut["share_cut"].max()) if len(cut) else 0.0,
    data_longest="none" if longest is None else f"{longest['longest']} tokens ({longest['dataset']} under {longest['encoder']}, which sees {longest['limit']})",
)

# %% [markdown]
# Counted with the tokenizers of: {glue:text}`data_asked`. Encoders that share a tokenizer are listed once, so `lit-natural` stands for `lit-derm`
# too. Not counted, because their tokenizers are not on this machine (`python -m helpers doctor` says how to get them):
# {glue:text}`data_unasked`. Longest text: {glue:text}`data_longest`. With `data_root`, the table covers raw copies of the other data sets
# as well. There it matters: in the authors' template, BRSET's sentence with findings exceeds the context of CLIP.
# `python -m helpers check` prints the shares for one copy.
#
# ## Few items can account for many pairs
#
# A text made from a template recurs, and a picture recurs with each question about it. The fewer items account for the pairs, the fewer
# points form the cone, whatever the encoder.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Share of pairs that the most common images and texts account for. A line that reaches 1 early means few distinct items.", "name": "fig-data-repeats"}, "image": {"alt": "Line plots, one panel per data set and variant: number of the commonest items on a logarithmic axis against the share of pairs they account for, one line for images and one for texts."}}
recurring = page.save_table(repeats(here), "data_repeats")
coverage(recurring);

# %% [markdown]
# ## Test rows that share something with train
#
# The table gives the number of groups on both sides of a split, and the share of test rows whose group (patient, lesion, picture), image or
# exact text also occurs in train. {doc}`07_leakage_audit` measures the effect on AUC.

# %% tags=["hide-input"]
shared = table[["dataset", "variant", "straddling_groups", "group_in_train", "image_in_train", "text_in_train"]]
shared = shared.rename(columns=lambda c: c.replace("_", " "))
format_table(shared, **dict.fromkeys([c for c in shared if c.endswith("in train")], "{:.1%}"))

# %% [markdown]
# ## What was not tested
#
# Counts find repeated files and texts, not near-duplicates such as two photographs of one lesion under different names. A data set
# that is not available here is not described, and nothing is filled in from its publication.
#
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer()
