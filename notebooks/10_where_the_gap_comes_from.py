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
# # Where the gap comes from

# %% tags=["parameters"]
dataset = "flickr8k"  # data set whose tower features are stored: flickr8k or ham10000
temperatures = [0.01]  # fixed temperatures of InfoNCE
learned = True  # also heads whose temperature is learned, from 0.07 on
rates = [0.0005]  # learning rates of AdamW
epochs = [0, 5, 30]  # epochs at which heads are measured; 0 is before training
seeds = [0]  # each draws initial weights, batches and captions anew
variant = "clean"  # "clean" (no label proxies in the text) or "authors" (the authors' text)
features = None  # folder of tower features; None for data/features
networks = 4  # random networks computed on this page
depths = [1, 4]  # their hidden layers
results = None  # folder for result tables; None for ./results

# %% tags=["hide-input", "remove-stderr"]
import sys
from itertools import product

import numpy as np
import pandas as pd
from IPython.display import display
from scipy.special import ndtr
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from helpers.arrays import unit_rows
from helpers.datasets import canonical_variant
from helpers.datasets.registry import title
from helpers.files import project_root
from helpers.geometry import effective_rank
from helpers.page import NAME, Page, format_table, integer, many, number, span, text
from helpers.plotting import MARKERS, SPARE, log_axis, panels, share_legend
from helpers.schemas import shipped_table
from helpers.separation import half_of_groups, tied_groups
from helpers.tower_features import shipped_features

sys.path.append(str(project_root() / "studies"))
from gap_study import held_out_measures
from head_training import LEARNED, Settings, training_path

spec = {
    "dataset": text(("flickr8k", "ham10000"), "data set"), "temperatures": many(number(1e-4, 10), least=1), "rates": many(number(1e-6, 1), least=1),
    "epochs": many(integer(0, 2000), least=1), "seeds": many(integer(0, 2**32 - 1), least=1), "learned": bool, "variant": text(("clean", "authors"), "variant"),
    "features": NAME | None, "networks": integer(3, 1000), "depths": many(integer(1, 64), least=1), "results": NAME | None,
}  # fmt: skip
page = Page("10_where_the_gap_comes_from", globals(), spec)
# Tables of studies/gap_study.py: heads along a long training, heads trained as long as the shipped ones, and gains with a gap set by hand.
study, several, by_hand, slopes = (
    shipped_table(f"measured/{name}") for name in ("gap_study", "gap_heads", "gap_dials", "gap_slopes")
)
random = shipped_table("measured/random_networks")  # of studies/random_networks.py: Eq. 3 and 4
RATIO = "medical / natural"
COLOURS = ("#0072b2", "#009e73", "#e69f00", "#cc79a7", "#000000", *SPARE[1:])

# %% tags=["hide-input"]
SETTLED = 0.02  # a smaller change of the gap between the last two measured epochs counts as none
low = study[study["temperature"] == study["temperature"].min()]
paths = low.sort_values("epoch").groupby(["dataset", "rate", "random_state"])["gap"]
start, peak, end, last_change = paths.first(), paths.max(), paths.last(), paths.apply(lambda gap: gap.iloc[-1] - gap.iloc[-2])
falling, heads = int((last_change < -SETTLED).sum()), len(end)
verdict = "so it has settled" if falling <= heads / 2 else "so it has not settled"

AXES = {"exact": "axes outside the span", "in-span": "axes inside the span"}
clear = slopes[(slopes["low"] > 0) | (slopes["high"] < 0)]
page.show_text(
    "At a temperature of {temperature:g} the gap of {heads} test-bench heads on {where_heads} first widens, on average from {start:.2f} to {peak:.2f}, and is "
    "{end:.2f} at epoch {epoch} (still falling in {falling} heads, {verdict}).",
    temperature=low["temperature"].iloc[0], heads=heads, start=start.mean(), peak=peak.mean(), end=end.mean(), epoch=low["epoch"].max(),
    falling=falling, verdict=verdict, where_heads=" and ".join(title(d) for d in low["dataset"].unique()),
)  # fmt: skip
page.show_text(
    "With the gap set by hand and all else fixed, the gain of λ = 1 in AUC changes clearly with the gap in {converged} of {n_converged} combinations under "
    "converged probes, and in {all} of {n} over all protocols.",
    converged=int((clear["protocol"] == "converged").sum()), n_converged=int((slopes["protocol"] == "converged").sum()), all=len(clear), n=len(slopes),
)  # fmt: skip

# %% [markdown]
# ## A fixed low temperature keeps the gap wider than a learned one
#
# `studies/gap_study.py` trains heads for as many epochs as the shipped ones, at their temperature and at a learned one, and at three learning rates.
# Recall@10 is the mean of both directions among 200 pairs.

# %% tags=["hide-input"]
by_seed = several.pivot(index=["dataset", "rate", "random_state"], columns="temperature", values=["gap", "recall"])
for temperature in several.loc[several["temperature"] != LEARNED, "temperature"].unique():
    changes = pd.DataFrame({what: by_seed[what, temperature] - by_seed[what, LEARNED] for what in ("gap", "recall")}).groupby(["dataset", "rate"])
    of_recall, most = changes["recall"].mean(), changes["recall"].max()
    page.show_text(
        "Fixing the temperature at {temperature} instead of learning it widens the gap for every training seed in {wider} of {n} combinations of data set and "
        "learning rate. It changes recall@10 by {recall} on average over {seeds} seeds, and lowers it for every seed in {lower} of {n}.",
        temperature=temperature, wider=int((changes["gap"].min() > 0).sum()), n=len(of_recall), recall=span(of_recall.min(), of_recall.max(), "+.3f"),
        seeds=several["random_state"].nunique(), lower=int((most < 0).sum()),
    )  # fmt: skip

# %% tags=["hide-input"] tables=["measured/gap_study"] mystnb={"figure": {"caption": "Gap and recall@10 along training, one line per temperature (mean over seeds, bars from the smallest to the largest).", "name": "fig-gap-training"}, "image": {"alt": "Line plots of the gap and of recall@10 against epochs, one line per temperature, for each data set and learning rate."}}
settings = list(study.groupby(["dataset", "rate"], sort=False))
figure, axes = panels(2 * len(settings), 2, 3.9, 2.6)
colours = dict(zip(sorted(study["temperature"].unique(), key=str), COLOURS, strict=False))
for i, ((name, rate), part) in enumerate(settings):
    for ax, (measure, label) in zip(axes[2 * i : 2 * i + 2], {"gap": "gap", "recall": "recall@10"}.items(), strict=True):
        for temperature, line in part.groupby("temperature"):
            by = line.groupby("epoch")[measure]
            mean = by.mean()
            error = np.maximum([mean - by.min(), by.max() - mean], 0)  # equal values have a mean beside them by rounding
            style = {"color": colours[temperature], "marker": "o", "markersize": 3, "capsize": 2}
            ax.errorbar(mean.index, mean, yerr=error, label=f"temperature {temperature}", **style)
        ax.set(title=f"{title(name)}, rate {rate:g}", xlabel="epoch", ylabel=label)
        log_axis(ax.xaxis, "symlog")
        ax.set_ylim(bottom=0)
share_legend(figure, axes)

# %% [markdown]
# {cite:t}`liang2022mind` explain the gap by initialisation and say that a low temperature preserves it. The gap is there before training, but at a low
# temperature it first widens, so the initial gap alone does not set the later one.

# %% [markdown]
# ### Trained on this page
#
# This page trains the two linear {term}`heads <head>` of the {term}`test bench` from stored features of its locked {term}`towers <tower>`. All measures
# are of held-out test pairs, as mean and range over training seeds. Separability is the AUC of a
# logistic regression of one regularisation strength that tells images from texts, fitted on half of the pairs and scored on the others.

# %% tags=["remove-stderr"]
tower_features, of_variant = shipped_features(dataset, features), canonical_variant(dataset, variant)
pairs, held_out = tower_features.pairs(of_variant, "train"), tower_features.pairs(of_variant, "test")


def separability(image, text):
    fit = half_of_groups(tied_groups(image, text), 0)  # pairs with an equal image or an equal text stay in one half
    model = LogisticRegression(max_iter=1000).fit(np.concatenate([image[fit], text[fit]]), np.repeat([0, 1], fit.sum()))
    return roc_auc_score(np.repeat([0, 1], (~fit).sum()), model.decision_function(np.concatenate([image[~fit], text[~fit]])))


rows = []
for temperature, rate, seed in product([*temperatures, LEARNED] if learned else temperatures, rates, seeds):
    for trained in training_path(pairs, Settings(temperature, rate, max(1, *epochs), seed)):
        if trained.epoch in epochs:
            image, texts = trained.project(held_out.image, held_out.text[held_out.first])
            found = held_out_measures(trained, held_out)
            rows.append({
                "dataset": dataset, "temperature": str(temperature), "rate": rate, "random_state": seed, "epoch": trained.epoch, "loss": trained.loss,
                "R_image": found["R_image"], "R_text": found["R_text"], "gap": found["gap"],
                "rank_image": effective_rank(image), "rank_text": effective_rank(texts),
                "recall": (found["recall@10_image_to_text"] + found["recall@10_text_to_image"]) / 2, "separability": separability(image, texts),
            })  # fmt: skip
live = page.save_table(pd.DataFrame(rows), "gap_study")

# %% tags=["hide-input"]
headings = {
    "R_image": "R of images", "R_text": "R of texts", "rank_image": "effective rank of images", "rank_text": "effective rank of texts",
    "random_state": "seed", "recall": "recall@10",
}  # fmt: skip
measures = ["R_image", "R_text", "gap", "rank_image", "rank_text", "recall", "separability"]


def show_over_seeds(table, keys):
    shown = []
    for names, part in table.groupby(keys, sort=False):
        digits = {m: 0 if m.startswith("rank") else 2 for m in measures}
        ranges = {m: f"{part[m].mean():.{d}f} ({part[m].min():.{d}f} to {part[m].max():.{d}f})" for m, d in digits.items()}
        shown.append({**dict(zip(keys, names, strict=True)), "heads": len(part), **ranges})
    return format_table(pd.DataFrame(shown).rename(columns=headings), caption="Held-out measures, mean and range over training seeds.", rate="{:g}")


show_over_seeds(live, ["temperature", "rate", "epoch"])

# %% tags=["hide-input", "hide-output"] mystnb={"code_prompt_show": "Details: the heads behind the sentence, by data set and learning rate"}
show_over_seeds(several, ["dataset", "rate", "temperature"])

# %% tags=["hide-input", "hide-output"] mystnb={"code_prompt_show": "Details: the heads of the figure"}
ends = study[study["epoch"].isin([0, 30, study["epoch"].max()])]
shown = ends.groupby(["dataset", "temperature", "rate", "epoch"], sort=False)[measures].mean().reset_index()
ranks = dict.fromkeys([headings["rank_image"], headings["rank_text"]], "{:.0f}")
format_table(shown.rename(columns=headings), 2, caption="Heads before, early in and after training, mean over seeds.", rate="{:g}", **ranks)

# %% [markdown]
# ## The gain against a gap set by hand
#
# Synthetic pairs have cones $x' = [\sqrt{1-R^2}\,r,\ R\,e(\varphi)]$ with $r$ the centred rows at unit length and $e(\varphi)$ a direction in two extra
# dimensions. At fixed R of both modalities, $\varphi$ changes the gap and nothing within a modality. A variant puts the axes in the two leading
# directions of the data, which adds the {term}`spread` channel.

# %% tags=["hide-input"] tables=["measured/gap_dials"] mystnb={"figure": {"caption": "Gain of λ = 1 in test AUC against the gap set by hand, with 95 % bootstrap intervals over test rows; one colour per pair of R. Panels: data set, where the cone axes lie, and protocol.", "name": "fig-gap-dial"}, "image": {"alt": "Point plots of the gain of lambda = 1 against the gap, one panel per data set, place of the cone axes and protocol, with one series per pair of mean resultant lengths."}}
set_by_hand = by_hand[by_hand["dial"].isin(list(AXES))]
rows_of = list(set_by_hand.groupby(["dataset", "dial"], sort=False))
protocols, cones = (list(dict.fromkeys(set_by_hand[column])) for column in ("protocol", "block"))
figure, axes = panels(len(rows_of) * len(protocols), len(protocols), 2.8, 2.4)
for i, ((name, place), part) in enumerate(rows_of):
    for ax, protocol in zip(axes[i * len(protocols) :], protocols, strict=False):
        for colour, block in zip(COLOURS, cones, strict=False):
            points = part[(part["protocol"] == protocol) & (part["block"] == block)]
            error = [points["gain"] - points["low"], points["high"] - points["gain"]]
            ax.errorbar(points["gap"], points["gain"], yerr=error, fmt="o", color=colour, capsize=2, label=f"R of images/texts: {block}")
        ax.axhline(0, color="#22272e", linewidth=0.8)
        ax.set(title=f"{title(name)}, {AXES[place]}:\n{protocol}", xlabel="gap", ylabel="gain of λ = 1")
        ax.title.set_fontsize(8)
share_legend(figure, axes)

# %% [markdown]
# The table gives slopes: gain per unit of the gap, within pairs of R, over redrawn splits of rows (the points above are of the given split). The interval
# covers other rows and other labels of the kind.

# %% tags=["hide-input"]
shown = slopes.assign(dial=slopes["dial"].map(AXES)).rename(columns={"dial": "how the gap is set"})
format_table(shown, 4, caption="Change of the gain of λ = 1 in AUC per unit of the gap.")

# %% [markdown]
# ## The cone at initialisation: data or weights
#
# Output of network $k$ on item $i$ is modelled as $h_{ki} = \mu + a_k + b_i + e_{ki}$, with variances of weights ($a$), data ($b$) and both together ($e$).
# The data-induced term of {eq}`eq-variance` is that of $b$ and $e$, the weight-induced one that of $a$, estimated by a two-way analysis of variance with
# jackknife intervals over networks and items. Every network sees medical (HAM10000) and natural data (Flickr8k).

# %% tags=["hide-input"]
plain = random[(random["data"] == RATIO) & (random["depth"] > 0)]
unit = plain[plain["output"] == "unit"]
towers = {
    f"{name}_{column}": unit.loc[unit["inputs"] == inputs, column].iloc[0]
    for name, inputs in (("image", "images"), ("text", "texts")) for column in ("value", "low", "high", "network")
}  # fmt: skip
page.show_text(
    "In networks of random weights, the data-induced variance is smaller on the medical data, as Eq. 4 says, in {smaller} of {n} combinations of network, input "
    "and output, and clearly so in {clear}; the ratio is {image_value:.2f} ({image_low:.2f} to {image_high:.2f}) for the {image_network} and {text_value:.2f} ({text_low:.2f} to {text_high:.2f}) "
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
    "The perceptrons' inputs, image features, have a ratio of {given:.2f} before any network. Activation and depth explain {network:.0%} of the variation of "
    "the log data-induced variance, the kind of data {data:.0%}.",
    given=given, network=shares[0], data=shares[1],
)  # fmt: skip

# %% tags=["hide-input"] tables=["measured/random_networks"] mystnb={"figure": {"caption": "Data-induced share of the variance of unit outputs by depth, medical data solid and natural data dashed, with 95 % jackknife intervals; one panel per kind of input. Towers of ViT-B/32 and the text transformer stand at their depth.", "name": "fig-information-initialisation"}, "image": {"alt": "Line plots of the data-induced share of variance against the number of hidden layers, one panel per kind of input, one colour per network, medical solid and natural dashed."}}
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
    measured_at = sorted(part.loc[part["inputs"] == name, "depth"].unique())
    ax.set(title=name, xlabel="hidden layers", ylabel="data-induced share", ylim=(0, 1.05), xticks=measured_at)
share_legend(figure, axes)

# %% tags=["hide-input", "hide-output"] mystnb={"code_prompt_show": "Details: the numbers behind the figure"}
towers = random[random["inputs"].isin(["images", "texts"])]
shares_of = [f"{v:.3f} ({span(a, b, '.3f')})" if pd.notna(v) else "–" for v, a, b in towers[["share", "share_low", "share_high"]].to_numpy(float)]
towers = towers.drop(columns=["depth", "share_low", "share_high"]).assign(share=shares_of)
display(format_table(towers.rename(columns={"share": "share of the variance (95 % interval)"}), caption="Towers of random weights."))
ratios = random[(random["data"] == RATIO) & (random["output"] == "unit") & ~random["inputs"].isin(["images", "texts"])]
cells = ratios.assign(ratio=[f"{v:.2f}" if pd.isna(low) else f"{v:.2f} ({span(low, high, '.2f')})" for v, low, high in zip(ratios["value"], ratios["low"], ratios["high"], strict=True)])
cells = cells.pivot_table(index=["inputs", "network"], columns="depth", values="ratio", aggfunc="first", sort=False).reset_index()
display(format_table(cells, caption="The ratio that Eq. 4 bounds by one, perceptrons by their hidden layers."))
public = shipped_table("measured/public_encoders")
one = public[(public["weights"] == "random") & (public["quantity"] == "R")]
format_table(one.assign(data_induced=1 - one["value"] ** 2)[["encoder", "domain", "pairs", "modality", "value", "data_induced"]].rename(columns={"value": "R"}), caption="Real architectures with random weights, one network each; the data-induced variance of unit vectors is 1 − R².")

# %% [markdown]
# ### Computed on this page
#
# Perceptrons on features of the locked towers, with fewer networks and items.

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
format_table(own[columns].rename(columns={"value": "ratio"}), 2, caption="The ratio of Eq. 4 for the perceptrons of this page.")

# %% [markdown]
# ### Diversity varied alone
#
# Two data sets differ in more than diversity. Here the natural image features are brought nearer to their own mean, and nothing else changes.

# %%
x, rows = pairs["image features"][1], []
for spread in (0.5, 0.25, 0.1):
    nearer = x.mean(axis=0) + spread * (x - x.mean(axis=0))
    for activation, depth in product(ACTIVATIONS, depths):
        rows.append((spread, f"{activation} perceptron", depth, *interval(*unit_outputs(nearer, x, activation, depth))))
diversity = page.save_table(pd.DataFrame(rows, columns=["spread", "network", "depth", "ratio", "low", "high"]), "diversity_alone")

# %% tags=["hide-input"]
page.show_text(
    "With the distances to the mean cut to {spreads} of what they were, the data-induced variance falls to {ratios} of its own, clearly in {clear} of {n} "
    "combinations of spread, activation and depth.",
    spreads=", ".join(f"{s:g}" for s in diversity["spread"].unique()), clear=int((diversity["high"] < 1).sum()), n=len(diversity),
    ratios=", ".join(span(of.min(), of.max(), ".2f") for _, of in diversity.groupby("spread", sort=False)["ratio"]),
) if (diversity["high"] < 1).all() else page.show_text(
    "The data-induced variance falls clearly in {clear} of {n} combinations of spread, activation and depth.", clear=int((diversity["high"] < 1).sum()), n=len(diversity)
)  # fmt: skip

# %% tags=["hide-input", "hide-output"] mystnb={"code_prompt_show": "Details: the same by network and depth"}
format_table(diversity, 2, caption="Data-induced variance of the nearer items over that of the items as they are, under the same networks.")

# %% [markdown]
# ## What was not tested
#
# The towers stay locked, so nothing here says what training a whole encoder does to its gap. Batches are small beside those of CLIP. Random networks have
# one initialisation and no biases, and "medical" and "natural" stand for one data set each.
#
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer()
