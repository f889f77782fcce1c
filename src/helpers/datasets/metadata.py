"""HAM10000, BRSET and mBRSET: photographs of skin lesions and of the fundus, each with a sentence made from a table of metadata."""

from pathlib import Path

import pandas as pd

from ..tasks import Task
from .registry import WORDS, Draft
from .splits import by_group, by_row
from .tables import age_band, classes_of, fill, numbers, printed, released, words

DIAGNOSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
FINDINGS = WORDS["brset"]["findings"]  # of an expert in the same image: in the authors' text, not in the clean one
YES_NO = WORDS["mbrset"]["yes_no"]  # column: phrases for 1, 0 and a missing value
CLASSES = ("no retinopathy", "retinopathy")


def ham10000(root: Path, variant: str, split: str) -> Draft:
    """Read the rows of HAM10000; under ``by-image`` in the authors' order (train block, then test block)."""
    names = ("HAM10000_metadata.csv", "HAM10000_metadata.tab", "HAM10000_metadata")
    columns = ("image_id", "lesion_id", "dx", "dx_type", "age", "sex", "localization")
    table, path = released(root, names, columns)
    age = numbers(table["age"], path)
    years = age.map(lambda a: str(int(a)), na_action="ignore").astype(object)
    said = table[["sex", "localization"]].assign(age=years).fillna("No data reported").assign(dx_type=table["dx_type"])
    rows = {
        "pair_id": table["image_id"],
        "text": fill(WORDS["ham10000"][variant], said),
        "group": table["lesion_id"],
        "label": classes_of(table["dx"], DIAGNOSES, path),
        "subgroup_age": age_band(age),
        "subgroup_sex": table["sex"].fillna("unknown"),
    }
    rows = pd.DataFrame(rows)
    if split == "lesion-disjoint":
        rows["split"] = by_group(rows["group"], rows["label"])
    else:
        rows = rows.loc[(split_of := by_row(rows["label"])).index].assign(split=split_of)
    return Draft(rows, Task("multiclass", DIAGNOSES))


def brset(root: Path, variant: str, split: str) -> Draft:
    """Read the rows of BRSET in file order."""
    coded = ("exam_eye", "patient_sex", "patient_age", "DR_ICDR", *FINDINGS)
    columns = ("image_id", "patient_id", "comorbidities", "diabetes_time_y", "insuline", *coded)
    table, path = released(root, ("labels_brset.csv", "labels.csv"), columns)
    number = {c: numbers(table[c], path) for c in coded}
    insulin = WORDS["brset"]["insulin"][variant]
    years = numbers(table["diabetes_time_y"].mask(table["diabetes_time_y"].isin(["Não", "Nao"])), path)
    fields = {
        "eye": words(number["exam_eye"], {1: "right", 2: "left"}, "no eye reported"),
        "sex": words(number["patient_sex"], {1: "male", 2: "female"}, "no sex reported"),
        "age": words(number["patient_age"], "{}", "no age reported"),
        "comorb": words(table["comorbidities"], "with comorbidities: {}", "with no comorbidities reported"),
        "dm": words(years, "diabetes diagnosed for {} years", "with no diabetes duration reported"),
        "insulin": words(table["insuline"], insulin, insulin["other"]),
        **{c: words(number[c], {1: "present"}, "absent") for c in FINDINGS},
    }
    rows = {"pair_id": table["image_id"], "text": fill(WORDS["brset"][variant], fields), "group": table["patient_id"]}
    return _graded(rows, number["DR_ICDR"], number["patient_age"], fields["sex"], split, path)


def mbrset(root: Path, variant: str, split: str) -> Draft:
    """Read the rows of mBRSET with a grade, in file order."""
    columns = ("file", "patient", "age", "sex", "dm_time", *YES_NO, "educational_level", "final_icdr")
    table, path = released(root, ("labels_mbrset.csv", "labels.csv"), columns)
    number = {c: numbers(table[c], path) for c in ("age", "sex", "educational_level", "final_icdr", *YES_NO)}
    years, education = printed(table["dm_time"], path), dict(enumerate(WORDS["mbrset"]["education"], 1))
    fields = {
        "sex": words(number["sex"], {1: "male", 0: "female"}, "sex not reported"),
        "age": words(printed(table["age"], path), "aged {} years", "with age not reported"),
        "dm_time": words(years, "diagnosed with diabetes for {} years", "with no reported diabetes duration"),
        "educational_level": words(number["educational_level"], education, "with no educational level reported"),
    }
    for column, (yes, no, unknown) in YES_NO.items():
        coded, otherwise = ({1: yes}, no) if variant == "authors" else ({1: yes, 0: no}, unknown)
        fields[column] = words(number[column], coded, otherwise)
    rows = {"pair_id": table["file"], "text": fill(WORDS["mbrset"]["text"], fields), "group": table["patient"]}
    return _graded(rows, number["final_icdr"], number["age"], fields["sex"], split, path)


def _graded(columns: dict, grade: pd.Series, age: pd.Series, sex: pd.Series, split: str, path: Path) -> Draft:
    """Return the rows that have a grade, split by image or by patient in proportion to the grades; above 0 is retinopathy."""
    classes_of(grade.fillna(0), range(5), path)
    columns |= {"label": (grade > 0).map({False: CLASSES[0], True: CLASSES[1]}), "subgroup_age": age_band(age)}
    rows = pd.DataFrame(columns | {"subgroup_sex": sex.where(sex.isin(["male", "female"]), "unknown")})
    rows, strata = (x[grade.notna()].reset_index(drop=True) for x in (rows, grade))
    rows["split"] = by_row(strata) if split == "by-image" else by_group(rows["group"], strata)
    return Draft(rows, Task("binary", CLASSES), {"rows_without_grade": int(grade.isna().sum())})
