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
# # Leakage audit
#
# Some texts of the paper's data sets give the label away, and some splits put one patient or lesion on both sides. In HAM10000, split as
# the authors split it, {glue:text}`straddling` of the {glue:text}`straddling_of:,.0f` test images show a lesion that is also in train; among the
# melanomas it is {glue:text}`straddling_mel` of {glue:text}`straddling_mel_of`.
#
# A joint probe uses whatever the text says. A high AUC then says little about the encoders and less about $\lambda$. Labels leak in three ways:
#
# - **The text contains the label, or a proxy of it.** A program extracted MIMIC-CXR's labels {cite}`irvin2019chexpert` from the
#   reports used as text. BRSET's text lists findings of the same image. HAM10000's text begins with `dx_type`, the way the diagnosis was
#   confirmed. Follow-up occurs for nevi only, and confocal microscopy for benign keratoses only. Carcinomas and melanomas are always
#   confirmed by histology.
# - **A group straddles the split.** The authors split HAM10000, BRSET and mBRSET by image, so images of one lesion or patient can be in
#   both train and test. The counts above follow from HAM10000's public metadata and the authors' seed.
# - **A text repeats, or is a key.** mBRSET's text is patient-level, so all images of a patient share one sentence. DAQUAR's questions end
#   with the number of their image.
#
# The `authors` variant of a data set has all of this. The `clean` variant excludes proxies and findings of the same image and puts each
# group on one side. It uses only the part of a MIMIC-CXR report that was written before the image ({doc}`/book/data_and_encoders`). This page
# measures what the difference is worth without any alignment ($\lambda = 0$).

# %% tags=["parameters"]
datasets = []  # data sets to audit; an empty list means all that are stored in both variants
backbones = []  # encoders; an empty list means all that are stored
protocol = "converged"  # "converged", "authors-code" or "paper"
seeds = [42]  # one probe per seed
live_backbone = "lit-natural"  # encoder of the two sets that are extracted on the fly
n_pictures = 120  # pictures of easy-VQA, four questions of each
n_fundus = 240  # synthetic images of the mBRSET miniature, four per patient
n_draws = 3  # random choices of the test groups in the two splits that are compared
n_boot = 1000  # bootstrap replicates over test rows
store = None  # folder of embedding sets; None for data/embeddings, then runs/embeddings
data_root = None  # folder of raw data, to extract what is not stored
results = None  # folder for result tables; None for ./results

# %% tags=["hide-input", "remove-stderr"]
from dataclasses import replace
from tempfile import TemporaryDirectory

import pandas as pd

from helpers import PROTOCOLS, extract, load_backbone, load_dataset
from helpers.datasets import miniatures as miniature
from helpers.datasets.audit import shipped_straddling
from helpers.datasets.splits import seen_in_train
from helpers.extraction.find import in_both_variants
from helpers.page import SOURCE, Page, format_table, integer, many, text
from helpers.plotting import effects
from helpers.plotting.alignments import shared_rows
from helpers.probing.leakage import (
    compare_splits,
    compare_variants,
    mean_over_draws,
    near_duplicates,
    text_names_label,
)
from helpers.probing.resplit import few_per_group, labelled_by_group
from helpers.store.catalogue import stored

source = {name: reader for name, reader in SOURCE.items() if name != "variant"}
spec = {
    "protocol": text(PROTOCOLS, "protocol"),
    "seeds": many(integer(0, 2**32 - 1), least=1),
    "live_backbone": text(),
    "n_pictures": integer(40, 5000),
    "n_fundus": integer(80, 5000),
    "n_draws": integer(1, 100),
    "n_boot": integer(100, 100_000),
}
page = Page("07_leakage_audit", globals(), {**source, **spec})
both = in_both_variants(datasets, backbones, store, data_root)
authors, clean = [a for a, _ in both], [c for _, c in both]
page.describe_sets(authors, ["authors", "clean"])
if not both:
    page.show_text("No data set is stored in both variants, so the two sections on real data are empty. The sets extracted on this page are shown below.")
straddling = shipped_straddling().set_index("class")
page.glue(
    straddling=int(straddling["lesion_in_train"].sum()), straddling_of=int(straddling["test_images"].sum()),
    straddling_mel=int(straddling.loc["mel", "lesion_in_train"]), straddling_mel_of=int(straddling.loc["mel", "test_images"]),
)  # fmt: skip

# %% [markdown]
# ## Many test rows share a group, an image or a text with train
#
# The table gives the share of test rows whose group, image or exact text also occurs in train. A repeated text is not a leak by itself:
# short templates recur in any split, and a less specific text recurs more often. The next section measures what a repetition gives away.

# %% tags=["hide-input"]
shares = [{k: s.provenance[k] for k in ("dataset", "variant", "backbone")} | seen_in_train(s.pairs).mean().to_dict() for s in [*clean, *authors]]
shared = page.save_table(pd.DataFrame(shares, columns=["dataset", "variant", "backbone", "group", "image", "text"]), "leakage_overlap")
format_table(shared.drop(columns="backbone").drop_duplicates(), **dict.fromkeys(["group", "image", "text"], "{:.1%}")) if both else None

# %% [markdown]
# ## Near-duplicates are shared rows that no exact comparison finds
#
# A cropped photograph or a report with one other word is a new row and almost the same vector. For each test row, the figure takes the
# largest cosine to a training row. A steep end near 1 is a set of near-duplicates. Encoders with a narrow cone give high cosines to
# everything, so that a threshold holds for one encoder only.

# %% tags=["hide-input"]
curves, closest = near_duplicates([*clean, *authors])
closest = page.save_table(closest, "leakage_near_duplicates")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Share of test rows with a training row at least this similar, against the cosine; one panel per modality, one line per stored set.", "name": "fig-leak-near"}, "image": {"alt": "Line plots of the share of test rows against the cosine to the nearest training row, for images and texts, one line per embedding set."}}
shared_rows(curves) if both else None;

# %% [markdown]
# The most similar pairs of a test and a training row that are not equal, by id. Ids are shown for data sets that need no credentials.

# %% tags=["hide-input"]
format_table(closest, precision=4) if len(closest) else page.show_text("No set is stored whose rows may be shown by id.")

# %% [markdown]
# ## Proxies in the text add to AUC
#
# We fit probes on text, image and both to each variant. Their AUCs are compared on the same test rows, matched by id, and the
# interval resamples these rows together. *Text as key* uses no encoder: it scores a test row by the class frequencies of the train rows with
# exactly the same text. It shows what the wording alone gives away.

# %% tags=["hide-input", "remove-stderr"]
columns = ["dataset", "backbone", "features", "class", "authors", "clean", "difference", "low", "high", "test_rows", "classes"]
compared = [compare_variants(a, c, protocol, seeds, n_boot)[columns] for a, c in both] or [pd.DataFrame(columns=columns)]
worth = page.save_table(pd.concat(compared, ignore_index=True), "leakage_text")
macro = worth[worth["class"].isna()].drop(columns="class").assign(seed_sd=float("nan"))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What the authors' text adds to test AUC over the clean one: difference with paired 95 % bootstrap interval over test rows, by what the probe sees.", "name": "fig-leak-text"}, "image": {"alt": "Interval plots of the difference in test AUC between the authors' and the clean text for text, image and joint features and for the text as key, one panel per data set and encoder."}}
effects(macro, "features") if both else None;

# %% tags=["hide-input"]
format_table(macro.drop(columns="seed_sd"), precision=4) if both else None

# %% tags=["hide-input"]
worth_of = {f.split()[-1]: sorted(macro.loc[macro["features"] == f, "difference"]) for f in ("text", "joint", "text as key")}
if both:
    page.show_text(
        "With the `authors` text instead of the `clean` one, AUC changes by {text} for a probe of the text alone and by {joint} for the joint probe. As a "
        "key, without any encoder, the text changes it by {key}. By class, text alone:",
        **{name: " to ".join(dict.fromkeys(f"{d:+.3f}" for d in (values[0], values[-1]))) for name, values in worth_of.items()},
    )
by_class = worth.loc[worth["class"].notna(), ["dataset", "backbone", "class", "authors", "clean", "difference", "low", "high"]]
format_table(by_class) if both else None

# %% [markdown]
# ## How many captions name the label
#
# The writer of a caption sees the picture. Flickr8k's labels are objects named in other captions of the same photograph. The table gives
# the share of positives whose own text names the object too: for these, the probe only has to read.

# %% tags=["hide-input"]
found = stored(store)
named = page.save_table(text_names_label(found[found["dataset"].isin(datasets or found["dataset"])]["path"]), "leakage_named")
format_table(named, share="{:.1%}") if len(named) else page.show_text("No stored set has labels that its texts could name.")

# %% [markdown]
# ## Siblings in train help as far as the group fixes the label
#
# The shipped HAM10000 has one image per lesion, so nothing straddles its split. We show group leakage on two sets extracted on this page.
# In easy-VQA, questions share pictures. In the miniature of mBRSET, four images share a patient and the patient's sentence.
#
# The test rows are half of the rows of half of the groups, chosen at random several times. *By row*, train contains the other half of
# these groups; *by group*, as many rows of other groups replace them. Test rows and sample size are equal, so the difference is the effect of
# the siblings. easy-VQA has two tasks. The answer depends on the question as much as on the picture. All questions on a picture share
# the colour of its shape, as a patient's images share a disease.
#
# The miniature is synthetic, and a rule writes its sentences. Its values show that the procedure runs on that layout. They are
# no evidence about mBRSET. To save time on so few rows, the converged probe tries no strength below `1e-5`.

# %% tags=["hide-input", "remove-stderr"]
encoder = load_backbone(live_backbone)
questions = load_dataset("easy_vqa")
pictures = questions.rows["image"].drop_duplicates().sample(n_pictures, random_state=0)
questions = replace(questions, rows=questions.rows[questions.rows["image"].isin(pictures)].reset_index(drop=True))
folder_of_sets = page.results / page.name
vqa = extract(questions, encoder, folder_of_sets / "easy_vqa", overwrite=True)
with TemporaryDirectory() as folder:
    release = miniature.write("mbrset", f"{folder}/mbrset", n_fundus)
    fundus = extract(load_dataset("mbrset", release, "authors"), encoder, folder_of_sets / "mbrset", overwrite=True)

# %% tags=["hide-input", "remove-stderr"]
WEAKEST = 1e-5  # weaker strengths took two thirds of the time and moved no AUC here by more than 0.01
colours = [c for c in questions.task.classes if c not in ("circle", "rectangle", "triangle", "no", "yes")]
designs = {
    "easy-VQA: answer": (few_per_group(vqa, 4), "image"),
    "easy-VQA: colour": (few_per_group(labelled_by_group(vqa, colours), 4), "image"),
    "mBRSET miniature (synthetic)": (fundus, "text"),
}
probe = PROTOCOLS[protocol]
probe = probe.replace(name=protocol, strengths=[s for s in probe.strengths if s >= WEAKEST])
live = [compare_splits(s, probe, seeds, key, n_boot, n_draws).assign(dataset=name) for name, (s, key) in designs.items()]
siblings = mean_over_draws(page.save_table(pd.concat(live, ignore_index=True), "leakage_siblings"))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What siblings of the test rows in train add to test AUC: split by row minus split by group, with paired 95 % bootstrap interval over groups (mean over draws) and the standard deviation over draws of the test groups.", "name": "fig-leak-siblings"}, "image": {"alt": "Interval plots of the difference in test AUC between a split by row and a split by group, for text, image and joint features and for the shared key: one panel each for the answers and the colours of easy-VQA and for the synthetic miniature of mBRSET."}}
probed = siblings[siblings["features"].isin(["text", "image", "joint"])]
effects(probed, "features", "draws");

# %% tags=["hide-input"]
format_table(siblings.rename(columns={"seed_sd": "sd over draws"}), precision=4, test_rows="{:.0f}")

# %% tags=["remove-cell"]
page.glue(leak_draws=n_draws)
value = siblings.set_index(["dataset", "features"])
for short, name, feature in (("answer", "easy-VQA: answer", "joint"), ("colour", "easy-VQA: colour", "joint"), ("miniature", "mBRSET miniature (synthetic)", "text")):
    row = value.loc[(name, feature)]
    page.glue(**{f"{short}_{part}": float(row[part]) for part in ("difference", "low", "high")})
    page.glue(**{f"{short}_key": float(value.loc[(name, f"{designs[name][1]} as key"), "by row"])})

# %% [markdown]
# Over {glue:text}`leak_draws` random choices of the test groups, siblings change the joint probe's AUC by
# {glue:text}`answer_difference:+.3f` (mean 95 % interval {glue:text}`answer_low:+.3f` to {glue:text}`answer_high:+.3f`) for the answer and by
# {glue:text}`colour_difference:+.3f` ({glue:text}`colour_low:+.3f` to {glue:text}`colour_high:+.3f`) for the colour, on the same pictures. The picture as a key,
# with no encoder, reaches {glue:text}`answer_key:.2f` and {glue:text}`colour_key:.2f`. Under a split by group a key carries no information (AUC 0.5). In the
# synthetic miniature the sentence as a key reaches {glue:text}`miniature_key:.2f`, and siblings change the probe of the text alone by
# {glue:text}`miniature_difference:+.3f` ({glue:text}`miniature_low:+.3f` to {glue:text}`miniature_high:+.3f`).
#
# ## What was tested and what was not
#
# | Proxy or leak | Tested here on | Not tested here |
# |---|---|---|
# | `dx_type` in the text (HAM10000) | real embeddings of the whole shipped test split | images whose lesion is also in train: one image per lesion is shipped |
# | exact text in train | real embeddings of HAM10000 | DAQUAR's image numbers: its images are not shipped |
# | a group on both sides | the pictures of easy-VQA | HAM10000's straddling lesions; retinal images of one patient |
# | patient-level text as a key (mBRSET) | the synthetic miniature, as a procedure | its effect on the real data, which needs credentials |
# | findings of the same image in the text (BRSET) | nothing: a synthetic copy would return its own rule | its effect, which needs the real data |
# | labels read from the text itself (MIMIC-CXR) | nothing | its effect, which needs the real data |
#
# With access, set `datasets` and `data_root` to run this page on the real releases. Where the two variants of a data set also differ in
# their split, as in BRSET, the comparison uses the test rows that both share. `python -m helpers check DATASET --root DIR` prints the
# overlap of a copy in one line.
#
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer([*authors, *clean, vqa, fundus])
