"""Figures from small tables show all their data, have no overlaps, and are reproducible byte by byte."""

import io
import itertools
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from helpers import plotting as cones
from helpers import plotting as style
from helpers import plotting as sweeps
from helpers import published, sweep
from helpers.cones import cone_table
from helpers.extraction.find import select
from helpers.paper.authors_gap import gap_bounds
from helpers.plotting import published as published_figures


@pytest.fixture(autouse=True)
def book_style():
    with plt.rc_context():
        style.use_style()
        yield
        plt.close("all")


def summary_table() -> pd.DataFrame:
    sets = ("flickr8k", "ham10000"), ("lit-natural", "lit-derm")
    grid = itertools.product(*sets, ("paper", "converged"), ("joint", "image", "text"), (0.0, 0.5, 1.0))
    rows = [(*key, 0.8 + 0.01 * i % 0.1, 0.01 if key[2] == "paper" else float("nan"), "auc") for i, key in enumerate(grid)]
    return pd.DataFrame(rows, columns=["dataset", "backbone", "protocol", "features", "lambda_image", "mean", "sd", "metric"])


def effects_table(label: str, groups) -> pd.DataFrame:
    grid = itertools.product(("flickr8k", "ham10000"), ("lit-natural", "lit-derm"), groups)
    rows = [(*key, 0.001 * i, 0.001 * i - 0.004, 0.001 * i + 0.004, 0.002) for i, key in enumerate(grid)]
    return pd.DataFrame(rows, columns=["dataset", "backbone", label, "difference", "low", "high", "seed_sd"])


def all_figures(store):
    sets = select(store=store)
    geometry = pd.concat([cone_table(s, n_boot=20) for s in sets])
    yield "plane", lambda: cones.plane(sets)
    yield "sphere", lambda: cones.sphere(sets)
    yield "resultants", lambda: cones.resultants(geometry)
    yield "published_resultants", lambda: published_figures.published_resultants(published.compare_table1())
    yield "curves", lambda: sweeps.curves(summary_table())
    yield "effects", lambda: sweeps.effects(effects_table("protocol", ("paper", "authors-code", "converged")))
    yield "channels", lambda: sweeps.effects(effects_table("alignment", tuple(style.ALIGNMENTS)), "alignment")
    yield "authors_gaps", lambda: published_figures.authors_gaps(gap_bounds())
    yield "gains", lambda: sweeps.gains(gains_table(), published.authors_sweep())


def gains_table() -> pd.DataFrame:
    grid = itertools.product(("Flickr8k", "HAM10000"), ("lit-natural", "CLIP"), ("paper", "authors-code"), (0.0, 1.0))
    rows = [(*key, 0.01 * key[-1], "auc_hard" if key[2] != "paper" else "auc") for key in grid]
    return pd.DataFrame(rows, columns=["dataset", "backbone", "protocol", "lambda", "gain", "metric"])


NAMES = [
    "plane",
    "sphere",
    "resultants",
    "published_resultants",
    "curves",
    "effects",
    "channels",
    "gains",
    "authors_gaps",
]


def test_what_the_objects_give_is_drawn_as_the_api_chapter_says(store):
    embeddings = select(["ham10000"], store=store)[0]
    code = re.findall(r"## Figures.*?```python\n(.*?)```", (ROOT / "book/api.md").read_text("utf-8"), re.DOTALL)[0]
    names = {"embeddings": embeddings, "sweep": lambda e: sweep(e, [0, 1], [1], "authors-code", progress=False)}
    exec(code, names)
    assert len(cones.sphere(embeddings).axes) == 1


def test_our_gains_have_the_published_curves_of_the_same_data_behind_them():
    figure = sweeps.gains(gains_table(), published.authors_sweep())
    behind = [sum(line.get_color() in (style.PUBLISHED, style.PALE) for line in ax.lines) for ax in figure.axes]
    assert behind == [0, 0, 4, 4]
    same = [line for line in figure.axes[3].lines if line.get_color() == style.PUBLISHED]
    assert len(same) == 1 and same[0].get_zorder() < figure.axes[3].lines[4].get_zorder()


def test_a_lone_sweep_is_marked_in_its_title_and_keeps_its_published_curve():
    figure = sweeps.gains(gains_table(), published.authors_sweep(), {("HAM10000", "CLIP")})
    assert [ax.get_title().endswith(" *") for ax in figure.axes] == [False, False, False, True]
    assert [line.get_color() for line in figure.axes[3].lines].count(style.PUBLISHED) == 1


def test_the_legend_says_over_what_the_spread_is_and_says_nothing_of_none():
    def legend(table, *words):
        return sweeps.effects(table, "protocol", *words).legends[0].get_texts()[1].get_text()

    table = effects_table("protocol", ("paper",))
    assert legend(table) == "difference ± standard deviation over seeds"
    assert legend(table, "draws") == "difference ± standard deviation over draws"
    assert legend(table.assign(seed_sd=float("nan"))) == "difference"


def written_texts(figure) -> list:
    """Return every visible text of a figure other than tick labels, with its box in pixels."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    owners = [t for ax in figure.axes for t in (ax.title, ax.xaxis.label, ax.yaxis.label)]
    owners += [t for legend in figure.legends for t in legend.get_texts()]
    return [(t.get_text(), t.get_window_extent(renderer)) for t in owners if t.get_text() and t.get_visible()]


@pytest.mark.parametrize("name", NAMES)
def test_no_text_covers_another_or_leaves_the_figure(store, name):
    figure = dict(all_figures(store))[name]()
    texts = written_texts(figure)
    assert texts
    for (a, box), (b, other) in itertools.combinations(texts, 2):
        assert not box.overlaps(other), f"{name}: {a!r} overlaps {b!r}"
    for text, box in texts:
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, f"{name}: {text!r} leaves the figure"


@pytest.mark.parametrize("name", [n for n in NAMES if n != "sphere"])
def test_axes_are_labelled_and_a_legend_names_what_is_drawn(store, name):
    figure = dict(all_figures(store))[name]()
    assert any(ax.get_xlabel() for ax in figure.axes) and figure.legends
    bottom = figure.axes[-1]
    assert bottom.get_xlabel(), f"{name}: the last panel has no x label"


def test_the_same_figure_has_the_same_bytes(store):
    def svg() -> bytes:
        buffer = io.BytesIO()
        sweeps.effects(effects_table("protocol", ("paper",))).savefig(buffer, format="svg", metadata={"Date": None})
        return buffer.getvalue()

    assert svg() == svg()


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_words_and_feature_lines_stand_out_from_the_white_panel():
    assert 1.05 / (luminance(style.INK) + 0.05) > 7
    for colour in style.FEATURES.values():
        assert 1.05 / (luminance(colour) + 0.05) > 3  # WCAG 2.1, graphical objects


def test_a_backbone_keeps_its_colour():
    assert style.colour("lit-derm") != style.colour("lit-natural")
    assert style.colour("mine") == style.colour("mine") in style.SPARE


def test_a_recomputed_cell_stays_within_its_panel():
    table = published.compare_table1()
    cell = (table["dataset"] == "HAM10000") & (table["backbone"] == "CLIP")
    figure = published_figures.published_resultants(table.assign(ours=np.where(cell, 0.3, np.nan)))
    assert all(ax.get_xlim()[0] < 0.3 for ax in figure.axes)
