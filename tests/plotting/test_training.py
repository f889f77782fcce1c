"""Figures of the protocol audit: what they mark, that nothing covers anything, and that a waterfall adds up."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers import plotting as style
from helpers.plotting.training import SETTINGS, channels_against_training, equivalences, gain_against_training, gain_map
from helpers.plotting.waterfall import waterfall

SETS = [("flickr8k", "common", "lit-natural"), ("ham10000", "clean", "lit-natural"), ("ham10000", "authors", "lit-derm")]
CHANNELS = ("lambda", "shift", "common-scale", "scale-ratio", "spread")


@pytest.fixture(autouse=True)
def book_style():
    with plt.rc_context():
        style.use_style()
        yield
        plt.close("all")


def paths_table(last: int = 2300) -> pd.DataFrame:
    rates = [("adamw", r) for r in (3e-4, 1e-3, 1e-2)] + [("sgd", r) for r in (3e-4, 0.03)]
    rows = []
    for i, (name, (optimizer, rate), channel, updates) in enumerate(itertools.product(SETS, rates, CHANNELS, (10, 150, last))):
        if channel == "lambda" or rate == 3e-4:
            gain = 0.01 * np.sin(i)
            rows.append((*name, optimizer, rate, channel, updates, 0.8, gain, gain - 0.002, gain + 0.002))
    columns = ["dataset", "variant", "backbone", "optimizer", "rate", "alignment", "updates", "auc", "gain", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def limits_table() -> pd.DataFrame:
    rows = [(*name, channel, 0.9, 0.001, -0.001, 0.003) for name, channel in itertools.product(SETS, CHANNELS)]
    return pd.DataFrame(rows, columns=["dataset", "variant", "backbone", "alignment", "auc", "gain", "low", "high"])


def steps_table() -> pd.DataFrame:
    code, end = "to the code", "to convergence"
    legs = [
        (code, "start", "paper", 0.0, 0.6), (code, "cumulative", "AdamW, not SGD", 0.01, 0.9),
        (code, "cumulative", "gap from all rows", 0.008, 0.9), (end, "start", "authors-code", 0.008, 0.9),
        (end, "cumulative", "trained to the minimum", 0.001, 0.93),
    ]  # fmt: skip
    table = pd.DataFrame(
        [(*name, *leg) for name, leg in itertools.product(SETS, legs)],
        columns=["dataset", "variant", "backbone", "leg", "mode", "step", "gain", "auc"],
    )
    for value in ("gain", "auc"):
        table[f"{value}_change_low"], table[f"{value}_change_high"] = -0.001, 0.002
    return table


def equivalence_table() -> pd.DataFrame:
    grid = itertools.product((("sgd", 0.03), ("adamw", 3e-4)), ("common-scale", "shift"), (10, 100, 1000))
    rows = [(*o, c, u, 1e-3 * u, 1e-3 * u) for o, c, u in grid if (o[0], c) != ("adamw", "shift")]
    return pd.DataFrame(rows, columns=["optimizer", "rate", "channel", "updates", "seen", "predicted"])


FIGURES = {
    "gain": lambda: gain_against_training(paths_table(), limits_table()),
    "map": lambda: gain_map(paths_table()),
    "channels": lambda: channels_against_training(paths_table(), limits_table()),
    "equivalences": lambda: equivalences(equivalence_table()),
    "waterfall": lambda: waterfall(steps_table()),
    "waterfall of the AUC": lambda: waterfall(steps_table(), "auc"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_covers_another_or_leaves_the_figure(name):
    figure = FIGURES[name]()
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    owners = [t for ax in figure.axes for t in (ax.title, ax.xaxis.label, ax.yaxis.label, *ax.get_xticklabels())]
    owners += [t for legend in figure.legends for t in legend.get_texts()]
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in owners if t.get_text() and t.get_visible()]
    boxes = [(t, b) for t, b in boxes if b.width and figure.bbox.x0 <= b.x0 and b.x1 <= figure.bbox.x1 + 1]
    titles = [b for b in boxes if not b[0].replace(",", "").replace("−", "").replace(".", "").isdigit()]
    assert len(titles) > 3 and figure.legends
    for (a, box), (b, other) in itertools.combinations(titles, 2):
        assert not box.overlaps(other), f"{a!r} overlaps {b!r}"


def marks(ax) -> dict:
    return {line.get_label(): (line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines if len(line.get_xdata()) == 1}


def test_the_published_settings_are_marked_on_their_curves():
    table = paths_table()
    first = gain_against_training(table, limits_table()).axes[0]
    rows = table[(table["dataset"] == "flickr8k") & (table["optimizer"] == "adamw") & (table["alignment"] == "lambda")]
    expected = rows[(rows["rate"] == 3e-4) & (rows["updates"] == 2300)]["gain"].item()
    assert marks(first) == {SETTINGS[0][-1]: (2300, expected)}
    longer = gain_against_training(paths_table(36_600), limits_table()).axes[0]
    assert list(marks(longer)) == [SETTINGS[1][-1]]


def test_the_map_marks_settings_of_its_optimiser_only():
    figure = gain_map(paths_table())
    maps = [ax for ax in figure.axes if ax.get_yscale() == "log"]
    assert len(maps) == 6
    for ax in maps:
        at = [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines]
        assert at == ([(2300, 3e-4), (36_600, 1e-3)] if "AdamW" in ax.get_title() else [(2300, 3e-4)])


def test_bars_of_a_waterfall_lead_from_one_total_to_the_next():
    ax = waterfall(steps_table()).axes[0]
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches]
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "paper", "AdamW, not SGD", "gap from all rows", "authors-code", "trained to the minimum", "converged"
    ]  # fmt: skip
    assert np.allclose(bars, [(0, 0), (0, 0.01), (0.01, 0.008), (0, 0.008), (0.008, 0.001), (0, 0.001)])
