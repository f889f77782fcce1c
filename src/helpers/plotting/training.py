"""Draw the figures of the protocol audit: gain against training, effect of each difference, equivalences predicted and seen."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import TwoSlopeNorm
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from ..datasets.registry import title
from . import ALIGNMENTS, INK, PALE, PROTOCOLS, distinct_legend, panels

SETS = ["dataset", "variant", "backbone"]
RATE_SHADES = {3e-4: "#e69f00", 1e-3: "#b45f00", 1e-2: "#5c2400"}  # AdamW, slow to fast; more lines would hide the finding
CHANNEL_SHADES = {"shift": "#0072b2", "common-scale": "#009e73", "scale-ratio": "#cc79a7", "spread": "#8c564b", "lambda": INK}
OPTIMIZERS = {"adamw": "AdamW", "sgd": "SGD"}
SETTINGS = (("adamw", 3e-4, 2300, "o", "probe of the paper's Fig. 3"), ("adamw", 1e-3, 36_600, "D", "authors' longer run"))
"""Optimiser, rate and updates of the authors' two stored BRSET runs (100 epochs of 23 and of 366 updates at most)."""
TEXT_SETTING = ("sgd", 3e-4, 2300, "s", "the paper's text, as many updates")


def set_title(names) -> str:
    """Return a panel's title: data set, text where there are several, encoder."""
    dataset, variant, backbone = names
    return f"{title(dataset)}{'' if variant in ('common', 'own') else f' ({variant} text)'} · {backbone}"


def gain_against_training(paths: pd.DataFrame, limits: pd.DataFrame):
    """Draw the gain of lambda = 1 against updates: AdamW from slow to fast, SGD at the paper's rate, and the converged gain.

    Args:
        paths: rows of ``helpers.probing.training_gain.training_gain``.
        limits: rows of ``helpers.probing.training_gain.converged_gain``.
    """
    whole = paths[paths["alignment"] == "lambda"]
    names = list(dict.fromkeys(zip(*(whole[c] for c in SETS), strict=True)))
    figure, axes = panels(len(names), 3, 3.3, 2.9, sharex=True, sharey=True)
    for ax, name in zip(axes, names, strict=True):
        mine = _of_set(whole, name)
        _limit(ax, _of_set(limits[limits["alignment"] == "lambda"], name))
        slow = mine[(mine["optimizer"] == "sgd") & (mine["rate"] == mine.loc[mine["optimizer"] == "sgd", "rate"].min())]
        for rate, line in slow.groupby("rate"):
            ax.plot(line["updates"], line["gain"], color=PROTOCOLS["paper"], linestyle="--", label=f"SGD, rate {rate:g} (text)")
        for rate, shade in RATE_SHADES.items():
            line = mine[(mine["optimizer"] == "adamw") & np.isclose(mine["rate"], rate)].sort_values("updates")
            published = rate == SETTINGS[0][1]
            style = {"color": shade, "linewidth": 2.4 if published else 1.3, "zorder": 3 if published else 2}
            ax.plot(line["updates"], line["gain"], label=f"AdamW, rate {rate:g}{' (paper, Fig. 3)' if published else ''}", **style)
            ax.fill_between(line["updates"], line["low"], line["high"], color=shade, alpha=0.2, linewidth=0)
        _mark_on_curves(ax, mine)
        ax.set(title=set_title(name), ylabel="AUC(1) − AUC(0)")
        _log_updates(ax)
    distinct_legend(figure, axes)
    return figure


def _log_updates(ax) -> None:
    ax.set(xscale="log", xlabel="updates")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(labelbottom=True)


def _of_set(table: pd.DataFrame, name) -> pd.DataFrame:
    return table[(table[SETS] == list(name)).all(axis=1)]


def _limit(ax, limit: pd.DataFrame) -> None:
    for row in limit.itertuples():
        ax.axhspan(row.low, row.high, color=PALE, alpha=0.6, linewidth=0, zorder=0)
        ax.axhline(row.gain, color=INK, linewidth=1.8, zorder=1, label="converged probe, 95 % interval")


def _mark_on_curves(ax, mine: pd.DataFrame) -> None:
    """Mark the authors' two stored settings on the curves of their rates, where these are long enough."""
    for optimizer, rate, updates, marker, label in SETTINGS:
        line = mine[(mine["optimizer"] == optimizer) & np.isclose(mine["rate"], rate)]
        at = line.loc[(line["updates"] - updates).abs() <= 0.02 * updates, "gain"]
        if len(at):
            ax.plot(updates, at.iloc[0], marker, color="white", markeredgecolor=INK, markersize=7, zorder=5, label=label)


def gain_map(paths: pd.DataFrame):
    """Draw the gain of lambda = 1 as a map over updates and learning rate, a row of panels per optimiser, a column per set."""
    whole = paths[paths["alignment"] == "lambda"]
    names = list(dict.fromkeys(zip(*(whole[c] for c in SETS), strict=True)))
    optimizers = [o for o in OPTIMIZERS if o in set(whole["optimizer"])]
    columns = min(3, len(names))
    blocks = -(-len(names) // columns)
    shape = (3.1 * columns + 0.9, 2.0 * blocks * len(optimizers) + 0.6)
    figure, axes = plt.subplots(blocks * len(optimizers), columns, figsize=shape, squeeze=False, sharex=True)
    extent = float(np.nanquantile(whole["gain"].abs(), 0.95))
    norm = TwoSlopeNorm(0, -extent, extent)
    for i, name in enumerate(names):
        for j, optimizer in enumerate(optimizers):
            ax = axes[i // columns * len(optimizers) + j, i % columns]
            image = _map_panel(ax, _of_set(whole[whole["optimizer"] == optimizer], name), norm)
            _mark_on_map(ax, optimizer)
            ax.set_title(f"{set_title(name)}, {OPTIMIZERS[optimizer]}", fontsize=8.5)
            ax.set_ylabel("rate" if i % columns == 0 else "")
            ax.tick_params(labelbottom=i // columns == blocks - 1 and j == len(optimizers) - 1)
            ax.set_xlabel("updates" if i // columns == blocks - 1 and j == len(optimizers) - 1 else "")
    for i in range(len(names), blocks * columns):
        for j in range(len(optimizers)):
            axes[i // columns * len(optimizers) + j, i % columns].remove()
    figure.colorbar(image, ax=axes, label="AUC(1) − AUC(0)", extend="both", shrink=0.6)
    marks = [Line2D([], [], color="white", markeredgecolor=INK, marker=m, linestyle="", label=label) for *_, m, label in _MARKS]
    figure.legend(handles=marks, loc="outside lower center", ncols=3)
    return figure


_MARKS = (*SETTINGS, TEXT_SETTING)


def _map_panel(ax, mine: pd.DataFrame, norm):
    rates = np.sort(mine["rate"].unique())
    edges = _log_edges(rates)
    for k, rate in enumerate(rates):
        line = mine[mine["rate"] == rate].sort_values("updates")
        across = _log_edges(line["updates"].to_numpy(float))
        image = ax.pcolormesh(across, edges[k : k + 2], line["gain"].to_numpy()[None], cmap="RdBu_r", norm=norm, rasterized=False)
    ax.set(yscale="log", yticks=rates, yticklabels=[f"{r:g}" for r in rates], xlim=(8, 60_000))
    _log_updates(ax)
    ax.minorticks_off()
    ax.grid(False)
    return image


def _log_edges(values: np.ndarray) -> np.ndarray:
    """Return the edges (n + 1,) of cells around positive values, half way between neighbours on a logarithmic axis."""
    x = np.log(values)
    if len(x) == 1:
        return np.exp([x[0] - 0.5, x[0] + 0.5])
    middle = (x[1:] + x[:-1]) / 2
    return np.exp([2 * x[0] - middle[0], *middle, 2 * x[-1] - middle[-1]])


def _mark_on_map(ax, optimizer: str) -> None:
    for name, rate, updates, marker, _ in _MARKS:
        if name == optimizer:
            ax.plot(updates, rate, marker, color="white", markeredgecolor=INK, markersize=7, zorder=5)


def channels_against_training(paths: pd.DataFrame, limits: pd.DataFrame, optimizer: str = "adamw"):
    """Draw what each channel alone gains against updates, with the converged gain of each as a mark at the right edge."""
    paths = paths[(paths["optimizer"] == optimizer) & (paths["alignment"] != "none")]
    rates = paths.loc[paths["alignment"] == "shift", "rate"].unique()
    paths = paths[paths["rate"].isin(rates)]
    names = list(dict.fromkeys(zip(*(paths[c] for c in SETS), strict=True)))
    figure, axes = panels(len(names), 3, 3.3, 2.7, sharex=True)
    for ax, name in zip(axes, names, strict=True):
        mine, limit = _of_set(paths, name), _of_set(limits, name).set_index("alignment")["gain"]
        ax.axhline(0, color=INK, linewidth=0.8)
        for channel, shade in CHANNEL_SHADES.items():
            line = mine[mine["alignment"] == channel].sort_values("updates")
            ax.plot(
                line["updates"], line["gain"], color=shade, linewidth=2.2 if channel == "lambda" else 1.4, label=ALIGNMENTS[channel]
            )
            if channel in limit:
                ax.plot(2 * mine["updates"].max(), limit[channel], "<", color=shade, markersize=5)
        ax.set(title=set_title(name), ylabel="change of AUC")
        _log_updates(ax)
    handles, labels = axes[0].get_legend_handles_labels()
    handles.append(Line2D([], [], color=INK, marker="<", linestyle="", markersize=5))
    figure.legend(handles, [*labels, "converged probe"], loc="outside lower center", ncols=3)
    return figure


def equivalences(table: pd.DataFrame):
    """Draw the change of AUC by one channel as seen (line) and as other rates or mixing predict it (rings)."""
    channels = list(dict.fromkeys(table["channel"]))
    figure, axes = panels(len(channels), 3, 3.3, 2.7, sharex=True)
    for ax, channel in zip(axes, channels, strict=True):
        ax.axhline(0, color=INK, linewidth=0.8)
        for (optimizer, rate), line in table[table["channel"] == channel].groupby(["optimizer", "rate"], sort=False):
            shade = PROTOCOLS["paper"] if optimizer == "sgd" else PROTOCOLS["authors-code"]
            ax.plot(line["updates"], line["seen"], color=shade, label=f"{OPTIMIZERS[optimizer]}, rate {rate:g}, seen")
            ring = {"linestyle": "", "marker": "o", "markerfacecolor": "none", "color": shade, "markersize": 6}
            ax.plot(line["updates"], line["predicted"], label=f"{OPTIMIZERS[optimizer]}, predicted", **ring)
        ax.set(title=ALIGNMENTS[channel], ylabel="change of AUC")
        _log_updates(ax)
    distinct_legend(figure, axes)
    return figure
