"""BRSET: fundus photographs of two eyes per patient, binary diabetic retinopathy, a sentence of clinical data."""

from pathlib import Path

import pandas as pd

from ..images import index_images, locate
from ..tasks import Task
from .registry import WORDS, Draft
from .splits import by_group, by_row_in_file_order
from .tables import age_band, classes_of, fill, first_file, numbers, phrase, read_table, unique, words

METADATA = ("labels_brset.csv", "labels.csv")
FOLDERS = ("fundus_photos", "images")
HISTORY = ("patient_id", "exam_eye", "patient_sex", "patient_age", "comorbidities", "diabetes_time_y", "insuline")
FINDINGS = (  # findings of an expert in the same image: part of the authors' text, excluded from the clean text
    *("optic_disc", "vessels", "macula", "macular_edema", "scar", "nevus", "amd", "vascular_occlusion", "drusens", "hemorrhage"),
    *("retinal_detachment", "myopic_fundus", "increased_cup_disc", "other"),
)
EYE = {1: "right", 2: "left"}
SEX = {1: "male", 2: "female"}
INSULIN = {  # the authors say "using insulin" of every cell that is not "no", missing ones included
    "authors": ({"no": "not using insulin"}, "using insulin"),
    "clean": ({"no": "not using insulin", "yes": "using insulin"}, "with insulin use not reported"),
}
GRADES = (0, 1, 2, 3, 4)
CLASSES = ("no retinopathy", "retinopathy")


def read(root: Path, variant: str, split: str) -> Draft:
    """Read the rows of BRSET in file order."""
    path = first_file(root, METADATA)
    table = read_table(path, ("image_id", *HISTORY, *FINDINGS, "DR_ICDR"), na_words=True)
    unique(table["image_id"], path, private=True)
    grade = classes_of(numbers(table["DR_ICDR"], path), GRADES, path)
    age, sex = numbers(table["patient_age"], path), words(numbers(table["patient_sex"], path), SEX, "no sex reported")
    rows = {
        "pair_id": table["image_id"],
        "image": locate(table["image_id"], index_images(root, FOLDERS)),
        "text": fill(WORDS["brset"][variant], _text_fields(table, age, sex, variant, path)),
        "group": table["patient_id"],
        "label": retinopathy(grade),
        "subgroup_age": age_band(age),
        "subgroup_sex": sex.replace("no sex reported", "unknown"),
    }
    return graded(pd.DataFrame(rows), grade.rename("DR_ICDR"), split)


def retinopathy(grade: pd.Series) -> pd.Series:
    """Return the label of each grade: any grade above 0 is retinopathy."""
    return (grade > 0).map(dict(zip((False, True), CLASSES, strict=True)))


def graded(rows: pd.DataFrame, grade: pd.Series, split: str, report: dict | None = None) -> Draft:
    """Return the rows that have a grade, split by image or by patient in proportion to the grades."""
    rows, strata = (x[grade.notna()].reset_index(drop=True) for x in (rows, grade))
    rows["split"] = by_row_in_file_order(strata) if split == "by-image" else by_group(rows["group"], strata)
    return Draft(rows, Task("binary", CLASSES), report or {})


def _text_fields(table: pd.DataFrame, age: pd.Series, sex: pd.Series, variant: str, path: Path) -> dict[str, pd.Series]:
    """Return the phrases for each field of the text."""
    duration = numbers(table["diabetes_time_y"].mask(table["diabetes_time_y"].isin(["Não", "Nao"])), path)
    return {
        "eye": words(numbers(table["exam_eye"], path), EYE, "no eye reported"),
        "sex": sex,
        "age": phrase(age, "{}", "no age reported"),
        "comorb": phrase(table["comorbidities"], "with comorbidities: {}", "with no comorbidities reported"),
        "dm": phrase(duration, "diabetes diagnosed for {} years", "with no diabetes duration reported"),
        "insulin": words(table["insuline"], *INSULIN[variant]),
        **{c: words(numbers(table[c], path), {1: "present"}, "absent") for c in FINDINGS},
    }
