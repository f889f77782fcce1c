"""mBRSET: fundus photographs by a portable camera, binary diabetic retinopathy, a sentence about the patient."""

from pathlib import Path

import pandas as pd

from ..images import index_images, locate
from .base import Draft
from .brset import GRADES, graded, retinopathy
from .tables import age_band, classes_of, fill, first_file, numbers, phrase, printed, read_table, unique, words

METADATA = ("labels_mbrset.csv", "labels.csv")
FOLDERS = ("images",)
TEXT = (
    "A {sex} patient {age}, {dm_time}, {insulin}, and {oraltreatment_dm}. The patient is {systemic_hypertension}, "
    "{alcohol_consumption}, {smoking}, {obesity}, and {vascular_disease}. Medical history includes: {acute_myocardial_infarction}, "
    "{nephropathy}, {neuropathy}, and {diabetic_foot}. The patient is {educational_level}."
)
SEX = {1: "male", 0: "female"}
YES_NO = {  # column: phrases for 1, 0 and a missing value; the authors use the second for missing values too
    "insulin": ("using insulin", "not using insulin", "insulin use not reported"),
    "oraltreatment_dm": ("on oral treatment for diabetes", "not on oral treatment for diabetes", "oral treatment not reported"),
    "systemic_hypertension": ("with systemic hypertension", "without systemic hypertension", "systemic hypertension not reported"),
    "alcohol_consumption": ("consumes alcohol", "does not consume alcohol", "alcohol consumption not reported"),
    "smoking": ("smokes", "does not smoke", "smoking not reported"),
    "obesity": ("with obesity", "without obesity", "obesity not reported"),
    "vascular_disease": ("has vascular disease", "does not have vascular disease", "vascular disease not reported"),
    "acute_myocardial_infarction": (
        *("has a history of acute myocardial infarction", "no history of acute myocardial infarction"),
        "acute myocardial infarction not reported",
    ),
    "nephropathy": ("with nephropathy", "without nephropathy", "nephropathy not reported"),
    "neuropathy": ("with neuropathy", "without neuropathy", "neuropathy not reported"),
    "diabetic_foot": ("has diabetic foot", "does not have diabetic foot", "diabetic foot not reported"),
}
EDUCATION = {
    1: "illiterate",
    2: "with incomplete primary education",
    3: "with complete primary education",
    4: "with incomplete secondary education",
    5: "with complete secondary education",
    6: "with incomplete tertiary education",
    7: "with complete tertiary education",
}


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
        "text": fill(TEXT, fields),
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
        "educational_level": words(numbers(table["educational_level"], path), EDUCATION, "with no educational level reported"),
    }
    for column, (yes, no, unknown) in YES_NO.items():
        coded = {1: yes} if variant == "authors" else {1: yes, 0: no}
        fields[column] = words(numbers(table[column], path), coded, no if variant == "authors" else unknown)
    return fields
