import shutil

import pandas as pd
import pytest
from samples import embedding_set

from helpers.probing.cache import cached_or_new, is_up_to_date, load_cached, run_sweep, sweep_folder
from helpers.probing.protocol import Grid

ARGUMENTS = Grid(lambdas=[0, 1], seeds=[1], features=["joint"]).arguments("lambda")
MADE = ("sample", "common", "normal", "converged", "lambda")


@pytest.fixture(scope="module")
def embeddings():
    return embedding_set()


@pytest.fixture
def cached(embeddings, tmp_path):
    folder = sweep_folder(*MADE, tmp_path)
    run_sweep(embeddings, "converged", ARGUMENTS, folder)
    return folder


def test_an_intact_sweep_is_current(cached, embeddings, tmp_path):
    assert is_up_to_date(cached, embeddings, ARGUMENTS)
    again = cached_or_new(embeddings, "converged", "lambda", ARGUMENTS, tmp_path)
    pd.testing.assert_frame_equal(again.table, load_cached(cached).table)


def test_an_edited_table_is_made_again_by_the_command_and_refused_by_readers(cached, embeddings, tmp_path):
    table = pd.read_parquet(cached / "table.parquet")
    table.assign(value=0.999).to_parquet(cached / "table.parquet", index=False)
    assert not is_up_to_date(cached, embeddings, ARGUMENTS)
    for read in (lambda: load_cached(cached), lambda: cached_or_new(embeddings, "converged", "lambda", ARGUMENTS, tmp_path)):
        with pytest.raises(ValueError, match=r"table.parquet is damaged .* `python -m helpers sweep sample normal"):
            read()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 2}', '{"code": "x", "embeddings": "y"}', "[" * 100_000])
def test_malformed_records_are_one_sentence(cached, embeddings, text):
    (cached / "settings.json").write_text(text)
    assert not is_up_to_date(cached, embeddings, ARGUMENTS)
    with pytest.raises(ValueError, match="settings.json (is damaged|was stored in an older format)"):
        load_cached(cached)


def test_a_sweep_under_another_name_is_refused(cached, tmp_path):
    other = sweep_folder("sample", "common", "other", "converged", "lambda", tmp_path)
    shutil.copytree(cached, other)
    with pytest.raises(ValueError, match="holds the sweep of sample/common/normal/converged/lambda"):
        load_cached(other)


@pytest.mark.parametrize("name", ["..", "../../escaped", "", "a/b"])
def test_names_that_leave_the_folder_are_refused(name):
    with pytest.raises(ValueError, match="cannot name a folder"):
        sweep_folder(name, "common", "normal", "converged", "lambda")
