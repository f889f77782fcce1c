"""Decoding and encoding rates are reported apart, and the slower one is named."""

import re

import pytest
from photographs import synthetic_photographs
from tiny_encoders import linear_backbone

from helpers import extract
from helpers.extraction.encoding import Rates


@pytest.mark.parametrize(("processes", "limit"), [(1, "decoding"), (8, "encoding")])
def test_more_processes_move_the_limit_from_decoding_to_the_encoder(processes, limit):
    rates = Rates(processes)
    for _ in range(4):
        rates.add(25, decoding=1.0, encoding=0.5)
    assert rates.decoded_per_second == pytest.approx(25 * processes) and rates.encoded_per_second == pytest.approx(50)
    assert rates.limit == limit and str(rates).endswith("faster") and limit in str(rates)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_extraction_ends_with_both_rates_and_a_second_one_encodes_nothing(tmp_path, capsys, workers):
    dataset = synthetic_photographs(tmp_path)
    for expected in (2, 0):
        extract(dataset, linear_backbone(), tmp_path / "set", workers=workers, batch_size=2)
        said = [line for line in capsys.readouterr().err.splitlines() if "decoding" in line]
        assert len(re.findall(r"[\d.]+/s", " ".join(said))) == expected
