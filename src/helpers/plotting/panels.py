"""Lay out the axes of a figure and its one legend."""

import math

import matplotlib.pyplot as plt
from matplotlib.lines import Line2D

from .style import INK


def panels(n: int, columns: int, width: float, height: float, **kwargs):
    """Return a figure and n axes in a grid of at most ``columns`` columns; unused axes are removed."""
    columns = min(columns, n)
    rows = math.ceil(n / columns)
    figure, axes = plt.subplots(rows, columns, figsize=(width * columns, height * rows), squeeze=False, **kwargs)
    for spare in axes.ravel()[n:]:
        spare.remove()
    return figure, axes.ravel()[:n]


def share_legend(figure, ax, **kwargs) -> None:
    """Draw one legend for the whole figure, below its panels."""
    handles, labels = ax.get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), **kwargs)
    for handle in legend.legend_handles:
        handle.set_alpha(1)


def distinct_legend(figure, axes) -> None:
    """Draw one legend below all panels with every label that occurs in any of them, once."""
    found = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=min(len(found), 3))


def interval_legend(figure, spread: str) -> None:
    """Draw the legend of an interval plot."""
    handles = [
        Line2D([], [], color=INK, linewidth=3, alpha=0.45, label="95 % bootstrap interval over test rows"),
        Line2D([], [], color=INK, linewidth=1, marker="o", markersize=5, label=f"difference{spread}"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
