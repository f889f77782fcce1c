"""MIMIC-CXR: chest X-rays with reports; the clean text is the part of a report that was written before the image was read."""

import re
import zipfile
import zlib
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from ..arrays import choose
from ..images import existing
from ..tasks import UNCERTAIN, Task, settled
from .registry import REQUIRED_COLUMNS, Draft
from .tables import age_band, classes_of, in_parts, numbers, released

CLASSES = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "No Finding", "Pleural Effusion")
LABELS = {"authors": CLASSES, "clean": tuple(name for name in CLASSES if name != "No Finding")}  # the five of the paper
TABLES = {"train": "train.csv", "val": "valid.csv", "test": "test.csv"}  # the authors' three, not part of the release
IDS = ("dicom_id", "subject_id", "study_id")
ARCHIVES = ("mimic-cxr-reports.zip", "metadata/mimic-cxr-reports.zip")
WANTED = re.compile(r"(?im)^[ \t]*(?:CLINICAL )?(?:INDICATION|HISTORY|INFORMATION|REASON FOR (?:THIS )?EXAM(?:INATION)?)S?:[ \t]*")
# A blank line, a heading at the start of a line, or a heading in capitals within a line
END = re.compile(r"\n[ \t]*\n|\n[ \t]*[A-Za-z][A-Za-z ,/()-]{2,40}:|\b[A-Z]{4,}(?: [A-Z]+)*:")


def read(root: Path, variant: str, split: str, uncertain: str = "drop") -> Draft:
    """Read the rows of MIMIC-CXR, one per image; the group is the patient. A label of -1 is ``uncertain``."""
    choose(uncertain, UNCERTAIN, "policy for uncertain labels")
    table, report = _authors_tables(root) if variant == "authors" else _release_tables(root)
    table = table.rename(columns={"dicom_id": "pair_id", "subject_id": "group"})
    rows = table[[*REQUIRED_COLUMNS, *(c for c in table if c.startswith("subgroup_"))]]
    task = Task("multilabel", LABELS[variant])
    labels, kept, counts = settled(table[[*task.classes]].fillna(0), uncertain=uncertain)
    rows = rows.iloc[kept].assign(**dict(zip(task.columns, labels.T.astype("int8"), strict=True)))
    return Draft(rows, task, report | counts)


def _authors_tables(root: Path) -> tuple[pd.DataFrame, dict]:
    """Read the authors' three tables with whole reports."""
    columns = (*IDS, "path_preproc", *CLASSES)
    table = in_parts(TABLES, lambda part: _labelled(*released(root, (TABLES[part],), columns), CLASSES))
    names, own = ("cxr-study-list.csv", "cxr-study-list.csv.gz"), ("study_id", "subject_id", "path")
    studies = released(root, names, own, na_words=False)[0][[*own]].rename(columns={"path": "report"})
    table = table.merge(studies, on=["subject_id", "study_id"], how="left")
    table["text"] = read_reports(root, table["report"])
    table["image"] = existing(root, table["path_preproc"]).fillna(existing(root, "preproc_224x224/" + table["path_preproc"]))
    if "age" in table:
        table["subgroup_age"] = age_band(numbers(table["age"], root / "train.csv"))
    if "sex" in table:
        table["subgroup_sex"] = table["sex"].str.lower().fillna("unknown")
    return table, {}


def _release_tables(root: Path) -> tuple[pd.DataFrame, dict]:
    """Read frontal images, the official split, and the report sections written before the image was read."""
    metadata, _ = _release(root, "metadata", (*IDS, "ViewPosition"))
    parts, path = _release(root, "split", ("dicom_id", "split"))
    classes_of(parts["split"], ("train", "validate", "test"), path)
    findings = _labelled(*_release(root, "chexpert", ("study_id", *LABELS["clean"])), LABELS["clean"])
    frontal = metadata["ViewPosition"].isin(["AP", "PA"])
    table = metadata[frontal].merge(parts[["dicom_id", "split"]], on="dicom_id", how="inner")
    table = table.merge(findings[["study_id", *LABELS["clean"]]], on="study_id", how="inner")
    table["split"] = table["split"].replace("validate", "val")
    stem = ("files/p" + table["subject_id"].str[:2] + "/p" + table["subject_id"] + "/s" + table["study_id"]).astype(object)
    table["text"] = read_reports(root, stem + ".txt").map(section, na_action="ignore")
    table["image"] = existing(root, stem + "/" + table["dicom_id"] + ".jpg")
    unlabelled = int(frontal.sum()) - len(table)
    return table, {"images_not_frontal": int((~frontal).sum()), "frontal_images_without_labels_or_split": unlabelled}


def _release(root: Path, kind: str, columns) -> tuple[pd.DataFrame, Path]:
    names = [f"mimic-cxr-{version}-{kind}.csv{end}" for version in ("2.0.0", "2.1.0") for end in (".gz", "")]
    return released(root, names, columns)


def _labelled(table: pd.DataFrame, path: Path, labels) -> pd.DataFrame:
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
        release = zipfile.Path(archive) if archive else root
    except zipfile.BadZipFile:
        raise ValueError(f"{archive} is cut short or not a zip file; download it again") from None
    texts, distinct = {}, paths.dropna().drop_duplicates()
    for row, path in tqdm(distinct.items(), total=len(distinct), desc="reports", unit="report", leave=False):
        try:
            if (report := release / path).is_file():  # a section ends at a blank line
                texts[path] = report.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        except (OSError, ValueError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
            fault = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"cannot be read ({type(error).__name__})"
            raise ValueError(f"the report of table row {row} {fault}; restore it") from None
    return paths.map(texts).astype(object)


def section(report: str) -> str:
    """Return indication, history and reason of one report, each up to the first blank line or heading: findings may follow."""
    bodies = []
    for heading in WANTED.finditer(report):
        end = END.search(report, heading.end())
        bodies.append(" ".join(report[heading.end() : end.start() if end else None].split()))
    return " ".join(filter(None, dict.fromkeys(bodies)))
