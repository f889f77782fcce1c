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
# # Information as lambda goes to 1, and the cone at initialisation
#
# The paper plans to study "the limiting behaviour $\lambda \rightarrow 1$ in future work by relating the domain-gap, the mutual information of the
# inter-domain representations, and the target variable", and states Eq. 2 to 4 without measuring them. This page does both.

# %% tags=["parameters"]
dataset = "flickr8k"  # data set of what is computed on this page; the shipped tables hold several
backbone = "lit-derm"  # its encoder
variant = "clean"  # "clean" (no label proxies in the text) or "authors" (the authors' text)
store = None  # folder of stored embeddings; None for data/embeddings, then runs/embeddings
lambdas = [0, 1]  # alignment strengths of Eq. 5, 0 first
temperature = None  # of Eq. 2; None for the encoder's own
n_boot = 200  # bootstrap replicates
splits = 2  # redrawn splits computed on this page
networks = 4  # random networks computed on this page
depths = [1, 4]  # their hidden layers
results = None  # folder for result tables; None for ./results

# %% tags=["hide-input", "remove-stderr"]
from collections import deque
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import ndtr
from scipy.stats import t as student

from helpers import align, gap_norm, gap_vector, sweep
from helpers.arrays import unit_rows
from helpers.backbones.registry import HEADS
from helpers.datasets.registry import title
from helpers.datasets.splits import redrawn_split, resplit
from helpers.extraction.find import embeddings_for
from helpers.files import read_json
from helpers.heads import Settings, embeddings_under, shipped_features, training_path
from helpers.information import COLUMNS, SHARES, contrastive_terms, label_information, modality_information
from helpers.page import NAME, Page, format_table, integer, many, number, optional, text
from helpers.plotting import INK, MARKERS, PALE, distinct_legend, panels
from helpers.schemas import shipped_table
from helpers.statistics import MARGIN, corrected_interval, equivalent
from helpers.store.catalogue import SHIPPED_SETS

spec = {
    "dataset": NAME, "backbone": NAME, "variant": text(("clean", "authors"), "variant"), "store": optional(NAME), "lambdas": many(number(-2, 2), least=2),
    "temperature": optional(number(1e-4, 10)), "n_boot": integer(2, 100_000), "splits": integer(2, 1000), "networks": integer(3, 1000),
    "depths": many(integer(1, 64), least=1), "results": optional(NAME),
}  # fmt: skip
page = Page("13_information", globals(), spec)
if lambdas[0] != 0:
    raise ValueError(f"lambdas must start at 0, with which the others are compared, got {lambdas}")
SET = ["dataset", "variant", "backbone"]
RATIO = "medical / natural"
shipped = shipped_table("measured/information")
gains = shipped_table("measured/repeated_splits", dtype={"split": str})
random = shipped_table("measured/random_networks")


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
ridge = at_the_end("ridge_text_from_image", "ridge_image_from_text")
entropy = label[SET].merge(at_the_end("entropy")[[*SET, "value"]], on=SET)["value"].to_numpy()
page.show_text(
    "On {sets} sets of our two test-bench encoders λ = {last:g} leaves {left_low:.0%} to {left_high:.0%} of the measured gap, while the mutual information of image "
    "and text, and of both with the label, stays what it was: Eq. 5 can be undone, here to {error:.0e} in every coordinate. What a converged linear probe can use of it about the label changes "
    "by {label_low:+.3f} to {label_high:+.3f} bits, at most {share:.1%} of the entropy of the label and clearly in {clear} of {n} cases; the share of the other "
    "modality's variance that a ridge regression explains changes by {ridge_low:+.3f} to {ridge_high:+.3f}.",
    last=gap["lambda"].max(), sets=len(gap), **ends("left", gap["value"] / (gap["value"] - gap["change"])), error=at_the_end("recovered")["value"].max(),
    share=np.abs(label["change"].to_numpy() / entropy).max(), clear=clear(label), n=len(label), **ends("label", label["change"]), **ends("ridge", ridge["change"]),
)  # fmt: skip

# %% [markdown]
# **Eq. 2.**

# %% tags=["hide-input"]
bound = at_the_end("bound")
page.show_text(
    "The bound log B - loss of Eq. 2 changes by {bound_low:+.2f} to {bound_high:+.2f} bits from λ = 0 to λ = {last:g} (clearly on {clear} of {n} sets), though the "
    "information that it bounds cannot change; attraction changes by {attraction_low:+.0f} to {attraction_high:+.0f} nats, and repulsion takes most of that away "
    "again. A loss that gets worse as the gap closes is therefore no evidence that collapse removes modality-specific information: the cosine at the trained "
    "temperature is one fixed critic, and with the temperature fitted again at each λ the bound changes by {tuned_low:+.2f} to {tuned_high:+.2f} bits instead.",
    last=bound["lambda"].max(), clear=clear(bound), n=len(bound), **ends("bound", bound["change"]), **ends("attraction", at_the_end("attraction")["change"]),
    **ends("tuned", at_the_end("bound_best_temperature")["change"]),
)  # fmt: skip

# %% [markdown]
# **Eq. 3 and 4.**

# %% tags=["hide-input"]
plain = random[(random["data"] == RATIO) & (random["depth"] > 0)]
unit = plain[plain["output"] == "unit"]
towers = {
    f"{name}_{column}": unit.loc[unit["inputs"] == inputs, column].iloc[0]
    for name, inputs in (("image", "images"), ("text", "texts")) for column in ("value", "low", "high", "network")
}  # fmt: skip
page.show_text(
    "The data-induced variance is smaller on the medical data, as Eq. 4 says, in {smaller} of {n} combinations of network, input and output, and clearly so in "
    "{clear}; the ratio is {image_value:.2f} ({image_low:.2f} to {image_high:.2f}) for the {image_network} and {text_value:.2f} ({text_low:.2f} to {text_high:.2f}) "
    "for the {text_network}.",
    smaller=int((plain["value"] < 1).sum()), clear=int((plain["high"] < 1).sum()), n=len(plain), **towers,
)  # fmt: skip

# A two-way layout of networks by kinds of data: how much of the variation of the logarithm each of them explains.
of_features = random[(random["inputs"] == "image features") & (random["output"] == "unit") & (random["part"] == "data-induced")]
given = of_features.loc[(of_features["data"] == RATIO) & (of_features["depth"] == 0), "value"].iloc[0]
networks_by_data = of_features[(of_features["data"] != RATIO) & (of_features["depth"] > 0)]
logs = np.log(networks_by_data.pivot(index=["network", "depth"], columns="data", values="value").to_numpy())
centre = logs - logs.mean()
shares = [size * np.square(centre.mean(axis=axis)).sum() / np.square(centre).sum() for axis, size in ((1, logs.shape[1]), (0, logs.shape[0]))]
page.show_text(
    "The perceptrons' inputs, image features, have a ratio of {given:.2f} before any network; activation and depth explain {network:.0%} of the variation of "
    "the logarithm of the data-induced variance, the kind of data {data:.0%}. Two data sets differ in more than diversity, so this page also varies diversity alone.",
    given=given, network=shares[0], data=shares[1],
)  # fmt: skip

# %% [markdown]
# **Redrawn splits.**

# %% tags=["hide-input"]
rows = []
for names, own in gains[gains["split"] != "fixed"].groupby([*SET, "heads"], sort=False):
    gain = own["gain"].to_numpy()
    row = dict(zip([*SET, "heads"], names, strict=True)) | {"splits": len(gain), "auc_at_zero": own["auc_at_zero"].mean(), "gain": gain.mean()}
    row["low"], row["high"] = corrected_interval(gain, float((own["test"] / own["train"]).mean()))
    row["plain_low"], row["plain_high"] = corrected_interval(gain, 0.0)
    half = student.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) * np.sqrt(1 + 1 / len(gain))  # of one more split
    row["next_low"], row["next_high"] = gain.mean() - half, gain.mean() + half
    rows.append(row | {"sd": gain.std(ddof=1), "positive": float(np.mean(gain > 0))})
summary = pd.DataFrame(rows)
fixed = gains[gains["split"] == "fixed"].set_index(SET)["gain"]
few, many_splits = summary["splits"].min(), summary["splits"].max()
page.show_text(
    "Over {drawn} redrawn splits of each of {n} sets, the mean gain of λ = 1 under a converged probe is {gain_low:+.4f} to {gain_high:+.4f} in AUC, and its "
    "corrected interval excludes zero on {clear} of them and lies within ±{margin:g}, where we call a change none, on {same}. The gain of a single split has a standard deviation of "
    "{sd_low:.4f} to {sd_high:.4f} over splits, and the gain of the fixed split lies within the prediction interval of one more split on {inside} of {n} sets.",
    drawn=f"{few}" if few == many_splits else f"{few} to {many_splits}", n=len(summary), clear=clear(summary, "low", "high"),
    same=int(equivalent(summary["low"], summary["high"]).sum()), margin=MARGIN, inside=sum(row.next_low <= fixed[row.dataset, row.variant, row.backbone] <= row.next_high for row in summary.itertuples()),
    **ends("gain", summary["gain"]), **ends("sd", summary["sd"]),
)  # fmt: skip

# %% [markdown]
# ## What cannot move, and what a linear classifier can use
#
# For $\lambda \lVert\Delta\rVert / 2 < 1$ the aligned map is one-to-one ({doc}`/book/theory`), so no mutual information depends on $\lambda$. What can
# change is predictive information {cite}`xu2020usable`: how many bits of log loss the best linear probe saves on test rows against the
# class frequencies. Probes have no class weights and are solved to their optimum; the labels of a multi-label task are summed. Intervals are
# of a bootstrap over groups of test rows and hold the probes fixed.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Change of predictive information about the label from λ = 0, by source, and of what linear maps know of the other modality, with paired 95 % intervals; one line per measured set. A ridge regression's share of explained variance, and the Gaussian information of ten canonical pairs in bits.", "name": "fig-information-change"}, "image": {"alt": "Line plots against lambda of the change of information about the label in image, text and both, and of the explained variance and canonical information between the modalities, one line per embedding set."}}
COLOURS = ("#0072b2", "#009e73", "#e69f00", "#cc79a7", "#000000", "#56b4e9", "#8c564b")
sets = [tuple(names) for names in shipped[SET].drop_duplicates().to_numpy()]


def named(dataset, variant, backbone):
    """How a legend calls a set."""
    return f"{title(dataset)}{'' if variant == 'common' else f', {variant} text'}, {backbone}"


def of_set(table, names):
    """Rows of one set."""
    return table[(table[SET] == list(names)).all(axis=1)]


def draw_changes(quantities, unit):
    """Change from lambda = 0 with its interval, a panel per quantity and a line per set."""
    figure, axes = panels(len(quantities), 3, 2.7, 2.4)
    for ax, quantity in zip(axes, quantities, strict=True):
        for i, names in enumerate(sets):
            rows = of_set(shipped[shipped["quantity"] == quantity], names)
            error = [rows["change"] - rows["change_low"], rows["change_high"] - rows["change"]]
            style = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)], "markersize": 3.5, "capsize": 1.5}
            x = rows["lambda"] + 0.012 * (i - (len(sets) - 1) / 2)
            ax.errorbar(x, rows["change"], yerr=np.maximum(error, 0), label=named(*names), linewidth=1.1, **style)
        ax.axhline(0, color=INK, linewidth=0.8)
        ax.set(title=quantity.replace("_", " "), xlabel="λ", ylabel=f"change\n({unit})")
    distinct_legend(figure, axes)


draw_changes(["image", "text", "both", "ridge_text_from_image", "ridge_image_from_text", "cca"], "bits, or share of variance")

# %% [markdown]
# ## Unique, redundant and synergistic shares
#
# Shares follow one definition, minimum mutual information {cite}`barrett2015exploration`: what both modalities tell is redundant up to the smaller of the
# two. Bands show what all other definitions without negative shares allow; redundancy and synergy are at their upper end here, the unique shares at their
# lower. These are shares of predictive information for linear classifiers, and another family of classifiers has others.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Shares of the predictive information about the label against λ, with 95 % bootstrap intervals and bands of what other definitions allow; one panel per measured set.", "name": "fig-information-shares"}, "image": {"alt": "Line plots of unique image, unique text, redundant and synergistic information against lambda with bands, one panel per embedding set."}}
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
distinct_legend(figure, axes)

# %% [markdown]
# ## Attraction, repulsion and the bound
#
# One batch holds all test pairs, at most `MOST` of `studies/information.py`. Closing the gap raises all cosines by a common amount. Attraction
# and repulsion both carry it, and it cancels from their sum. SigLIP's sigmoid loss {cite}`zhai2023siglip` has a bias in its place: with the bias that
# suits $\lambda = 0$ it explodes, with the best bias at each $\lambda$ it does not.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Change of the terms of Eq. 2 from λ = 0 in nats, with 95 % jackknife intervals; alignment is the mean squared distance of pairs, uniformity the log mean Gaussian potential of a modality.", "name": "fig-information-forces"}, "image": {"alt": "Line plots against lambda of attraction, repulsion, loss, alignment and uniformity, one line per embedding set."}}
draw_changes(["attraction", "repulsion_image_to_text", "loss", "alignment", "uniformity_image", "uniformity_text"], "nats")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Four estimates of what the modalities know of each other, as change from λ = 0 in bits: the bound of Eq. 2 at the trained and at the best temperature, and a neural critic after short and longer training. The true change is zero.", "name": "fig-information-estimates"}, "image": {"alt": "Line plots against lambda of the InfoNCE bound at two temperatures and of a neural critic after two lengths of training, one line per embedding set, around a line at zero."}}
lengths = list(shipped.loc[shipped["study"] == "critic", "quantity"].drop_duplicates())
draw_changes(["bound", "bound_best_temperature", *lengths], "bits")

# %% [markdown]
# **A warning.**

# %% tags=["hide-input"]
short, longer = (at_the_end(quantity)["change"] for quantity in (lengths[0], lengths[-1]))
page.show_text(
    "A neural estimate of the information between the modalities changes by {short_low:+.2f} to {short_high:+.2f} bits after short training and by "
    "{longer_low:+.2f} to {longer_high:+.2f} bits after longer training. The truth is constant, so all of this is the estimator's: how fast a critic learns depends "
    "on the geometry.",
    **ends("short", short), **ends("longer", longer),
)  # fmt: skip

# %% [markdown]
# ### Computed on this page
#
# The same of one set, beside the shipped values where those exist: information about the label, information between the modalities, and Eq. 2 on
# all test pairs as one batch. The gap comes from training pairs and the best temperature from validation pairs. Intervals of Eq. 2 are of a
# jackknife over groups, because a bootstrap's repeated rows would be negatives of themselves.

# %% tags=["remove-stderr"]
embeddings = embeddings_for(dataset, backbone, variant, store)
of_label, between = label_information(embeddings, lambdas, n_boot), modality_information(embeddings, lambdas, n_boot)

# %%
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
format_table(last[["quantity", "value", "low", "high", "change", "change_low", "change_high", "shipped change"]])

# %% [markdown]
# ## The cone at initialisation: data or weights
#
# Output of network $k$ on item $i$ is modelled as $h_{ki} = \mu + a_k + b_i + e_{ki}$. The variances of weights ($a$), data ($b$) and both together ($e$)
# add up to the total; the data-induced term of Eq. 3 is that of $b$ and $e$, the weight-induced one that of $a$. Estimates are those of a two-way analysis of variance,
# with jackknife intervals over networks and items. Every network sees medical (HAM10000) and natural data (Flickr8k).

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Data-induced share of the variance of unit outputs by depth, medical data solid and natural data dashed, with 95 % jackknife intervals; one panel per kind of input. Towers of ViT-B/32 and the text transformer stand at their depth.", "name": "fig-information-initialisation"}, "image": {"alt": "Line plots of the data-induced share of variance against the number of hidden layers, one panel per kind of input, one colour per network, medical solid and natural dashed."}}
part = random[(random["part"] == "data-induced") & (random["output"] == "unit") & (random["data"] != RATIO) & (random["depth"] > 0)]
inputs, kinds = list(dict.fromkeys(part["inputs"])), list(dict.fromkeys(part["network"]))
figure, axes = panels(len(inputs), 3, 2.8, 2.4, sharey=True)
for ax, name in zip(axes, inputs, strict=True):
    for i, network in enumerate(kinds):
        for kind, line, marker in (("medical", "-", MARKERS[0]), ("natural", "--", MARKERS[1])):
            rows = part[(part["inputs"] == name) & (part["network"] == network) & (part["data"] == kind)]
            if len(rows):
                error = np.maximum([rows["share"] - rows["share_low"], rows["share_high"] - rows["share"]], 0)
                style = {"color": COLOURS[i % len(COLOURS)], "linestyle": line, "marker": marker, "markersize": 3.5}
                ax.errorbar(rows["depth"], rows["share"], yerr=error, capsize=1.5, label=f"{network}, {kind}", **style)
    ax.set(title=name, xlabel="hidden layers", ylabel="data-induced share", ylim=(0, 1.05))
distinct_legend(figure, axes)

# %% tags=["hide-input"]
towers = random[random["inputs"].isin(["images", "texts"])]
format_table(towers.drop(columns=["depth"]))

# %% [markdown]
# The ratios that Eq. 4 bounds by one, for the perceptrons:

# %% tags=["hide-input"]
ratios = random[(random["data"] == RATIO) & (random["output"] == "unit") & ~random["inputs"].isin(["images", "texts"])]
cells = ratios.assign(ratio=[f"{v:.2f}" if pd.isna(low) else f"{v:.2f} ({low:.2f} to {high:.2f})" for v, low, high in zip(ratios["value"], ratios["low"], ratios["high"], strict=True)])
format_table(cells.pivot_table(index=["inputs", "network"], columns="depth", values="ratio", aggfunc="first", sort=False).reset_index())

# %% [markdown]
# Real architectures with random weights, one network each, from vectors that {cite}`liang2022mind` published. For one network the data-induced variance of unit
# vectors is $1 - R^2$.

# %% tags=["hide-input"]
public = shipped_table("measured/public_encoders")
one = public[(public["weights"] == "random") & (public["quantity"] == "R")]
format_table(one.assign(data_induced=1 - one["value"] ** 2)[["encoder", "domain", "pairs", "modality", "value", "data_induced"]].rename(columns={"value": "R"}))

# %% [markdown]
# ### Computed on this page
#
# Perceptrons on the stored features of the test bench's locked towers, with fewer networks and items.

# %%
ACTIVATIONS = {  # and the gain of their weights that keeps signals from dying out
    "relu": (lambda x: np.maximum(x, 0), 2**0.5), "gelu": (lambda x: x * ndtr(x), 2**0.5), "tanh": (np.tanh, 5 / 3), "linear": (lambda x: x, 1.0),
}  # fmt: skip


def unit_outputs(medical, natural, activation, depth, width=256):
    """Unit outputs (networks, items, width) of the same random perceptrons with a linear read-out, for both kinds of data."""
    act, gain = ACTIVATIONS[activation]
    x = np.concatenate([unit_rows(medical), unit_rows(natural)]) * np.sqrt(medical.shape[1])
    outputs = []
    for network in range(networks):
        rng, h = np.random.default_rng([0, network]), x
        for _ in range(depth):
            h = act(h @ rng.normal(scale=gain / np.sqrt(h.shape[1]), size=(h.shape[1], width)))
        outputs.append(unit_rows(h @ rng.normal(scale=1 / np.sqrt(width), size=(width, width))))
    return np.split(np.stack(outputs), [len(medical)], axis=1)


def log_ratio(medical, natural):
    """Eq. 4: the data-induced variance is that over items, mean over networks; here of medical over natural data."""
    return np.log(np.divide(*(h.var(axis=1, ddof=1).sum(axis=1).mean() for h in (medical, natural))))


def interval(medical, natural):
    """The ratio and its 95 % interval: jackknives over networks, and over blocks of either kind of items, whose variances add up."""
    blocks = [np.array_split(np.random.default_rng(0).permutation(h.shape[1]), min(20, h.shape[1])) for h in (medical, natural)]
    replicates = (
        [log_ratio(np.delete(medical, k, axis=0), np.delete(natural, k, axis=0)) for k in range(networks)],
        [log_ratio(np.delete(medical, block, axis=1), natural) for block in blocks[0]],
        [log_ratio(medical, np.delete(natural, block, axis=1)) for block in blocks[1]],
    )
    half = student.ppf(0.975, networks - 1) * np.sqrt(sum((len(r) - 1) * np.var(r) for r in replicates))
    return np.exp(log_ratio(medical, natural) + np.array([0, -half, half]))


items = 60
features = {kind: shipped_features(name) for kind, name in (("medical", "ham10000"), ("natural", "flickr8k"))}
pairs = {f"{what} features": [getattr(f, what)[:items].astype(float) for f in features.values()] for what in ("image", "text")}
rows = []
for name, pair in pairs.items():
    given = np.divide(*(unit_rows(x).var(axis=0, ddof=1).sum() for x in pair))
    rows.append((name, "inputs", 0, 0, 2 * items, given, np.nan, np.nan))
    for activation in ACTIVATIONS:
        for depth in depths:
            rows.append((name, f"{activation} perceptron", depth, networks, 2 * items, *interval(*unit_outputs(*pair, activation, depth))))
columns = ["inputs", "network", "depth", "networks", "items", "value", "low", "high"]
own = pd.DataFrame(rows, columns=columns).assign(output="unit", data=RATIO, part="data-induced")
own = page.save_table(own[[*columns[:5], "output", "data", "part", *columns[5:]]], "random_networks")

# %% tags=["hide-input"]
format_table(own[columns].rename(columns={"value": "ratio"}))

# %% [markdown]
# ### Diversity alone
#
# Eq. 4 is about diversity. So the natural image features are brought nearer to their own mean, which stays, and nothing else changes. The ratio is
# that of the data-induced variance of the nearer items over that of the items as they are, under the same networks.

# %%
x, rows = pairs["image features"][1], []
for spread in (0.5, 0.25, 0.1):
    nearer = x.mean(axis=0) + spread * (x - x.mean(axis=0))
    for activation, depth in product(ACTIVATIONS, depths):
        rows.append((spread, f"{activation} perceptron", depth, *interval(*unit_outputs(nearer, x, activation, depth))))
diversity = page.save_table(pd.DataFrame(rows, columns=["spread", "network", "depth", "ratio", "low", "high"]), "diversity_alone")

# %% tags=["hide-input"]
page.show_text(
    "With the distances to the mean cut to {spreads}, the data-induced variance falls to {ratios} of what it was, clearly in {clear} of {n} combinations of "
    "spread, activation and depth: less diverse inputs give less data-induced variance, as Eq. 4 says, in these networks.",
    spreads=", ".join(f"{s:g}" for s in diversity["spread"].unique()), clear=int((diversity["high"] < 1).sum()), n=len(diversity),
    ratios=", ".join(f"{of.min():.2f} to {of.max():.2f}" for _, of in diversity.groupby("spread", sort=False)["ratio"]),
) if (diversity["high"] < 1).all() else page.show_text(
    "The data-induced variance falls clearly in {clear} of {n} combinations of spread, activation and depth.", clear=int((diversity["high"] < 1).sum()), n=len(diversity)
)  # fmt: skip
format_table(diversity, 2)

# %% [markdown]
# ## Redrawn splits
#
# One fixed split is one draw. The figure redraws training, validation and test rows by group, in the shares of the set. Heads of an encoder that was trained on the data set are trained
# anew on each redrawn training part; else rows that they have seen would become test rows. Splits share rows, so the interval has the correction of {cite}`nadeau2003inference`:
# $s\sqrt{1/J + n_{test}/n_{train}}$ over $J$ splits with Student's t.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Gain of λ = 1 under a converged probe over redrawn splits, with corrected and uncorrected 95 % intervals of the mean, beside the fixed split with its bootstrap interval over test rows.", "name": "fig-information-splits"}, "image": {"alt": "One row per embedding set with a dot for the gain on each redrawn split, a thick and a thin interval of their mean, and a diamond with its interval for the fixed split."}}
sets = [tuple(names) for names in gains[SET].drop_duplicates().to_numpy()]
figure, (ax,) = panels(1, 1, 6.4, 0.62 * len(sets) + 1.2)
for i, names in enumerate(sets):
    own = of_set(gains, names)
    redrawn = own[own["split"] != "fixed"]
    first = "_" * (i > 0)  # one entry of the legend for all sets
    ax.plot(redrawn["gain"], np.full(len(redrawn), i - 0.18), "o", color=PALE, markersize=4, label=first + "one redrawn split")
    for row in of_set(summary, names).itertuples():
        ax.plot([row.low, row.high], [i, i], color=INK, linewidth=1, label=first + "corrected 95 % interval of their mean")
        ax.plot([row.plain_low, row.plain_high], [i, i], color=INK, linewidth=4, label=first + "uncorrected interval")
    for row in own[own["split"] == "fixed"].itertuples():
        error = np.maximum([[row.gain - row.low], [row.high - row.gain]], 0)
        style = {"fmt": "D", "color": "#d55e00", "markersize": 4, "capsize": 2}
        ax.errorbar([row.gain], [i + 0.22], xerr=error, label=first + "the fixed split, bootstrap interval", **style)
ax.axvline(0, color=INK, linewidth=0.8)
ax.set(yticks=range(len(sets)), yticklabels=[named(*names) for names in sets], xlabel="gain of λ = 1 in test AUC, converged probe")
ax.invert_yaxis()
figure.legend(loc="outside lower center", ncols=2);

# %% tags=["hide-input"]
format_table(summary, 4, positive="{:.0%}", auc_at_zero="{:.3f}")

# %% [markdown]
# ### Computed on this page

# %% tags=["remove-stderr"]
trained_on = record["trained_on"] if record else {}
retrain = trained_on.get("dataset") == embeddings.provenance.get("dataset")  # the heads saw rows that become test rows
rows = []
for state in range(splits):
    redrawn = resplit(embeddings, redrawn_split(embeddings, state))
    if retrain:
        stored = shipped_features(trained_on["dataset"])
        split = stored.captions["pair_id"].map(redrawn.pairs.set_index("pair_id")["split"])
        stored = replace(stored, captions=stored.captions.assign(split=split))
        heads = deque(training_path(stored.pairs(trained_on["variant"], "train"), Settings(random_state=state)), maxlen=1).pop()
        redrawn = embeddings_under(heads, stored, redrawn)
    auc_at_zero, auc = sweep(redrawn, [0.0, 1.0], seeds=[0], workers=1, progress=False).headline_auc()
    train, test = redrawn.rows("train"), redrawn.rows("test")
    gap = gap_norm(redrawn.paired("image", train), redrawn.paired("text", train))
    rows.append((state, "trained anew" if retrain else "as shipped", len(train), len(test), gap, auc_at_zero, auc, auc - auc_at_zero))
columns = ["split", "heads", "train", "test", "gap", "auc_at_zero", "auc", "gain"]
redrawn_gains = page.save_table(pd.DataFrame(rows, columns=columns), "repeated_splits")

# %% tags=["hide-input"]
stored_gains = of_set(gains, (embeddings.dataset, embeddings.identity.variant, backbone))[["split", "gain"]].rename(columns={"gain": "shipped gain"})
format_table(redrawn_gains.assign(split=redrawn_gains["split"].astype(str)).merge(stored_gains, on="split", how="left"), 4)

# %% [markdown]
# ## How to get these numbers again
#
# `python studies/information.py` measures every shipped set. `MEASURED_ROOT=FOLDER python studies/random_networks.py` needs the images of HAM10000 and Flickr8k in FOLDER.
# `python studies/repeated_splits.py` trains heads and probes on redrawn splits. Each writes one table in `data/measured`.
#
# ## What was not tested
#
# The encoders of the paper: these are those of the test bench, and networks with random weights. Classifiers other than linear ones, and critics other than one small one. Intervals of information do not cover another
# draw of training rows. Temperatures and biases that SigLIP's encoders have learned. Random networks with other initialisations, with biases, or on more than two data sets, so that "medical"
# and "natural" stand for one data set each. Nothing was measured on an accelerator.

# %% tags=["hide-input"]
found = set(shipped[[*SET, "study"]].itertuples(index=False, name=None))
absent = [" ".join((*names, study)) for names in SHIPPED_SETS for study in ("label", "modality", "forces", "critic") if (*names, study) not in found]
if absent:
    page.show_text("The shipped table lacks these studies, so the sentences above do not cover them: {absent}.", absent="; ".join(absent))

# %% [markdown]
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer([embeddings])
