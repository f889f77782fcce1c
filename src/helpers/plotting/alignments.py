"""Draw what alignments close and what they cost, and how many rows two splits share."""

import numpy as np
import pandas as pd

from .panels import distinct_legend, panels
from .style import INK, MARKERS, SPARE

LINES = ("#0072b2", "#009e73", "#d55e00", "#cc79a7", "#000000", *SPARE[:2])


COLUMNS = ("value", "low", "high")
SET = ["dataset", "variant", "backbone"]
LAMBDAS = {"none": 0.0, "lambda-0.5": 0.5, "lambda-1": 1.0}
BEST = {"gap": "min", "mixing": "max", "recall_image_to_text": "max", "recall_text_to_image": "max"}


def heat_map(summary: pd.DataFrame, measures: list[str]):
    """Draw each measure (columns) under each renormalised alignment (rows), with intervals; one panel per set.

    The best value of a column is bold if one direction is better. An alignment that could not be fitted has an empty row.

    Args:
        summary: rows of ``helpers.recommend.summarise`` with dataset, variant and backbone.
        measures: measures to show; colours run from the lowest to the highest value within a column.
    """
    sets = list(summary[summary["renormalise"]].groupby(SET, sort=False))
    most = max(rows["alignment"].nunique() for _, rows in sets)
    figure, axes = panels(len(sets), 1, 2.2 + 1.25 * len(measures), 1.0 + 0.32 * most)
    for ax, (name, rows) in zip(axes, sets, strict=True):
        names = rows["alignment"].unique()
        value, low, high = (
            rows.pivot_table(index="alignment", columns="measure", values=c).reindex(names)[measures] for c in COLUMNS
        )
        span = (value.max() - value.min()).replace(0, 1)
        ax.imshow((value - value.min()) / span, cmap="Blues", aspect="auto", vmin=0, vmax=1.6)
        best = {measures.index(m): value[m].agg(which) for m, which in BEST.items() if m in measures}
        for (i, j), shown in np.ndenumerate(value.to_numpy()):
            text = "not fitted" if np.isnan(shown) else f"{shown:.2f} [{low.iloc[i, j]:.2f}, {high.iloc[i, j]:.2f}]"
            weight = "bold" if shown == best.get(j) else "normal"
            ax.text(j, i, text, ha="center", va="center", fontsize=7, color=INK, weight=weight)
        ax.set(title=" · ".join(name), xticks=range(len(measures)), yticks=range(len(value)), yticklabels=list(value.index))
        ax.set_xticklabels([m.replace("_", " ") for m in measures], rotation=20, ha="right")
        ax.grid(False)
    return figure


def against_lambda(summary: pd.DataFrame, measures: list[str]):
    """Draw each measure against lambda with its interval over splits, one panel per measure and one line per set.

    Args:
        summary: rows of ``helpers.recommend.summarise`` with dataset, variant and backbone.
        measures: measures to show.
    """
    figure, axes = panels(len(measures), 3, 3.0, 2.6)
    rows = summary[summary["renormalise"] & summary["alignment"].isin(LAMBDAS)]
    rows = rows.assign(lam=rows["alignment"].map(LAMBDAS)).sort_values("lam")
    sets = list(rows.groupby(SET, sort=False))
    for ax, measure in zip(axes, measures, strict=True):
        for i, (name, of_set) in enumerate(sets):
            line = of_set[of_set["measure"] == measure]
            error = [line["value"] - line["low"], line["high"] - line["value"]]
            style = {
                "color": LINES[i % len(LINES)],
                "linestyle": ("-", "--")[i // len(LINES) % 2],
                "marker": MARKERS[i % len(MARKERS)],
            }
            ax.errorbar(line["lam"] + 0.012 * (i - len(sets) / 2), line["value"], error, capsize=2, label=" · ".join(name), **style)
        ax.set(title=measure.replace("_", " "), xlabel="λ", xticks=list(LAMBDAS.values()), ylim=(0, None))
    distinct_legend(figure, axes)
    return figure


def shared_rows(curves: pd.DataFrame):
    """Draw the share of test rows with a training row of at least this cosine; a panel per modality, a line per set.

    Args:
        curves: ``dataset, variant, backbone, modality, cosine, share``, see :func:`helpers.probing.leakage.near_duplicates`.
    """
    modalities = list(curves.groupby("modality", sort=False))
    figure, axes = panels(len(modalities), 2, 4.2, 2.8)
    for ax, (modality, rows) in zip(axes, modalities, strict=True):
        for i, (name, line) in enumerate(rows.groupby(SET, sort=False)):
            ax.plot(line["cosine"], line["share"], color=LINES[i % len(LINES)], label=" · ".join(name))
        ax.set(title=modality, xlabel="cosine to the nearest training row", ylabel="share of test rows", ylim=(0, 1.02))
    distinct_legend(figure, axes)
    return figure
