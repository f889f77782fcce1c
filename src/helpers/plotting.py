"""Draw every figure of the book in one style; functions take tidy tables or embedding sets and return a figure."""

import math
import tomllib
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython import get_ipython
from matplotlib.collections import PathCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from .datasets.registry import title
from .geometry import principal_directions
from .store.embeddings import EmbeddingSet

INK, GRID = "#22272e", "#d5d9de"
PUBLISHED, PALE = "#8a9099", "#ccd1d8"  # measurements of others are grey, behind ours
_STYLE = tomllib.loads(Path(__file__).with_name("colours.toml").read_text("utf-8"))
FEATURES, BACKBONES, PROTOCOLS, ALIGNMENTS = (_STYLE[name] for name in ("features", "backbones", "protocols", "alignments"))
SPARE = ("#e69f00", "#56b4e9", "#8c564b", "#666666")
MARKERS = "osD^vP"


def use_style() -> None:
    """Set the style of all figures: SVG in notebooks, equal bytes for equal figures, and no mathematics between ``$``."""
    plt.style.use(Path(__file__).with_name("book.mplstyle"))
    if get_ipython() is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg", metadata={"Date": None}, bbox_inches="tight")


def log_axis(axis, scale: str = "log") -> None:
    """Set an axis to a logarithmic scale with plain numbers at its decades; powers of ten would be mathematics."""
    getattr(axis.axes, f"set_{axis.axis_name}scale")(scale)
    axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axis.set_minor_formatter(NullFormatter())


def colour(name: str) -> str:
    """Return the colour of a backbone, or a fixed spare colour for an unknown one."""
    return BACKBONES.get(name, SPARE[sum(map(ord, name)) % len(SPARE)])


def panels(n: int, columns: int, width: float, height: float, **kwargs):
    """Return a figure and n axes in a grid of at most ``columns`` columns; unused axes are removed."""
    columns = min(columns, n)
    rows = math.ceil(n / columns)
    figure, axes = plt.subplots(rows, columns, figsize=(width * columns, height * rows), squeeze=False, **kwargs)
    for spare in axes.ravel()[n:]:
        spare.remove()
    return figure, axes.ravel()[:n]


def share_legend(figure, axes, **kwargs) -> None:
    """Draw one legend below all panels with every label that occurs in any of ``axes``, once."""
    found = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    legend = figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=3 - (len(found) == 4), **kwargs)
    for points in (handle for handle in legend.legend_handles if isinstance(handle, PathCollection)):
        points.set_alpha(1)


def interval_legend(figure, spread: str, *more) -> None:
    """Draw the legend of an interval plot, with ``more`` handles."""
    handles = [
        Line2D([], [], color=INK, linewidth=3, alpha=0.45, label="95 % bootstrap interval over test rows"),
        Line2D([], [], color=INK, linewidth=1, marker="o", markersize=5, label=f"difference{spread}"),
    ]
    figure.legend(handles=[*handles, *more], loc="outside lower center", ncols=2)


def plane(sets):
    """Draw both modalities of one or several embedding sets on two principal directions, fitted on both (the paper's Fig. 2)."""
    sets = [sets] if isinstance(sets, EmbeddingSet) else list(sets)
    figure, axes = panels(len(sets), 2, 3.9, 3.3)
    for ax, s in zip(axes, sets, strict=True):
        image, text = s.image_of(), s.text_of()
        pooled, means = np.concatenate([image, text]), []
        directions, shares = principal_directions(pooled, k=2)
        drawn = np.sort(np.random.default_rng(0).permutation(len(s))[:1500])
        for feature, x in (("image", image), ("text", text)):
            xy = (x - pooled.mean(axis=0)) @ directions.T
            means.append(xy.mean(axis=0))
            xy = xy[drawn]
            ax.scatter(*xy.T, s=5, alpha=0.35, linewidths=0, color=FEATURES[feature], label=feature, rasterized=True)
        ax.annotate("", *means, arrowprops={"arrowstyle": "->", "color": INK, "lw": 1.4})
        name = f"{title(s.dataset)} · {s.provenance.get('backbone', 'own')}"
        ax.set(xlabel=f"PC 1 ({100 * shares[0]:.0f} % of variance)", ylabel=f"PC 2 ({100 * shares[1]:.0f} %)", title=name)
        ax.set(aspect="equal", adjustable="datalim")
    share_legend(figure, axes, markerscale=3)
    return figure


def curves(summary: pd.DataFrame):
    """Draw AUC against lambda: data set and encoder in rows, protocols in columns, mean and sd over seeds by feature."""
    by_set, protocols = summary.groupby(["dataset", "backbone"], sort=False), list(dict.fromkeys(summary["protocol"]))
    shape = (2.75 * len(protocols) + 0.6, 2.15 * by_set.ngroups + 0.4)
    figure, axes = plt.subplots(by_set.ngroups, len(protocols), figsize=shape, squeeze=False, sharex=True, sharey="row")
    for row, ((dataset, backbone), of_set) in zip(axes, by_set, strict=True):
        for ax, protocol in zip(row, protocols, strict=True):
            mine = of_set[of_set["protocol"] == protocol]
            for i, feature in enumerate(FEATURES):
                line = mine[mine["features"] == feature].sort_values("lambda_image")
                if len(line):  # moved apart, so that bars do not overlap
                    x, y, sd = line["lambda_image"] + (i - 1) * 0.012, line["mean"], np.nan_to_num(line["sd"].astype(float))
                    style = {"color": FEATURES[feature], "fmt": MARKERS[i] + "-", "markersize": 3.2, "elinewidth": 0.8}
                    label = feature if feature == "joint" else f"{feature} only"
                    ax.errorbar(x, y, yerr=sd, linewidth=1.3, label=label, **style)
            ax.set_title(f"{protocol}{' (hard labels)' if (mine['metric'] == 'auc_hard').any() else ''}", fontsize=9.5)
        row[0].set_ylabel(f"{title(dataset)} · {backbone}\ntest AUC")
    for ax in axes[-1]:
        ax.set_xlabel("alignment strength λ")
    share_legend(figure, axes.ravel())
    return figure


def effects(table: pd.DataFrame, label: str = "protocol", spread: str = "seeds"):
    """Draw AUC(lambda) - AUC(0) with bootstrap interval (thick) and standard deviation over ``spread`` (thin), a panel per set.

    ``table`` holds rows of ``SweepResult.effects``, of several lambdas only the farthest from 0; column ``label`` names the rows.
    """
    if "lambda_image" in table:
        order = table.reset_index(drop=True).sort_values("lambda_image", key=abs, kind="stable")
        table = order.drop_duplicates(["dataset", "backbone", label], keep="last").sort_index()
    by_set, groups = table.groupby(["dataset", "backbone"], sort=False), list(dict.fromkeys(table[label]))
    figure, axes = panels(by_set.ngroups, 2, 3.9, 1.0 + 0.34 * len(groups), sharex=True, sharey=True)
    for ax, ((dataset, backbone), mine) in zip(axes, by_set, strict=True):
        ax.axvline(0, color=INK, linewidth=0.8)
        for y, row in zip(mine[label].map(groups.index), mine.to_dict("records"), strict=True):
            shade = PROTOCOLS.get(row[label], INK)
            ax.plot([row["low"], row["high"]], [y, y], color=shade, linewidth=3, alpha=0.45, solid_capstyle="butt")
            style = {"fmt": "o", "color": shade, "markersize": 5, "capsize": 3, "linewidth": 1}
            ax.errorbar(row["difference"], y, xerr=np.nan_to_num(row["seed_sd"]), **style)
        labels = [ALIGNMENTS.get(g, g) for g in groups]
        ax.set(title=f"{title(dataset)} · {backbone}", xlabel="change of test AUC", yticks=range(len(groups)), yticklabels=labels)
        ax.tick_params(labelbottom=True)
        ax.locator_params(axis="x", nbins=4)
    axes[0].set_ylim(len(groups) - 0.5, -0.5)
    interval_legend(figure, f" ± standard deviation over {spread}" if (table["seed_sd"] > 0).any() else "")
    return figure
