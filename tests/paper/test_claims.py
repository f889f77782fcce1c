"""The ledger as a whole: complete, counted, readable."""

import pandas as pd
import pytest
from ledgers import geometry, published_ledger

from helpers.paper.claims import CLAIMS, VERDICTS, as_markdown, counted, ledger


def test_ledger_is_complete():
    table = published_ledger()
    assert len(table) == len(CLAIMS) and table["claim"].is_unique
    assert set(table["verdict"]) <= set(VERDICTS)
    assert table["our_evidence"].isna().all()
    text = table[["where", "test", "published_evidence", "why"]]
    assert not text.isna().any().any() and (text.map(len) > 0).all().all()
    with_interval = table.dropna(subset=["low"])
    assert ((with_interval["low"] <= with_interval["effect"]) & (with_interval["effect"] <= with_interval["high"])).all()


def test_verdicts_are_counted_in_their_order():
    table = pd.DataFrame({"verdict": ["contradicted", "not testable here", "not testable here", "holds"]})
    assert counted(table) == "holds: 1; contradicted: 1; not testable here: 2"


def test_a_missing_column_of_ours_is_named():
    with pytest.raises(ValueError, match="lacks the column 'domain'"):
        ledger(geometry().drop(columns="domain"))


def test_evidence_reads_as_one_block_a_claim():
    table = published_ledger()
    blocks = as_markdown(table).split("\n\n**")
    assert len(blocks) == len(table)
    first = table.iloc[1]
    assert f"2. {first['claim']}" in blocks[1] and first["verdict"] in blocks[1]
    assert f"{first['effect']:.4f} [{first['low']:.4f}, {first['high']:.4f}], n = {first['n']}" in blocks[1]
    assert "Our runs" not in as_markdown(table)
    ours = as_markdown(table.assign(our_evidence=["first", "seen", *["seen"] * (len(table) - 2)]))
    assert ours.count("- Our runs: seen") == 1 and ours.count("- Our runs: as under claim 2") == len(table) - 2
