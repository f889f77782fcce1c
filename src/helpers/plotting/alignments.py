"""Draw what alignments close and what they cost."""

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle

from ..datasets.registry import title
from ..recommend.findings import merit
from . import INK, MARKERS, SPARE, distinct_legend, panels

LINES = ("#0072b2", "#009e73", "#d55e00", "#cc79a7", "#000000", *SPARE[:2])


SET = ["dataset", "variant", "backbone"]
LAMBDAS = {"none": 0.0, "lambda-0.5": 0.5, "lambda-1": 1.0}
ONLY_VARIANT = ("common", "public")  # of a data set with one kind of text
CELL = 0.53, 0.3  # inches


def heat_map(summary: pd.DataFrame, measures: list[str], digits: int = 2, renormalise: bool = True):
    """Draw a measure under each alignment (columns) on each set (rows), with half intervals; a panel per measure.

    Violet is better and orange worse than no alignment. Bold is a change whose interval excludes zero. A frame marks the best of a
    row. An alignment that could not be fitted keeps its cell, with a dash.

    Args:
        summary: rows of ``helpers.recommend.summarise`` or ``compare_tasks``, with dataset, variant and backbone.
        measures: which to show.
        digits: decimals of a value.
        renormalise: which form of the alignments to show, if the rows have both.
    """
    rows = summary[summary["renormalise"] == renormalise] if "renormalise" in summary else summary
    rows, names = rows.assign(set=_set_names(rows)), list(dict.fromkeys(rows["alignment"]))
    per_measure = [(m, rows[rows["measure"] == m]) for m in measures]
    most = max(of["set"].nunique() for _, of in per_measure)
    figure, axes = panels(len(measures), 1, 1.9 + CELL[0] * len(names), 0.95 + CELL[1] * most)
    for ax, (measure, of) in zip(axes, per_measure, strict=True):
        _draw_panel(ax, of, names, digits=digits)
        ax.set_title(measure.replace("_", " "), fontsize=9)
    return figure


def task_map(tasks: pd.DataFrame):
    """Measures of one set (rows) under each alignment (columns), drawn as in :func:`heat_map`; colours are scaled within a row.

    Args:
        tasks: rows of ``helpers.recommend.compare_tasks`` of one set.
    """
    rows = tasks.dropna(subset=["measure"])
    names, measures = list(dict.fromkeys(tasks["alignment"])), list(dict.fromkeys(rows["measure"]))
    figure, (ax,) = panels(1, 1, 1.9 + 1.5 * CELL[0] * len(names), 0.95 + CELL[1] * len(measures))
    _draw_panel(ax, rows.assign(set=rows["measure"].str.replace("_", " ")), names, by_row=True, digits=3)
    return figure


def _draw_panel(ax, rows: pd.DataFrame, names: list[str], by_row: bool = False, digits: int = 2) -> None:
    """Draw the cells of one panel; colours are scaled within the panel, or within each row."""
    sets = list(dict.fromkeys(rows["set"]))
    merits, unaligned = (
        np.array([merit(measure, value) for measure, value in zip(rows["measure"], values, strict=True)])
        for values in (rows["value"], rows["value"] - rows["change"])
    )
    rows = rows.assign(merit=merits, better=merits - unaligned)
    wide = {c: rows.pivot(index="set", columns="alignment", values=c).reindex(index=sets, columns=names) for c in
            ("value", "low", "high", "change_low", "change_high", "merit", "better")}  # fmt: skip
    better = wide["better"].to_numpy()
    largest = np.nanmax(np.abs(better), initial=1e-12, axis=1 if by_row else None, keepdims=True)
    ax.imshow(better / largest, cmap="PuOr", vmin=-1.6, vmax=1.6, aspect="auto")
    clear = ((wide["change_low"] > 0) | (wide["change_high"] < 0)).to_numpy()
    half = ((wide["high"] - wide["low"]) / 2).to_numpy()
    for (i, j), value in np.ndenumerate(wide["value"].to_numpy()):
        text = "–" if np.isnan(value) else f"{value:.{digits}f}\n±{half[i, j]:.{digits}f}"
        cell = ax.text(j, i, text, ha="center", va="center", fontsize=6, color=INK, weight="bold" if clear[i, j] else "normal")
        cell.set_in_layout(False)  # it lies inside the axes, and measuring hundreds of texts takes long
    for i, of_set in enumerate(wide["merit"].to_numpy()):
        if not np.isnan(of_set).all():
            ax.add_patch(Rectangle((np.nanargmax(of_set) - 0.47, i - 0.44), 0.94, 0.88, fill=False, color=INK, linewidth=1.2))
    ax.set(xticks=range(len(names)), yticks=range(len(sets)))
    ax.set_xticklabels(names, rotation=30, ha="right", fontsize=7)
    ax.set_yticklabels(sets, fontsize=7)
    ax.grid(False)


def _set_names(rows: pd.DataFrame) -> pd.Series:
    """Name each row's set on two lines: data set and, if it can have several, the variant; the encoder below."""
    one = rows["variant"].isin(ONLY_VARIANT)
    return rows["dataset"].map(title) + np.where(one, "", ", " + rows["variant"]) + "\n" + rows["backbone"]


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
            ax.errorbar(
                line["lam"] + 0.012 * (i - len(sets) / 2),
                line["value"],
                error,
                capsize=2,
                label=" · ".join((title(name[0]), *name[1:])),
                **style,
            )
        ax.set(title=measure.replace("_", " "), xlabel="λ", xticks=list(LAMBDAS.values()), ylim=(0, None))
    distinct_legend(figure, axes)
    return figure


def label_curves(tasks: pd.DataFrame, alignments: list[str]):
    """Draw the change of AUC from no alignment against the number of labelled rows; a panel per set, a line per alignment.

    Below each number stands the AUC without an alignment.

    Args:
        tasks: rows of ``helpers.recommend.compare_tasks`` with dataset, variant and backbone; ``probe_auc`` has all labels.
        alignments: which to show.
    """
    labels = tasks["measure"].str.extract(r"auc_(\d+)_labels")[0].astype(float).where(tasks["measure"] != "probe_auc", np.inf)
    rows = tasks.assign(labels=labels, set=_set_names(tasks)).dropna(subset=["labels"]).sort_values("labels")
    sets = list(rows.groupby("set", sort=False))
    figure, axes = panels(len(sets), 3, 3.0, 2.6)
    for ax, (name, of_set) in zip(axes, sets, strict=True):
        base = of_set[of_set["alignment"] == "none"]
        places = {size: place for place, size in enumerate(base["labels"])}
        for i, alignment in enumerate(alignments):
            line = of_set[of_set["alignment"] == alignment]
            error = [line["change"] - line["change_low"], line["change_high"] - line["change"]]
            x = line["labels"].map(places) + 0.08 * (i - (len(alignments) - 1) / 2)
            style = {"color": LINES[i % len(LINES)], "marker": MARKERS[i % len(MARKERS)], "markersize": 3}
            ax.errorbar(x, line["change"], error, capsize=2, linewidth=1, label=alignment, **style)
        ax.axhline(0, color=INK, linewidth=0.8)
        names = [f"{'all' if np.isinf(size) else int(size)}\n{auc:.2f}" for size, auc in zip(places, base["value"], strict=True)]
        ax.set_xticks(list(places.values()), names, fontsize=7)
        ax.set_title(name, fontsize=8)
        ax.set(xlabel="labelled rows", ylabel="change of AUC")
    distinct_legend(figure, axes)
    return figure


def gallery_curves(galleries: pd.DataFrame):
    """Draw the relative change of recall@1 against the pairs in the gallery; a panel per set, a line per alignment and direction.

    Below the name of a set stands the recall without alignment in the smallest gallery, from image to text and back.

    Args:
        galleries: rows of ``helpers.recommend.gallery_changes`` with dataset, variant and backbone.
    """
    sets = list(galleries.assign(set=_set_names(galleries)).groupby("set", sort=False))
    figure, axes = panels(len(sets), 3, 3.0, 2.6, sharey=True)
    for ax, (name, of_set) in zip(axes, sets, strict=True):
        moved = of_set[of_set["alignment"] != "none"]
        lines = list(moved.groupby(["alignment", "measure"], sort=False))
        for i, ((alignment, measure), line) in enumerate(lines):
            error = [line["relative"] - line["relative_low"], line["relative_high"] - line["relative"]]
            style = {"color": LINES[i // 2], "linestyle": ("-", "--")[i % 2], "marker": MARKERS[i % 2], "markersize": 3}
            label = f"{alignment}, {measure.removeprefix('recall_').replace('_', ' ')}"
            x = line["gallery"] * 1.04 ** (i - len(lines) / 2)
            ax.errorbar(x, line["relative"], error, capsize=2, linewidth=1, label=label, **style)
        ax.axhline(0, color=INK, linewidth=0.8)
        sizes = sorted(moved["gallery"].unique())
        base = of_set[(of_set["alignment"] == "none") & (of_set["gallery"] == sizes[0])]["value"]
        ax.set_title(f"{name}\n{' / '.join(f'{value:.2f}' for value in base)}", fontsize=8)
        ax.set(xscale="log", ylim=(-1, 1), xlabel="pairs in the gallery")
        ax.set_xticks(sizes[:: 1 + len(sizes) // 5], [str(size) for size in sizes[:: 1 + len(sizes) // 5]], fontsize=7)
        ax.minorticks_off()
    axes[0].set_ylabel("relative change")
    distinct_legend(figure, axes)
    return figure


def histograms(counts: pd.DataFrame):
    """Draw the shares of pairs and of non-pairs per bin of the cosine; a panel per alignment.

    Args:
        counts: see :func:`helpers.recommend.one_set.pair_histograms`.
    """
    filled = counts.loc[counts["share"] > 0, "cosine"]
    names = list(counts.groupby("alignment", sort=False))
    figure, axes = panels(len(names), 3, 3.0, 2.3, sharey=True)
    for ax, (name, of) in zip(axes, names, strict=True):
        for color, (kind, bars) in zip(LINES, of.groupby("kind", sort=False), strict=False):
            ax.fill_between(
                bars["cosine"], bars["share"], step="mid", color=color, alpha=0.4, linewidth=0, label=kind.replace("_", "-")
            )
        ax.set(title=name, xlabel="cosine", xlim=(filled.min() - 0.05, filled.max() + 0.05), ylim=(0, None))
    axes[0].set_ylabel("share per bin")
    distinct_legend(figure, axes)
    return figure


def mixed_corpora(found: pd.DataFrame):
    """Draw the NDCG against the share of images in the corpus, and its change from no alignment; a line per alignment.

    Args:
        found: see :func:`helpers.recommend.one_set.mixed_search`.
    """
    figure, axes = panels(2, 2, 4.2, 2.6)
    names = list(found.groupby("alignment", sort=False))
    for ax, column, label in zip(axes, ("value", "change"), ("NDCG", "change of NDCG"), strict=True):
        low, high = ("low", "high") if column == "value" else ("change_low", "change_high")
        for i, (name, line) in enumerate(names):
            style = {"color": LINES[i], "marker": MARKERS[i], "markersize": 3}
            x = line["share"] + 0.012 * (i - len(names) / 2)
            ax.errorbar(
                x, line[column], [line[column] - line[low], line[high] - line[column]], capsize=2, linewidth=1, label=name, **style
            )
        ax.set(xlabel="share of images in the corpus", ylabel=label)
    distinct_legend(figure, axes)
    return figure


def penalty(curves: pd.DataFrame, special: pd.DataFrame):
    """Draw recall against the penalty beta with its interval, a panel per direction, and mark the two penalties of Eq. 5.

    Args:
        curves, special: see :func:`helpers.recommend.mechanism.penalty_curves`.
    """
    directions = list(curves.groupby("direction", sort=False))
    figure, axes = panels(len(directions), 2, 4.2, 2.8)
    for ax, (direction, line) in zip(axes, directions, strict=True):
        ax.plot(line["beta"], line["recall"], color=LINES[0])
        ax.fill_between(line["beta"], line["low"], line["high"], color=LINES[0], alpha=0.2, linewidth=0)
        marks = special[special["direction"] == direction]
        for color, style, form, beta in zip(LINES[1:], ("--", ":"), marks["form"], marks["beta"], strict=False):
            ax.axvline(beta, color=color, linestyle=style, label=f"λ = 1, {form}")
        ax.axvline(0, color=INK, linewidth=0.8, label="no alignment")
        ax.set(title=direction, xlabel="penalty β", ylabel="recall", ylim=(0, None))
    distinct_legend(figure, axes)
    return figure
