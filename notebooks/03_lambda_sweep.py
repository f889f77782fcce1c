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
# # The lambda sweep

# %% tags=["parameters"]
datasets = []  # data sets; an empty list means all that are stored
backbones = []  # encoders; an empty list means all that are stored
variant = ["clean"]  # "clean" (no label proxies in the text), "authors" (the authors' text); the first is shown, a second is for the paper's Fig. 3
protocol = ["paper", "authors-code", "converged"]  # how the probe is trained
lambdas = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]  # alignment strengths, each in [-2, 2]
seeds = [42, 43, 44, 45, 46]  # one probe per seed and lambda
features = ["joint", "image", "text"]  # what the probe sees
alignments = ["shift", "common-scale", "scale-ratio", "spread", "without-shift", "without-common-scale", "without-scale-ratio", "without-spread", "centred"]  # each channel alone, each switched off, and centring
alignment_lambdas = [0.0, 1.0]  # strengths of these alignments
n_boot = 1000  # bootstrap replicates over test rows
store = None  # folder of embedding sets; None for data/embeddings, then runs/embeddings
data_root = None  # folder of raw data, to extract what is not stored
sweeps = None  # folder of cached sweeps; None for runs/sweeps
contributed = None  # folder of contributed reports; None for data/contributed
results = None  # folder for result tables; None for ./results

# %% tags=["hide-input", "remove-stderr"]
from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from scipy.stats import t as student

from helpers import PROTOCOLS
from helpers import published as paper
from helpers.alignment.shift import CHANNELS, SWEPT
from helpers.datasets.describe import text_names_label
from helpers.datasets.registry import title
from helpers.extraction.find import select
from helpers.files import project_root, read_json
from helpers.page import SOURCE, Page, count, format_table, integer, many, number, printed, span, text
from helpers.plotting import INK, MARKERS, PALE, PUBLISHED, colour, curves, effects, panels, share_legend
from helpers.plotting import PROTOCOLS as SHADES
from helpers.probing.protocol import BRSET_UPDATES, FEATURES, Grid
from helpers.published import authors_sweep, facts_of, is_contributed, paper_name, sweep_gains, with_routes
from helpers.schemas import shipped_table
from helpers.statistics import MARGIN, corrected_interval, equivalent, holm
from helpers.store.catalogue import OWN, folder_name, stored

page = Page(
    "03_lambda_sweep",
    globals(),
    {
        **SOURCE,
        "variant": many(SOURCE["variant"], least=1),
        "protocol": many(text(PROTOCOLS, "protocol"), least=1),
        "lambdas": many(number(-2, 2), least=1),
        "seeds": many(integer(0, 2**32 - 1), least=1),
        "features": many(text(FEATURES, "feature"), least=1),
        "alignments": many(text((*SWEPT[1:], "centring"), "alignment")),
        "alignment_lambdas": many(number(-2, 2)),
        "n_boot": integer(100, 100_000),
        "sweeps": text() | None,
        "contributed": text() | None,
    },
)
from helpers.contributed import Contributed
from helpers.probing.cache import FOLDER, RECORD, cached_or_new, load_cached

features = list(dict.fromkeys(["joint", *features]))  # statements below are on joint features
grid = Grid(protocol, lambdas, seeds, features, alignments, alignment_lambdas)
grids = {part: grid.arguments(part) for part in grid.parts}


def from_elsewhere(parts, protocols, of_variant):
    """Cached sweeps whose embeddings are not stored here, such as results from another machine, and a sentence for each set."""
    root, own = Path(sweeps or project_root() / FOLDER), project_root() / OWN
    sets_here = pd.concat([stored(store), *([stored(own)] if own.is_dir() else [])])  # an own set is shown where its store is named
    here = set(sets_here[["dataset", "variant", "backbone"]].itertuples(index=False, name=None))
    found, notes = {part: [] for part in parts}, {}
    for path in sorted(root.glob(f"*/*/*/*/*/{RECORD}")):
        dataset, text, encoder, protocol, part = path.parent.relative_to(root).parts
        named = (not datasets or dataset in datasets) and (not backbones or encoder in map(folder_name, backbones))
        if not named or text not in (of_variant, "common") or protocol not in protocols or part not in parts or (dataset, text, encoder) in here:
            continue
        result, name = load_cached(path.parent), f"{dataset} ({text}) under {encoder}"
        if read_json(path)["settings"] == parts[part]:
            found[part].append(result)
            made_from = result.provenance["embeddings"][:16]
            notes[f"{name}: cached sweeps of embeddings `{made_from}` that are not stored here, marked with an asterisk."] = None
        elif datasets or backbones:
            notes[f"{name}: a cached sweep ({protocol}, {part}) has other settings than this page and is not shown."] = None
    return found, notes


lead = display(Markdown(""), display_id=True)  # filled in below, once the probes are trained
alone, notes = from_elsewhere(grids, protocol, variant[0])
for note in notes:
    page.show_text("{note}", note=note)
lone = {(r.provenance["dataset"], r.provenance["backbone"]) for r in alone["lambda"]}
sets = select(datasets, backbones, variant[0], store, data_root, excluded=lone)
page.describe_sets(sets, variant)
sets = page.labelled(sets, needed=not lone)

# %% tags=["remove-stderr"]
swept = {part: [cached_or_new(s, p, part, arguments, sweeps, page.sweeps) for s in sets for p in protocol] + alone[part] for part, arguments in grids.items()}
facts = [facts_of(s) for s in sets]
table = pd.concat([r.table for r in swept["lambda"]], ignore_index=True)
page.save_table(with_routes(table, facts), "lambda_sweep")
summary = page.save_table(pd.concat([r.summary() for r in swept["lambda"]], ignore_index=True), "lambda_summary")
effect = page.save_table(pd.concat([r.effects(n_boot=n_boot) for r in swept["lambda"]], ignore_index=True), "lambda_effects")
last = effect[(effect["lambda_image"] == max(lambdas)) & (effect["features"] == "joint")]
trained = [p for p in protocol if p in set(table["protocol"])]


# %% tags=["hide-input"]
def marked(rows):
    """Encoders of sweeps whose embeddings are not stored here, with an asterisk."""
    return rows.assign(backbone=[f"{b} *" if (d, b) in lone else b for d, b in zip(rows["dataset"], rows["backbone"], strict=True)])


def caveat(protocol):
    """What stands beside a protocol whose probes are not trained to convergence."""
    return "" if PROTOCOLS[protocol].optimizer == "minimiser" else ", whose probes are not trained to convergence,"


def protocols_to_show(trained):
    """The protocol that conclusions rest on, and one that is not trained to convergence beside it, or None."""
    finished = [p for p in ("converged", *trained) if p in trained and not caveat(p)]
    shown = (finished or trained)[0]
    return shown, next((p for p in ("authors-code", "paper", *trained) if p in trained and caveat(p) and p != shown), None)


def change_sentence(protocol, rows, lam, hard=""):
    """What λ changes under a protocol, from its effects, one row per embedding set; ``hard`` names the data sets whose AUC is of hard labels."""
    if lam == 0:
        return f"Under `{protocol}`{caveat(protocol)} no λ above 0 was swept."
    clear, same = ((rows["low"] > 0) | (rows["high"] < 0)).sum(), equivalent(rows["low"], rows["high"]).sum()
    return (
        f"On {count(len(rows), 'embedding set')} under `{protocol}`{caveat(protocol) or ','} λ = {lam:g} changes the test AUC of the joint probe "
        f"{f'(on {hard} that of hard labels) ' if hard else ''}by "
        f"{span(rows['difference'].min(), rows['difference'].max())}. Of the 95 % intervals, {clear} of {len(rows)} exclude zero and {same} of {len(rows)} lie "
        f"within ±{MARGIN:g}, where we call a change none."
    )


def epochs_sentence(protocol, descents):
    """How often the last epoch is the best; that early stopping did not act is said only where it is so."""
    n, share = len(descents), (descents["epochs"] == descents["trained"]).mean()
    if share == 1:
        return f"Under `{protocol}` early stopping never triggered: {f'all {n:,} probes were' if n > 1 else 'the probe was'} still improving at the last epoch."
    ending = ", so early stopping rarely triggered" if share > 0.5 else ""
    return f"Under `{protocol}` the last epoch is the best for {share:.0%} of {count(n, 'probe')}{ending}."


def of_this_page(subsets, table):
    """Rows of a study of the clean text that belong to a set, an encoder and a protocol of this page."""
    here = table.loc[table["variant"] != "authors", ["dataset", "backbone", "protocol"]].drop_duplicates()
    return subsets.merge(here)


shown, unfinished = protocols_to_show(trained)

# %% tags=["hide-input"]
of_hard = summary[summary["metric"] == "auc_hard"].groupby("protocol")["dataset"].agg(lambda names: " and ".join(map(title, names.unique())))
said = [change_sentence(p, last[last["protocol"] == p], max(lambdas), of_hard.get(p, "")) for p in (shown, unfinished) if p]
late = [r for r in swept["lambda"] if r.provenance["protocol"] == unfinished] if unfinished else []
if late:
    made = [int(r.runs["trained"].max()) * -(-r.provenance["rows"]["fit"] // PROTOCOLS[unfinished].batch_size) for r in late]
    said[-1] += f" These probes made {span(min(made), max(made), ',')} updates; the curves of the paper on BRSET took up to {BRSET_UPDATES:,}."
lead.update(Markdown(printed("\n\n".join(said))))

# %% [markdown]
# ## The paper's Fig. 3
#
# The probes behind these curves had not converged ({doc}`14_what_the_probe_lacks`). On HAM10000 the AUC is that of hard arg-max predictions. A curve
# counts as recomputed under `authors-code` with the authors' text, for a set that {doc}`02_r_table` accepts as a {term}`cell`.

# %% tags=["hide-input", "remove-stderr"]
def compare_sweep(own: pd.DataFrame) -> pd.DataFrame:
    """Return the authors' gains with own ones of rows as for ``sweep_gains``, in the metric of each published curve, in Table 1's order."""
    order = {name: i for i, name in enumerate([*paper.datasets()["dataset"], *paper.BACKBONES])}
    table = authors_sweep().rename(columns={"gain": "published_gain"})
    table = table.sort_values(["dataset", "backbone", "lambda"], key=lambda c: c.map(order).fillna(c), ignore_index=True)
    hard = set(table.loc[table["metric"] == paper.HARD_AUC, "dataset"])
    scores, labels = sweep_gains(own), sweep_gains(own, "auc_hard")
    found = pd.concat([scores[~scores["dataset"].isin(hard)], labels[labels["dataset"].isin(hard)]])
    found = found[(found["protocol"] == "authors-code") & (found["features"] == "joint") & (found["variant"] != "clean")]
    key = ["dataset", "backbone", "lambda"]
    cells = found.assign(**{"lambda": found["lambda"].round(6)}).set_index(key).reindex(columns=["gain", "route"])
    table = table.join(cells.rename(columns={"gain": "our_gain"}), on=key)
    return table[["dataset", "backbone", "metric", "lambda", "published_gain", "auc_std", "our_gain", "route"]]


also = []
for other in variant[1:]:
    found, _ = from_elsewhere({"lambda": grids["lambda"]}, ["authors-code"], other)
    there = {(r.provenance["dataset"], r.provenance["backbone"]) for r in found["lambda"]}
    more = [s for s in select(datasets, backbones, other, store, data_root, excluded=there) if s.labelled and s.provenance["variant"] == other]
    also += found["lambda"] + [cached_or_new(s, "authors-code", "lambda", grids["lambda"], sweeps, page.sweeps) for s in more]
    sets += more
reports = Contributed(contributed)
ours = with_routes(pd.concat([table, *[r.table for r in also]], ignore_index=True), map(facts_of, sets))
beside = compare_sweep(reports.join(ours, "sweep", ("dataset", "backbone", "protocol")))
of_curve = beside.groupby(["dataset", "backbone"])
by_curve = of_curve["our_gain"].apply(lambda g: bool(g.notna().any()))
given = of_curve["route"].apply(lambda r: bool(is_contributed(r).any()))
page.glue(n_published=len(by_curve), n_curves_recomputed=int((by_curve & ~given).sum()))
page.show_text(
    "The authors stored {n} curves; {recomputed} of them are recomputed here, and others contributed {contributed}."
    if by_curve.any() else "None of the {n} curves has been recomputed yet.",
    n=len(by_curve), recomputed=int((by_curve & ~given).sum()), contributed=int((by_curve & given).sum()),
)  # fmt: skip

# %% tags=["hide-input"] tables=["published/authors_lambda_sweep"] mystnb={"figure": {"caption": "Published, the paper's Fig. 3: test AUC of the linear probe against $\\lambda$, mean over five seeds; on HAM10000 of hard labels.", "name": "fig-published-auc"}, "image": {"alt": "Four line plots of the published test AUC against lambda, one panel per data set and one line per encoder."}}
published = authors_sweep()
datasets_there, backbones_there = (list(dict.fromkeys(beside[c])) for c in ("dataset", "backbone"))
figure, axes = panels(len(datasets_there), 4, 2.35, 2.4)
for ax, dataset in zip(axes, datasets_there, strict=True):
    for marker, (backbone, curve) in zip(MARKERS, published[published["dataset"] == dataset].groupby("backbone"), strict=False):
        ax.plot(curve["lambda"], curve["auc_mean"], color=colour(paper.BACKBONES[backbone]), marker=marker, markersize=3, label=backbone)
    ax.set(title=dataset, xlabel="λ", ylabel="test AUC" if ax is axes[0] else "")
share_legend(figure, axes)

# %% tags=["hide-input"] tables=["published/authors_lambda_sweep", "lambda_sweep"] mystnb={"figure": {"caption": "The same curves as gains in AUC over $\\lambda = 0$. Rows have their own axes; the band is the published standard deviation of AUC over seeds, not of the gain.", "name": "fig-published"}, "image": {"alt": "Sixteen small line plots of the published gain in AUC against lambda, data sets in rows and encoders in columns."}}
shape = (2.05 * len(backbones_there) + 0.6, 1.75 * len(datasets_there) + 0.5)
figure, axes = plt.subplots(len(datasets_there), len(backbones_there), figsize=shape, squeeze=False, sharex=True, sharey="row")
for (i, dataset), (j, backbone) in product(enumerate(datasets_there), enumerate(backbones_there)):
    ax, mine = axes[i, j], beside[(beside["dataset"] == dataset) & (beside["backbone"] == backbone)].sort_values("lambda")
    x, gain, sd = (mine[c].to_numpy(float) for c in ("lambda", "published_gain", "auc_std"))
    ax.fill_between(x, gain - sd, gain + sd, color=PALE, alpha=0.6, linewidth=0, label="± SD of AUC over seeds")
    ax.plot(x, gain, "o-", color=PUBLISHED, markersize=3, label="published")
    if len(own := mine.dropna(subset="our_gain")):
        form, label = ("s--", "contributed") if is_contributed(own["route"]).any() else ("D-", "recomputed")
        ax.plot(own["lambda"], own["our_gain"].astype(float), form, color=INK, markersize=3, label=f"{label}, authors' text")
    ax.axhline(0, color=INK, linewidth=0.8)
    if i == 0:
        ax.set_title(backbone)
    if j == 0:
        ax.set_ylabel(f"{dataset}\ngain in {'hard-label AUC' if 'hard' in mine['metric'].iloc[0] else 'AUC'}")
    if i == len(datasets_there) - 1:
        ax.set_xlabel("λ")
share_legend(figure, axes.ravel());

# %% tags=["hide-input", "hide-output"] mystnb={"code_prompt_show": "Details: the published curves in numbers"}
ends_of = published.pivot(index=["dataset", "backbone"], columns="lambda", values="auc_mean")
listed = pd.DataFrame({
    "gain at λ = 1": ends_of[1.0] - ends_of[0.0], "best λ": ends_of.idxmax(axis=1), "drop from there to λ = 1": ends_of.max(axis=1) - ends_of[1.0],
    "SD over seeds at λ = 1": published[published["lambda"] == 1].set_index(["dataset", "backbone"])["auc_std"],
}).reset_index()  # fmt: skip
format_table(listed, 5, "Published gains, means of five seeds; the spread is that of the AUC. HAM10000: AUC of hard labels, another scale.", **{"best λ": "{:.1f}"})

# %% [markdown]
# ## The test bench: AUC against λ
#
# A {term}`probe` is trained as the paper's text says under `paper` (SGD), as its code does under `authors-code` (AdamW), and to the minimum under `converged`.
# Conclusions about $\lambda$ rest on `converged`: the other two usually hit the epoch limit, so their AUC depends on the scale and offset of the
# features. On a given validation split all seeds of a converged probe are one solution, which has no bar.

# %% tags=["hide-input"] tables=["lambda_summary"] mystnb={"figure": {"caption": "Test AUC (macro over classes) of the linear probe against the alignment strength, one column per protocol: mean and standard deviation over seeds; joint, image-only and text-only features. For multi-class data the authors' code reports the AUC of hard arg-max predictions.", "name": "fig-lambda"}, "image": {"alt": "Line plots of test AUC against lambda from 0 to 1, data sets and encoders in rows and protocols in columns, with one line each for joint, image-only and text-only features."}}
curves(marked(summary));

# %% tags=["hide-input"] tables=["lambda_summary", "published/authors_lambda_sweep"] mystnb={"figure": {"caption": "Test bench: gain in test AUC over $\\lambda = 0$ by protocol, joint features.", "name": "fig-gains"}, "image": {"alt": "Line plots of the gain in test AUC against lambda, one panel per data set and encoder with a line per protocol."}}
joint = summary[summary["features"] == "joint"].rename(columns={"lambda_image": "lambda"})
start = joint[joint["lambda"] == 0].set_index(["dataset", "backbone", "protocol"])["mean"].rename("start")
own = joint.join(start, on=["dataset", "backbone", "protocol"]).assign(gain=lambda t: t["mean"] - t["start"])
own = own.assign(dataset=own["dataset"].map(paper_name), backbone=own["backbone"].map(paper_name))
marks = {(paper_name(d), paper_name(b)) for d, b in lone}
names = list(dict.fromkeys(zip(own["dataset"], own["backbone"], strict=True)))
figure, axes = panels(len(names), 2 if len(names) <= 6 else 4, 3.9 if len(names) <= 6 else 2.6, 2.7, sharex=True)
for ax, (dataset, backbone) in zip(axes, names, strict=True):
    curve = published[(published["dataset"] == dataset) & (published["backbone"] == backbone)]
    if len(curve):
        ax.plot(curve["lambda"], curve["gain"], color=PUBLISHED, linewidth=1.6, zorder=1, label="published, same encoder")
    mine = own[(own["dataset"] == dataset) & (own["backbone"] == backbone)]
    for marker, (name, curve) in zip(MARKERS, mine.groupby("protocol", sort=False), strict=False):
        hard = bool((curve["metric"] == "auc_hard").any())
        style = {"color": SHADES.get(name, INK), "linestyle": "--" if hard else "-", "marker": marker, "markersize": 3.5}
        ax.plot(curve["lambda"], curve["gain"], label=f"{name} (hard labels)" if hard else name, zorder=3, **style)
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.set(title=f"{title(dataset)} · {backbone}{' *' if (dataset, backbone) in marks else ''}", xlabel="alignment strength λ", ylabel="AUC(λ) − AUC(0)")
    ax.tick_params(labelbottom=True)
share_legend(figure, axes);

# %% tags=["hide-input", "hide-output"] mystnb={"code_prompt_show": "Details: AUC at the ends of the range"}
ends = marked(summary[(summary["features"] == "joint") & summary["lambda_image"].isin([min(lambdas), max(lambdas)])])
wide = ends.pivot(index=["dataset", "backbone", "protocol"], columns="lambda_image", values=["mean", "sd"])
wide.columns = [f"{'AUC' if value == 'mean' else 'SD'}, λ = {lam:g}" for value, lam in wide.columns]
format_table(wide.reset_index(), caption="Joint test AUC, mean and standard deviation over seeds.")

# %% tags=["hide-input"]
of_scores = pd.concat([r.summary("auc") for r in swept["lambda"]]).query("features == 'joint' and lambda_image == 0")
at_zero = of_scores.groupby("protocol", sort=False)["mean"].agg(["min", "max"])
if {"converged", *at_zero.index} - {"converged"} and "converged" in at_zero.index:
    reached = "; ".join(f"`{protocol}` {low:.2f} to {high:.2f}" for protocol, low, high in at_zero.itertuples())
    page.show_text(f"The joint AUC of scores at λ = 0, over {count(of_scores.groupby(['dataset', 'backbone']).ngroups, 'set')}: {reached}. Values far below `converged` are of undertrained probes.")

# %% tags=["hide-input"]
runs = pd.concat([r.runs.assign(classes=r.task.n_outputs) for r in swept["lambda"]], ignore_index=True)
descents = runs[runs["epochs"].notna()]
for name, mine in descents.groupby("protocol", sort=False):
    page.show_text(epochs_sentence(name, mine))
given = [r.provenance["validation_given"] for r in swept["lambda"]]
page.show_text(
    "Validation rows are those stored with the set in {given} of {of}{elsewhere}.",
    given=sum(given), of=count(len(given), "sweep"), elsewhere="" if all(given) else "; elsewhere a tenth of the training groups is drawn per seed",
)  # fmt: skip

# %% tags=["hide-input"]
found = stored(store)
named = text_names_label(found.merge(table[["dataset", "variant"]].drop_duplicates())["path"])
for dataset, mine in named[named["share"] >= 0.5].groupby("dataset", sort=False):
    most = mine.loc[mine["share"].idxmax()]
    page.show_text(
        "The text of {name} often names the label itself ({label}: {share:.0%} of its positives), so joint features can add little over text alone there.",
        name=title(dataset), label=most["class"], share=most["share"],
    )  # fmt: skip

# %% [markdown]
# ## The interval over test rows, not the spread over seeds, judges a difference
#
# The spread over seeds says how much training varies on one test set; the bootstrap interval, how much the difference could vary with another test
# set of this size. An effect of the smallest detectable size would be missed in one test set of five.

# %% tags=["hide-input"] tables=["lambda_effects"] mystnb={"figure": {"caption": "Change of test AUC from $\\lambda = 0$ to the largest $\\lambda$ of the sweep by protocol, joint features: paired bootstrap interval over test rows, and standard deviation over seeds.", "name": "fig-effects"}, "image": {"alt": "Interval plots of the change in test AUC for each protocol, one panel per data set and encoder, with a line at zero."}}
effects(marked(last));

# %% tags=["hide-input", "hide-output"] mystnb={"code_prompt_show": "Details: the same numbers"}
columns = ["dataset", "backbone", "protocol", "auc", "difference", "low", "high", "seed_sd", "minimum_detectable"]
format_table(marked(last)[columns], precision=4, caption="Change of the joint test AUC from λ = 0 to the largest λ.")

# %% tags=["hide-input", "hide-output"] mystnb={"code_prompt_show": "Details: AUC per class"}
classes = table[
    table["class"].notna()
    & (table["metric"] == "auc")
    & (table["split"] == "test")
    & (table["features"] == "joint")
    & (table["protocol"] == shown)
    & table["lambda_image"].isin([min(lambdas), max(lambdas)])
]
wide = marked(classes).pivot_table(index=["dataset", "class"], columns=["backbone", "lambda_image"], values="value", sort=False)
wide.columns = [f"{backbone}, λ = {lam:g}" for backbone, lam in wide.columns]
positives = {
    (r.provenance["dataset"], name): int(count)
    for r in swept["lambda"]
    for name, count in zip(r.task.outputs, r.targets.sum(axis=0), strict=True)
}
wide.insert(0, "test positives", [positives[key] for key in wide.index])
display(format_table(wide.reset_index(), caption="Joint test AUC by class at the ends of the range, mean over seeds."))
rare = {key: count for key, count in positives.items() if count < 20}
if rare:
    page.show_text(
        "Macro AUC weights classes equally, so its uncertainty is dominated by classes with few positives, here {classes}.",
        classes=", ".join(f"{title(d)} {name} ({count})" for (d, name), count in rare.items()),
    )

# %% tags=["hide-input", "hide-output"] mystnb={"code_prompt_show": "Details: AUC within subgroups"}
ends, within = [min(lambdas), max(lambdas)], []
for result in (r for r in swept["lambda"] if r.provenance["protocol"] == shown):
    for column, subgroup in result.subgroups.items():
        for level, rows in subgroup.groupby(subgroup, observed=True).groups.items():
            targets = result.targets[rows][:, result.learned]
            counts = {"n_rows": len(rows), "n_classes": int((targets.any(axis=0) & ~targets.all(axis=0)).sum())}
            named = {"subgroup": column.removeprefix("subgroup_"), "level": str(level)}
            within.append(result.runs.assign(auc=result.headline_auc(rows=rows), **named, **counts))
if within:
    within = pd.concat(within, ignore_index=True)
    within = marked(within[(within["features"] == "joint") & within["lambda_image"].isin(ends)])
    keys = ["dataset", "backbone", "subgroup", "level", "n_rows", "n_classes"]
    wide = within.pivot_table(index=keys, columns="lambda_image", values="auc", sort=False)
    wide.columns = [f"AUC, λ = {lam:g}" for lam in wide.columns]
    display(format_table(wide.reset_index(), caption="Joint test AUC within subgroups; a difference between a few dozen rows is mostly chance."))
else:
    page.show_text("None of these sets records subgroups.")

# %% [markdown]
# ## On the shipped sets, the gain of a converged probe stays small over redrawn splits
#
# `studies/repeated_splits.py` redraws training, validation and test rows by group, and trains the {term}`heads <head>` of the data set anew on each
# training part, so that no test row was seen. Splits share rows, so intervals have the correction of {cite:t}`nadeau2003inference`:
# $s\sqrt{1/J + n_{test}/n_{train}}$ over $J$ splits with Student's t.

# %% tags=["hide-input"]
SET = ["dataset", "variant", "backbone"]
redrawn = shipped_table("measured/repeated_splits", dtype={"split": str})
rows = []
for names, own in redrawn[redrawn["split"] != "fixed"].groupby([*SET, "heads"], sort=False):
    gain = own["gain"].to_numpy()
    row = dict(zip([*SET, "heads"], names, strict=True)) | {"splits": len(gain), "auc_at_zero": own["auc_at_zero"].mean(), "gain": gain.mean()}
    row["low"], row["high"] = corrected_interval(gain, float((own["test"] / own["train"]).mean()))
    row["plain_low"], row["plain_high"] = corrected_interval(gain, 0.0)
    half = student.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) * np.sqrt(1 + 1 / len(gain))  # of one more split
    row["next_low"], row["next_high"] = gain.mean() - half, gain.mean() + half
    rows.append(row | {"sd": gain.std(ddof=1), "positive": float(np.mean(gain > 0))})
over_splits = pd.DataFrame(rows)
fixed = redrawn[redrawn["split"] == "fixed"].set_index(SET)["gain"]
few, many_splits = over_splits["splits"].min(), over_splits["splits"].max()
page.show_text(
    "Over {drawn} redrawn splits of each of the {n} shipped sets, λ = 1 changes the AUC of a converged probe by {gain} on average. The corrected interval excludes zero "
    "on {clear} of {n} sets and lies within ±{margin:g} on {same}. The gain of one split has a standard deviation of {sd}; that of the fixed split lies "
    "within the prediction interval of one more split on {inside} of {n}.",
    drawn=f"{few}" if few == many_splits else f"{few} to {many_splits}", n=len(over_splits), clear=int(((over_splits["low"] > 0) | (over_splits["high"] < 0)).sum()),
    same=int(equivalent(over_splits["low"], over_splits["high"]).sum()), margin=MARGIN, inside=sum(row.next_low <= fixed[row.dataset, row.variant, row.backbone] <= row.next_high for row in over_splits.itertuples()),
    gain=span(over_splits["gain"].min(), over_splits["gain"].max()), sd=span(over_splits["sd"].min(), over_splits["sd"].max(), ".4f"),
)  # fmt: skip

# %% tags=["hide-input"] tables=["measured/repeated_splits"] mystnb={"figure": {"caption": "Gain of λ = 1 under a converged probe over redrawn splits, with corrected and uncorrected 95 % intervals of the mean, beside the fixed split with its bootstrap interval over test rows.", "name": "fig-redrawn-splits"}, "image": {"alt": "One row per embedding set with a dot for the gain on each redrawn split, a thick and a thin interval of their mean, and a diamond with its interval for the fixed split."}}
TEXT_OF = {"common": "", "clean": ", clean text", "authors": ", authors' text"}
of_studies = [tuple(names) for names in redrawn[SET].drop_duplicates().to_numpy()]


def of_set(table, names):
    return table[(table[SET] == list(names)).all(axis=1)]


figure, (ax,) = panels(1, 1, 6.4, 0.62 * len(of_studies) + 1.2)
for i, names in enumerate(of_studies):
    own = of_set(redrawn, names)
    drawn = own[own["split"] != "fixed"]
    first = "_" if i else ""  # one entry of the legend for all sets
    ax.plot(drawn["gain"], np.full(len(drawn), i - 0.18), "o", color=INK, markerfacecolor="none", markeredgewidth=0.6, markersize=4, label=first + "one redrawn split")
    for row in of_set(over_splits, names).itertuples():
        ax.plot([row.low, row.high], [i, i], color=INK, linewidth=1, label=first + "corrected 95 % interval of their mean")
        ax.plot([row.plain_low, row.plain_high], [i, i], color=INK, linewidth=4, label=first + "uncorrected interval")
    for row in own[own["split"] == "fixed"].itertuples():
        error = np.maximum([[row.gain - row.low], [row.high - row.gain]], 0)
        style = {"fmt": "D", "color": "#d55e00", "markersize": 4, "capsize": 2}
        ax.errorbar([row.gain], [i + 0.22], xerr=error, label=first + "the fixed split, bootstrap interval", **style)
ax.axvline(0, color=INK, linewidth=0.8)
ax.set(yticks=range(len(of_studies)), yticklabels=[f"{title(d)}{TEXT_OF[v]}, {b}" for d, v, b in of_studies], xlabel="gain of λ = 1 in test AUC, converged probe")
ax.invert_yaxis()
figure.legend(loc="outside lower center", ncols=2);

# %% tags=["hide-input", "hide-output"] mystnb={"code_prompt_show": "Details: the same numbers"}
in_words = {name: [span(*ends) for ends in over_splits[[f"{kind}_low", f"{kind}_high"]].to_numpy()] for kind, name in
            (("plain", "uncorrected interval"), ("next", "interval of one more split"))}  # fmt: skip
numbers = over_splits.drop(columns=["plain_low", "plain_high", "next_low", "next_high"]).assign(**in_words)
numbers = numbers.rename(columns={"sd": "SD over splits", "positive": "splits with a gain"})
format_table(numbers, 4, caption="Gain over redrawn splits.", auc_at_zero="{:.3f}", **{"splits with a gain": "{:.0%}"})

# %% [markdown]
# ## Choosing λ on validation rows
#
# The best $\lambda$ of a test curve is flattered. Here validation rows choose one $\lambda$ for all seeds, and test rows judge it once. The p-value is
# one-sided, of the statement that *some* $\lambda$ of this page beats 0, and counts all of them; the last column is corrected over this table (Holm).

# %%
chosen = page.save_table(
    pd.concat(
        [
            r.selected(n_boot=n_boot)
            .merge(r.some_lambda_beats_zero(n_boot=n_boot)[["features", "p_value"]], how="left")
            .assign(**{name: r.provenance[name] for name in ("dataset", "backbone", "protocol")})
            for r in swept["lambda"]
        ],
        ignore_index=True,
    ),
    "lambda_selected",
)
columns = ["dataset", "backbone", "protocol", "lambda_image", "auc_at_zero", "auc", "difference", "low", "high", "minimum_detectable", "p_value"]
of_joint = chosen[chosen["features"] == "joint"]
of_joint = of_joint.assign(p_holm=holm(of_joint["p_value"]))
format_table(
    marked(of_joint)[[*columns, "p_holm"]].rename(columns={"p_holm": "p (Holm)"}), 4, caption="Gain of the λ that validation rows choose.", lambda_image="{:g}"
)

# %% [markdown]
# ## Which part of the alignment changes AUC
#
# The four {term}`channels <channel>` are derived in {doc}`/book/theory`: a shift cannot move a converged probe at all, and a common scale only through the
# choice of the regularisation strength. The parts interact, so the effect of a part alone and the loss when it is removed differ. Centring every
# modality on its own mean is the alternative without $\lambda$.

# %%
parts = last
if swept.get("alignments"):
    parts = pd.concat([r.effects(n_boot=n_boot) for r in swept["alignments"]], ignore_index=True)
    parts = parts[(parts["lambda_image"] == max(alignment_lambdas)) | (parts["alignment"] == "centred")]
parts = page.save_table(parts, "channel_effects")
changes = parts[parts["features"] == "joint"].groupby(["protocol", "alignment"])["difference"].agg(["min", "max"])
if unfinished:
    both = {name: span(*changes.loc[(unfinished, name)]) for name in ("centred", "lambda") if (unfinished, name) in changes.index}
    told = ", where centring changes AUC by {centred} and the whole alignment by {lambda}" if len(both) == 2 else ""
    page.show_text("Under `{protocol}`, which is not trained to convergence" + told + ":", protocol=unfinished, **both)

# %% tags=["hide-input"] tables=["channel_effects"] mystnb={"figure": {"caption": "Change of test AUC by the whole alignment, by each part alone and by all parts but one, under the protocol named above.", "name": "fig-channels-unfinished"}, "image": {"alt": "Interval plots of the change in test AUC by channel of the alignment, one panel per data set and encoder."}}
if unfinished:
    effects(marked(parts[parts["protocol"] == unfinished]), "alignment");

# %% tags=["hide-input"]
page.show_text("Under `{protocol}`" + (", which is not trained to convergence:" if caveat(shown) else ":"), protocol=shown)

# %% tags=["hide-input"] tables=["channel_effects"] mystnb={"figure": {"caption": "Change of test AUC by the whole alignment, by each part alone and by all parts but one, under the protocol named above.", "name": "fig-channels"}, "image": {"alt": "Interval plots of the change in test AUC by channel of the alignment, one panel per data set and encoder."}}
effects(marked(parts[parts["protocol"] == shown]), "alignment");

# %% tags=["hide-input"]
final = parts[(parts["protocol"] == shown) & (parts["features"] == "joint") & (parts["alignment"] != "lambda")]
final = final[~final["alignment"].str.startswith("without-")]
alone_by = ", ".join(f"{'centring' if name == 'centred' else name} {d:.4f}" for name, d in final.groupby("alignment", sort=False)["difference"].agg(lambda d: d.abs().max()).items())
if alone_by:
    page.show_text("Under `{shown}`, the largest absolute change of AUC by a part alone, over the sets: {alone_by}.", shown=shown, alone_by=alone_by)

# %% tags=["hide-input", "hide-output"] mystnb={"code_prompt_show": "Details: the parts and their sum"}
by_name = parts[parts["features"] == "joint"].pivot_table(index=["dataset", "backbone", "protocol"], columns="alignment", values="difference", sort=False)
if "lambda" in by_name and set(CHANNELS) <= set(by_name):
    sums = pd.DataFrame({"whole": by_name["lambda"], "sum of the parts": by_name[list(CHANNELS)].sum(axis=1)}).reset_index()
    display(format_table(marked(sums), precision=4, caption="Do the parts add up? The whole beside the sum of the four parts alone, joint features."))
subsets = shipped_table("measured/channel_factorial")
subsets = of_this_page(subsets, table)
keys = ["dataset", "backbone", "protocol", "channel"]
if len(subsets):
    of_parts = subsets[subsets["channel"] != "all"].pivot_table(index=keys, columns="measure", values="difference", sort=False)
    caption = "All sixteen subsets of the parts, with one seed (studies/channel_factorial.py): averages are over all orders of switching on."
    display(format_table(of_parts.reset_index(), precision=4, caption=caption))
gap = subsets[subsets["measure"] == "whole minus sum"]
if len(gap):
    most = gap.loc[gap["difference"].abs().idxmax()]
    page.show_text(
        "The whole differs from the sum of its parts alone by up to {difference:+.4f} (95 % interval {low:+.4f} to {high:+.4f}; {name}, {encoder}, "
        "`{protocol}`); the interval of this difference excludes zero in {clear} of {of}. Seeds per case: {seeds}.",
        name=title(most["dataset"]), encoder=most["backbone"], clear=int(((gap["low"] > 0) | (gap["high"] < 0)).sum()), of=count(len(gap), "case"), seeds=int(gap["n_seeds"].max()),
        **most[["difference", "low", "high", "protocol"]],
    )  # fmt: skip

# %% [markdown]
# ## What was not tested
#
# Another classifier than a linear probe may gain more or less. $\lambda$ is the same for images and texts.
#
# ## How this page was made

# %% tags=["hide-input"]
page.show_footer(sets)
