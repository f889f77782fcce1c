"""MIMIC-CXR: chest X-rays with reports; the clean text is the part of a report that was written before the image was read."""

import os
import re
import zipfile
import zlib
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from ..arrays import choose
from ..images import existing
from ..tasks import Task
from .registry import Draft
from .tables import age_band, classes_of, first_file, numbers, read_table, unique

LABELS = {
    "authors": ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "No Finding", "Pleural Effusion"),
    "clean": ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion"),  # as the paper says
}
UNCERTAIN = ("drop", "zero", "one")
TABLES = {"train": "train.csv", "val": "valid.csv", "test": "test.csv"}  # the authors' three, not part of the release
STUDIES, STUDY = ("cxr-study-list.csv", "cxr-study-list.csv.gz"), ("subject_id", "study_id", "path")
ARCHIVES = ("mimic-cxr-reports.zip", "metadata/mimic-cxr-reports.zip")
WANTED = re.compile(
    r"^[ \t]*(?:CLINICAL )?(?:INDICATION|HISTORY|INFORMATION|REASON FOR (?:THIS )?EXAM(?:INATION)?)S?:[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
# A blank line, a heading at the start of a line, or a heading in capitals within a line: findings may follow.
END = re.compile(r"\n[ \t]*\n|\n[ \t]*[A-Za-z][A-Za-z ,/()-]{2,40}:|\b[A-Z]{4,}(?: [A-Z]+)*:")


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
    studies = read_table(path, STUDY)[[*STUDY]]
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
    """Read frontal images, the official split, and the report sections written before the image was read."""
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
    path = first_file(root, [f"mimic-cxr-{version}-{kind}.csv{end}" for version in ("2.0.0", "2.1.0") for end in (".gz", "")])
    table = read_table(path, columns, na_words=True)
    unique(table["study_id" if kind == "chexpert" else "dicom_id"], path, private=True)
    if kind == "split":
        classes_of(table["split"], ("train", "validate", "test"), path)
    return table


def _labelled(table: pd.DataFrame, labels, path: Path) -> pd.DataFrame:
    """Return ``table`` with its label columns as numbers: 1, 0, -1 for uncertain, missing for not mentioned."""
    found = table.assign(**{label: numbers(table[label], path) for label in labels})
    for label in labels:
        classes_of(found[label].fillna(0), (1, 0, -1), path)
    return found


def read_reports(root: Path, paths: pd.Series) -> pd.Series:
    """Return the text of the report at each path, None if absent; an error names the row, not the path, which holds ids."""
    archive = next((root / name for name in ARCHIVES if (root / name).is_file()), None)
    if archive is None and not (root / "files").is_dir():
        raise FileNotFoundError(f"{root} has neither {' nor '.join(ARCHIVES)} nor files/ with report texts; download the reports")
    try:
        opened = zipfile.ZipFile(archive) if archive else None
    except zipfile.BadZipFile:
        raise ValueError(f"{archive} is cut short or not a zip file; download it again") from None
    with opened or nullcontext():
        members = set(opened.namelist()) if opened else ()
        texts: dict[str, str | None] = {}
        for row, path in enumerate(tqdm(paths, desc="reports", unit="report", leave=False)):
            if path in texts or pd.isna(path):
                continue
            try:
                if opened and path in members:
                    texts[path] = opened.read(path).decode("utf-8-sig").replace("\r\n", "\n")  # a section ends at a blank line
                else:
                    texts[path] = (root / path).read_text(encoding="utf-8-sig") if os.path.isfile(root / path) else None
            except (OSError, ValueError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
                fault = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"cannot be read ({type(error).__name__})"
                raise ValueError(f"the report of table row {row} {fault}; restore it") from None
    return pd.Series([texts.get(path) for path in paths], index=paths.index, dtype=object)


def section(report: str) -> str:
    """Return indication, history and reason for the examination of one report, joined; empty if it has none.

    A section ends at the first blank line or heading, so that history never contains findings.
    """
    found = []
    for heading in WANTED.finditer(report):
        end = END.search(report, heading.end())
        body = " ".join(report[heading.end() : end.start() if end else None].split())
        if body and body not in found:
            found.append(body)
    return " ".join(found)
