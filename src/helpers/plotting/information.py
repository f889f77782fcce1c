"""Figures of the information page: quantities against lambda, shares of information, parts of variance, gains over splits."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..datasets.registry import title
from ..initialisation.variance import RATIO
from . import INK, MARKERS, PALE, distinct_legend, panels

COLOURS = ("#0072b2", "#009e73", "#e69f00", "#cc79a7", "#000000", "#56b4e9", "#8c564b")
SHARE_COLOURS = {"unique_image": "#d55e00", "unique_text": "#0072b2", "redundant": "#000000", "synergistic": "#009e73"}
NAMES = ["dataset", "variant", "backbone"]


def set_labels(table: pd.DataFrame) -> list[tuple[tuple, str]]:
    """Return the names of every set of a table, and how a legend calls it."""
    names = list(table[NAMES].drop_duplicates().itertuples(index=False, name=None))
    return [(n, f"{title(n[0])}{'' if n[1] == 'common' else f', {n[1]} text'}, {n[2]}") for n in names]


def changes_against_lambda(table: pd.DataFrame, quantities: Sequence[str], unit: str):
    """Change from lambda = 0 with its interval, a panel per quantity and a line per set."""
    figure, axes = panels(len(quantities), 3, 2.7, 2.4)
    sets = set_labels(table)
    for ax, quantity in zip(axes, quantities, strict=True):
        for i, (names, label) in enumerate(sets):
            rows = table[(table[NAMES] == list(names)).all(axis=1) & (table["quantity"] == quantity)]
            error = [rows["change"] - rows["change_low"], rows["change_high"] - rows["change"]]
            x = rows["lambda"] + 0.012 * (i - (len(sets) - 1) / 2)
            style = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)], "markersize": 3.5, "capsize": 1.5}
            ax.errorbar(x, rows["change"], yerr=np.maximum(error, 0), label=label, linewidth=1.1, **style)
        ax.axhline(0, color=INK, linewidth=0.8)
        ax.set(title=quantity.replace("_", " "), xlabel="λ", ylabel=f"change\n({unit})")
    distinct_legend(figure, axes)
    return figure


def shares_against_lambda(table: pd.DataFrame):
    """The four shares against lambda, a panel per set; bands are what other definitions allow, bars the 95 % interval."""
    sets = set_labels(table)
    figure, axes = panels(len(sets), 3, 2.8, 2.4)
    for ax, (names, label) in zip(axes, sets, strict=True):
        own = table[(table[NAMES] == list(names)).all(axis=1)]
        for share, colour in SHARE_COLOURS.items():
            rows, least, most = (own[own["quantity"] == q] for q in (share, f"least_{share}", f"most_{share}"))
            ax.fill_between(rows["lambda"], least["value"], most["value"], color=colour, alpha=0.15, linewidth=0)
            error = np.maximum([rows["value"] - rows["low"], rows["high"] - rows["value"]], 0)
            ax.errorbar(rows["lambda"], rows["value"], yerr=error, color=colour, capsize=2, label=share.replace("_", " "))
        ax.set(title=label, xlabel="λ", ylabel="bits about the label")
        ax.title.set_fontsize(8)
    distinct_legend(figure, axes)
    return figure


def split_gains(gains: pd.DataFrame, summary: pd.DataFrame):
    """Gain of lambda = 1 on every redrawn split, the mean with both intervals, and the fixed split with its bootstrap interval."""
    sets = set_labels(gains)
    figure, axes = panels(1, 1, 6.4, 0.62 * len(sets) + 1.2)
    ax = axes[0]
    for i, (names, _) in enumerate(sets):
        own = gains[(gains[NAMES] == list(names)).all(axis=1)]
        redrawn, fixed = own[own["split"] != "fixed"], own[own["split"] == "fixed"]
        first = "_" * (i > 0)  # one entry of the legend for all sets
        ax.plot(redrawn["gain"], np.full(len(redrawn), i - 0.18), "o", color=PALE, markersize=4, label=first + "one redrawn split")
        of_set = summary[(summary[NAMES] == list(names)).all(axis=1)]
        for row in of_set.itertuples():
            ax.plot([row.low, row.high], [i, i], color=INK, linewidth=1, label=first + "corrected 95 % interval of their mean")
            ax.plot([row.plain_low, row.plain_high], [i, i], color=INK, linewidth=4, label=first + "uncorrected interval")
        for row in fixed.itertuples():
            error = np.maximum([[row.gain - row.low], [row.high - row.gain]], 0)
            style = {"fmt": "D", "color": "#d55e00", "markersize": 4, "capsize": 2}
            ax.errorbar([row.gain], [i + 0.22], xerr=error, label=first + "the fixed split, bootstrap interval", **style)
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set(yticks=range(len(sets)), yticklabels=[label for _, label in sets], xlabel="gain of λ = 1 in test AUC, converged probe")
    ax.invert_yaxis()
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def data_parts(table: pd.DataFrame, output: str = "unit"):
    """Data-induced share of the variance against depth, a panel per kind of input, medical solid and natural dashed."""
    part = table[(table["part"] == "data-induced") & (table["output"] == output) & (table["data"] != RATIO) & (table["depth"] > 0)]
    inputs = list(dict.fromkeys(part["inputs"]))
    figure, axes = panels(len(inputs), 3, 2.8, 2.4, sharey=True)
    networks = list(dict.fromkeys(part["network"]))
    for ax, name in zip(axes, inputs, strict=True):
        for i, network in enumerate(networks):
            for j, (kind, line) in enumerate((("medical", "-"), ("natural", "--"))):
                rows = part[(part["inputs"] == name) & (part["network"] == network) & (part["data"] == kind)]
                if len(rows):
                    error = np.maximum([rows["share"] - rows["share_low"], rows["share_high"] - rows["share"]], 0)
                    style = {"color": COLOURS[i % len(COLOURS)], "linestyle": line, "marker": MARKERS[j], "markersize": 3.5}
                    ax.errorbar(rows["depth"], rows["share"], yerr=error, capsize=1.5, label=f"{network}, {kind}", **style)
        ax.set(title=name, xlabel="hidden layers", ylabel="data-induced share", ylim=(0, 1.05))
    distinct_legend(figure, axes)
    return figure
