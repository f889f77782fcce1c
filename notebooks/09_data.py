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

# %% tags=["parameters"]
datasets = []  # data sets; an empty list means all that are stored or unpacked here
backbones = []  # encoders whose tokenizers count the texts; an empty list means all with trained weights
store = None  # folder of embedding sets; None for data/embeddings, then runs/embeddings
data_root = None  # folder of raw data, <data_root>/<data set>, to read what is not stored and to count lengths of texts
results = None  # folder for result tables; None for ./results

# %% tags=["hide-input", "remove-stderr"]
from dataclasses import dataclass

import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from helpers import EmbeddingSet, load_dataset
from helpers.arrays import choose
from helpers.backbones import REGISTRY
from helpers.datasets import DATASETS
from helpers.datasets.describe import class_balance, text_lengths, texts_cut, tokenizers_at_hand
from helpers.datasets.registry import dataset_root, domain, title
from helpers.datasets.splits import seen_in_train, straddling
from helpers.files import project_root
from helpers.page import SOURCE, Page, count, fill, format_table, printed
from helpers.plotting import FEATURES, GRID, INK, log_axis, panels, share_legend
from helpers.schemas import shipped_table
from helpers.store.catalogue import stored
from helpers.tasks import SPLITS, Task

page = Page("09_data", globals(), {name: reader for name, reader in SOURCE.items() if name != "variant"})
encoders = backbones or [name for name, entry in REGISTRY.items() if entry.library != "random"]
tokenizers, unavailable = tokenizers_at_hand(encoders)
lead = display(Markdown(""), display_id=True)  # filled in below, once everything is counted


# %% tags=["hide-input", "remove-stderr"]
@dataclass
class Described:
    """Pairs of one variant of a data set and, if known, the lengths of its texts.

    Equal values of ``image`` or ``text`` in ``rows`` mean equal content: paths and sentences, or row numbers of a stored set.
    """

    name: str
    variant: str
    source: str
    rows: pd.DataFrame  # split, group, image, text and the label columns of the task
    task: Task
    lengths: pd.DataFrame | None


def raw_copy(name: str):
    """Return the folder of a raw copy: the package that ships it, or the data set's own folder in ``data_root``."""
    entry = DATASETS.get(name)
    if entry is not None and entry.card.package:
        return entry.root(None)
    root = dataset_root(data_root, name) if entry is not None and name != "manifest" else None
    return root if root is not None and root.name == name else None


def shipped_lengths(name: str, variant: str, pairs: int) -> pd.DataFrame | None:
    """Return the shipped table of :func:`text_lengths`, unless it counts another number of pairs."""
    path = project_root() / "data/text_lengths" / f"{name}-{variant}.csv"
    counted = shipped_table(f"text_lengths/{path.stem}") if path.is_file() else None
    return counted if counted is not None and counted.loc[counted["unit"] == "words", "pairs"].sum() == pairs else None


sets = stored(store).drop_duplicates(["dataset", "variant"]).set_index(["dataset", "variant"])["path"]
known = list(dict.fromkeys([*(name for name in DATASETS if name != "manifest"), *sets.index.get_level_values(0)]))
asked = [choose(name, known, "data set") for name in datasets] or known
here, absent, unread = [], [], []  # described; not available; raw copies that cannot be read, and why
for name in sorted(asked, key=lambda n: (domain(n) != "natural", n)):
    root, mine = raw_copy(name), [variant for of, variant in sets.index if of == name]
    offered = DATASETS[name].variants if root is not None else ()
    absent += [name] if not (mine or offered) else []
    for variant in dict.fromkeys([*offered, *mine]):
        lengths = described = None
        if variant in offered:
            try:
                described = load_dataset(name, root, variant, missing_images="drop")
                lengths = text_lengths(described, tokenizers)
            except (OSError, ValueError) as error:
                unread.append((f"{name} {variant}", str(error)))
        if variant in mine:
            found = EmbeddingSet.load(sets[name, variant])
            lengths = shipped_lengths(name, variant, len(found)) if described is None else lengths
            here.append(Described(name, variant, "stored set", found.pairs, found.task, lengths))
        elif described is not None:
            here.append(Described(name, variant, "raw copy", described.rows, described.task, lengths))
if not here:
    raise ValueError(f"nothing is stored or unpacked of {', '.join([*absent, *dict(unread)])}; set store or data_root")

# %% tags=["hide-input"]
counted = [d.lengths for d in here if d.lengths is not None]
empty = {"dataset": str, "variant": str, "unit": str, "limit": int, "length": int, "pairs": int, "texts": int}
lengths = pd.concat(counted, ignore_index=True) if counted else pd.DataFrame(columns=list(empty)).astype(empty)
lengths = page.save_table(lengths, "data_lengths")
cut = page.save_table(texts_cut(lengths), "data_texts_cut")

# %% [markdown]
# ## The data sets available here
#
# The page reads stored embedding sets and raw copies (easy-VQA comes with a Python package). {doc}`/book/data_and_encoders` says how to get the others.

# %% tags=["hide-input"]
rows = []
for d in here:
    sizes, shared = d.rows["split"].value_counts(), seen_in_train(d.rows).mean()
    about = {"dataset": d.name, "variant": d.variant, "from": d.source, "task": d.task.kind, "pairs": len(d.rows)}
    about |= {f"distinct_{c}s": d.rows[c].nunique() for c in ("image", "text", "group")} | {s: int(sizes.get(s, 0)) for s in SPLITS}
    rows.append({**about, "straddling_groups": len(straddling(d.rows)), **{f"{c}_in_train": share for c, share in shared.items()}})
table = page.save_table(pd.DataFrame(rows), "data_overview")

# %% tags=["hide-input"]
shown = table[["dataset", "variant", "from", "task", "pairs", "distinct_images", "distinct_texts", "distinct_groups", "train", "val", "test"]]
counts = ["pairs", "images", "texts", "groups", "train", "val", "test"]
caption = "Pairs, distinct items and splits; an image counts once however many questions are asked about it."
format_table(shown.rename(columns=lambda c: c.replace("distinct_", "")), caption=caption, **dict.fromkeys(counts, "{:,}"))

# %% tags=["hide-input"]
format_table(pd.DataFrame(unread, columns=["raw copy", "cannot be read because"]), caption="Raw copies that cannot be read.") if unread else None

# %% tags=["hide-input"]
page.show_text("Not available here: {absent}.", absent=", ".join(map(title, absent)) or "none")

# %% [markdown]
# ## Rare classes make an AUC uncertain
#
# AUC itself does not depend on how frequent a class is.

# %% tags=["hide-input"]
parts = []
for d in here:
    counts = class_balance(d).rename_axis(columns="split").stack().rename("positives").reset_index()
    share = counts["positives"] / counts["split"].map(d.rows["split"].value_counts())
    parts.append(counts.assign(dataset=d.name, variant=d.variant, share=share))
classes = page.save_table(pd.concat(parts, ignore_index=True)[["dataset", "variant", "class", "split", "positives", "share"]], "data_classes")

# %% tags=["hide-input"]
few, longest = table.loc[(table["distinct_texts"] / table["pairs"]).idxmin()], float(cut["share_cut"].max()) if len(cut) else 0.0
said = []
for row in classes[(classes["split"] == "test") & (classes["positives"] > 0)].sort_values("positives").head(1).itertuples():
    said.append(fill("The rarest class, {of} of {name}, has {n}.", of=row[3], name=title(row.dataset), n=count(int(row.positives), "positive test row")))
said.append(fill(
    "On {name}{of_text}, {texts:,} distinct texts stand for {pairs:,} pairs, and {known:.0%} of the test rows have a text that occurs in train.",
    name=title(few["dataset"]), of_text={"clean": " (clean text)", "authors": " (authors' text)"}.get(few["variant"], ""), texts=int(few["distinct_texts"]), pairs=int(few["pairs"]), known=few["text_in_train"],
))  # fmt: skip
said.append(f"Encoders cut the text of at most {longest:.1%} of the pairs of a set." if longest else "No text counted here exceeds an encoder's context.")
lead.update(Markdown(printed(" ".join(said))))

# %% tags=["hide-input"] tables=["data_classes"] mystnb={"figure": {"caption": "Share of the rows of each split that are positive for a class. Variants of a data set that agree share a panel.", "name": "fig-data-classes"}, "image": {"alt": "Dot plots, one panel per data set: classes from frequent to rare on the vertical axis, their share of the rows of train, validation and test on the horizontal axis."}}
SHOWN = 16  # most classes in a panel
MARKS = {"train": ("o", INK, 6), "val": ("D", "#8b949e", 4), "test": ("x", "#d55e00", 6)}  # marker, colour, size


def by_set(table: pd.DataFrame, columns: list[str]) -> dict[str, pd.DataFrame]:
    """Return the rows per panel title; variants of a data set that agree in ``columns`` share a panel."""
    found = {}
    for name, rows in table.groupby("dataset", sort=False):
        variants = {v: r[columns].reset_index(drop=True) for v, r in rows.groupby("variant", sort=False)}
        first = next(iter(variants.values()))
        same = all(first.equals(other) for other in variants.values())
        found |= {title(name): first} if same else {f"{title(name)} · {variant}": r for variant, r in variants.items()}
    return found


shares = by_set(classes, ["class", "split", "share", "positives"]) or {"no labels here, no classes counted": classes}
most = max(min(SHOWN, rows["class"].nunique()) for rows in shares.values())
figure, axes = panels(len(shares), 2, 3.9, 0.9 + 0.19 * most)
for ax, (name, rows) in zip(axes, shares.items(), strict=True):
    order = rows.groupby("class")["positives"].sum().sort_values(ascending=False, kind="stable").index
    shown = order if len(order) <= SHOWN else order[: SHOWN - 3].append(order[-3:])
    for split, (marker, colour, size) in MARKS.items():
        mine = rows[rows["split"] == split].set_index("class")["share"].reindex(shown)
        ax.plot(mine, np.arange(len(shown)), marker, label=split, color=colour, markersize=size, markerfacecolor="none", markeredgewidth=1.3)
    of_all = f"\n{len(shown) - 3} commonest, 3 rarest of {len(order)}" if len(shown) < len(order) else ""
    ax.set(title=name + of_all, xlabel="share of the split's rows", xlim=(0, None), yticks=range(len(shown)))
    ax.set_yticklabels([str(c)[:24] for c in shown])
    ax.set_ylim(max(len(shown), 2) - 0.5, -0.5)
share_legend(figure, axes);

# %% [markdown]
# ## Which texts an encoder cuts

# %% tags=["hide-input"] tables=["data_lengths"] mystnb={"figure": {"caption": "Words per text as a share of pairs.", "name": "fig-data-lengths"}, "image": {"alt": "Histograms of the number of words per text, one panel per data set and variant."}}
words = by_set(lengths[lengths["unit"] == "words"], ["length", "pairs"]) or {"no raw copy here, no texts counted": lengths[:0]}
figure, axes = panels(len(words), 2, 3.9, 2.1)
for ax, (name, rows) in zip(axes, words.items(), strict=True):
    ax.bar(rows["length"], rows["pairs"] / rows["pairs"].sum(), width=1, color=FEATURES["text"], edgecolor="white", linewidth=0.4)
    ax.set(title=name, xlabel="words in a text", ylabel="share of pairs", xlim=(0, None));

# %% [markdown]
# An encoder cuts a text that is longer than its context, special tokens included, as its own tokenizer counts them.

# %% tags=["hide-input"]
share = cut["share_cut"].map("{:.1%}".format) + " (longest " + cut["longest"].astype(str) + ")"
by_encoder = cut.assign(share=share, encoder=cut["encoder"] + ", " + cut["limit"].astype(str) + " tokens")
by_encoder = by_encoder.pivot(index=["dataset", "variant"], columns="encoder", values="share").rename_axis(columns=None).reset_index()
format_table(by_encoder, caption="Share of pairs whose text is cut, and the longest text in tokens.")

# %% tags=["hide-input"]
longest = cut.loc[cut["longest"].idxmax()] if len(cut) else None
page.show_text(
    "Tokenizers not on this machine, so not counted: {others}. Longest text: {longest}.", others=", ".join(unavailable) or "none",
    longest="none" if longest is None else
    f"{longest['longest']} tokens ({title(longest['dataset'])} under {longest['encoder']}, which sees {longest['limit']})",
)  # fmt: skip

# %% [markdown]
# Encoders that share a tokenizer are listed once. With `data_root`, the table covers raw copies of the other data sets: in the authors' template, BRSET's
# sentence with findings is longer than the 77 tokens of CLIP.
#
# ## Few items can account for many pairs
#
# The fewer items account for the pairs, the fewer points form the cone, whatever the encoder.

# %% tags=["hide-input"]
parts = []
for d in here:
    for what in ("image", "text"):
        times = d.rows[what].value_counts().value_counts().sort_index()
        parts.append(times.rename_axis("occurrences").rename("items").reset_index().assign(dataset=d.name, variant=d.variant, what=what))
recurring = page.save_table(pd.concat(parts, ignore_index=True)[["dataset", "variant", "what", "occurrences", "items"]], "data_repeats")

# %% tags=["hide-input"] tables=["data_repeats"] mystnb={"figure": {"caption": "Share of pairs that the most common images and texts account for. A line that reaches 1 early means few distinct items.", "name": "fig-data-repeats"}, "image": {"alt": "Line plots, one panel per data set and variant: number of the commonest items on a logarithmic axis against the share of pairs they account for, one line for images and one for texts."}}
covered = by_set(recurring, ["what", "occurrences", "items"])
figure, axes = panels(len(covered), 2, 3.9, 2.3, sharey=True)
for ax, (name, rows) in zip(axes, covered.items(), strict=True):
    for what, line in (("image", "-"), ("text", "--")):
        mine = rows[rows["what"] == what].sort_values("occurrences", ascending=False)
        occurrences = np.repeat(mine["occurrences"].to_numpy(), mine["items"].to_numpy())
        ranks = np.unique(np.geomspace(1, len(occurrences), 200).astype(int))
        ax.plot(ranks, np.cumsum(occurrences)[ranks - 1] / occurrences.sum(), line, color=FEATURES[what], label=what)
    ax.set(title=name, xlabel="number of the commonest items", ylim=(0, 1.02))
    log_axis(ax.xaxis)
    ax.tick_params(labelleft=True)
    ax.grid(color=GRID)
axes[0].set_ylabel("share of pairs")
share_legend(figure, axes);

# %% [markdown]
# ## Test rows that share something with train
#
# {doc}`07_leakage_audit` measures the effect on AUC.

# %% tags=["hide-input"]
shared = table[["dataset", "variant", "straddling_groups", "group_in_train", "image_in_train", "text_in_train"]]
shared = shared.rename(columns=lambda c: c.replace("_", " "))
caption = "Groups on both sides of a split, and share of test rows whose group, image or exact text also occurs in train."
format_table(shared, caption=caption, **dict.fromkeys([c for c in shared if c.endswith("in train")], "{:.1%}"))

# %% [markdown]
# ## What was not tested
#
# Counts find repeated files and texts, not near-duplicates such as two photographs of one lesion. Nothing is filled in from the publication of a data set.
#
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer()
