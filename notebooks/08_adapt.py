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
# # Adapt it to your data
#
# From a table of images, texts and labels to the cone, the gap and the sweep, by parameters alone. As it stands this page makes the table from
# easy-VQA and does everything live from its pictures. For your own, write a table with a row per pair and run
#
# ```bash
# papermill notebooks/08_adapt.ipynb out.ipynb -p table my_study/pairs.csv \
#   -p image_column file -p text_column report -p label_column diagnosis -p group_column patient -p backbone clip
# ```
#
# - The table is CSV, TSV, Parquet or JSON lines. Paths of images count from its folder and may not leave it.
# - One label column with two values is a binary task, with more a multi-class one; several columns of 0 and 1
#   (`-p label_column '["edema", "effusion"]'`) are a multi-label one.
# - `group_column` names what must not straddle splits, such as a patient; without it, rows of one image form a group. A `split` column with
#   `train`, `val`, `test` is kept and checked against the groups; without one a split is drawn by group, 70 / 10 / 20.
# - `backbone` is any encoder that `python -m helpers backbones` lists, any dual encoder of open_clip or transformers by its id, or a
#   local folder. Images and texts must come to one space: the shift of {eq}`eq-align` needs equal dimensions.

# %% tags=["parameters"]
table = None  # path of your table, or its name in root; None makes one from easy-VQA
root = None  # folder of the table; None when table is a path
image_column = "image"  # column with paths of images
text_column = "text"  # column with texts
label_column = "label"  # column with class names, or a list of columns of 0 and 1
group_column = None  # column of what must stay on one side of a split; None for the image
credentialed = False  # True keeps ids of rows and of groups out of every message
n_images = 200  # pictures taken from easy-VQA; of no effect with a table
backbone = "lit-natural"  # an encoder by name or id, or a local folder
protocol = "converged"  # "converged", "authors-code" or "paper"
lambdas = [0.0, 0.5, 1.0]  # alignment strengths, each in [-2, 2]
seeds = [42]  # one probe per seed and lambda
features = ["joint", "image", "text"]  # what the probe sees
n_boot = 1000  # bootstrap replicates
keep = None  # folder of embedding sets to keep this one in; "runs/embeddings" makes it known to the other notebooks
results = None  # folder for result tables; None for runs/notebooks

# %% tags=["hide-input"]
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import PROTOCOLS, EmbeddingSet, extract, load_backbone, load_dataset
from helpers.book.page import Page
from helpers.book.parameters import flag, integer, many, number, optional, text
from helpers.datasets import check
from helpers.files import replacing_folder
from helpers.measures import cone_table
from helpers.plotting.geometry import plane
from helpers.plotting.sweeps import curves, effects
from helpers.probing.cache import run_sweep
from helpers.probing.grid import Grid
from helpers.store.catalogue import folder_name

page = Page(
    "08_adapt",
    globals(),
    {
        **{name: optional(text()) for name in ("table", "root", "group_column", "keep", "results")},
        **{name: text() for name in ("image_column", "text_column", "backbone")},
        "label_column": many(text(), least=1),
        "credentialed": flag(),
        "n_images": integer(40, 5000),
        "protocol": text(PROTOCOLS, "protocol"),
        "lambdas": many(number(-2, 2), least=1),
        "seeds": many(integer(0, 2**32 - 1), least=1),
        "features": many(text(("joint", "image", "text"), "feature"), least=1),
        "n_boot": integer(100, 100_000),
    },
)

# %% [markdown]
# ## The table
#
# What it must look like: here, pictures of easy-VQA with a question each row and its answer as the label.

# %% tags=["hide-input"]
own = table is not None or root is not None
if not own:
    vqa = load_dataset("easy_vqa")
    pictures = vqa.rows["image"].drop_duplicates().sample(n_images, random_state=0)
    rows = vqa.rows.loc[vqa.rows["image"].isin(pictures), ["image", "text", "label"]]
    rows = rows.sample(frac=1, random_state=0).groupby("image", sort=False).head(4).sort_index()
    with replacing_folder(page.results / page.name / "easy_vqa") as folder:
        for name in pictures:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(vqa.root) / name, folder / name)
        rows.set_axis([image_column, text_column, label_column[0]], axis=1).to_csv(folder / "easy_vqa.csv", index=False)
    root, table = str(page.results / page.name / "easy_vqa"), "easy_vqa.csv"
where = {"root": table, "table": None} if root is None else {"root": root, "table": table}
columns = {"image": image_column, "text": text_column, "label": label_column if len(label_column) > 1 else label_column[0], "group": group_column}
rows.head(4).style.hide(axis="index") if not own else None

# %% [markdown]
# ## Look at it before anything is computed
#
# Counts, missing and damaged files, balance, duplicates, texts that the encoder would cut and groups on both sides; what makes a table unusable
# stops here, with its line.

# %% tags=["hide-input", "remove-stderr"]
report = check("manifest", **where, **columns, credentialed=credentialed, tokenizers=[backbone])
print("\n".join(str(report).splitlines()[1:]))
if not report.usable:
    raise ValueError(f"the table cannot be used: {report.problems[0]}")

# %% [markdown]
# ## Encode it
#
# Each distinct image and text once. The set is kept, a run that was cut off goes on where it stopped, and a second run reads what is there.

# %% tags=["hide-input", "remove-stderr"]
data = load_dataset("manifest", **where, **columns, credentialed=credentialed)
out = (page.results / page.name / "embeddings" if keep is None else Path(keep)) / data.name / data.variant / folder_name(backbone)
embeddings = extract(data, load_backbone(backbone), out, overwrite=keep is None)
embeddings

# %% [markdown]
# ## The cone and the gap

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Image and text embeddings on the first two principal directions of both together (centred). The arrow joins the mean of the images to the mean of the texts.", "name": "fig-adapt-plane"}, "image": {"alt": "Scatter plot of image points and text points of the adapted data set, two clouds joined by an arrow between their means."}}
plane([embeddings]);

# %% tags=["hide-input"]
geometry = page.keep(cone_table(embeddings, n_boot), "adapt_cone")
geometry[["modality", "quantity", "value", "low", "high"]].style.format(precision=3, na_rep="").hide(axis="index")

# %% [markdown]
# ## The sweep

# %% tags=["hide-input", "remove-stderr"]
swept = run_sweep(embeddings, protocol, Grid(lambdas=lambdas, seeds=seeds, features=features).arguments("lambda"))
page.keep(swept.table, "adapt_sweep")
effect = page.keep(swept.effects(n_boot=n_boot), "adapt_effects")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Test AUC of the linear probe against the alignment strength.", "name": "fig-adapt-lambda"}, "image": {"alt": "Line plot of test AUC against lambda for the adapted data set, one line each for joint, image-only and text-only features."}}
curves(swept.summary().assign(metric=swept.headline_metric));

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Change of test AUC from $\\lambda = 0$ to the largest λ of the sweep, with paired 95 % bootstrap interval over test rows, by what the probe sees.", "name": "fig-adapt-effects"}, "image": {"alt": "Interval plot of the change in test AUC at the largest lambda for joint, image-only and text-only features."}}
last = effect[effect["lambda_image"] == max(lambdas)]
effects(last, "features");

# %% tags=["hide-input"]
shown = last.iloc[0]
R = geometry[geometry["quantity"] == "R"].set_index("modality")["value"]
change = (
    " At λ = {lambda_image:g} the AUC of the {features} probe changes by {difference:+.4f} (95 % interval {low:+.4f} to {high:+.4f}); "
    "the smallest change that four of five such test sets would show is {minimum_detectable:.4f}."
)
page.say(
    "{name} has {pairs} pairs of {images} images and {texts} texts, with R = {R_image:.2f} for images and {R_text:.2f} for texts, and a gap of "
    "{gap:.2f}." + change * bool(shown["lambda_image"]),
    name=data.name, pairs=len(embeddings), images=len(embeddings.image), texts=len(embeddings.text), R_image=R["image"], R_text=R["text"],
    gap=geometry.loc[geometry["quantity"] == "gap_norm", "value"].iloc[0], **shown,
)  # fmt: skip

# %% [markdown]
# With `keep` set to `runs/embeddings` the set is known to the other notebooks by the name of its table. {doc}`05_is_lambda_worth_it`
# then chooses $\lambda$ on validation data, says which part of the alignment a gain comes from, and leaves the fitted alignment as a file.
#
# ## From embeddings computed elsewhere
#
# Without images and encoder: arrays of one row per pair, or the table of coordinates that the authors' code writes (`img_emb_0 ...`,
# `text_emb_0 ...`). Below, the set above is written in both forms, ids and groups as numbers, and read back. Rows may have any norm; equal rows are stored once and still
# count once per pair.

# %% tags=["hide-input"]
elsewhere, pairs, task = page.results / page.name / "elsewhere", embeddings.pairs, embeddings.task
elsewhere.mkdir(parents=True, exist_ok=True)
image, texts, several = embeddings.image_of(), embeddings.text_of(), task.kind == "multilabel"
named = {"split": pairs["split"], "group": pd.factorize(pairs["group"])[0], "id": range(len(pairs))}
strings = {k + "s" if k != "split" else k: np.asarray(v).astype("U") for k, v in named.items()}
labels = pairs[task.columns].to_numpy() if several else pairs["label"].to_numpy().astype("U")
np.savez(elsewhere / "embeddings.npz", image=image, text=texts, labels=labels, **strings)
coordinates = {f"{prefix}{i}": x[:, i] for prefix, x in (("img_emb_", image), ("text_emb_", texts)) for i in range(embeddings.dim)}
pd.DataFrame(named | {c: pairs[c] for c in task.columns} | coordinates).to_csv(elsewhere / "embeddings.csv", index=False)

# %%
from_arrays = EmbeddingSet.from_npz(elsewhere / "embeddings.npz", classes=task.classes, dataset=data.name, backbone=backbone)
from_table = EmbeddingSet.from_csv(
    elsewhere / "embeddings.csv", task.columns if several else "label", group="group", ids="id", classes=task.classes, dataset=data.name, backbone=backbone
)

# %% tags=["hide-input"]
read = {"extracted": embeddings, "NPZ": from_arrays, "CSV": from_table}
again = pd.concat([cone_table(s, 0).assign(source=name) for name, s in read.items()])
again = page.keep(again[again["quantity"].isin(["R", "gap_norm"])], "adapt_elsewhere")
again[["source", "modality", "quantity", "value"]].style.format(precision=4).hide(axis="index")

# %% [markdown]
# `sweep(from_arrays, protocol="converged").table` goes on from here, and `python -m helpers import FILE --dataset NAME --backbone NAME` keeps such a
# file under a name for the other notebooks. The joining mistakes known from exported files, repeated pairs and texts joined by image alone, are
# found on reading and named.
#
# ## Take the alignment home
#
# ```python
# from helpers import GapAlignment
#
# alignment = GapAlignment(lam=0.5).fit(image_train, text_train)
# image_new, text_new = alignment.transform(image_test, text_test)
# ```
#
# The estimator follows scikit-learn's contract; the gap is learned on the rows given to `fit` and on no other. Before keeping a $\lambda$, ask three
# things: is the gain larger than the smallest that your test set could have shown; is it there for a converged probe; and does the whole of
# {eq}`eq-align` gain more than its {doc}`shift and scales alone </book/theory>`? If not, tune the learning rate or the regularisation instead.
#
# ## How this page was made

# %% tags=["hide-input"]
page.made([embeddings])
