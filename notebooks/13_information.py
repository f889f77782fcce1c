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
# # Information as λ goes to 1

# %% tags=["parameters"]
dataset = "flickr8k"  # data set of what is computed on this page; the shipped tables hold several
backbone = "lit-derm"  # its encoder
variant = "clean"  # "clean" (no label proxies in the text) or "authors" (the authors' text)
store = None  # folder of stored embeddings; None for data/embeddings, then runs/embeddings
lambdas = [0, 1]  # alignment strengths of Eq. 5, 0 first
temperature = None  # of Eq. 2; None for the encoder's own
n_boot = 200  # bootstrap replicates
results = None  # folder for result tables; None for ./results

# %% tags=["hide-input", "remove-stderr"]

import sys

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from helpers import align, gap_norm, gap_vector
from helpers.backbones.registry import HEADS
from helpers.datasets.registry import title
from helpers.extraction.find import embeddings_for
from helpers.files import project_root, read_json
from helpers.page import NAME, Page, count, format_table, integer, many, number, text
from helpers.plotting import INK, MARKERS, panels, share_legend
from helpers.schemas import shipped_table
from helpers.store.catalogue import SHIPPED_SETS

sys.path.append(str(project_root() / "studies"))
from information import COLUMNS, SHARES, contrastive_terms, label_information, modality_information

spec = {
    "dataset": NAME, "backbone": NAME, "variant": text(("clean", "authors"), "variant"), "store": NAME | None, "lambdas": many(number(-2, 2), least=2),
    "temperature": number(1e-4, 10) | None, "n_boot": integer(2, 100_000), "results": NAME | None,
}  # fmt: skip
page = Page("13_information", globals(), spec)
if lambdas[0] != 0:
    raise ValueError(f"lambdas must start at 0, with which the others are compared, got {lambdas}")
SET = ["dataset", "variant", "backbone"]
shipped = shipped_table("measured/information")
residual = shipped_table("measured/residual_gap")


def at_the_end(*quantities):
    """Rows of some quantities at the largest lambda, one per set and quantity."""
    last = shipped[shipped["lambda"] == shipped["lambda"].max()]
    return pd.concat([last[last["quantity"] == quantity] for quantity in quantities])


def clear(rows, low="change_low", high="change_high"):
    """How many intervals exclude zero."""
    return int(((rows[low] > 0) | (rows[high] < 0)).sum())


def ends(name, values):
    """The smallest and the largest of some values, under names for a sentence."""
    return {f"{name}_low": min(values), f"{name}_high": max(values)}


# %% tags=["hide-input"]
gap, label = at_the_end("gap"), at_the_end("image", "text", "both")
left = residual[residual["alignment"] == "lambda-1"].merge(gap[SET], on=SET)["share"]  # unbiased, as on page 11
ridge = at_the_end("ridge_text_from_image", "ridge_image_from_text")
entropy = label[SET].merge(at_the_end("entropy")[[*SET, "value"]], on=SET)["value"].to_numpy()
page.show_text(
    "On {sets} of our two test-bench encoders λ = {last:g} leaves {left_low:.0%} to {left_high:.0%} of the gap, sampling noise taken out, but mutual information, "
    "between the modalities and with the label, does not change: Eq. 5 is invertible, here to {error:.0e} in every coordinate.\n\nWhat a converged linear probe "
    "can use about the label changes by {label_low:+.3f} to {label_high:+.3f} bits, at most {share:.1%} of its entropy and clearly in {clear} of {n} cases. The share of "
    "the other modality's variance that a ridge regression explains changes by {ridge_low:+.3f} to {ridge_high:+.3f}.",
    last=gap["lambda"].max(), sets=count(len(gap), "set"), **ends("left", left), error=at_the_end("recovered")["value"].max(),
    share=np.abs(label["change"].to_numpy() / entropy).max(), clear=clear(label), n=len(label), **ends("label", label["change"]), **ends("ridge", ridge["change"]),
)  # fmt: skip

# %% [markdown]
# ## What λ cannot change, and what a linear probe can use
#
# The paper leaves the mutual information at $\lambda \rightarrow 1$ to future work. {doc}`/book/theory` shows that it does not depend on $\lambda$. What can
# change is predictive information {cite}`xu2020usable`: how many bits of log loss the best linear probe saves on test rows against the class frequencies.
# Probes are converged, without class weights; labels of a multi-label task are summed. Bootstrap intervals over groups hold the probes fixed.

# %% tags=["hide-input"] tables=["measured/information"] mystnb={"figure": {"caption": "Change of predictive information about the label from λ = 0, by source, and of what linear maps know of the other modality, with paired 95 % intervals; one line per measured set. A ridge regression's share of explained variance, and the Gaussian information of ten canonical pairs in bits.", "name": "fig-information-change"}, "image": {"alt": "Line plots against lambda of the change of information about the label in image, text and both, and of the explained variance and canonical information between the modalities, one line per embedding set."}}
COLOURS = ("#0072b2", "#009e73", "#e69f00", "#cc79a7", "#000000", "#56b4e9", "#8c564b")
sets = [tuple(names) for names in shipped[SET].drop_duplicates().to_numpy()]
TEXTS = {"clean": ", clean text", "authors": ", authors' text"}


def named(dataset, variant, backbone):
    """How a legend calls a set."""
    return f"{title(dataset)}{TEXTS.get(variant, '')}, {backbone}"


def of_set(table, names):
    """Rows of one set."""
    return table[(table[SET] == list(names)).all(axis=1)]


def draw_changes(quantities):
    """Change from lambda = 0 with its interval, a panel per quantity, which has a unit, and a line per set."""
    figure, axes = panels(len(quantities), 3, 2.7, 2.4)
    for ax, (quantity, unit) in zip(axes, quantities.items(), strict=True):
        for i, names in enumerate(sets):
            rows = of_set(shipped[shipped["quantity"] == quantity], names)
            error = [rows["change"] - rows["change_low"], rows["change_high"] - rows["change"]]
            style = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)], "markersize": 3.5, "capsize": 1.5}
            x = rows["lambda"] + 0.012 * (i - (len(sets) - 1) / 2)
            ax.errorbar(x, rows["change"], yerr=np.maximum(error, 0), label=named(*names), linewidth=1.1, **style)
        ax.axhline(0, color=INK, linewidth=0.8)
        ax.set(title=quantity.replace("_", " ").replace("cca", "CCA"), xlabel="λ", ylabel=f"change\n({unit})")
    share_legend(figure, axes)


linear = dict.fromkeys(["ridge_text_from_image", "ridge_image_from_text"], "share of variance")
draw_changes({**dict.fromkeys(["image", "text", "both"], "bits"), **linear, "cca": "bits"})

# %% [markdown]
# ## Unique, redundant and synergistic shares
#
# Shares of predictive information follow one definition, minimum mutual information {cite}`barrett2015exploration`: what both modalities tell is redundant
# up to the smaller of the two. Bands show what all other definitions without negative shares allow.

# %% tags=["hide-input"] tables=["measured/information"] mystnb={"figure": {"caption": "Shares of the predictive information about the label against λ, with 95 % bootstrap intervals and bands of what other definitions allow; one panel per measured set.", "name": "fig-information-shares"}, "image": {"alt": "Line plots of unique image, unique text, redundant and synergistic information against lambda with bands, one panel per embedding set."}}
SHARE_COLOURS = dict(zip(SHARES, ("#d55e00", "#0072b2", "#000000", "#009e73"), strict=True))
figure, axes = panels(len(sets), 3, 2.8, 2.4)
for ax, names in zip(axes, sets, strict=True):
    own = of_set(shipped, names)
    for share, colour in SHARE_COLOURS.items():
        rows, least, most = (own[own["quantity"] == q] for q in (share, f"least_{share}", f"most_{share}"))
        ax.fill_between(rows["lambda"], least["value"], most["value"], color=colour, alpha=0.15, linewidth=0)
        error = np.maximum([rows["value"] - rows["low"], rows["high"] - rows["value"]], 0)
        ax.errorbar(rows["lambda"], rows["value"], yerr=error, color=colour, capsize=2, label=share.replace("_", " "))
    ax.set(title=named(*names), xlabel="λ", ylabel="bits about the label")
    ax.title.set_fontsize(8)
share_legend(figure, axes)

# %% [markdown]
# ## The contrastive bound is no measure of information
#
# Each batch holds all test pairs, at most 500 of them. Closing the gap raises all cosines by a common amount, which nearly cancels from the sum of attraction
# and repulsion. SigLIP's sigmoid loss {cite}`zhai2023siglip` has a bias in its place, which no longer fits when the gap has closed.

# %% tags=["hide-input"]
page.show_text(
    "At λ = {last:g} the sigmoid loss rises by {own_low:,.0f} to {own_high:,.0f} nats with the bias that suits λ = 0, and changes by {best_low:+.1f} to {best_high:+.1f} with the best bias there.",
    last=gap["lambda"].max(), **ends("own", at_the_end("sigmoid_own_bias")["change"]), **ends("best", at_the_end("sigmoid_best_bias")["change"]),
)  # fmt: skip

# %% tags=["hide-input"]
bound = at_the_end("bound")
page.show_text(
    "The bound log B − loss of Eq. 2 changes by {bound_low:+.2f} to {bound_high:+.2f} bits from λ = 0 to λ = {last:g} (clearly on {clear} of {n} sets), and by "
    "{tuned_low:+.2f} to {tuned_high:+.2f} bits with the temperature fitted again at each λ: the cosine is one fixed critic. A loss that gets worse as the gap "
    "closes is therefore no evidence of lost information.",
    last=bound["lambda"].max(), clear=clear(bound), n=len(bound), **ends("bound", bound["change"]), **ends("tuned", at_the_end("bound_best_temperature")["change"]),
)  # fmt: skip

# %% tags=["hide-input"] tables=["measured/information"] mystnb={"figure": {"caption": "Change of the terms of Eq. 2 from λ = 0 in nats, with 95 % jackknife intervals; alignment is the mean squared distance of pairs, uniformity the log mean Gaussian potential of a modality.", "name": "fig-information-forces"}, "image": {"alt": "Line plots against lambda of attraction, repulsion, loss, alignment and uniformity, one line per embedding set."}}
terms_of_loss = ["attraction", "repulsion_image_to_text", "loss", "alignment", "uniformity_image", "uniformity_text"]
draw_changes(dict.fromkeys(terms_of_loss, "nats") | {"alignment": "squared distance"})

# %% tags=["hide-input"] tables=["measured/information"] mystnb={"figure": {"caption": "Four estimates of what the modalities know of each other, as change from λ = 0 in bits: the bound of Eq. 2 at the trained and at the best temperature, and a neural critic after short and longer training. The true change is zero.", "name": "fig-information-estimates"}, "image": {"alt": "Line plots against lambda of the InfoNCE bound at two temperatures and of a neural critic after two lengths of training, one line per embedding set, around a line at zero."}}
lengths = list(shipped.loc[shipped["study"] == "critic", "quantity"].drop_duplicates())
draw_changes(dict.fromkeys(["bound", "bound_best_temperature", *lengths], "bits"))

# %% tags=["hide-input"]
short, longer = (at_the_end(quantity)["change"] for quantity in (lengths[0], lengths[-1]))
page.show_text(
    "A neural estimate of the information between the modalities changes by {short_low:+.2f} to {short_high:+.2f} bits after short training and by "
    "{longer_low:+.2f} to {longer_high:+.2f} bits after longer training. Mutual information is constant, so these changes are artefacts of the estimator.",
    **ends("short", short), **ends("longer", longer),
)  # fmt: skip

# %% [markdown]
# ### Computed on this page
#
# The same of one set, beside the shipped values where those exist. The gap comes from training pairs and the best temperature from validation pairs.
# Intervals of {eq}`eq-infonce` are of a jackknife over groups, because a bootstrap's repeated rows would be negatives of themselves.

# %% tags=["remove-stderr"]
embeddings = embeddings_for(dataset, backbone, variant, store)
of_label, between = label_information(embeddings, lambdas, n_boot), modality_information(embeddings, lambdas, n_boot)

# %% tags=["hide-input"]
record = read_json(HEADS / f"{backbone}.json") if (HEADS / f"{backbone}.json").is_file() else None
value = temperature or (float(record["objective"]["temperature"]) if record else 0.01)
rng = np.random.default_rng(0)
tuning = "val" if len(embeddings.rows("val")) > 1 else "train"
tuned, test = (np.sort(rng.permutation(embeddings.rows(split))[:500]) for split in (tuning, "test"))
images, texts = embeddings.image_of().astype(float), embeddings.text_of().astype(float)
train, groups = embeddings.rows("train"), embeddings.pairs["group"].to_numpy()[test]
blocks = np.array_split(rng.permutation(np.unique(groups)), min(20, len(test)))
samples = [test, *(test[~np.isin(groups, block)] for block in blocks)]
rows, at_zero = [], None
for lam in lambdas:
    v, t = align(images, texts, gap_vector(images[train], texts[train]), lam)

    def loss(log, v=v[tuned], t=t[tuned]):
        return contrastive_terms(v, t, np.exp(log))["loss"]

    best = np.exp(minimize_scalar(loss, bounds=np.log([1e-3, 10]), method="bounded").x)
    terms = pd.DataFrame([contrastive_terms(v[sample], t[sample], value) for sample in samples])
    terms["bound_best_temperature"] = [contrastive_terms(v[sample], t[sample], best)["bound"] for sample in samples]
    terms["gap"] = [gap_norm(v[sample], t[sample]) for sample in samples]
    at_zero = terms if at_zero is None else at_zero
    for quantity in terms:
        rows.append([float(lam), quantity])
        for draws in (terms[quantity].to_numpy(), (terms[quantity] - at_zero[quantity]).to_numpy()):
            half = 1.959964 * np.sqrt((len(blocks) - 1) * draws[1:].var())
            rows[-1] += [draws[0], draws[0] - half, draws[0] + half]
forces = pd.DataFrame(rows, columns=COLUMNS)

# %% tags=["hide-input"]
whose = "as given" if temperature else "the encoder's own" if record else "CLIP's, as this encoder's own is not on record"
page.show_text("Temperature of Eq. 2: {value:g}, {whose}.", value=value, whose=whose)
names = {"dataset": embeddings.dataset, **{k: embeddings.provenance.get(k, "own") for k in ("variant", "backbone")}}
studies = {"label": of_label, "modality": between, "forces": forces}
live = pd.concat([table.assign(**names, study=study)[[*names, "study", *COLUMNS]] for study, table in studies.items()], ignore_index=True)
live = page.save_table(live, "information")
keys = [*SET, "quantity", "lambda"]
beside = live.merge(shipped[[*keys, "change"]].rename(columns={"change": "shipped change"}), on=keys, how="left")
last = beside[(beside["lambda"] == max(lambdas)) & ~beside["quantity"].str.contains("least_|most_|entropy")]
UNITS = {"ridge": "share of variance", "alignment": "squared distance", "gap": "distance"} | dict.fromkeys(["attraction", "repulsion", "loss", "uniformity"], "nats")
unit = [next((unit for start, unit in UNITS.items() if quantity.startswith(start)), "bits") for quantity in last["quantity"]]
words = last["study"].map({"label": "label, "}).fillna("") + last["quantity"].str.replace("_", " ").replace("cca", "canonical pairs")
columns = ["quantity", "unit", "value", "low", "high", "change", "change_low", "change_high", "shipped change"]
format_table(last.assign(quantity=words, unit=unit)[columns], caption="This set at the largest λ, beside the shipped change.")

# %% [markdown]
# ## What was not tested
#
# The encoders of the paper, classifiers other than linear ones, critics other than one small one, another draw of training rows, and temperatures and
# biases that SigLIP has learned. `python studies/information.py` measures every shipped set again.

# %% tags=["hide-input"]
found = set(shipped[[*SET, "study"]].itertuples(index=False, name=None))
absent = [" ".join((*names, study)) for names in SHIPPED_SETS for study in ("label", "modality", "forces", "critic") if (*names, study) not in found]
if absent:
    page.show_text("The shipped table lacks these studies, so the sentences above do not cover them: {absent}.", absent="; ".join(absent))

# %% [markdown]
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer([embeddings])
