"""Draw cones and gap of embedding sets, and their mean resultant lengths."""

import numpy as np
import pandas as pd

from ..checks import unit_rows
from ..datasets.registry import title
from ..geometry import principal_directions
from ..store.embeddings import EmbeddingSet
from .panels import panels, share_legend
from .style import FEATURES, GRID, INK, MARKERS


def plane(sets, points: int = 1500):
    """Draw both modalities on their first two centred principal directions, fitted on both together (the paper's Fig. 2).

    Args:
        sets: an embedding set, or several, each of which gets a panel.
        points: pairs shown; the directions come from all of them.
    """
    sets = _several(sets)
    figure, axes = panels(len(sets), 2, 3.9, 3.3)
    for ax, s in zip(axes, sets, strict=True):
        image, text = s.image_of(), s.text_of()
        pooled = np.concatenate([image, text])
        directions, shares = principal_directions(pooled, k=2)
        centre, rows = pooled.mean(axis=0), _sample(len(s), points)
        means = []
        for feature, x in (("image", image), ("text", text)):
            xy = (x - centre) @ directions.T
            ax.scatter(*xy[rows].T, s=5, alpha=0.35, linewidths=0, color=FEATURES[feature], label=feature, rasterized=True)
            means.append(xy.mean(axis=0))
        ax.annotate("", means[0], means[1], arrowprops={"arrowstyle": "->", "color": INK, "lw": 1.4})
        ax.set(title=_name(s), xlabel=f"PC 1 ({shares[0]:.0%} of variance)", ylabel=f"PC 2 ({shares[1]:.0%})", aspect="equal")
        ax.set(adjustable="datalim")
    share_legend(figure, axes[0], markerscale=3)
    return figure


def sphere(sets, points: int = 700):
    """Draw both modalities in the span of three uncentred principal directions, at unit norm; this distorts angles.

    Args:
        sets, points: see :func:`plane`.
    """
    sets = _several(sets)
    figure, axes = panels(len(sets), 2, 3.7, 3.5, subplot_kw={"projection": "3d"})
    u, v = np.mgrid[0 : 2 * np.pi : 25j, 0 : np.pi : 13j]
    for ax, s in zip(axes, sets, strict=True):
        image, text = s.image_of(), s.text_of()
        directions, shares = principal_directions(np.concatenate([image, text]), k=3, centred=False)
        ax.plot_wireframe(np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v), color=GRID, linewidth=0.4)
        rows = _sample(len(s), points)
        for feature, x in (("image", image), ("text", text)):
            xyz = unit_rows(x[rows] @ directions.T)
            ax.scatter(*xyz.T, s=4, alpha=0.5, linewidths=0, color=FEATURES[feature], label=feature, rasterized=True)
        ax.set(title=f"{_name(s)}\n{shares.sum():.0%} of squared length shown", xlim=(-1, 1), ylim=(-1, 1), zlim=(-1, 1))
        ax.set_box_aspect((1, 1, 1), zoom=1.25)
        ax.set_axis_off()
        ax.view_init(elev=18, azim=35)
    share_legend(figure, axes[0], markerscale=3)
    return figure


def resultants(table: pd.DataFrame):
    """Draw R of image and text with bootstrap intervals, one line per data set and backbone; from ``cone_table`` rows."""
    rows = table[table["quantity"] == "R"]
    names = list(dict.fromkeys(zip(rows["dataset"], rows["backbone"], strict=True)))
    figure, (ax,) = panels(1, 1, 6.4, 0.9 + 0.36 * len(names))
    for feature, offset in (("image", -0.12), ("text", 0.12)):
        mine = rows[rows["modality"] == feature].set_index(["dataset", "backbone"]).loc[names]
        value = mine["value"].to_numpy()
        error = np.abs(np.stack([value - mine["low"], mine["high"] - value]))
        style = {"fmt": MARKERS[feature == "text"], "color": FEATURES[feature], "capsize": 2}
        ax.errorbar(value, np.arange(len(names)) + offset, xerr=error, label=feature, **style)
    labels = [f"{title(d)} · {b}" for d, b in names]
    ax.set(xlim=(0, 1.02), xlabel="mean resultant length R", yticks=range(len(names)), yticklabels=labels)
    ax.set_ylim(len(names) - 0.5, -0.5)
    share_legend(figure, ax)
    return figure


def _several(sets) -> list[EmbeddingSet]:
    return [sets] if isinstance(sets, EmbeddingSet) else list(sets)


def _name(embeddings) -> str:
    return f"{title(embeddings.dataset)} · {embeddings.provenance.get('backbone', 'own')}"


def _sample(n: int, size: int, random_state: int = 0) -> np.ndarray:
    return np.arange(n) if n <= size else np.sort(np.random.default_rng(random_state).choice(n, size, replace=False))
