"""Figures of the test bench: the gap along training, and gains against a gap that was set."""

import pandas as pd

from ..datasets.registry import title
from .panels import distinct_legend, panels
from .style import SPARE, log_axis

COLOURS = ("#0072b2", "#009e73", "#e69f00", "#cc79a7", "#000000", *SPARE)
MEASURES = {"gap": "gap", "recall": "recall@10"}


def training_paths(study: pd.DataFrame):
    """Gap and recall@10 against epochs, a line per temperature; from :func:`helpers.testbench.study.gap_study`."""
    settings = list(dict.fromkeys(zip(study["dataset"], study["rate"], strict=True)))
    figure, axes = panels(2 * len(settings), 2, 3.9, 2.6)
    colours = dict(zip(sorted(study["temperature"].unique(), key=str), COLOURS, strict=False))
    for i, (dataset, rate) in enumerate(settings):
        rows = study[(study["dataset"] == dataset) & (study["rate"] == rate)]
        for ax, (measure, label) in zip(axes[2 * i : 2 * i + 2], MEASURES.items(), strict=True):
            for temperature, line in rows.groupby("temperature"):
                by = line.groupby("epoch")[measure]
                mean = by.mean()
                error = [mean - by.min(), by.max() - mean]
                style = {"color": colours[temperature], "marker": "o", "markersize": 3, "capsize": 2}
                ax.errorbar(mean.index, mean, yerr=error, label=f"temperature {temperature}", **style)
            ax.set(title=f"{title(dataset)}, rate {rate:g}", xlabel="epoch", ylabel=label)
            log_axis(ax.xaxis, "symlog")
            ax.set_ylim(bottom=0)
    distinct_legend(figure, axes)
    return figure


def dial_gains(dials: pd.DataFrame):
    """Gain of lambda = 1 with its interval against the gap, one panel per protocol, one colour per pair of R."""
    protocols = list(dict.fromkeys(dials["protocol"]))
    figure, axes = panels(len(protocols), 3, 3.0, 2.8)
    cones = list(dict.fromkeys(zip(dials["R_image"].round(2), dials["R_text"].round(2), strict=True)))
    for ax, protocol in zip(axes, protocols, strict=True):
        for colour, (image, text) in zip(COLOURS, cones, strict=False):
            rows = dials[
                (dials["protocol"] == protocol) & (dials["R_image"].round(2) == image) & (dials["R_text"].round(2) == text)
            ]
            error = [rows["gain"] - rows["low"], rows["high"] - rows["gain"]]
            ax.errorbar(rows["gap"], rows["gain"], yerr=error, fmt="o", color=colour, capsize=2, label=f"R {image:g} / {text:g}")
        ax.axhline(0, color="#22272e", linewidth=0.8)
        ax.set(title=protocol, xlabel="gap", ylabel="gain of λ = 1")
    distinct_legend(figure, axes)
    return figure
