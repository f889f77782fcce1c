"""Draw the test bench: the gap along training, and gains against a gap that was set."""

import numpy as np
import pandas as pd

from ..datasets.registry import title
from . import SPARE, distinct_legend, log_axis, panels

COLOURS = ("#0072b2", "#009e73", "#e69f00", "#cc79a7", "#000000", *SPARE)
MEASURES = {"gap": "gap", "recall": "recall@10"}


def training_paths(study: pd.DataFrame):
    """Draw gap and recall@10 against epochs, a line per temperature; from :func:`helpers.testbench.study.gap_study`."""
    settings = list(dict.fromkeys(zip(study["dataset"], study["rate"], strict=True)))
    figure, axes = panels(2 * len(settings), 2, 3.9, 2.6)
    colours = dict(zip(sorted(study["temperature"].unique(), key=str), COLOURS, strict=False))
    for i, (dataset, rate) in enumerate(settings):
        rows = study[(study["dataset"] == dataset) & (study["rate"] == rate)]
        for ax, (measure, label) in zip(axes[2 * i : 2 * i + 2], MEASURES.items(), strict=True):
            for temperature, line in rows.groupby("temperature"):
                by = line.groupby("epoch")[measure]
                mean = by.mean()
                error = np.maximum([mean - by.min(), by.max() - mean], 0)  # equal values have a mean beside them by rounding
                style = {"color": colours[temperature], "marker": "o", "markersize": 3, "capsize": 2}
                ax.errorbar(mean.index, mean, yerr=error, label=f"temperature {temperature}", **style)
            ax.set(title=f"{title(dataset)}, rate {rate:g}", xlabel="epoch", ylabel=label)
            log_axis(ax.xaxis, "symlog")
            ax.set_ylim(bottom=0)
    distinct_legend(figure, axes)
    return figure


def dial_gains(dials: pd.DataFrame):
    """Draw the gain of lambda = 1 against the gap; a row per data set and dial, a panel per protocol, a colour per R."""
    rows_of = list(dials.groupby(["dataset", "dial"], sort=False))
    protocols, cones = list(dict.fromkeys(dials["protocol"])), list(dict.fromkeys(dials["block"]))
    figure, axes = panels(len(rows_of) * len(protocols), len(protocols), 2.8, 2.4)
    for i, ((dataset, dial), rows) in enumerate(rows_of):
        for ax, protocol in zip(axes[i * len(protocols) :], protocols, strict=False):
            for colour, block in zip(COLOURS, cones, strict=False):
                points = rows[(rows["protocol"] == protocol) & (rows["block"] == block)]
                error = [points["gain"] - points["low"], points["high"] - points["gain"]]
                ax.errorbar(points["gap"], points["gain"], yerr=error, fmt="o", color=colour, capsize=2, label=f"R {block}")
            ax.axhline(0, color="#22272e", linewidth=0.8)
            ax.set(title=f"{title(dataset)}, {dial}: {protocol}", xlabel="gap", ylabel="gain of λ = 1")
            ax.title.set_fontsize(8)
    distinct_legend(figure, axes)
    return figure
