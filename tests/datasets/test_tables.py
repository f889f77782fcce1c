"""The readers of released tables agree with cells read by hand."""

import io

import numpy as np
import pandas as pd
import pytest

from helpers.datasets.tables import age_band, numbers, printed, read_lines
from helpers.images import existing, index_images, locate


@pytest.mark.parametrize("cells", [["63", "5"], ["63", ""], ["63.0", "5"], ["15.5", "3"]])
def test_numbers_print_as_pandas_prints_them(cells):
    column = pd.Series([cell or None for cell in cells], name="age")
    by_pandas = pd.read_csv(io.StringIO("age,x\n" + "".join(f"{cell},1\n" for cell in cells)))["age"]
    assert printed(column, "t.csv")[0] == str(by_pandas[0])


def test_oddly_written_numbers():
    found = numbers(pd.Series(["6O", "57,5", " 4 ", None, "-1.0"], name="age"), "t.csv")
    np.testing.assert_array_equal(found, [60, 57.5, 4, np.nan, -1])


def test_age_bands():
    bands = age_band(pd.Series([0, 39, 39.9, 40, 59, 59.9, 60, 85, np.nan]))
    assert bands.tolist() == ["under 40"] * 3 + ["40-59"] * 3 + ["60 and over"] * 2 + ["unknown"]


def test_lines_may_end_anyhow(tmp_path):
    (tmp_path / "l.txt").write_bytes(b"\xef\xbb\xbfa\r\n\r\nb \nc\n\n \n")
    assert read_lines(tmp_path / "l.txt") == ["a", "", "b", "c"]


def test_images_are_found_with_or_without_extension_and_the_first_folder_wins(tmp_path):
    for path in ("one/a.jpg", "two/a.jpg", "two/b.PNG", "two/notes.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    found = index_images(tmp_path, ("none", "one", "two"))
    assert locate(["a", "a.jpg", "b", "notes", "c"], found).tolist() == ["one/a.jpg", "one/a.jpg", "two/b.PNG", None, None]
    assert existing(tmp_path, ["two/a.jpg", "one/b.PNG"]).tolist() == ["two/a.jpg", None]
    with pytest.raises(FileNotFoundError, match="has no image folder x or y"):
        index_images(tmp_path, ("x", "y"))
