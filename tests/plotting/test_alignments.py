"""Figures of alignments: every value and line is there."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers.plotting import alignments

COLUMNS = ["dataset", "variant", "backbone", "alignment", "renormalise", "measure", "value", "low", "high"]


def test_the_heat_map_writes_every_value_with_its_interval_and_keeps_what_was_not_fitted():
    rows = [("d", "v", "b", a, True, m, 0.5, 0.4, 0.6) for a in ("none", "centring") for m in ("gap", "mixing")]
    rows.append(("d", "v", "b", "cca", True, None, np.nan, np.nan, np.nan))
    figure = alignments.heat_map(pd.DataFrame(rows, columns=COLUMNS), ["gap", "mixing"])
    assert [t.get_text() for t in figure.axes[0].texts] == ["0.50 [0.40, 0.60]"] * 4 + ["not fitted"] * 2
    plt.close(figure)


def test_the_best_of_a_column_is_bold():
    rows = [("d", "v", "b", a, True, "gap", v, v, v) for a, v in (("none", 0.9), ("centring", 0.1))]
    figure = alignments.heat_map(pd.DataFrame(rows, columns=COLUMNS), ["gap"])
    assert [t.get_weight() for t in figure.axes[0].texts] == ["normal", "bold"]
    plt.close(figure)


def test_each_measure_has_a_line_per_set_against_lambda():
    named = [("a", "v", "b"), ("c", "v", "b")]
    rows = [(*s, a, True, "gap", 0.5, 0.4, 0.6) for s in named for a in ("none", "lambda-0.5", "lambda-1", "centring")]
    figure = alignments.against_lambda(pd.DataFrame(rows, columns=COLUMNS), ["gap"])
    assert [len(c.lines[0].get_xdata()) for c in figure.axes[0].containers] == [3, 3]
    plt.close(figure)


def test_shared_rows_has_a_panel_per_modality_and_a_line_per_set():
    rows = [("d", "v", b, m, c, 1 - c) for b in ("x", "y") for m in ("image", "text") for c in (0.0, 0.5, 1.0)]
    curves = pd.DataFrame(rows, columns=["dataset", "variant", "backbone", "modality", "cosine", "share"])
    figure = alignments.shared_rows(curves)
    assert [len(ax.lines) for ax in figure.axes] == [2, 2]
    plt.close(figure)
