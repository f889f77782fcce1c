"""The finding on the front page and in the README is what the published and the stored tables say."""

import re

import front
import numpy as np
import pandas as pd
from book_tables import PAGES
from conftest import ROOT

PUBLISHED, MEASURED = ROOT / "data" / "published", ROOT / "data" / "measured"


def test_the_committed_figure_is_drawn_from_the_tables_of_today(tmp_path):
    committed = front.FIGURE.read_text("utf-8")
    assert front.data_digest() in committed, "draw it again with python workflow/front.py"
    drawn = front.write_figure(tmp_path / "finding.svg").read_text("utf-8")
    marks = [re.findall(r'<use [^>]*x="([^"]*)" y="([^"]*)"', text) for text in (drawn, committed)]
    assert marks[0] == marks[1] and len(marks[0]) >= 4 * 16  # a diamond, two dots and a point of the scatter plot per curve


def test_the_sentences_of_the_readme_are_those_of_the_tables():
    text = front.README.read_text("utf-8")
    assert text == front.in_readme(text), "write them again with python workflow/front.py"
    assert all(sentence in text and sentence in PAGES["finding"]() for sentence in front.sentences())


def test_the_numbers_of_the_published_sentences_by_hand():
    linear, hidden_layer, longer, _ = front.sentences()
    curves = pd.read_csv(PUBLISHED / "authors_lambda_sweep.csv").set_index(["dataset", "backbone", "lambda"])["auc_mean"].unstack()
    gain = curves[1.0] - curves[0.0]
    assert f"in {(gain > 0).sum()} of {len(gain)} curves, by {gain.min():.4f} to {gain.max():.4f}" in linear
    runs = pd.read_csv(PUBLISHED / "authors_hidden_layer.csv")
    runs = runs.set_index(["dataset", "encoder", "fusion", "lambda"])["auc"].unstack()
    assert f"in {(runs[1.0] > runs[0.0]).sum()} of {len(runs)} single runs" in hidden_layer
    start = {(d.removesuffix("_multi_label"), b): v for (d, b), v in curves[0.0].items()}
    early = runs[0.0].xs("early", level="fusion")
    deficit = [early[key] - value for key, value in start.items()]
    ranks = np.corrcoef(pd.Series(deficit).rank(), gain.rank())[0, 1]
    assert f"rank correlation {ranks:.2f} over {len(gain)} curves" in hidden_layer
    assert "a smaller gain for 4 of 4 encoders" in longer
