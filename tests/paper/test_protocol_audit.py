"""The 23 differences with what running them showed: complete, from the shipped measurements, nothing typed by hand."""

import pandas as pd
import pytest
from samples import embedding_set

from helpers.paper import protocol_audit as audit
from helpers.probing.protocol_steps import LEGS


@pytest.fixture(scope="module")
def measured():
    return audit.read_measured()


def test_every_difference_is_listed_once_with_how_or_why_not(measured):
    table = audit.executed_differences(measured, 0.01)
    assert table["number"].tolist() == list(range(1, 24))
    here = table[table["executed"] == "here"]
    assert (here["effect"] != "").all() and (here["how"] != "").all()
    assert (table.loc[table["executed"] == "no", "why_not"] != "").all()
    assert (table.loc[table["executed"] != "here", "effect"] == "").all()


def test_effects_are_the_shipped_numbers(measured):
    steps = measured["protocol_steps"]
    alone = steps[(steps["mode"] == "alone") & (steps["step"] == "gap from all rows")]["gain_change"]
    text = audit.executed_differences(measured, 0.01).set_index("number").loc[2, "effect"]
    assert f"gain {alone.min():+.4f} to {alone.max():+.4f}" in text


def test_legs_of_the_shipped_steps_start_where_they_should(measured):
    starts = measured["protocol_steps"].query("mode == 'start'")
    assert {(row.leg, row.step) for row in starts.itertuples()} == set(LEGS.items())


def test_every_difference_is_on_the_page():
    tables = [audit.differences(kind) for kind in ("contradicts", "bears on a claim", "silent")]
    assert sorted(pd.concat(tables)["no."]) == list(range(1, 24))
    with pytest.raises(ValueError, match="unknown kind of difference 'contradict'; did you mean 'contradicts'"):
        audit.differences("contradict")


def test_longer_training_shows_the_reversed_sign():
    table = audit.longer_training().query("encoder == 'MedSigLIP'")
    assert table["gain"].round(4).tolist() == [0.0007, -0.0005] and table["best λ"].iloc[1] == 0


def test_a_setting_that_was_not_measured_is_refused(measured):
    with pytest.raises(ValueError, match="no probe of adamw at rate 0.5 was measured after 2300 updates"):
        audit.gains_at(measured["training_gain"], "adamw", 0.5, 2300)


def test_rows_behind_r():
    embeddings = embedding_set()
    assert audit.resultant_of_rows([embeddings]) > 0
    assert audit.resultant_of_rows([embeddings]) <= audit.resultant_of_rows([embeddings, embedding_set(seed=1)])
