"""What alignments close and what they cost, and how many rows two splits share."""

import numpy as np
import pandas as pd

from .panels import panels
from .style import INK


def heat_map(summary: pd.DataFrame, measures: list[str]):
    """Values of each measure (columns) under each renormalised alignment (rows), with intervals; one panel per set.

    Args:
        summary: rows of ``helpers.recommend.summarise`` with dataset and backbone.
        measures: which to show; colours run from the lowest to the highest value within a column.
    """
    sets = list(summary[summary["renormalise"]].groupby(["dataset", "variant", "backbone"], sort=False))
    most = max(rows["alignment"].nunique() for _, rows in sets)
    figure, axes = panels(len(sets), 1, 2.2 + 1.25 * len(measures), 1.0 + 0.32 * most)
    for ax, (name, rows) in zip(axes, sets, strict=True):
        value, low, high = (rows.pivot_table(index="alignment", columns="measure", values=c, sort=False)[measures] for c in COLUMNS)
        span = (value.max() - value.min()).replace(0, 1)
        ax.imshow((value - value.min()) / span, cmap="Blues", aspect="auto", vmin=0, vmax=1.6)
        for (i, j), shown in np.ndenumerate(value.to_numpy()):
            text = f"{shown:.2f} [{low.iloc[i, j]:.2f}, {high.iloc[i, j]:.2f}]"
            ax.text(j, i, text, ha="center", va="center", fontsize=7, color=INK)
        ax.set(title=" · ".join(name), xticks=range(len(measures)), yticks=range(len(value)), yticklabels=list(value.index))
        ax.set_xticklabels([m.replace("_", " ") for m in measures], rotation=20, ha="right")
        ax.grid(False)
    return figure


COLUMNS = ("value", "low", "high")


def shared_rows(curves: dict[str, tuple[np.ndarray, np.ndarray]]):
    """Share of test rows with a training row at least this similar, against the cosine; one line per name."""
    figure, (ax,) = panels(1, 1, 4.6, 2.8)
    for name, (thresholds, share) in curves.items():
        ax.plot(thresholds, share, label=name)
    ax.set(xlabel="cosine to the nearest training row", ylabel="share of test rows", ylim=(0, 1.02))
    ax.legend()
    return figure
