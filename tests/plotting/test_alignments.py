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


@pytest.mark.parametrize(("measure", "winner"), [("gap", 1), ("probe_auc", 0), ("modality_auc", 0), ("mixing", 0)])
def test_a_clear_change_is_bold_and_the_best_of_a_set_has_a_frame_and_colours_say_better_or_worse(measure, winner):
    rows = [("d", "v", "b", a, True, measure, v, v, v, v - 0.85, v - 0.9, v - 0.8) for a, v in (("none", 0.85), ("centring", 0.1))]
    figure = alignments.heat_map(pd.DataFrame(rows, columns=COLUMNS + CHANGES), [measure])
    assert [t.get_weight() for t in figure.axes[0].texts] == ["normal", "bold"]
    assert [round(p.get_x() + 0.47) for p in figure.axes[0].patches] == [winner]
    assert [np.sign(colour) for colour in figure.axes[0].images[0].get_array()[0]] == [0, 1 if winner == 1 else -1]
    plt.close(figure)


def test_the_heat_map_shows_the_form_that_is_asked_for():
    rows = [
        ("d", "v", "b", "leace", renormalise, "modality_auc", v, v, v, 0.0, 0.0, 0.0)
        for renormalise, v in ((True, 0.9), (False, 0.5))
    ]
    for renormalise, shown in ((True, "0.90"), (False, "0.50")):
        figure = alignments.heat_map(pd.DataFrame(rows, columns=COLUMNS + CHANGES), ["modality_auc"], renormalise=renormalise)
        assert [text[:4] for text in cells(figure)] == [shown]
        plt.close(figure)


def test_gallery_curves_have_a_panel_per_set_and_a_line_per_alignment_and_direction():
    columns = [
        "dataset",
        "variant",
        "backbone",
        "alignment",
        "measure",
        "gallery",
        "value",
        "relative",
        "relative_low",
        "relative_high",
    ]
    ways = ("recall_image_to_text", "recall_text_to_image")
    rows = [
        ("d", "v", b, a, m, g, 0.25, -0.2, -0.3, -0.1)
        for b in "ef" for a in ("none", "lambda-1", "centring") for m in ways for g in (50, 100)
    ]  # fmt: skip
    figure = alignments.gallery_curves(pd.DataFrame(rows, columns=columns))
    assert [len(ax.containers) for ax in figure.axes] == [4, 4]
    assert figure.axes[0].get_title() == "d, v\ne\n0.25 / 0.25"
    assert all(len(c.lines[0].get_xdata()) == 2 for c in figure.axes[0].containers)
    plt.close(figure)


def test_histograms_have_a_panel_per_alignment_with_both_kinds():
    rows = [(a, k, c, 0.5) for a in ("none", "centring") for k in ("pair", "non_pair") for c in (-0.5, 0.5)]
    figure = alignments.histograms(pd.DataFrame(rows, columns=["alignment", "kind", "cosine", "share"]))
    assert [len(ax.collections) for ax in figure.axes] == [2, 2] and figure.axes[0].get_xlim()[0] < -0.5
    plt.close(figure)


def test_mixed_corpora_show_the_value_and_its_change():
    rows = [(a, s, 0.5, 0.4, 0.6, 0.1, 0.0, 0.2) for a in ("none", "centring") for s in (0, 0.5, 1)]
    figure = alignments.mixed_corpora(pd.DataFrame(rows, columns=["alignment", "share", *COLUMNS[-3:], *CHANGES]))
    assert [[c.lines[0].get_ydata()[0] for c in ax.containers] for ax in figure.axes] == [[0.5, 0.5], [0.1, 0.1]]
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


def test_the_penalty_figure_marks_both_special_values_in_each_direction():
    ways = ("image to text", "text to image")
    curves = pd.DataFrame(
        [(w, b, 0.5, 0.4, 0.6) for w in ways for b in (-1, 0)], columns=["direction", "beta", "recall", "low", "high"]
    )
    special = pd.DataFrame(
        [(w, f, b) for w in ways for f, b in (("shift", -0.5), ("renormalised", -0.75))], columns=["direction", "form", "beta"]
    )
    figure = alignments.penalty(curves, special)
    for ax in figure.axes:
        assert [line.get_xdata()[0] for line in ax.lines[1:3]] == [-0.5, -0.75]
    plt.close(figure)


def test_label_curves_have_a_panel_per_set_and_a_point_per_size_with_all_rows_last():
    sizes = ("probe_auc", "auc_20_labels", "auc_100_labels", "brier")
    rows = [("d", "v", b, a, m, 0.5, 0.1, 0.0, 0.2) for b in "ef" for a in ("none", "leace", "cca") for m in sizes]
    columns = ["dataset", "variant", "backbone", "alignment", "measure", "value", *CHANGES]
    figure = alignments.label_curves(pd.DataFrame(rows, columns=columns), ["leace", "cca"])
    assert len(figure.axes) == 2 and [len(ax.containers) for ax in figure.axes] == [2, 2]
    first = figure.axes[0]
    assert [len(c.lines[0].get_xdata()) for c in first.containers] == [3, 3]
    assert [t.get_text().split()[0] for t in first.get_xticklabels()] == ["20", "100", "all"]
    plt.close(figure)
