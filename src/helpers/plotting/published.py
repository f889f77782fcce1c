"""Draw the paper's own numbers, and recomputed ones in front of them."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..published import BACKBONES, is_contributed
from . import INK, MARKERS, PALE, colour, distinct_legend, panels, share_legend


def published_resultants(table: pd.DataFrame):
    """Draw the 64 published values of R (Table 1) as points, medical data sets above natural ones; recomputed values as crosses,
    contributed ones as plus signs."""
    names = list(dict.fromkeys(table.sort_values("domain", kind="stable")["dataset"]))
    medical = table.loc[table["domain"] == "medical", "dataset"].nunique()
    figure, axes = panels(2, 2, 4.0, 0.9 + 0.32 * len(names), sharey=True)
    for ax, modality in zip(axes, ("text", "image"), strict=True):
        for i, (backbone, key) in enumerate(BACKBONES.items()):
            mine = table[(table["modality"] == modality) & (table["backbone"] == backbone)].set_index("dataset").loc[names]
            y = np.arange(len(names)) + (i - 1.5) * 0.16
            ax.plot(mine["published"], y, MARKERS[i], color=colour(key), label=backbone, markersize=5)
            contributed = is_contributed(mine["route"])
            for marker, chosen in (("x", ~contributed), ("+", contributed)):
                ours = mine["ours"].astype(float).where(chosen)
                if ours.notna().any():
                    ax.plot(ours, y, marker, color=INK, markersize=6)
        ax.axhline(medical - 0.5, color=INK, linewidth=0.8, linestyle=":")
        least = np.nanmin([0.57, *table["ours"].astype(float)]) - 0.02
        ax.set(xlim=(least, 1.005), xlabel=f"published R, {modality}", yticks=range(len(names)), yticklabels=names)
    axes[0].invert_yaxis()
    share_legend(figure, axes[0])
    return figure


def authors_gaps(bounds: pd.DataFrame):
    """Draw the bounds of the gap from the authors' CLIP projections (``gap_bounds``), by data set and over lambda."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.0))
    unshifted = bounds[bounds["lambda"] == 0].sort_values(["domain", "low"], ascending=[True, False], ignore_index=True)
    for domain, shade, marker in (("medical", colour("biomedclip"), "o"), ("natural", colour("clip"), "s")):
        mine = unshifted[unshifted["domain"] == domain]
        left.plot(mine["high"], mine.index, marker, color=shade, label=f"{domain} data")
    left.set(xlim=(0, None), yticks=unshifted.index, yticklabels=unshifted["dataset"], xlabel="norm of the gap, CLIP, λ = 0")
    left.invert_yaxis()
    path = bounds[bounds["dataset"] == "HAM10000"].sort_values("lambda")
    right.fill_between(path["lambda"], path["low"], path["high"], color=PALE, label="bounds of the gap, HAM10000")
    right.plot(path["lambda"], path["low"], ".-", color=INK, linewidth=1, label="gap within the plane")
    right.set(ylim=(0, None), xlabel="λ", ylabel="norm of the gap")
    distinct_legend(figure, (left, right))
    return figure
