"""Draw the figure of the front page: the gain of lambda = 1 during the training of a probe, and after convergence."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter

from ..datasets.registry import title
from . import BACKBONES, INK

SIDE = 1.25  # factor on the number of updates: where the converged probes stand, right of the last


def finding(paths: pd.DataFrame, limits: pd.DataFrame):
    """Draw AUC(1) - AUC(0) against updates, a panel per data set and a line per encoder, with the converged gains at the right.

    Args:
        paths: rows of ``helpers.probing.training_gain.training_gain`` of one optimiser and rate, whole alignment.
        limits: rows of ``helpers.probing.training_gain.converged_gain``, whole alignment.
    """
    datasets, encoders = list(dict.fromkeys(paths["dataset"])), list(dict.fromkeys(paths["backbone"]))
    figure, axes = plt.subplots(1, len(datasets), figsize=(3.9 * len(datasets), 3.2), squeeze=False, sharex=True, sharey=True)
    for ax, dataset in zip(axes[0], datasets, strict=True):
        ax.axhline(0, color=INK, linewidth=0.8, zorder=1)
        for place, encoder in enumerate(encoders):
            of_set = {"dataset": dataset, "backbone": encoder}
            line, limit = (t[(t[list(of_set)] == of_set).all(axis=1)].sort_values("gain") for t in (paths, limits))
            line = line.sort_values("updates")
            shade = BACKBONES[encoder]
            ax.plot(line["updates"], line["gain"], color=shade, linewidth=2)
            ax.fill_between(line["updates"], line["low"], line["high"], color=shade, alpha=0.2, linewidth=0)
            x = line["updates"].max() * SIDE * (1 + 0.4 * place)
            ax.vlines(x, limit["low"], limit["high"], color=shade, linewidth=3, alpha=0.5)
            ax.plot([x] * len(limit), limit["gain"], "D", color=shade, markeredgecolor=INK, markersize=6, clip_on=False)
        ax.set(xscale="log", title=title(dataset), xlabel="updates of the probe (logarithmic)")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    axes[0, 0].set_ylabel("AUC(λ = 1) − AUC(λ = 0)")
    handles = [Line2D([], [], color=BACKBONES[name], linewidth=2, label=name) for name in encoders]
    handles += [
        Line2D([], [], color="white", marker="D", markeredgecolor=INK, markersize=6, label="trained to convergence"),
        Patch(color=INK, alpha=0.2, linewidth=0, label="95 % interval over test rows"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure
