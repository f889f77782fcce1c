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
# From a table of images, texts and labels, this page computes the cone, the gap and the sweep by parameters alone. By default it runs on a small table made
# from easy-VQA. For your own data, write a table with one row per pair and run
#
# ```bash
# papermill notebooks/08_adapt.ipynb out.ipynb -p table my_study/pairs.csv \
#   -p image_column file -p text_column report -p label_column diagnosis -p group_column patient -p backbone clip
# ```
#
# - Image paths are relative to `image_root`, by default the table's folder, and must stay inside it.
# - One label column with two values makes a binary task; with more values it makes a multi-class task. Several columns of 0 and 1
#   (`-p label_column '["edema", "effusion"]'`) make a multi-label task, or one task of these classes if every row has exactly one 1.
# - `group_column` names the unit that must stay on one side of a split, such as a patient. Without it, the rows of one image form a group.
# - Labels, groups and splits are read as text. A missing one (empty, NaN, None, NA or -1) is refused by its line. `-p uncertain` (`drop`,
#   `zero` or `one`) reads a label of -1, as CheXpert writes it, and `-p missing_labels` (`drop` or `zero`) a missing one.
# - A split column with `train`, `val` and `test` is checked against the groups. Without one, groups are split at random into 70 % train,
#   10 % validation and 20 % test.
# - A grey image of sixteen bits needs a `window`, such as `-p window 0,4095` where twelve are used. With `-p on_error skip`, rows that cannot be encoded are
#   excluded, counted and listed.
# - `backbone` is any encoder that `python -m helpers backbones` lists, any dual encoder of open_clip or transformers by its id, or a
#   local folder. {ref}`This recipe <own-encoder>` wraps your own.
# - Pairs without labels are imported as vectors (`python -m helpers import`). `python -m helpers cone`, `python -m helpers recommend` and
#   {doc}`11_what_lambda_closes` need no labels.
#
# The table may be CSV, TSV, Parquet, Arrow, JSON, JSON lines or the folder of a Hugging Face dataset. A list of texts in a cell is several captions of one
# image, and a list of labels makes a multi-label task. Vectors computed elsewhere (`import`) may come as
#
# - one of these files, or two, with a column per coordinate or a column of lists per modality;
# - NPZ, safetensors or `torch.save` with arrays `image`, `text`, `labels`, `split`, `groups`, `ids`, or others by name; texts of shape (n, k, d) are k
#   captions of each image;
# - NPY of shape (2, n, d), or images (n, d) and a second file of texts;
# - a folder of clip-retrieval, with shards `img_emb`, `text_emb` and `metadata`.

# %% tags=["parameters"]
table = None  # path of your table, or its name in root; None makes one from easy-VQA
root = None  # folder of the table; None when table is a path
image_column = "image"  # column with paths of images
text_column = "text"  # column with texts
label_column = "label"  # column with class names, or a list of columns of 0 and 1
split_column = "split"  # column with train, val, test; a split is made where the table has no such column
image_root = None  # folder from which image paths count; None for the folder of the table
missing_images = "error"  # "error" stops at an image that is not there, "drop" excludes its row
group_column = None  # column of what must stay on one side of a split; None for the image
classes = None  # class names in order, needed if one is called None, NA or -1
missing_labels = "fail"  # "fail" stops at a missing label, "drop" excludes its row, "zero" reads it as 0
uncertain = None  # "drop", "zero" or "one" for labels of -1; None takes them as missing
window = None  # "LOW,HIGH" or "minmax": grey values of 16-bit images that become black and white
on_error = "fail"  # "fail" stops at a row that cannot be encoded, "skip" excludes it
max_skipped = None  # largest share of rows that "skip" may exclude; None for 0.05
overwrite = False  # True replaces a set in keep that was made from other data or by another encoder
credentialed = False  # True hides ids of rows and groups in every message
n_images = 200  # pictures taken from easy-VQA; ignored with a table of your own
backbone = "lit-natural"  # an encoder by name or id, or a local folder
protocol = "converged"  # "converged", "authors-code" or "paper"
lambdas = [0.0, 0.5, 1.0]  # alignment strengths, each in [-2, 2]
seeds = [42]  # one probe per seed and lambda
features = ["joint", "image", "text"]  # what the probe sees
n_boot = 1000  # bootstrap replicates
keep = None  # folder of embedding sets to store this one in; "runs/embeddings" makes it known to the other notebooks
results = None  # folder for result tables; None for ./results

# %% tags=["remove-stderr"]
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import display

from helpers import PROTOCOLS
from helpers.cones import cone_table, diagnose
from helpers.datasets import check
from helpers.datasets.registry import MISSING_IMAGES
from helpers.files import below, replacing
from helpers.page import Page, count, format_table, integer, many, number, text
from helpers.plotting import curves, effects, plane
from helpers.probing.protocol import Grid
from helpers.store.catalogue import folder_name
from helpers.tasks import MISSING_LABELS, UNCERTAIN

# %% tags=["hide-input"]
page = Page(
    "08_adapt",
    globals(),
    {
        **{name: text() | None for name in ("table", "root", "image_root", "group_column", "keep", "results")},
        **{name: text() for name in ("image_column", "text_column", "split_column", "backbone")},
        "label_column": many(text(), least=1),
        "credentialed": bool,
        "overwrite": bool,
        "missing_images": text(MISSING_IMAGES, "missing_images"),
        "classes": many(text(), least=1) | None,
        "missing_labels": text(MISSING_LABELS, "missing_labels"),
        "uncertain": text(UNCERTAIN, "uncertain") | None,
        "window": text() | None,
        "on_error": text(("fail", "skip"), "on_error"),
        "max_skipped": number(0, 1) | None,
        "n_images": integer(40, 5000),
        "protocol": text(PROTOCOLS, "protocol"),
        "lambdas": many(number(-2, 2), least=1),
        "seeds": many(integer(0, 2**32 - 1), least=1),
        "features": many(text(("joint", "image", "text"), "feature"), least=1),
        "n_boot": integer(100, 100_000),
    },
)

# %% tags=["remove-stderr"]
from helpers import EmbeddingSet, extract, load_backbone, load_dataset
from helpers.probing.cache import run_once

# %% [markdown]
# ## A table with one row per pair

# %%
own = table is not None or root is not None
if not own and image_root is not None:
    raise ValueError("image_root belongs to a table of your own; give table, or leave out image_root")
if not own:
    vqa = load_dataset("easy_vqa")
    pictures = vqa.rows["image"].drop_duplicates().sample(n_images, random_state=0)
    rows = vqa.rows.loc[vqa.rows["image"].isin(pictures), ["image", "text", "label"]]
    rows = rows.sample(frac=1, random_state=0).groupby("image", sort=False).head(4).sort_index()
    root, image_root = str(page.results / page.name / "easy_vqa.csv"), str(vqa.root)
    Path(root).parent.mkdir(parents=True, exist_ok=True)
    with replacing(Path(root), is_ours=lambda earlier: pd.read_csv(earlier).iloc[:, 0].isin(vqa.rows["image"]).all()) as file:
        rows.set_axis([image_column, text_column, label_column[0]], axis=1).to_csv(file, index=False)
where = {"root": table, "table": None} if root is None else {"root": root, "table": table}
columns = {"split_column": split_column, "image_root": image_root, "missing_images": missing_images, "missing_labels": missing_labels}
given = {"classes": classes[0] if classes and len(classes) == 1 else classes, "window": window, "uncertain": uncertain}  # one text may name several by commas
columns |= {name: value for name, value in given.items() if value is not None}
columns |= {"image": image_column, "text": text_column, "label": label_column if len(label_column) > 1 else label_column[0], "group": group_column}

# %% tags=["hide-input"]
if own:
    page.show_text("Each row of {table} is a pair.", table=Path(table or root).name)
else:
    page.show_text("In this example, each row is a picture of easy-VQA with a question as its text and the answer as its label.")
    display(format_table(rows.head(4), caption="The first rows of the example table."))

# %% [markdown]
# ## Check the data before anything is computed
#
# The check stops at a fault that makes the table unusable and names its line. With `on_error = "skip"`, the extraction alone opens images and lists those
# that it excludes.

# %% tags=["remove-stderr"]
report = check("manifest", **where, **columns, credentialed=credentialed, tokenizers=[backbone], open_images=on_error == "fail")
print("\n".join(str(report).splitlines()[1:]))
if not report.usable:
    raise ValueError(f"the table cannot be used: {report.problems[0]}")

# %% [markdown]
# ## Encode each distinct image and text once
#
# An interrupted run resumes where it stopped, and a second run reads the stored set.

# %% tags=["remove-stderr"]
data = load_dataset("manifest", **where, **columns, credentialed=credentialed)
store = page.results / page.name / "embeddings" if keep is None else Path(keep)
out = below(store, data.name) / data.variant / folder_name(backbone)
anew = overwrite or keep is None
embeddings = extract(data, load_backbone(backbone), out, overwrite=anew, on_error=on_error, max_skipped=max_skipped)
for why, n in embeddings.provenance["skipped"].items():
    page.show_text("Excluded: {rows} ({why}); `{file}` lists them.", rows=count(n, "row"), why=why, file=out.with_name(out.name + ".problems.csv"))
embeddings

# %% [markdown]
# ## Measure the cones and the gap

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Image and text embeddings on the first two principal directions of both together (centred). The arrow runs from the mean of the texts to the mean of the images.", "name": "fig-adapt-plane"}, "image": {"alt": "Scatter plot of image points and text points of the adapted data set, two clouds joined by an arrow between their means."}}
plane(embeddings);

# %%
geometry = page.save_table(cone_table(embeddings, n_boot), "adapt_cone")

# %% tags=["hide-input"]
QUANTITIES = {
    "R_distinct": "R over distinct items", "distinct_share": "share of distinct items", "effective_rank": "effective rank", "gap_norm": "gap",
    "cos_gap_pc1": "cosine of the gap and PC 1", "pc1_share": "variance along PC 1", "gap_share": "variance along the gap",
    "residual_gap": "gap left at λ = 1", "residual_gap_predicted": "gap left at λ = 1, as predicted",
}  # fmt: skip
format_table(geometry[["modality", "quantity", "value", "low", "high"]].replace({"quantity": QUANTITIES}), caption="Geometry of the set.")

# %% [markdown]
# What the cosines of images with texts consist of:

# %% tags=["hide-input"]
for sentence in diagnose(embeddings, data.rows.set_index("pair_id")["text"][embeddings.pairs["pair_id"]]):
    page.show_text("{sentence}", sentence=sentence)

# %% [markdown]
# ## Sweep lambda

# %% tags=["remove-stderr"]
grid = Grid(lambdas=lambdas, seeds=seeds, features=features)
swept = run_once(embeddings, protocol, "lambda", grid.arguments("lambda"), page.sweeps)
page.save_table(swept.table, "adapt_sweep")
effect = page.save_table(swept.effects(n_boot=n_boot), "adapt_effects")

# %% tags=["hide-input"] tables=["adapt_sweep"] mystnb={"figure": {"caption": "Test AUC of the linear probe against the alignment strength.", "name": "fig-adapt-lambda"}, "image": {"alt": "Line plot of test AUC against lambda for the adapted data set, one line each for joint, image-only and text-only features."}}
curves(swept.summary().assign(metric=swept.headline_metric));

# %% tags=["hide-input"] tables=["adapt_effects"] mystnb={"figure": {"caption": "Change of test AUC from $\\lambda = 0$ to the largest λ of the sweep, with paired 95 % bootstrap interval over test rows, by what the probe sees.", "name": "fig-adapt-effects"}, "image": {"alt": "Interval plot of the change in test AUC at the largest lambda for joint, image-only and text-only features."}}
last = effect[effect["lambda_image"] == max(lambdas)]
effects(last, "features");

# %% tags=["hide-input"]
shown = last.iloc[0]
R = geometry[geometry["quantity"] == "R"].set_index("modality")["value"]
change = (
    " At λ = {lambda_image:g} the AUC of the {features} probe changes by {difference:+.4f} (95 % interval {low:+.4f} to {high:+.4f})"
)
known = pd.notna(shown["minimum_detectable"])  # without any error there is nothing left to rank better
change += "; a true change below {minimum_detectable:.4f} would be missed in more than one such test set of five." if known else "; the ceiling is reached."
page.show_text(
    "{name} has {pairs} pairs of {images} images and {texts} texts. R is {R_image:.2f} for images and {R_text:.2f} for texts, and the gap is "
    "{gap:.2f}." + change * bool(shown["lambda_image"]),
    name=data.name, pairs=len(embeddings), images=len(embeddings.image), texts=len(embeddings.text), R_image=R["image"], R_text=R["text"],
    gap=geometry.loc[geometry["quantity"] == "gap_norm", "value"].iloc[0], **shown,
)  # fmt: skip
for caution in swept.cautions:
    page.show_text("**Caution:** {caution}.", caution=caution)

# %% [markdown]
# With `keep` set to `runs/embeddings`, the other notebooks know the set by the name of its table. {doc}`05_is_lambda_worth_it`
# then selects $\lambda$ on validation rows and saves the fitted alignment.
#
# ## Start from embeddings computed elsewhere
#
# Arrays with one row per pair, or a table of coordinates as the authors' code writes it (`img_emb_0 ...`, `text_emb_0 ...`), need neither images nor an
# encoder. Below, the set above is written in both forms and read back. Rows may have any norm. Equal rows are stored once and still count once per pair.

# %%
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
named_alike = {"kind": task.kind, "classes": task.classes, "dataset": data.name, "backbone": backbone}
from_arrays = EmbeddingSet.from_npz(elsewhere / "embeddings.npz", **named_alike)
from_table = EmbeddingSet.from_csv(elsewhere / "embeddings.csv", task.columns if several else "label", group="group", ids="id", **named_alike)

# %%
read = {"extracted": embeddings, "NPZ": from_arrays, "CSV": from_table}
again = pd.concat([cone_table(s, 0).assign(source=name) for name, s in read.items()])
again = page.save_table(again[again["quantity"].isin(["R", "gap_norm"])], "adapt_elsewhere")

# %% tags=["hide-input"]
format_table(again[["source", "modality", "quantity", "value"]].replace({"quantity": QUANTITIES}), 4, caption="The same numbers from either file.")

# %% [markdown]
# `sweep(from_arrays, protocol="converged").table` runs the sweep on such a set. `python -m helpers import FILE --dataset NAME --backbone NAME`
# stores the file under a name for the other notebooks. Repeated pairs, and texts joined by image alone, are named.
#
# ## Use the alignment at inference
#
# ```python
# from helpers import GapAlignment
#
# alignment = GapAlignment(lam=0.5).fit(image_train, text_train)
# image_new, text_new = alignment.transform(image_test, text_test)
# image_new, _ = alignment.transform(image=image_test)  # one modality alone
# ```
#
# In a scikit-learn pipeline, `PairAlignment` does the same to one matrix whose rows are an image followed by a text, so that a grid search
# can select $\lambda$ on validation folds:
#
# ```python
# from helpers import PairAlignment
# from sklearn.linear_model import LogisticRegression
# from sklearn.model_selection import GridSearchCV
# from sklearn.pipeline import make_pipeline
#
# pipeline = make_pipeline(PairAlignment(), LogisticRegression(max_iter=1000))
# search = GridSearchCV(pipeline, {"pairalignment__lam": [0, 0.5, 1]}).fit(np.hstack([image_train, text_train]), labels)
# ```
#
# `fit` learns the gap from the rows it is given. {doc}`05_is_lambda_worth_it` says whether to adopt a $\lambda$, and what a paper should say about it.
#
# ## What was not tested
#
# The check finds faults of files, labels and splits; it cannot tell whether a text was written by somebody who knew the label.

# %% tags=["hide-input"]
if not own:
    page.show_text("The example is small and synthetic: it shows that every step runs, and its numbers say nothing about medical data.")

# %% [markdown]
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer([embeddings])
