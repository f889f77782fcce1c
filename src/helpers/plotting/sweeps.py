"""Draw AUC against lambda, and the gain of a change of lambda."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..datasets.registry import title
from .panels import distinct_legend, interval_legend, panels, share_legend
from .style import ALIGNMENTS, FEATURES, INK, MARKERS, PALE, PROTOCOLS, PUBLISHED


def curves(summary: pd.DataFrame):
    """Draw AUC against lambda: data set and encoder in rows, protocols in columns, mean and sd over seeds by feature."""
    names = list(dict.fromkeys(zip(summary["dataset"], summary["backbone"], strict=True)))
    protocols = list(dict.fromkeys(summary["protocol"]))
    shape = (2.75 * len(protocols) + 0.6, 2.15 * len(names) + 0.4)
    figure, axes = plt.subplots(len(names), len(protocols), figsize=shape, squeeze=False, sharex=True, sharey="row")
    for row, (dataset, backbone) in enumerate(names):
        of_set = summary[(summary["dataset"] == dataset) & (summary["backbone"] == backbone)]
        for column, protocol in enumerate(protocols):
            ax, mine = axes[row, column], of_set[of_set["protocol"] == protocol]
            _feature_lines(ax, mine)
            hard = (mine["metric"] == "auc_hard").any()
            ax.set_title(f"{protocol}{' (hard labels)' if hard else ''}", fontsize=9.5)
        axes[row, 0].set_ylabel(f"{title(dataset)} · {backbone}\ntest AUC")
    for ax in axes[-1]:
        ax.set_xlabel("alignment strength λ")
    share_legend(figure, axes[0, 0])
    return figure


def _feature_lines(ax, summary: pd.DataFrame) -> None:
    """Draw one line per feature; bars are standard deviations over seeds, moved apart so that they do not overlap."""
    for i, feature in enumerate(FEATURES):
        mine = summary[summary["features"] == feature].sort_values("lambda_image")
        if len(mine):
            x, y, sd = (mine[c].to_numpy(float) for c in ("lambda_image", "mean", "sd"))
            style = {"color": FEATURES[feature], "fmt": MARKERS[i] + "-", "markersize": 3.2, "elinewidth": 0.8, "linewidth": 1.3}
            label = feature if feature == "joint" else f"{feature} only"
            ax.errorbar(x + (i - 1) * 0.012, y, yerr=np.nan_to_num(sd), label=label, **style)


def effects(table: pd.DataFrame, label: str = "protocol", spread: str = "seeds"):
    """Draw AUC(lambda) - AUC(0) with bootstrap interval (thick) and standard deviation over ``spread`` (thin), a panel per set.

    Args:
        table: rows of :meth:`helpers.probing.result.SweepResult.effects`; of several lambdas only the farthest from 0.
        label: column whose values are the rows of each panel.
    """
    if "lambda_image" in table:
        order = table.reset_index(drop=True).sort_values("lambda_image", key=abs, kind="stable")
        table = order.drop_duplicates(["dataset", "backbone", label], keep="last").sort_index()
    names = list(dict.fromkeys(zip(table["dataset"], table["backbone"], strict=True)))
    groups = list(dict.fromkeys(table[label]))
    figure, axes = panels(len(names), 2, 3.9, 1.0 + 0.34 * len(groups), sharex=True, sharey=True)
    for ax, (dataset, backbone) in zip(axes, names, strict=True):
        mine = table[(table["dataset"] == dataset) & (table["backbone"] == backbone)].set_index(label)
        ax.axvline(0, color=INK, linewidth=0.8)
        for y, group in enumerate(groups):
            if group in mine.index:
                row = mine.loc[group]
                shade = PROTOCOLS.get(group, INK)
                ax.plot([row["low"], row["high"]], [y, y], color=shade, linewidth=3, alpha=0.45, solid_capstyle="butt")
                style = {"fmt": "o", "color": shade, "markersize": 5, "capsize": 3, "linewidth": 1}
                ax.errorbar(row["difference"], y, xerr=np.nan_to_num(row["seed_sd"]), **style)
        labels = [ALIGNMENTS.get(g, g) for g in groups]
        ax.set(title=f"{title(dataset)} · {backbone}", xlabel="change of test AUC", yticks=range(len(groups)), yticklabels=labels)
        ax.tick_params(labelbottom=True)
    axes[0].set_ylim(len(groups) - 0.5, -0.5)
    interval_legend(figure, f" ± standard deviation over {spread}" if (table["seed_sd"] > 0).any() else "")
    return figure


def gains(summary: pd.DataFrame, published: pd.DataFrame, lone=()):
    """Draw AUC(lambda) - AUC(0) of our sets by protocol, joint features, in front of the published curves of the data set.

    Args:
        summary: rows of dataset, backbone (names as the paper prints them where it has them), protocol, lambda, gain, metric.
        published: rows of ``authors_sweep``.
        lone: (dataset, backbone) pairs whose titles get an asterisk.
    """
    names = list(dict.fromkeys(zip(summary["dataset"], summary["backbone"], strict=True)))
    figure, axes = panels(len(names), 2 if len(names) <= 6 else 4, 3.9 if len(names) <= 6 else 2.6, 2.7, sharex=True)
    for ax, (dataset, backbone) in zip(axes, names, strict=True):
        for other, curve in published[published["dataset"] == dataset].groupby("backbone", sort=False):
            same = other == backbone
            label, shade = ("published, same encoder", PUBLISHED) if same else ("published, other encoders", PALE)
            ax.plot(curve["lambda"], curve["gain"], color=shade, linewidth=1.6, zorder=1 + same, label=label)
        mine = summary[(summary["dataset"] == dataset) & (summary["backbone"] == backbone)]
        for marker, (protocol, curve) in zip(MARKERS, mine.groupby("protocol", sort=False), strict=False):
            hard = " (hard labels)" if (curve["metric"] == "auc_hard").any() else ""
            style = {"color": PROTOCOLS.get(protocol, INK), "linestyle": "--" if hard else "-", "marker": marker, "markersize": 3.5}
            ax.plot(curve["lambda"], curve["gain"], label=f"{protocol}{hard}", zorder=3, **style)
        ax.axhline(0, color=INK, linewidth=0.8)
        name = f"{title(dataset)} · {backbone}" + " *" * ((dataset, backbone) in lone)
        ax.set(title=name, xlabel="alignment strength λ", ylabel="AUC(λ) − AUC(0)")
        ax.tick_params(labelbottom=True)
    distinct_legend(figure, axes)
    return figure
