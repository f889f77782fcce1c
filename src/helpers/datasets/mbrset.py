"""mBRSET: fundus photographs by a portable camera, binary diabetic retinopathy, a sentence about the patient."""

from pathlib import Path

import pandas as pd

from ..images import index_images, locate
from .brset import GRADES, graded, retinopathy
from .registry import WORDS, Draft
from .tables import age_band, classes_of, fill, first_file, numbers, phrase, printed, read_table, unique, words

METADATA = ("labels_mbrset.csv", "labels.csv")
FOLDERS = ("images",)
SEX = {1: "male", 0: "female"}
EDUCATION = dict(enumerate(WORDS["mbrset"]["education"], 1))
YES_NO = WORDS["mbrset"]["yes_no"]  # column: phrases for 1, 0 and a missing value


def read(root: Path, variant: str, split: str) -> Draft:
    """Read the rows of mBRSET with a grade, in file order."""
    path = first_file(root, METADATA)
    columns = ("patient", "age", "sex", "dm_time", *YES_NO, "educational_level", "file", "final_icdr")
    table = read_table(path, columns, na_words=True)
    unique(table["file"], path, private=True)
    fields = _text_fields(table, variant, path)
    grade = numbers(table["final_icdr"], path)
    classes_of(grade.fillna(0), GRADES, path)
    rows = {
        "pair_id": table["file"],
        "image": locate(table["file"], index_images(root, FOLDERS)),
        "text": fill(WORDS["mbrset"]["text"], fields),
        "group": table["patient"],
        "label": retinopathy(grade),
        "subgroup_age": age_band(numbers(table["age"], path)),
        "subgroup_sex": fields["sex"].replace("sex not reported", "unknown"),
    }
    return graded(pd.DataFrame(rows), grade, split, {"rows_without_grade": int(grade.isna().sum())})


def _text_fields(table: pd.DataFrame, variant: str, path: Path) -> dict[str, pd.Series]:
    """Return the phrases for each field of the text."""
    fields = {
        "sex": words(numbers(table["sex"], path), SEX, "sex not reported"),
        "age": phrase(printed(table["age"], path), "aged {} years", "with age not reported"),
        "dm_time": phrase(
            printed(table["dm_time"], path), "diagnosed with diabetes for {} years", "with no reported diabetes duration"
        ),
        "educational_level": words(
            numbers(table["educational_level"], path),
            EDUCATION,
            "with no educational level reported",
        ),
    }
    for column, (yes, no, unknown) in YES_NO.items():
        coded = {1: yes} if variant == "authors" else {1: yes, 0: no}
        fields[column] = words(numbers(table[column], path), coded, no if variant == "authors" else unknown)
    return fields
