"""The finding on the front page and in the README is what the shipped tables say."""

import re

import front
import pandas as pd
from book_tables import PAGES
from conftest import ROOT

from helpers.probing.protocol import BRSET_UPDATES


def test_the_committed_figure_is_drawn_from_the_tables_of_today(tmp_path):
    committed = front.FIGURE.read_text("utf-8")
    assert front.data_digest() in committed, "draw it again with python workflow/front.py"
    drawn = front.write_figure(tmp_path / "finding.svg").read_text("utf-8")
    lines = [re.findall(r'<path d="(M [^"]*)" clip-path', text) for text in (drawn, committed)]
    assert lines[0] == lines[1] and len(lines[0]) >= 8


def test_the_sentences_of_the_readme_are_those_of_the_tables():
    text = front.README.read_text("utf-8")
    assert text == front.in_readme(text), "write them again with python workflow/front.py"
    assert all(sentence in text and sentence in PAGES["finding"]() for sentence in front.sentences())


def test_the_numbers_of_the_sentences_by_hand():
    converged, descending, gap = front.sentences()
    limits = pd.read_csv(ROOT / "data/measured/training_gain_limit.csv").query("alignment == 'lambda'")
    assert f"{limits['gain'].min():+.4f} to {limits['gain'].max():+.4f}" in converged
    clear = int(((limits["low"] > 0) | (limits["high"] < 0)).sum())
    assert f"{clear or 'none'} of {len(limits)} intervals" in converged
    paths = pd.read_csv(ROOT / "data/measured/training_gain.csv")
    paths = paths.query("alignment == 'lambda' and optimizer == 'adamw' and rate == 0.0003")
    last = paths[paths["updates"] == paths["updates"].max()]
    assert f"{paths['gain'].min():+.4f} to {paths['gain'].max():+.4f}" in descending
    assert f"by {last['gain'].min():+.4f} to {last['gain'].max():+.4f}" in descending
    assert f"after {BRSET_UPDATES:,} updates" in descending
    measured = pd.concat(pd.read_csv(ROOT / f"data/measured/alignments_{name}.csv") for name in ("public", "shipped"))
    gaps = measured.query("measure == 'gap' and renormalise").set_index(["dataset", "variant", "backbone", "alignment"])["value"]
    left = 100 * gaps.xs("lambda-1", level=3) / gaps.xs("none", level=3)
    assert f"{left.min():.0f} % to {left.max():.0f} % on held-out pairs of {len(left)} sets" in gap


def test_a_changed_table_is_noticed(monkeypatch, tmp_path):
    changed = tmp_path / "limits.csv"
    table = pd.read_csv(front.LIMITS)
    table.assign(gain=table["gain"] + 0.001).to_csv(changed, index=False)
    before = front.data_digest(), front.README.read_text("utf-8")
    monkeypatch.setattr(front, "LIMITS", changed)
    assert front.data_digest() != before[0] and front.in_readme(before[1]) != before[1]
