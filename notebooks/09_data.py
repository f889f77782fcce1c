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
# What a probe can reach, how narrow a cone is and what a split gives away depend on the data before they depend on an encoder: on how rare a
# class is, on how often a text recurs, on whether an encoder sees a text to its end. This page counts these things for every data set of
# which anything is here: raw copies (easy-VQA comes with a Python package), stored embedding sets, and for the shipped sets the lengths of their texts,
# counted once on the raw data. Counts are all it needs and all it shows.

# %% tags=["parameters"]
datasets = []  # data sets; an empty list stands for all of which anything is here
backbones = []  # encoders whose tokenizers are asked; an empty list stands for all with trained weights
store = None  # folder of embedding sets; None for data/embeddings, then runs/embeddings
data_root = None  # folder of raw data, <data_root>/<data set>, to read what is not stored and to count lengths of texts
results = None  # folder for result tables; None for ./results

# %% tags=["hide-input", "remove-stderr"]
import pandas as pd

from helpers.backbones import REGISTRY
from helpers.book.formatting import format_table
from helpers.book.page import Page
from helpers.book.parameters import SOURCE
from helpers.datasets.overview import all_lengths, balance, describe_all, overview, repeats
from helpers.datasets.texts import texts_cut, tokenizers_at_hand
from helpers.plotting.datasets import class_shares, coverage, text_lengths

page = Page("09_data", globals(), {name: reader for name, reader in SOURCE.items() if name != "variant"})
asked = backbones or [name for name, entry in REGISTRY.items() if entry.library != "random"]
tokenizers, not_asked = tokenizers_at_hand(asked)
here, unread = describe_all(datasets, store, data_root, tokenizers)
if not here:
    raise ValueError(f"nothing is stored or unpacked of {', '.join(unread)}; set store or data_root")

# %% [markdown]
# ## What is here

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
# Data sets described: {glue:text}`data_described`. Not here: {glue:text}`data_absent`; {doc}`/book/data_and_encoders` says how to get each. Images and
# texts are distinct ones: an image counts once however many questions are asked about it.
#
# ## Class balance
#
# AUC does not depend on how frequent a class is, but its uncertainty does, and so does what an unweighted loss learns first. A stratified split gives a
# class the same share everywhere, a split that is not stratified only roughly.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Share of the rows of each split that are positive for a class. Variants of a data set that agree share a panel.", "name": "fig-data-classes"}, "image": {"alt": "Dot plots, one panel per data set: classes from frequent to rare on the vertical axis, their share of the rows of train, validation and test on the horizontal axis."}}
classes = page.save_table(balance(here), "data_classes")
class_shares(classes);

# %% [markdown]
# ## How long the texts are

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Words per text as a share of pairs.", "name": "fig-data-lengths"}, "image": {"alt": "Histograms of the number of words per text, one panel per data set and variant."}}
lengths = page.save_table(all_lengths(here), "data_lengths")
text_lengths(lengths);

# %% [markdown]
# An encoder cuts a text that is longer than its context, special tokens included. Per data set and encoder, the longest text and the share of pairs whose
# text is cut, counted exactly by the encoder's own tokenizer:

# %% tags=["hide-input"]
cut = page.save_table(texts_cut(lengths), "data_texts_cut")
told = cut["share_cut"].map("{:.1%}".format) + " (longest " + cut["longest"].astype(str) + ")"
by_encoder = cut.assign(told=told, encoder=cut["encoder"] + ", " + cut["limit"].astype(str) + " tokens")
format_table(by_encoder.pivot(index=["dataset", "variant"], columns="encoder", values="told").rename_axis(columns=None).reset_index())

# %% tags=["remove-cell"]
longest = cut.loc[cut["longest"].idxmax()] if len(cut) else None
page.glue(
    data_asked=", ".join(t.name for t in tokenizers) or "none",
    data_unasked=", ".join(not_asked) or "none",
    data_cut=float(cut["share_cut"].max()) if len(cut) else 0.0,
    data_longest="none" if longest is None else f"{longest['longest']} tokens ({longest['dataset']} under {longest['encoder']}, which sees {longest['limit']})",
)

# %% [markdown]
# Asked: {glue:text}`data_asked`; encoders that share a tokenizer are asked once, so that `lit-natural` speaks for `lit-derm`. Not counted, because
# the files of their tokenizers are not here (`python -m helpers doctor` says how to get them): {glue:text}`data_unasked`. The longest text is
# {glue:text}`data_longest`; the largest share of pairs cut is {glue:text}`data_cut:.1%`. With `data_root` the same table covers raw copies of the other data sets,
# where it matters: by the authors' template BRSET's sentence with findings outgrows the context of CLIP. `python -m helpers check` prints the shares for one copy.
#
# ## What recurs
#
# A text made from a template recurs, and a picture recurs with each question about it. The fewer items account for the pairs, the fewer points the cone
# is made of, whatever the encoder.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Share of pairs that the commonest images and texts account for. A line that reaches 1 early stands for few distinct items.", "name": "fig-data-repeats"}, "image": {"alt": "Line plots, one panel per data set and variant: number of the commonest items on a logarithmic axis against the share of pairs they account for, one line for images and one for texts."}}
recurring = page.save_table(repeats(here), "data_repeats")
coverage(recurring);

# %% [markdown]
# ## What test shares with train
#
# Shares of test rows whose group (patient, lesion, picture), image or exact text also occurs in train, and the number of groups on both sides of a split.
# {doc}`07_leakage_audit` measures what that is worth.

# %% tags=["hide-input"]
shared = table[["dataset", "variant", "straddling_groups", "group_in_train", "image_in_train", "text_in_train"]]
shared = shared.rename(columns=lambda c: c.replace("_", " "))
format_table(shared, **dict.fromkeys([c for c in shared if c.endswith("in train")], "{:.1%}"))

# %% [markdown]
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer()
