"""Every reader of a stored format gives a result or one sentence, whatever the bytes; a flipped bit is found."""

import pandas as pd
import pytest
from attacks import STORED, TARGETS, flip_is_found, is_read_whole, record_of, with_record
from damage import few, many, one_sentence, small
from hypothesis import given
from hypothesis import strategies as st

from helpers import EmbeddingSet
from helpers.files import checksummed, sha256

LARGE = 10**6


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", TARGETS)
def test_a_few_damaged_files_are_named(target):
    attack, *arguments = TARGETS[target]
    few(given(st.tuples(*arguments))(lambda values: attack(*values)))()


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", TARGETS)
def test_many_damaged_files_are_named(target):
    attack, *arguments = TARGETS[target]
    many(given(st.tuples(*arguments))(lambda values: attack(*values)))()


def all_flips_are_found(what: str, size) -> None:
    assert is_read_whole(what)

    @size
    @given(st.integers(0, 60), st.integers(0, LARGE))
    def attack(file, bit):
        assert flip_is_found(what, file, bit)

    attack()


@pytest.mark.parametrize("what", STORED)
def test_a_flipped_bit_of_a_stored_file_is_found(what):
    all_flips_are_found(what, few)


@pytest.mark.heavy
@pytest.mark.parametrize("what", STORED)
def test_every_flipped_bit_of_many_is_found(what):
    all_flips_are_found(what, many)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("image", "../../../../x/image.safetensors"),
        ("image", "/x/image.safetensors"),
        ("image", "../a/../../../../image.safetensors"),
        ("image", "x"),
        ("text", "../a/image.safetensors"),  # only images are shared between sets
    ],
)
def test_a_record_cannot_name_files_outside_its_store(name, path, tmp_path):
    folder = small().save(tmp_path / "d" / "v" / "b")
    record = record_of(folder)
    record["files"][name]["path"] = path
    with_record(folder, checksummed(record))
    with pytest.raises(ValueError, match=f"path of {name} leaves the set"):
        EmbeddingSet.load(folder)


@pytest.mark.parametrize(
    ("column", "value", "must"),
    [("image", 0.0, "whole numbers"), ("text", None, "whole numbers"), ("group", 1.5, "texts"), ("split", None, "texts")],
)
def test_a_column_of_another_type_or_with_a_missing_value_is_named(column, value, must, tmp_path):
    folder = small().save(tmp_path / "d" / "v" / "b")
    pairs = pd.read_parquet(folder / "pairs.parquet")
    pairs[column] = pairs[column].where(pairs.index > 0) if value is None else value
    pairs.to_parquet(folder / "pairs.parquet")
    record = record_of(folder)
    record["files"]["pairs"]["sha256"] = sha256(folder / "pairs.parquet")
    with_record(folder, checksummed(record))
    with pytest.raises(ValueError, match=f"column '{column}' must hold {must} in every row"):
        EmbeddingSet.load(folder)


@pytest.mark.parametrize("key", ["two\nlines", "a\x85b\u2028c", "k" * 5000, ""])
def test_a_record_with_an_odd_key_is_named_on_one_line(key, tmp_path):
    folder = small().save(tmp_path / "d" / "v" / "b")
    record = record_of(folder)
    record["files"][key] = {}
    with_record(folder, checksummed(record))
    with pytest.raises(ValueError) as error:
        EmbeddingSet.load(folder)
    one_sentence(error.value, str(folder))
