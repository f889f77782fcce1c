"""The finding on the front page and in the README is what the published and the stored tables say."""

import re
from itertools import product

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
    assert all(sentence.count(". ") == 0 and sentence.endswith(".") for sentence in front.sentences())  # four, each one sentence
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
    table = pd.DataFrame({"deficit": deficit, "gain": gain.to_numpy()}, index=pd.Index([d for d, _ in start], name="dataset"))
    drawn = [table.loc[list(names)] for names in product(table.index.unique(), repeat=4) if len(set(names)) > 1]
    low, high = np.quantile([sets["deficit"].rank().corr(sets["gain"].rank()) for sets in drawn], [0.025, 0.975])
    assert f"(95 % interval over data sets {low:.2f} to {high:.2f})" in hidden_layer
    again = pd.read_csv(PUBLISHED / "authors_lambda_sweep_brset_longer.csv").pivot(
        index="backbone", columns="lambda", values="auc_mean"
    )
    short, gains = curves.loc["brset"], again[1.0] - again[0.0]
    assert (again[0.0] > short[0.0]).all() and (gains < short[1.0] - short[0.0]).all() and len(gains) == 4
    assert f"a smaller gain for 4 of 4 encoders (−{-gains.min():.4f} to +{gains.max():.4f})" in longer


def test_the_numbers_of_the_sentence_on_the_test_bench_by_hand():
    sentence = front.sentences()[3]
    limit = pd.read_csv(MEASURED / "training_gain_limit.csv").query("alignment == 'lambda'")["gain"]
    assert f"({len(limit)} embedding sets of two data sets)" in sentence
    assert f"by at most {max(limit.max(), -limit.min()):.4f} on the given splits" in sentence
    splits = pd.read_csv(MEASURED / "repeated_splits.csv", dtype=str).query("split != 'fixed'").astype({"gain": float})
    by_set = splits.pivot(index="split", columns=["dataset", "variant", "backbone"], values="gain")
    assert f"by −{-by_set.mean().min():.4f} to +{by_set.mean().max():.4f} on average over {len(by_set)} redrawn splits" in sentence
    always = by_set.columns[(by_set > 0).all()].tolist()
    assert sorted(always) == [("ham10000", "authors", "lit-derm"), ("ham10000", "clean", "lit-derm")]
    assert "with a gain above zero in each of them for HAM10000 under lit-derm." in sentence
