"""Figures of alignments show every value and line."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers.plotting import alignments

COLUMNS = ["dataset", "variant", "backbone", "alignment", "renormalise", "measure", "value", "low", "high"]
CHANGES = ["change", "change_low", "change_high"]


def cells(figure) -> list[str]:
    return [t.get_text() for t in figure.axes[0].texts]


def test_the_heat_map_writes_every_value_with_its_interval_and_keeps_what_was_not_fitted():
    rows = [
        ("d", "v", b, a, True, m, 0.5, 0.4, 0.6, 0, 0, 0) for b in "ef" for a in ("none", "centring") for m in ("gap", "mixing")
    ]
    rows.append(("d", "v", "e", "cca", True, None, *[np.nan] * 6))
    figure = alignments.heat_map(pd.DataFrame(rows, columns=COLUMNS + CHANGES), ["gap", "mixing"])
    assert len(figure.axes) == 2 and cells(figure) == ["0.50\n±0.10", "0.50\n±0.10", "–"] * 2
    plt.close(figure)


@pytest.mark.parametrize(("measure", "winner"), [("gap", 1), ("mixing", 0)])
def test_a_clear_change_is_bold_and_the_best_of_a_set_has_a_frame(measure, winner):
    rows = [("d", "v", "b", a, True, measure, v, v, v, v - 0.9, v - 0.95, v - 0.85) for a, v in (("none", 0.9), ("centring", 0.1))]
    figure = alignments.heat_map(pd.DataFrame(rows, columns=COLUMNS + CHANGES), [measure])
    assert [t.get_weight() for t in figure.axes[0].texts] == ["normal", "bold"]
    assert [round(p.get_x() + 0.47) for p in figure.axes[0].patches] == [winner]
    plt.close(figure)


def test_the_task_map_has_a_row_per_measure_and_frames_the_better_end():
    rows = [
        (a, m, v, v - 0.1, v + 0.1, v - 0.9, 0, 0) for m in ("probe_auc", "log_loss") for a, v in (("none", 0.9), ("leace", 0.1))
    ]
    columns = ["alignment", "measure", *COLUMNS[-3:], *CHANGES]
    figure = alignments.task_map(pd.DataFrame(rows, columns=columns))
    assert cells(figure) == ["0.900\n±0.100", "0.100\n±0.100"] * 2
    assert [round(p.get_x() + 0.47) for p in figure.axes[0].patches] == [0, 1]
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
