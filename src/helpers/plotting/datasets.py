"""Draw properties of the data, one panel per data set, from the tables of :mod:`helpers.datasets.overview`."""

import numpy as np
import pandas as pd

from ..datasets.registry import title
from . import FEATURES, GRID, INK, panels, share_legend

SHOWN = 16  # most classes in a panel
SPLITS = {"train": ("o", INK, 6), "val": ("D", "#8b949e", 4), "test": ("x", "#d55e00", 6)}  # marker, colour, size


def _by_set(table: pd.DataFrame, of: list[str]) -> dict[str, pd.DataFrame]:
    """Return the rows per panel title; variants of a data set that agree in the columns ``of`` share a panel."""
    panels = {}
    for name, rows in table.groupby("dataset", sort=False):
        variants = {v: r[of].reset_index(drop=True) for v, r in rows.groupby("variant", sort=False)}
        first = next(iter(variants.values()))
        if all(first.equals(other) for other in variants.values()):
            panels[title(name)] = first
        else:
            panels |= {f"{title(name)} · {variant}": r for variant, r in variants.items()}
    return panels


def class_shares(balance: pd.DataFrame):
    """Draw the share of each split's rows that are positive for a class, classes in order of frequency."""
    sets = _by_set(balance, ["class", "split", "share", "positives"])
    most = max(min(SHOWN, rows["class"].nunique()) for rows in sets.values())
    figure, axes = panels(len(sets), 2, 3.9, 0.9 + 0.19 * most)
    for ax, (name, rows) in zip(axes, sets.items(), strict=True):
        order = rows.groupby("class")["positives"].sum().sort_values(ascending=False, kind="stable").index
        shown = order if len(order) <= SHOWN else order[: SHOWN - 3].append(order[-3:])
        for split, (marker, colour, size) in SPLITS.items():
            mine = rows[rows["split"] == split].set_index("class")["share"].reindex(shown)
            style = {"color": colour, "markersize": size, "markerfacecolor": "none", "markeredgewidth": 1.3}
            ax.plot(mine, np.arange(len(shown)), marker, label=split, **style)
        shown_of_all = f"\n{len(shown) - 3} commonest, 3 rarest of {len(order)}" if len(shown) < len(order) else ""
        ax.set(title=name + shown_of_all, xlabel="share of the split's rows", xlim=(0, None), yticks=range(len(shown)))
        ax.set_yticklabels([str(c)[:24] for c in shown])
        ax.set_ylim(max(len(shown), 2) - 0.5, -0.5)
    share_legend(figure, axes[0])
    return figure


def text_lengths(lengths: pd.DataFrame):
    """Draw words per text as a share of pairs; without any counts, draw one panel that says so."""
    sets = _by_set(lengths[lengths["unit"] == "words"], ["length", "pairs"])
    if not sets:
        figure, (ax,) = panels(1, 1, 3.9, 2.1)
        ax.set(title="no raw copy here, no texts counted", xlabel="words in a text", ylabel="share of pairs")
        return figure
    figure, axes = panels(len(sets), 2, 3.9, 2.1)
    for ax, (name, rows) in zip(axes, sets.items(), strict=True):
        style = {"width": 1, "color": FEATURES["text"], "edgecolor": "white", "linewidth": 0.4}
        ax.bar(rows["length"], rows["pairs"] / rows["pairs"].sum(), **style)
        ax.set(title=name, xlabel="words in a text", ylabel="share of pairs", xlim=(0, None))
    return figure


def coverage(repeats: pd.DataFrame):
    """Draw the share of pairs that the commonest images and texts account for."""
    sets = _by_set(repeats, ["what", "occurrences", "items"])
    figure, axes = panels(len(sets), 2, 3.9, 2.3, sharey=True)
    for ax, (name, rows) in zip(axes, sets.items(), strict=True):
        for what, line in (("image", "-"), ("text", "--")):
            mine = rows[rows["what"] == what].sort_values("occurrences", ascending=False)
            occurrences = np.repeat(mine["occurrences"].to_numpy(), mine["items"].to_numpy())
            ranks = np.unique(np.geomspace(1, len(occurrences), 200).astype(int))
            share = np.cumsum(occurrences)[ranks - 1] / occurrences.sum()
            ax.plot(ranks, share, line, color=FEATURES[what], label=what)
        ax.set(title=name, xlabel="commonest items", xscale="log", ylim=(0, 1.02))
        ax.tick_params(labelleft=True)
        ax.grid(color=GRID)
    axes[0].set_ylabel("share of pairs")
    share_legend(figure, axes[0])
    return figure
