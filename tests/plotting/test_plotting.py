"""Figures from small tables show all their data, have no overlaps, and are reproducible byte by byte."""

import io
import itertools
import re

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from conftest import ROOT

from helpers import plotting, sweep
from helpers.cones import cone_table
from helpers.extraction.find import select


@pytest.fixture(autouse=True)
def book_style():
    with plt.rc_context():
        plotting.use_style()
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


FIGURES = {
    "plane": lambda sets: plotting.plane(sets),
    "sphere": lambda sets: plotting.sphere(sets),
    "resultants": lambda sets: plotting.resultants(pd.concat([cone_table(s, n_boot=20) for s in sets])),
    "curves": lambda _: plotting.curves(summary_table()),
    "effects": lambda _: plotting.effects(effects_table("protocol", ("paper", "authors-code", "converged"))),
    "channels": lambda _: plotting.effects(effects_table("alignment", tuple(plotting.ALIGNMENTS)), "alignment"),
}


def test_what_the_objects_give_is_drawn_as_the_api_chapter_says(store):
    embeddings = select(["ham10000"], store=store)[0]
    code = re.findall(r"## Figures.*?```python\n(.*?)```", (ROOT / "book/api.md").read_text("utf-8"), re.DOTALL)[0]
    names = {"embeddings": embeddings, "sweep": lambda e: sweep(e, [0, 1], [1], "authors-code", progress=False)}
    exec(code, names)
    assert len(plotting.sphere(embeddings).axes) == 1


def test_the_legend_says_over_what_the_spread_is_and_says_nothing_of_none():
    def legend(table, *words):
        return plotting.effects(table, "protocol", *words).legends[0].get_texts()[1].get_text()

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


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_covers_another_or_leaves_the_figure_and_axes_are_labelled(store, name):
    figure = FIGURES[name](select(store=store))
    texts = written_texts(figure)
    assert texts and figure.legends
    for (a, box), (b, other) in itertools.combinations(texts, 2):
        assert not box.overlaps(other), f"{name}: {a!r} overlaps {b!r}"
    for text, box in texts:
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, f"{name}: {text!r} leaves the figure"
    assert name == "sphere" or figure.axes[-1].get_xlabel(), f"{name}: the last panel has no x label"


def test_the_same_figure_has_the_same_bytes(store):
    def svg() -> bytes:
        buffer = io.BytesIO()
        plotting.effects(effects_table("protocol", ("paper",))).savefig(buffer, format="svg", metadata={"Date": None})
        return buffer.getvalue()

    assert svg() == svg()


def test_words_and_feature_lines_stand_out_from_the_white_panel_and_a_backbone_keeps_its_colour():
    def contrast(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)

    assert contrast(plotting.INK) > 7
    assert all(contrast(colour) > 3 for colour in plotting.FEATURES.values())  # WCAG 2.1, graphical objects
    assert plotting.colour("lit-derm") != plotting.colour("lit-natural")
    assert plotting.colour("mine") == plotting.colour("mine") in plotting.SPARE
