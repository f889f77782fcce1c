"""Figures from small tables show all their data, have no overlaps, and are reproducible byte by byte."""

import io
import itertools
import re

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from conftest import ROOT
from page_code import functions_of

from helpers import plotting, sweep
from helpers.cones import cone_table
from helpers.extraction.find import select

RESULTANTS = functions_of("01_cone_effect").resultants
SETS = ("flickr8k", "ham10000"), ("lit-natural", "lit-derm")


@pytest.fixture(autouse=True)
def book_style():
    with plt.rc_context():
        plotting.use_style()
        yield
        plt.close("all")


def summary_table() -> pd.DataFrame:
    grid = itertools.product(*SETS, ("paper", "converged"), ("joint", "image", "text"), (0.0, 0.5, 1.0))
    rows = [(*key, 0.8 + 0.01 * i % 0.1, 0.01 if key[2] == "paper" else float("nan"), "auc") for i, key in enumerate(grid)]
    return pd.DataFrame(rows, columns=["dataset", "backbone", "protocol", "features", "lambda_image", "mean", "sd", "metric"])


def effects_table(label: str = "protocol", groups=("paper",)) -> pd.DataFrame:
    rows = [
        (*key, 0.001 * i, 0.001 * i - 0.004, 0.001 * i + 0.004, 0.002) for i, key in enumerate(itertools.product(*SETS, groups))
    ]
    return pd.DataFrame(rows, columns=["dataset", "backbone", label, "difference", "low", "high", "seed_sd"])


FIGURES = {
    "plane": plotting.plane,
    "resultants": lambda sets: RESULTANTS(pd.concat([cone_table(s, n_boot=20) for s in sets])),
    "curves": lambda _: plotting.curves(summary_table()),
    "effects": lambda _: plotting.effects(effects_table("protocol", ("paper", "authors-code", "converged"))),
    "channels": lambda _: plotting.effects(effects_table("alignment", tuple(plotting.ALIGNMENTS)), "alignment"),
}


def test_what_the_objects_give_is_drawn_as_the_api_chapter_says(store):
    code = re.findall(r"## Figures.*?```python\n(.*?)```", (ROOT / "book/api.md").read_text("utf-8"), re.DOTALL)[0]
    names = {"sweep": lambda e: sweep(e, [0, 1], [1], "authors-code", progress=False)}
    exec(code, names | {"embeddings": select(["ham10000"], store=store)[0]})


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_covers_another_or_leaves_the_figure_and_axes_are_labelled(store, name):
    figure = FIGURES[name](select(store=store))
    figure.canvas.draw()
    owners = [t for ax in figure.axes for t in (ax.title, ax.xaxis.label, ax.yaxis.label)]
    owners += [t for legend in figure.legends for t in legend.get_texts()]
    texts = [(t.get_text(), t.get_window_extent(figure.canvas.get_renderer())) for t in owners if t.get_text() and t.get_visible()]
    assert texts and figure.legends and figure.axes[-1].get_xlabel()
    for (a, box), (b, other) in itertools.combinations(texts, 2):
        assert not box.overlaps(other), f"{name}: {a!r} overlaps {b!r}"
    for text, box in texts:
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, f"{name}: {text!r} leaves the figure"


def test_the_same_figure_has_the_same_bytes():
    written = [io.BytesIO(), io.BytesIO()]
    for buffer in written:
        plotting.effects(effects_table()).savefig(buffer, format="svg", metadata={"Date": None})
    assert written[0].getvalue() == written[1].getvalue()
