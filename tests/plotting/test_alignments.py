"""Figures of alignments: every value and line is there."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers.plotting import alignments


def test_the_heat_map_writes_every_value_with_its_interval():
    rows = [("d", "v", "b", a, True, m, 0.5, 0.4, 0.6) for a in ("none", "centring") for m in ("gap", "mixing")]
    columns = ["dataset", "variant", "backbone", "alignment", "renormalise", "measure", "value", "low", "high"]
    figure = alignments.heat_map(pd.DataFrame(rows, columns=columns), ["gap", "mixing"])
    assert [t.get_text() for t in figure.axes[0].texts] == ["0.50 [0.40, 0.60]"] * 4
    plt.close(figure)


def test_shared_rows_has_a_line_per_name():
    x = np.linspace(0, 1, 5)
    figure = alignments.shared_rows({"image": (x, 1 - x), "text": (x, x)})
    assert len(figure.axes[0].lines) == 2
    plt.close(figure)
