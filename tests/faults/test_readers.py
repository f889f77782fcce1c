"""Every reader of a stored format gives a result or one sentence, whatever the bytes; a flipped bit is found."""

import pandas as pd
import pytest
from attacks import FILE, STORED, TARGETS, flip_is_found, is_read_whole, record_of
from damage import few, many, one_sentence, small
from hypothesis import given
from hypothesis import strategies as st

from helpers import EmbeddingSet
from helpers.files import sha256
from helpers.store.disk import PROVENANCE, write_record

SIZES = [pytest.param(few, id="few"), pytest.param(many, id="many", marks=pytest.mark.heavy)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("target", TARGETS)
def test_damaged_files_are_named(target, size):
    attack, *arguments = TARGETS[target]
    size(given(st.tuples(*arguments))(lambda values: attack(*values)))()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("what", STORED)
def test_a_flipped_bit_of_a_stored_file_is_found(what, size):
    assert is_read_whole(what)

    @size
    @given(FILE, st.integers(0, 10**6))
    def attack(file, bit):
        assert flip_is_found(what, file, bit)

    attack()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("image", "../../../../x/image.safetensors"),
        ("image", "/x/image.safetensors"),
        ("image", "../a/../../../../image.safetensors"),
        ("image", "x"),
        ("text", "../a/image.safetensors"),  # only images are shared between sets
        *(("two\nlines", ""), ("a\x85b\u2028c", ""), ("k" * 5000, ""), ("", "")),
    ],
)
def test_a_record_cannot_name_other_files_or_files_outside_its_store(name, path, tmp_path):
    folder = small().save(tmp_path / "d" / "v" / "b")
    record = record_of(folder)
    record["files"].setdefault(name, {})["path"] = path
    write_record(folder / PROVENANCE, record)
    with pytest.raises(ValueError, match=f"path of {name} leaves the set" if path else "files must be image, text, pairs") as error:
        EmbeddingSet.load(folder)
    one_sentence(error.value, str(folder))


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
    write_record(folder / PROVENANCE, record)
    with pytest.raises(ValueError, match=f"column '{column}' must hold {must} in every row"):
        EmbeddingSet.load(folder)
