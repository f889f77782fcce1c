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
# A joint probe sees whatever the text says. Where the text was written after somebody had read the image, or where one patient's rows
# fall on both sides of the split, a high AUC says little about the encoders and less about $\lambda$. Labels travel in three ways:
#
# - **The text holds the label, or a proxy of it.** MIMIC-CXR's labels were extracted by a program {cite}`irvin2019chexpert` from the
#   reports used as text. BRSET's text lists findings of the same image. HAM10000's begins with `dx_type`, how the diagnosis was confirmed:
#   follow-up occurs for nevi only, confocal microscopy for benign keratoses only, carcinomas and melanomas are always confirmed by histology.
# - **A group straddles the split.** The authors split HAM10000, BRSET and mBRSET by image. By the public metadata of HAM10000 and the
#   authors' seed, {glue:text}`straddling` of the {glue:text}`straddling_of:,.0f` test images show a lesion that is also in train,
#   {glue:text}`straddling_mel` of {glue:text}`straddling_mel_of` melanomas among them.
# - **A text repeats, or is a key.** mBRSET's text is patient-level, so all images of a patient share one sentence; DAQUAR's questions end
#   with the number of their image.
#
# The `authors` variant of a data set keeps all that; `clean` leaves out proxies and findings of the same image, keeps groups on one side, and
# reads of a MIMIC-CXR report only what was written before the image ({doc}`/book/data_and_encoders`). This page measures
# what the difference is worth, without any alignment ($\lambda = 0$).

# %% tags=["parameters"]
datasets = []  # data sets to audit; an empty list stands for all that are stored in both variants
backbones = []  # encoders; an empty list stands for all that are stored
protocol = "converged"  # "converged", "authors-code" or "paper"
seeds = [42]  # one probe per seed
live_backbone = "lit-natural"  # encoder of the two sets that are extracted on the fly
n_pictures = 120  # pictures of easy-VQA, four questions of each
n_fundus = 240  # drawn images of the mBRSET miniature, four per patient
n_draws = 3  # draws of the test groups in the two splits that are compared
n_boot = 1000  # bootstrap replicates over test rows
store = None  # folder of embedding sets; None for data/embeddings, then runs/embeddings
data_root = None  # folder of raw data, to extract what is not stored
results = None  # folder for result tables; None for runs/notebooks

# %% tags=["hide-input"]
from dataclasses import replace
from tempfile import TemporaryDirectory

import pandas as pd

from helpers import PROTOCOLS, extract, load_backbone, load_dataset
from helpers.book.page import Page, neat
from helpers.book.parameters import SOURCE, integer, many, text
from helpers.datasets import miniatures as miniature
from helpers.datasets.audit import shipped_straddling
from helpers.datasets.splits import seen_in_train
from helpers.extraction.find import in_both_variants
from helpers.plotting.sweeps import effects
from helpers.probing.leakage import (
    compare_splits,
    compare_variants,
    mean_over_draws,
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
page.scope(authors, ["authors", "clean"])
if not both:
    page.say("No data set is stored in both variants, so the two sections on real data are empty; what is extracted here is below.")
straddling = shipped_straddling().set_index("class")
page.glue(
    straddling=int(straddling["lesion_in_train"].sum()), straddling_of=int(straddling["test_images"].sum()),
    straddling_mel=int(straddling.loc["mel", "lesion_in_train"]), straddling_mel_of=int(straddling.loc["mel", "test_images"]),
)  # fmt: skip

# %% [markdown]
# ## What a test row shares with train
#
# Shares of test rows whose group, image or exact text also occurs in train. A repeated text is not a leak by itself: short templates recur in
# any split, and a poorer text recurs more often. What a repetition gives away is measured below.

# %% tags=["hide-input"]
shares = [{k: s.provenance[k] for k in ("dataset", "variant", "backbone")} | seen_in_train(s.pairs).mean().to_dict() for s in [*clean, *authors]]
shared = page.keep(pd.DataFrame(shares, columns=["dataset", "variant", "backbone", "group", "image", "text"]), "leakage_overlap")
neat(shared.drop(columns="backbone").drop_duplicates(), **dict.fromkeys(["group", "image", "text"], "{:.1%}")) if both else None

# %% [markdown]
# ## What the text's proxies are worth
#
# Probes on text, image and both, fitted to each variant. The difference of their AUCs is over the same test rows, joined by their ids, and its
# interval resamples them together. *Text as key* uses no encoder: it scores a test row by the class frequencies of the train rows that carry
# exactly its text, and so says what the wording as such gives away.

# %% tags=["hide-input", "remove-stderr"]
columns = ["dataset", "backbone", "features", "class", "authors", "clean", "difference", "low", "high", "test_rows", "classes"]
compared = [compare_variants(a, c, protocol, seeds, n_boot)[columns] for a, c in both] or [pd.DataFrame(columns=columns)]
worth = page.keep(pd.concat(compared, ignore_index=True), "leakage_text")
macro = worth[worth["class"].isna()].drop(columns="class").assign(seed_sd=float("nan"))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What the authors' text adds to test AUC over the clean one: difference with paired 95 % bootstrap interval over test rows, by what the probe sees.", "name": "fig-leak-text"}, "image": {"alt": "Interval plots of the difference in test AUC between the authors' and the clean text for text, image and joint features and for the text as key, one panel per data set and encoder."}}
effects(macro, "features") if both else None;

# %% tags=["hide-input"]
neat(macro.drop(columns="seed_sd"), precision=4) if both else None

# %% tags=["hide-input"]
worth_of = {f.split()[-1]: sorted(macro.loc[macro["features"] == f, "difference"]) for f in ("text", "joint", "text as key")}
if both:
    page.say(
        "What `authors` adds to the text is worth {text} AUC to a probe of the text alone, and {joint} to the joint probe. As a key, with no "
        "encoder at all, it is worth {key}. By class, text alone:",
        **{name: " to ".join(dict.fromkeys(f"{d:+.3f}" for d in (values[0], values[-1]))) for name, values in worth_of.items()},
    )
by_class = worth.loc[worth["class"].notna(), ["dataset", "backbone", "class", "authors", "clean", "difference", "low", "high"]]
neat(by_class) if both else None

# %% [markdown]
# ## Where the text names the label
#
# A caption is written by who sees the picture. Flickr8k's labels are objects that other captions of the same photograph name; the share of
# their positives whose own text names the object too says how much of an AUC is reading.

# %% tags=["hide-input"]
found = stored(store)
named = page.keep(text_names_label(found[found["dataset"].isin(datasets or found["dataset"])]["path"]), "leakage_named")
neat(named, share="{:.1%}") if len(named) else page.say("No stored set has labels that its texts could name.")

# %% [markdown]
# ## What siblings in train are worth
#
# The shipped HAM10000 has one image per lesion, so nothing straddles its split. Group leakage is shown on two sets that are extracted here:
# easy-VQA, whose questions share pictures, and the miniature of mBRSET, where four images share a patient and the patient's sentence. The test is half
# of the rows of half of the groups, drawn several times. *By row*, train holds the other half; *by group*, as many rows of other groups take their place. Test rows and
# sample size are the same, so the difference is what siblings tell. easy-VQA is asked twice: for the answer, which belongs to the question
# as much as to the picture, and for the colour of the shape, which all questions on a picture share, as a patient's images share a disease.
#
# The miniature is drawn, and its sentences are made up by a rule. Its values show that the procedure runs on that layout; whatever they
# are, they are no evidence about mBRSET. On so few rows the converged probe tries no strength below `1e-5`, for the sake of time.

# %% tags=["hide-input", "remove-stderr"]
encoder = load_backbone(live_backbone)
questions = load_dataset("easy_vqa")
pictures = questions.rows["image"].drop_duplicates().sample(n_pictures, random_state=0)
questions = replace(questions, rows=questions.rows[questions.rows["image"].isin(pictures)].reset_index(drop=True))
kept = page.results / page.name
vqa = extract(questions, encoder, kept / "easy_vqa", overwrite=True)
with TemporaryDirectory() as folder:
    release = miniature.write("mbrset", f"{folder}/mbrset", n_fundus)
    fundus = extract(load_dataset("mbrset", release, "authors"), encoder, kept / "mbrset", overwrite=True)

# %% tags=["hide-input", "remove-stderr"]
WEAKEST = 1e-5  # weaker strengths took two thirds of the time and moved no AUC here by more than 0.01
colours = [c for c in questions.task.classes if c not in ("circle", "rectangle", "triangle", "no", "yes")]
asked = {
    "easy-VQA: answer": (few_per_group(vqa, 4), "image"),
    "easy-VQA: colour": (few_per_group(labelled_by_group(vqa, colours), 4), "image"),
    "mBRSET miniature (drawn)": (fundus, "text"),
}
probe = PROTOCOLS[protocol]
probe = probe.but(name=protocol, strengths=[s for s in probe.strengths if s >= WEAKEST])
live = [compare_splits(s, probe, seeds, key, n_boot, n_draws).assign(dataset=name) for name, (s, key) in asked.items()]
siblings = mean_over_draws(page.keep(pd.concat(live, ignore_index=True), "leakage_siblings"))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What siblings of the test rows in train add to test AUC: split by row minus split by group, with paired 95 % bootstrap interval over groups (mean over draws) and the standard deviation over draws of the test groups.", "name": "fig-leak-siblings"}, "image": {"alt": "Interval plots of the difference in test AUC between a split by row and a split by group, for text, image and joint features and for the shared key: one panel each for the answers and the colours of easy-VQA and for the drawn miniature of mBRSET."}}
probed = siblings[siblings["features"].isin(["text", "image", "joint"])]
effects(probed, "features", "draws");

# %% tags=["hide-input"]
neat(siblings.rename(columns={"seed_sd": "sd over draws"}), precision=4, test_rows="{:.0f}")

# %% tags=["remove-cell"]
page.glue(leak_draws=n_draws)
value = siblings.set_index(["dataset", "features"])
for short, name, feature in (("answer", "easy-VQA: answer", "joint"), ("colour", "easy-VQA: colour", "joint"), ("drawn", "mBRSET miniature (drawn)", "text")):
    row = value.loc[(name, feature)]
    page.glue(**{f"{short}_{part}": float(row[part]) for part in ("difference", "low", "high")})
    page.glue(**{f"{short}_key": float(value.loc[(name, f"{asked[name][1]} as key"), "by row"])})

# %% [markdown]
# What a straddling group gives away depends on how far it fixes the label. Over {glue:text}`leak_draws` draws, siblings change the joint probe's AUC by
# {glue:text}`answer_difference:+.3f` (mean 95 % interval {glue:text}`answer_low:+.3f` to {glue:text}`answer_high:+.3f`) for the answer and by
# {glue:text}`colour_difference:+.3f` ({glue:text}`colour_low:+.3f` to {glue:text}`colour_high:+.3f`) for the colour, on the same pictures. The picture as a key,
# with no encoder, reaches {glue:text}`answer_key:.2f` and {glue:text}`colour_key:.2f`; split by group, a key knows nothing and stands at 0.5. In the
# drawn miniature the sentence as a key reaches {glue:text}`drawn_key:.2f`, and siblings change the probe of the text alone by
# {glue:text}`drawn_difference:+.3f` ({glue:text}`drawn_low:+.3f` to {glue:text}`drawn_high:+.3f`).
#
# ## What is shown here and what is not
#
# | Proxy or leak | Shown here on | Not shown here |
# |---|---|---|
# | `dx_type` in the text (HAM10000) | real embeddings of the whole shipped test split | on images whose lesion is also in train: one image per lesion is shipped |
# | exact text in train | real embeddings of HAM10000 | DAQUAR's image numbers: its images are not shipped |
# | a group on both sides | the pictures of easy-VQA | HAM10000's straddling lesions; retinal images of one patient |
# | patient-level text as a key (mBRSET) | the drawn miniature, as a procedure | its worth on the real data, which needs credentials |
# | findings of the same image in the text (BRSET) | nothing: a drawn copy would return what was drawn | its worth, which needs the real data |
# | labels read from the text itself (MIMIC-CXR) | nothing | its worth, which needs the real data |
#
# With access, `datasets` and `data_root` point this page at the real releases. Where the two variants of a data set also differ in their
# split, as in BRSET, the comparison is over the test rows that both have. The overlap of a copy is one line of
# `python -m helpers check DATASET --root DIR`.
#
# ## How this page was made

# %% tags=["hide-input"]
page.made([*authors, *clean, vqa, fundus])
