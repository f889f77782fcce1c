"""Draw the waterfall of a number from one protocol to another, one difference at a time."""

import pandas as pd
from matplotlib.ticker import MaxNLocator

from . import GRID, INK, PROTOCOLS, interval_legend, panels
from .training import SETS, _of_set, set_title

UP, DOWN = "#009e73", "#d55e00"


def waterfall(steps: pd.DataFrame, value: str = "gain"):
    """Draw how ``gain`` or ``auc`` goes from ``paper`` over ``authors-code`` to ``converged``, one panel per set.

    Args:
        steps: cumulative rows and starts of :func:`helpers.probing.protocol_steps.step_effects`.
    """
    steps = steps[steps["mode"].isin(["start", "cumulative"])]
    names = list(dict.fromkeys(zip(*(steps[c] for c in SETS), strict=True)))
    height = 0.9 + 0.26 * max(len(_of_set(steps, n)) + 1 for n in names)
    figure, axes = panels(len(names), 2, 4.6, height)
    for ax, name in zip(axes, names, strict=True):
        _one_waterfall(ax, _of_set(steps, name).reset_index(drop=True), value)
        ax.set(title=set_title(name), xlabel="AUC(1) − AUC(0)" if value == "gain" else "AUC at λ = 0")
    interval_legend(figure, " that the step makes")
    return figure


def _one_waterfall(ax, steps: pd.DataFrame, value: str) -> None:
    labels, y, before = [], 0, float("nan")
    for row in [*steps.itertuples(), None]:
        if row is None or row.mode == "start":
            named = "converged" if row is None else row.step
            level = before if row is None else getattr(row, value)
            ax.barh(y, level, color=PROTOCOLS[named], height=0.7, zorder=2)
            labels.append(named)
        else:
            level = getattr(row, value)
            shade = UP if level >= before else DOWN
            ax.barh(y, level - before, left=before, color=shade, height=0.55, zorder=2)
            low, high = (before + getattr(row, f"{value}_change_{end}") for end in ("low", "high"))
            ax.plot([low, high], [y, y], color=INK, linewidth=3, alpha=0.45, solid_capstyle="butt", zorder=3)
            ax.plot(level, y, "o", color=INK, markersize=3.5, zorder=4)
            labels.append(row.step)
        if y:
            ax.plot([before, before], [y - 1, y], color=GRID, linewidth=1, zorder=1)
        before, y = level, y + 1
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    if value == "auc":
        ax.set_xlim(left=min(0.45, steps["auc"].min() - 0.03))
