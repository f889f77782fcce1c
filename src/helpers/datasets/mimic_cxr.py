"""MIMIC-CXR: frontal chest X-rays with reports, findings read from those reports by CheXpert."""

from pathlib import Path

import pandas as pd

from ..checks import choose
from ..images import existing
from ..tasks import Task
from .base import Card, Draft
from .mimic_reports import read_reports, section
from .tables import age_band, classes_of, first_file, numbers, read_table, unique

LABELS = {
    "authors": ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "No Finding", "Pleural Effusion"),
    "clean": ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion"),  # as the paper says
}
UNCERTAIN = ("drop", "zero", "one")
SPLITS = {"authors": ("given",), "clean": ("official",)}
TABLES = {"train": "train.csv", "val": "valid.csv", "test": "test.csv"}  # the authors' three, not part of the release
STUDIES = ("cxr-study-list.csv", "cxr-study-list.csv.gz")
CARD = Card(
    title="MIMIC-CXR",
    domain="medical",
    source="PhysioNet, MIMIC-CXR-JPG 2.0.0 or later with the reports of MIMIC-CXR",
    licence="PhysioNet Credentialed Health Data License 1.5.0",
    citation="johnson2019mimiccxr",
    access=(
        "Get access at https://physionet.org/content/mimic-cxr-jpg/ and https://physionet.org/content/mimic-cxr/; put files/, the "
        "mimic-cxr-2.0.0-*.csv.gz tables and mimic-cxr-reports.zip into one folder."
    ),
    credentialed=True,
    size="377,110 images with 227,827 reports, 153,128 of the images in the authors' tables",
    notes=(
        "Variant authors needs train.csv, valid.csv and test.csv as the authors used them; their making is not published. Its text "
        "is the whole report, from which the labels were read, and its labels are six: the paper's five and No Finding.",
        "Variant clean reads the release itself: frontal views, official patient-disjoint split, the paper's five labels, and as "
        "text only what was written before the image was read (indication, history, reason for the examination).",
        "Uncertain labels: rows dropped (the authors' choice), or read as zero or one. A label that is not mentioned is negative.",
        "The paper's R counts every image, rows with an uncertain label included: load with uncertain='zero' to compare with it.",
    ),
)


def read(root: Path, variant: str, split: str, uncertain: str = "drop") -> Draft:
    """Read the rows of MIMIC-CXR, one per image; the group is the patient.

    Args:
        uncertain: treatment of the label -1: ``drop`` the row, ``zero`` or ``one``.
    """
    choose(uncertain, UNCERTAIN, "policy for uncertain labels")
    table, report = _authors_tables(root) if variant == "authors" else _release_tables(root)
    rows = table[["pair_id", "image", "text", "split", "group", *(c for c in table if c.startswith("subgroup_"))]]
    values = table[list(LABELS[variant])].rename(columns="label_{}".format)
    doubtful = (values == -1).any(axis=1)
    rows = pd.concat([rows, values.replace(-1, int(uncertain == "one")).fillna(0).astype("int8")], axis=1)
    if uncertain == "drop":
        rows, report = rows[~doubtful], {**report, "rows_with_uncertain_label": int(doubtful.sum())}
    return Draft(rows, Task("multilabel", LABELS[variant]), report)


def _authors_tables(root: Path) -> tuple[pd.DataFrame, dict]:
    """Read the authors' three tables with whole reports."""
    columns = ("dicom_id", "subject_id", "study_id", "path_preproc", *LABELS["authors"])
    parts = []
    for part, name in TABLES.items():
        path = first_file(root, (name,))
        table = read_table(path, columns, na_words=True)
        unique(table["dicom_id"], path, private=True)
        parts.append(_labelled(table, LABELS["authors"], path).assign(split=part))
    table = pd.concat(parts, ignore_index=True)
    path = first_file(root, STUDIES)
    studies = read_table(path, ("subject_id", "study_id", "path"))[["subject_id", "study_id", "path"]]
    unique(studies["study_id"], path, private=True)
    table = table.merge(studies.rename(columns={"path": "report"}), on=["subject_id", "study_id"], how="left")
    table["text"] = read_reports(root, table["report"])
    plain = existing(root, table["path_preproc"])
    table["image"] = plain.fillna(existing(root, "preproc_224x224/" + table["path_preproc"]))
    if "age" in table:
        table["subgroup_age"] = age_band(numbers(table["age"], root / "train.csv"))
    if "sex" in table:
        table["subgroup_sex"] = table["sex"].str.lower().fillna("unknown")
    return table.rename(columns={"dicom_id": "pair_id", "subject_id": "group"}), {}


def _release_tables(root: Path) -> tuple[pd.DataFrame, dict]:
    """Read the frontal images of MIMIC-CXR-JPG, the official split, and the report sections written before the image was read."""
    metadata = _release(root, "metadata", ("dicom_id", "subject_id", "study_id", "ViewPosition"))
    parts = _release(root, "split", ("dicom_id", "split"))
    findings = _release(root, "chexpert", ("subject_id", "study_id", *LABELS["clean"]))
    findings = _labelled(findings, LABELS["clean"], root / "mimic-cxr-2.0.0-chexpert.csv.gz")
    frontal = metadata["ViewPosition"].isin(["AP", "PA"])
    table = metadata[frontal].merge(parts[["dicom_id", "split"]], on="dicom_id", how="inner")
    table = table.merge(findings.drop(columns="subject_id"), on="study_id", how="inner")
    table["split"] = table["split"].replace("validate", "val")
    stem = ("files/p" + table["subject_id"].str[:2] + "/p" + table["subject_id"] + "/s" + table["study_id"]).astype(object)
    table["text"] = read_reports(root, stem + ".txt").map(section, na_action="ignore")
    table["image"] = existing(root, stem + "/" + table["dicom_id"] + ".jpg")
    unlabelled = int(frontal.sum()) - len(table)
    report = {"images_not_frontal": int((~frontal).sum()), "frontal_images_without_labels_or_split": unlabelled}
    return table.rename(columns={"dicom_id": "pair_id", "subject_id": "group"}), report


def _release(root: Path, kind: str, columns) -> pd.DataFrame:
    names = [f"mimic-cxr-{version}-{kind}.csv{end}" for version in ("2.0.0", "2.1.0") for end in (".gz", "")]
    path = first_file(root, names)
    table = read_table(path, columns, na_words=True)
    unique(table["study_id" if kind == "chexpert" else "dicom_id"], path, private=True)
    if kind == "split":
        classes_of(table["split"], ("train", "validate", "test"), path)
    return table


def _labelled(table: pd.DataFrame, labels, path: Path) -> pd.DataFrame:
    """Return ``table`` with its label columns as numbers: 1, 0, -1 for uncertain, missing for not mentioned."""
    table = table.copy()
    for label in labels:
        table[label] = numbers(table[label], path)
        classes_of(table[label].fillna(0).rename(label), (1, 0, -1), path)
    return table
