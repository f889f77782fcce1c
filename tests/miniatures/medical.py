"""Write miniatures of the four medical data sets, file by file as released."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.datasets.metadata import DIAGNOSES, FINDINGS, YES_NO
from helpers.datasets.mimic_cxr import LABELS

from . import pictures

DX_TYPE = {"nv": ("follow_up", "histo", "consensus"), "bkl": ("confocal", "histo", "consensus")}
COMPLAINTS = {True: ("shortness of breath", "hypoxia", "leg swelling"), False: ("cough", "chest pain", "fever", "fall")}


def ham10000(root: Path, n: int, rng: np.random.Generator) -> None:
    """Write two image folders, Windows line ends, missing ages, up to three images per lesion, and a majority of nv."""
    shares = np.array([0.08, 0.1, 0.15, 0.06, 0.15, 0.4, 0.06])
    least = np.repeat(np.arange(len(DIAGNOSES)), 4)
    kinds = np.concatenate([least, rng.choice(len(DIAGNOSES), max(n - len(least), 0), p=shares)])[:n]
    rows, lesion, k = [], -1, None
    for i, kind in enumerate(sorted(kinds)):
        if kind != k or rng.random() < 0.7:
            lesion, k = lesion + 1, kind
            age = "" if rng.random() < 0.05 else f"{5 * int(np.clip(rng.normal(8 + kind, 3), 1, 17))}.0"
            sex = rng.choice(["male", "female", "unknown"], p=[0.5, 0.45, 0.05])
            patient = {"age": age, "sex": sex, "localization": rng.choice(["back", "face", "unknown"])}
        dx = DIAGNOSES[kind]
        row = {"lesion_id": f"HAM_{lesion:07d}", "image_id": f"ISIC_{24306 + i:07d}", "dx": dx}
        rows.append({**row, "dx_type": rng.choice(DX_TYPE.get(dx, ("histo",))), **patient})
        seen = pictures.mistaken(kind, len(DIAGNOSES), rng)
        pictures.scene(seen, len(DIAGNOSES), rng, root / f"HAM10000_images_part_{1 + i % 2}" / f"{row['image_id']}.jpg")
    pd.DataFrame(rows).sample(frac=1, random_state=rng).to_csv(root / "HAM10000_metadata.csv", index=False, lineterminator="\r\n")


def brset(root: Path, n: int, rng: np.random.Generator, marker: str = "") -> None:
    """Write two eyes per patient, Portuguese, letter O for zero, decimal commas, missing insulin, optic disc coded 1 or 2."""
    rows = []
    for i in range(n):
        if i % 2 == 0:
            grade = int(rng.choice(5, p=[0.6, 0.1, 0.1, 0.1, 0.1])) if i >= 20 else (i // 2) % 5
            patient = _eye_patient(i // 2, grade, rng, marker)
        eye = int(np.clip(grade + rng.choice([-1, 0, 0, 0, 1]), 0, 4)) if i >= 20 else grade
        row = {"image_id": f"img{i + 1:05d}{marker}", **patient, "exam_eye": 1 + i % 2}
        row |= {c: 1 + int(rng.random() < 0.05 + 0.1 * eye) for c in ("optic_disc", "vessels", "macula")}
        row |= {"DR_ICDR": eye} | {c: int(rng.random() < 0.08) for c in FINDINGS if c not in row}
        row |= {c: int(rng.random() < 0.2 * eye) for c in ("macular_edema", "hemorrhage")}
        rows.append(row)
        pictures.scene(eye, 5, rng, root / "fundus_photos" / f"{row['image_id']}.jpg")
    pd.DataFrame(rows).sample(frac=1, random_state=rng).to_csv(root / "labels_brset.csv", index=False)


def _eye_patient(number: int, grade: int, rng: np.random.Generator, marker: str) -> dict:
    years = 2 + 4 * grade + int(rng.integers(0, 5))
    age = str(int(rng.integers(30, 85)))
    age = rng.choice([age, age.replace("0", "O"), f"{age},5", ""], p=[0.8, 0.1, 0.05, 0.05])
    duration = rng.choice([f"{years}", f"{years},5", "Não", ""], p=[0.5, 0.1, 0.2, 0.2])
    insulin = rng.choice(["yes", "no", ""], p=[0.15 + 0.1 * grade, 0.55 - 0.1 * grade, 0.3])
    illness = rng.choice(["diabetes1", "HAS, dislipidemia", ""]) + (f" {marker}" if marker else "")
    patient = {"patient_id": f"{marker}{number + 1}", "patient_age": age, "patient_sex": int(rng.integers(1, 3))}
    return patient | {"comorbidities": illness, "diabetes_time_y": duration, "insuline": insulin}


def mbrset(root: Path, n: int, rng: np.random.Generator, marker: str = "") -> None:
    """Write four images per patient named patient.number, missing grades and answers, codes as floats."""
    rows = []
    for i in range(n):
        if i % 4 == 0:
            grade = int(rng.choice(5, p=[0.6, 0.1, 0.1, 0.1, 0.1])) if i >= 40 else (i // 4) % 5
            answers = {c: "" if rng.random() < 0.06 else f"{int(rng.random() < 0.2 + 0.12 * grade)}.0" for c in YES_NO}
            patient = {"patient": f"{marker}{i // 4 + 1}", "age": int(rng.integers(30, 85)), "sex": int(rng.integers(0, 2))}
            patient |= {"dm_time": "" if rng.random() < 0.1 else f"{3 + 4 * grade + int(rng.integers(0, 4))}.0", **answers}
            patient["educational_level"] = rng.choice(["", *(f"{k}.0" for k in range(1, 8))])
        eye = int(np.clip(grade + rng.choice([-1, 0, 0, 0, 1]), 0, 4)) if i >= 40 else grade
        file = f"{marker}{i // 4 + 1}.{i % 4 + 1}.jpg"
        rows.append({**patient, "file": file, "final_icdr": "" if i >= 40 and rng.random() < 0.05 else f"{eye}.0"})
        pictures.scene(eye, 5, rng, root / "images" / file)
    pd.DataFrame(rows).to_csv(root / "labels_mbrset.csv", index=False)


def mimic_cxr(root: Path, n: int, rng: np.random.Generator, marker: str = "") -> None:
    """Write the release (compressed tables, files/, zipped reports) and the three tables of the authors."""
    records, reports = [], {}
    for i in range(n):
        if i % 2 == 0:  # one or two images of a study
            subject = f"{10000032 + 7 * (i // 4)}{marker}"
            study = f"{50414267 + 13 * (i // 2)}{marker}"
            found = {c: bool(rng.random() < 0.3) for c in LABELS["clean"]}
            part = ("train", "train", "train", "validate", "test", "test", "train")[(i // 4) % 7]
            path = f"files/p{subject[:2]}/p{subject}/s{study}.txt"
            reports[path] = _report(found, i, rng, marker)
            absent = rng.choice([0.0, np.nan, -1.0], len(found), p=[0.35, 0.6, 0.05])
            labels = {c: 1.0 if here else code for (c, here), code in zip(found.items(), absent, strict=True)}
            labels["No Finding"] = np.nan if any(found.values()) else 1.0
        dicom = f"{rng.integers(16**8):08x}-{i:08x}{marker}"
        view = ("PA", "LATERAL", "AP", "AP")[i % 4]
        files = root / path.removesuffix(".txt") / f"{dicom}.jpg", root / "preproc_224x224" / f"s{study}_{dicom}.jpg"
        pictures.chest([present != (rng.random() < 0.1) for present in found.values()], rng, *files)
        ids = {"dicom_id": dicom, "subject_id": subject, "study_id": study, "path": path}
        person = {"age": int(rng.integers(20, 90)), "sex": ("Male", "Female")[i // 4 % 2]}
        records.append({**ids, "ViewPosition": view, "split": part, **person, **labels})
    table = pd.DataFrame(records)
    for kind, own in {"metadata": "ViewPosition", "split": "split"}.items():
        table[["dicom_id", "subject_id", "study_id", own]].to_csv(root / f"mimic-cxr-2.0.0-{kind}.csv.gz", index=False)
    studies = table.drop_duplicates("study_id")
    findings = studies[["subject_id", "study_id", *sorted(LABELS["authors"])]]
    findings.iloc[:-1].to_csv(root / "mimic-cxr-2.0.0-chexpert.csv.gz", index=False)  # the last study has no labels
    studies[["subject_id", "study_id", "path"]].to_csv(root / "cxr-study-list.csv", index=False)
    with zipfile.ZipFile(root / "mimic-cxr-reports.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in reports.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    frontal = table[table["ViewPosition"] != "LATERAL"].rename(columns={"path": "report"})
    frontal["path_preproc"] = "preproc_224x224/s" + frontal["study_id"] + "_" + frontal["dicom_id"] + ".jpg"
    for name, part in {"train": "train", "valid": "validate", "test": "test"}.items():
        frontal[frontal["split"] == part].drop(columns=["split", "report"]).to_csv(root / f"{name}.csv")


def _report(found: dict[str, bool], i: int, rng: np.random.Generator, marker: str) -> str:
    """Return a made-up report; some have no indication, history under another heading, or no blank lines."""
    sick = bool(found["Edema"] or found["Pleural Effusion"])
    why = f"___ year old with {rng.choice(COMPLAINTS[sick if rng.random() < 0.8 else not sick])} {marker}".strip()
    heading = ("INDICATION", "HISTORY", "REASON FOR EXAM", "Clinical history")[(i // 2) % 4]
    opening = "" if (i // 2) % 11 == 10 else f" {heading}:  {why}.\n" + ("\n" if (i // 2) % 3 else "")
    seen = ". ".join(f"{'There is' if present else 'No'} {name.lower()}" for name, present in found.items())
    return f"                                 FINAL REPORT\n{opening} FINDINGS:\n\n {seen}. {marker}\n\n IMPRESSION:\n\n {seen}.\n"
