"""Draw the paper's own numbers, and recomputed ones in front of them."""

import itertools

import matplotlib.pyplot as plt
import pandas as pd

from ..published import is_contributed
from . import INK, PALE, PUBLISHED, distinct_legend


def published_gains(table: pd.DataFrame):
    """Draw the authors' curves of AUC(lambda) - AUC(0) in grey, and recomputed ones in front; from ``compare_sweep`` rows.

    Rows are data sets, each with its own axis and metric; columns are encoders. The band is the published spread of AUC over seeds.
    """
    datasets, backbones = (list(dict.fromkeys(table[c])) for c in ("dataset", "backbone"))
    shape = (2.05 * len(backbones) + 0.6, 1.75 * len(datasets) + 0.5)
    figure, axes = plt.subplots(len(datasets), len(backbones), figsize=shape, squeeze=False, sharex=True, sharey="row")
    for (i, dataset), (j, backbone) in itertools.product(enumerate(datasets), enumerate(backbones)):
        ax, mine = axes[i, j], table[(table["dataset"] == dataset) & (table["backbone"] == backbone)].sort_values("lambda")
        x, gain, sd = (mine[c].to_numpy(float) for c in ("lambda", "published_gain", "auc_std"))
        ax.fill_between(x, gain - sd, gain + sd, color=PALE, alpha=0.6, linewidth=0, label="± SD of AUC over seeds")
        ax.plot(x, gain, "o-", color=PUBLISHED, markersize=3, label="published")
        if len(own := mine.dropna(subset="our_gain")):
            form, label = ("s--", "contributed") if is_contributed(own["route"]).any() else ("D-", "ours")
            ax.plot(own["lambda"], own["our_gain"].astype(float), form, color=INK, markersize=3, label=f"{label}, authors' text")
        ax.axhline(0, color=INK, linewidth=0.8)
        if i == 0:
            ax.set_title(backbone)
        if j == 0:
            hard = "hard-label AUC" if "hard" in mine["metric"].iloc[0] else "AUC"
            ax.set_ylabel(f"{dataset}\ngain in {hard}")
    for ax in axes[-1]:
        ax.set_xlabel("λ")
    distinct_legend(figure, axes.ravel())
    return figure
