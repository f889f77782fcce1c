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
# {glue:text}`answer`
#
# The paper plans to study "the limiting behaviour $\lambda \rightarrow 1$ in future work by relating the domain-gap, the mutual information of the
# inter-domain representations, and the target variable", and states Eq. 2 to 4 without measuring them. This page does both.

# %% tags=["parameters"]
dataset = "flickr8k"  # data set of what is computed on this page; the shipped tables hold several
backbone = "lit-derm"  # its encoder
variant = "clean"  # "clean" (no label proxies in the text) or "authors" (the authors' text)
store = None  # folder of stored embeddings; None for data/embeddings, then runs/embeddings
lambdas = [0, 1]  # strengths of Eq. 5, 0 first
temperature = None  # of Eq. 2; None for the encoder's own
n_boot = 200  # bootstrap replicates
updates = [20, 100]  # lengths of training of the neural estimate
states = [0, 1]  # random states of the neural estimate
splits = 2  # redrawn splits computed on this page
networks = 4  # random networks computed on this page
depths = [1, 4]  # their hidden layers
results = None  # folder for result tables; None for ./results

# %% tags=["hide-input", "remove-stderr"]
import pandas as pd

from helpers.extraction.find import embeddings_for
from helpers.files import project_root
from helpers.heads import shipped_features
from helpers.information import findings
from helpers.information.forces import own_temperature
from helpers.information.study import STUDIES, measured_information
from helpers.initialisation.networks import ACTIVATIONS
from helpers.initialisation.study import centred, mlp_study
from helpers.page import NAME, Page, format_table, integer, many, number, optional, text
from helpers.plotting.information import changes_against_lambda, data_parts, shares_against_lambda, split_gains
from helpers.probing.repeated import heads_to_retrain, repeated_gains, summarise_gains

spec = {
    "dataset": NAME, "backbone": NAME, "variant": text(("clean", "authors"), "variant"), "store": optional(NAME), "lambdas": many(number(-2, 2), least=2),
    "temperature": optional(number(1e-4, 10)), "n_boot": integer(2, 100_000), "updates": many(integer(0, 100_000), least=1),
    "states": many(integer(0, 2**32 - 1), least=1), "splits": integer(2, 1000), "networks": integer(3, 1000), "depths": many(integer(1, 64), least=1),
    "results": optional(NAME),
}  # fmt: skip
page = Page("13_information", globals(), spec)
measured = project_root() / "data/measured"
shipped = pd.read_csv(measured / "information.csv")
gains = pd.read_csv(measured / "repeated_splits.csv", dtype={"split": str})
random = pd.read_csv(measured / "random_networks.csv")
page.glue(answer=" ".join(sentence.format(**values) for sentence, values in findings.future_work(shipped)))

# %% [markdown]
# **Eq. 2.**

# %% tags=["hide-input"]
for sentence, values in findings.forces(shipped):
    page.show_text(sentence, **values)

# %% [markdown]
# **Eq. 3 and 4.**

# %% tags=["hide-input"]
for sentence, values in findings.random_networks(random):
    page.show_text(sentence, **values)

# %% [markdown]
# **Redrawn splits.**

# %% tags=["hide-input"]
for sentence, values in findings.splits(gains):
    page.show_text(sentence, **values)

# %% [markdown]
# ## What cannot move, and what a linear reader can use
#
# For $\lambda \lVert\Delta\rVert / 2 < 1$ the aligned map is one-to-one ({doc}`/book/theory`), so no mutual information depends on $\lambda$. What can
# change is predictive information {cite}`xu2020usable`: how many bits of log loss the best linear probe saves on test rows against the
# class frequencies. Probes have no class weights and are solved to their optimum; the labels of a multi-label task are summed. Intervals are
# of a bootstrap over groups of test rows and hold the probes fixed.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Change of predictive information about the label from λ = 0, by source, and of what linear readers know of the other modality, with paired 95 % intervals; one line per measured set. A ridge regression's share of explained variance, and the Gaussian information of ten canonical pairs in bits.", "name": "fig-information-change"}, "image": {"alt": "Line plots against lambda of the change of information about the label in image, text and both, and of the explained variance and canonical information between the modalities, one line per embedding set."}}
changes_against_lambda(shipped, ["image", "text", "both", "ridge_text_from_image", "ridge_image_from_text", "cca"], "bits, or share of variance");

# %% [markdown]
# ## Unique, redundant and synergistic shares
#
# Shares follow one definition, minimum mutual information {cite}`barrett2015exploration`: what both modalities tell is redundant up to the smaller of the
# two. Bands show what all other definitions without negative shares allow; redundancy and synergy are at their upper end here, the unique shares at their
# lower. These are shares of predictive information for linear readers, and another family of readers has others.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Shares of the predictive information about the label against λ, with 95 % bootstrap intervals and bands of what other definitions allow; one panel per measured set.", "name": "fig-information-shares"}, "image": {"alt": "Line plots of unique image, unique text, redundant and synergistic information against lambda with bands, one panel per embedding set."}}
shares_against_lambda(shipped[shipped["study"] == "label"]);

# %% [markdown]
# ## Attraction, repulsion and the bound
#
# One batch holds all test pairs, at most `most` of {func}`helpers.information.forces.forces_table`. Closing the gap raises all cosines by a common amount. Attraction
# and repulsion both carry it, and it cancels from their sum. SigLIP's sigmoid loss {cite}`zhai2023siglip` has a bias in its place: with the bias that
# suits $\lambda = 0$ it explodes, with the best bias at each $\lambda$ it does not.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Change of the terms of Eq. 2 from λ = 0 in nats, with 95 % jackknife intervals; alignment is the mean squared distance of pairs, uniformity the log mean Gaussian potential of a modality.", "name": "fig-information-forces"}, "image": {"alt": "Line plots against lambda of attraction, repulsion, loss, alignment and uniformity, one line per embedding set."}}
changes_against_lambda(shipped, ["attraction", "repulsion_image_to_text", "loss", "alignment", "uniformity_image", "uniformity_text"], "nats");

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Four estimates of what the modalities know of each other, as change from λ = 0 in bits: the bound of Eq. 2 at the trained and at the best temperature, and a neural critic after short and longer training. The true change is zero.", "name": "fig-information-estimates"}, "image": {"alt": "Line plots against lambda of the InfoNCE bound at two temperatures and of a neural critic after two lengths of training, one line per embedding set, around a line at zero."}}
lengths = list(shipped.loc[shipped["study"] == "critic", "quantity"].drop_duplicates())
changes_against_lambda(shipped, ["bound", "bound_best_temperature", *lengths], "bits");

# %% [markdown]
# **A warning.**

# %% tags=["hide-input"]
for sentence, values in findings.warning(shipped):
    page.show_text(sentence, **values)

# %% [markdown]
# ### Computed on this page
#
# The same four studies of one set, beside the shipped values where those exist.

# %% tags=["hide-input", "remove-stderr"]
embeddings = embeddings_for(dataset, backbone, variant, store)
known, value = own_temperature(backbone)[1], temperature or own_temperature(backbone)[0]
page.show_text("Temperature of Eq. 2: {value:g}, {whose}.", value=value, whose="as given" if temperature else "the encoder's own" if known else "CLIP's, as this encoder's own is not on record")
live = pd.concat([measured_information(embeddings, study, lambdas, n_boot, value, updates, states) for study in STUDIES], ignore_index=True)
live = page.save_table(live, "information")
names = ["dataset", "variant", "backbone", "quantity", "lambda"]
beside = live.merge(shipped[[*names, "change"]].rename(columns={"change": "shipped change"}), on=names, how="left")
last = beside[(beside["lambda"] == max(lambdas)) & ~beside["quantity"].str.contains("least_|most_|recovered|entropy")]
format_table(last[["quantity", "value", "low", "high", "change", "change_low", "change_high", "shipped change"]])

# %% [markdown]
# ## The cone at initialisation: data or weights
#
# Output of network $k$ on item $i$ is modelled as $h_{ki} = \mu + a_k + b_i + e_{ki}$. The variances of weights ($a$), data ($b$) and both together ($e$)
# add up to the total; the data-induced term of Eq. 3 is that of $b$ and $e$, the weight-induced one that of $a$. Estimates are those of a two-way analysis of variance,
# with jackknife intervals over networks and items. Every network sees medical (HAM10000) and natural data (Flickr8k).

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Data-induced share of the variance of unit outputs by depth, medical data solid and natural data dashed, with 95 % jackknife intervals; one panel per kind of input. Towers of ViT-B/32 and the text transformer stand at their depth.", "name": "fig-information-initialisation"}, "image": {"alt": "Line plots of the data-induced share of variance against the number of hidden layers, one panel per kind of input, one colour per network, medical solid and natural dashed."}}
data_parts(random);

# %% tags=["hide-input"]
towers = random[random["inputs"].isin(["images", "texts"])]
format_table(towers.drop(columns=["depth"]))

# %% [markdown]
# The ratios that Eq. 4 bounds by one, for the perceptrons:

# %% tags=["hide-input"]
ratios = random[(random["data"] == "medical / natural") & (random["output"] == "unit") & ~random["inputs"].isin(["images", "texts"])]
cells = ratios.assign(ratio=[f"{v:.2f}" if pd.isna(low) else f"{v:.2f} ({low:.2f} to {high:.2f})" for v, low, high in zip(ratios["value"], ratios["low"], ratios["high"], strict=True)])
format_table(cells.pivot_table(index=["inputs", "network"], columns="depth", values="ratio", aggfunc="first", sort=False).reset_index())

# %% [markdown]
# Real architectures with random weights, one network each, from vectors that {cite}`liang2022mind` published. For one network the data-induced variance of unit
# vectors is $1 - R^2$.

# %% tags=["hide-input"]
public = pd.read_csv(measured / "public_encoders.csv")
one = public[(public["weights"] == "random") & (public["quantity"] == "R")]
format_table(one.assign(data_induced=1 - one["value"] ** 2)[["encoder", "domain", "pairs", "modality", "value", "data_induced"]].rename(columns={"value": "R"}))

# %% [markdown]
# ### Computed on this page
#
# Perceptrons on the stored features of the test bench's locked towers, with fewer networks and items.

# %% tags=["hide-input"]
items = 60
features = {kind: shipped_features(name) for kind, name in (("medical", "ham10000"), ("natural", "flickr8k"))}
pairs = {"image features": tuple(f.image[:items].astype(float) for f in features.values()), "text features": tuple(f.text[:items].astype(float) for f in features.values())}
pairs["image features, centred"] = centred(pairs["image features"])
own = page.save_table(mlp_study(pairs, list(ACTIVATIONS), depths, networks), "random_networks")
shown = own[(own["data"] == "medical / natural") & (own["output"] == "unit")]
format_table(shown[["inputs", "network", "depth", "networks", "items", "value", "low", "high"]].rename(columns={"value": "ratio"}))

# %% [markdown]
# ## Redrawn splits
#
# One fixed split is one draw. The figure redraws training, validation and test rows by group, in the shares of the set. Heads of an encoder that was trained on the data set are trained
# anew on each redrawn training part; else rows that they have seen would become test rows. Splits share rows, so the interval has the correction of {cite}`nadeau2003inference`:
# $s\sqrt{1/J + n_{test}/n_{train}}$ over $J$ splits with Student's t.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Gain of λ = 1 under a converged probe over redrawn splits, with corrected and uncorrected 95 % intervals of the mean, beside the fixed split with its bootstrap interval over test rows.", "name": "fig-information-splits"}, "image": {"alt": "One row per embedding set with a dot for the gain on each redrawn split, a thick and a thin interval of their mean, and a diamond with its interval for the fixed split."}}
summary = summarise_gains(gains[gains["split"] != "fixed"])
split_gains(gains, summary);

# %% tags=["hide-input"]
format_table(summary, 4, positive="{:.0%}", auc_at_zero="{:.3f}")

# %% [markdown]
# ### Computed on this page

# %% tags=["hide-input", "remove-stderr"]
redrawn = page.save_table(repeated_gains(embeddings, range(splits), 1.0, *heads_to_retrain(embeddings)), "repeated_splits")
stored_gains = gains[(gains[["dataset", "variant", "backbone"]] == [embeddings.dataset, embeddings.identity.variant, backbone]).all(axis=1)]
same = redrawn.assign(split=redrawn["split"].astype(str)).merge(stored_gains[["split", "gain"]].rename(columns={"gain": "shipped gain"}), on="split", how="left")
format_table(same, 4)

# %% [markdown]
# ## How to get these numbers again
#
# `python benchmarks/information.py` measures every shipped set. `python benchmarks/random_networks.py --root FOLDER` needs the images of HAM10000 and Flickr8k.
# `python benchmarks/repeated_splits.py` trains heads and probes on redrawn splits. Each writes one table in `data/measured`.
#
# ## What was not tested
#
# The encoders of the paper: these are those of the test bench, and networks with random weights. Readers other than linear ones and one small critic. Intervals of information do not cover another
# draw of training rows. Temperatures and biases that SigLIP's encoders have learned. Random networks with other initialisations, with biases, or on more than two data sets, so that "medical"
# and "natural" stand for one data set each. Nothing was measured on an accelerator.

# %% tags=["hide-input"]
for sentence, values in findings.not_measured(shipped):
    page.show_text(sentence, **values)

# %% [markdown]
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer([embeddings])
