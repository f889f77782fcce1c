"""The sentences of the information page say what its tables hold, on the shipped tables and on tables made up."""

import pandas as pd
import pytest
from conftest import ROOT

from helpers.information import findings
from helpers.page import fill
from helpers.plotting.information import changes_against_lambda, data_parts, shares_against_lambda, split_gains
from helpers.probing.repeated import summarise_gains

SHIPPED = {name: pd.read_csv(ROOT / f"data/measured/{name}.csv", dtype={"split": str}) for name in
           ("information", "random_networks", "repeated_splits")}  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "table"),
    [("future_work", "information"), ("forces", "information"), ("warning", "information"), ("splits", "repeated_splits"),
     ("random_networks", "random_networks")],
)  # fmt: skip
def test_every_answer_has_two_sentences_filled_from_the_shipped_table(answer, table):
    found = getattr(findings, answer)(SHIPPED[table])
    assert len(found) == 2
    for sentence, values in found:
        shown = fill(sentence, **values)
        assert "nan" not in shown and shown.endswith(".")


def test_the_bijection_is_undone_and_shares_add_up_in_the_shipped_table():
    table = SHIPPED["information"]
    assert (findings.of_quantity(table, "recovered")["value"] < 1e-6).all()
    wide = table[table["study"] == "label"].pivot(index=[*findings.NAMES, "lambda"], columns="quantity", values="value")
    total = wide[["unique_image", "unique_text", "redundant", "synergistic"]].sum(axis=1)
    assert (total - wide["both"]).abs().max() < 2e-3


def test_parts_of_the_variance_add_up_in_the_shipped_table():
    table = SHIPPED["random_networks"]
    parts = table[table["part"].isin(["data", "data x weights", "weights"])]
    shares = parts.groupby(["inputs", "network", "depth", "output", "data"])["share"].sum()
    assert ((shares - 1).abs() < 1e-3).all() and len(shares) > 50


def test_absent_studies_are_named():
    table = SHIPPED["information"]
    ((sentence, values),) = findings.not_measured(table[table["study"] != "critic"])
    assert "flickr8k common lit-derm critic" in fill(sentence, **values) and "lit-derm label" not in values["absent"].split("; ")[0]


def test_a_made_up_gain_is_counted_as_clear():
    gains = pd.DataFrame({"split": ["0", "1", "2", "fixed"], "gain": [0.1, 0.1001, 0.0999, 0.5], "auc_at_zero": 0.5})
    gains = gains.assign(train=80, test=20, heads="as shipped", dataset="d", variant="v", backbone="b")
    (_, first), (_, second) = findings.splits(gains)
    assert first["clear"] == 1 and first["drawn"] == "3" and second["inside"] == 0


def test_figures_show_every_shipped_set():
    sets = SHIPPED["information"][findings.NAMES].drop_duplicates()
    figure = changes_against_lambda(SHIPPED["information"], ["image", "bound"], "bits")
    assert len(figure.legends[0].get_texts()) == len(sets)
    assert len(shares_against_lambda(SHIPPED["information"]).axes) == len(sets)
    gains = SHIPPED["repeated_splits"]
    assert len(split_gains(gains, summarise_gains(gains[gains["split"] != "fixed"])).axes[0].get_yticks()) == 6
    assert len(data_parts(SHIPPED["random_networks"]).axes) == SHIPPED["random_networks"]["inputs"].nunique()
