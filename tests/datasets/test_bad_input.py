"""The loader names each fault of a spoiled release with file, line and expectation, and counts every dropped row."""

import re
import zipfile

import pandas as pd
import pytest
from miniatures import edit, release, spoilable

from helpers.datasets import DATASETS, check, load_dataset

# data set: its table, and the columns that are renamed, hold the label, hold a number, and name the row
TABLES = {
    "ham10000": ("HAM10000_metadata.csv", "dx_type", "dx", "age", "image_id"),
    "brset": ("labels_brset.csv", "insuline", "DR_ICDR", "patient_age", "image_id"),
    "mbrset": ("labels_mbrset.csv", "dm_time", "final_icdr", "nephropathy", "file"),
    "mimic_cxr": ("train.csv", "path_preproc", "Edema", "Edema", "dicom_id"),
}


@pytest.mark.parametrize("name", [n for n in DATASETS if n != "easy_vqa"])
def test_no_root_and_wrong_root(name, tmp_path):
    with pytest.raises(ValueError, match=f"{name} needs root"):
        load_dataset(name)
    with pytest.raises(FileNotFoundError, match=f"root {re.escape(str(tmp_path / 'none'))} of {name} does not exist; "):
        load_dataset(name, tmp_path / "none")


@pytest.mark.parametrize("name", [*TABLES, "coco_qa", "recipes5k", "daquar"])
def test_bom_windows_line_ends_and_words_for_missing_cells_change_nothing(name, tmp_path):
    root = spoilable(name, tmp_path)
    if name in TABLES:
        file, _, label, _, key = TABLES[name]
        filled = [key, label] if name != "mimic_cxr" else [key]
        edit(root / file, lambda t: t.where((t != "") | t.columns.isin(filled), "NA"))
    for path in [root / file] if name in TABLES else root.rglob("*.txt"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\r\n")
    pd.testing.assert_frame_equal(load_dataset(name, root).rows, load_dataset(name, release(name)).rows)


@pytest.mark.parametrize("name", TABLES)
def test_a_spoiled_table_is_named_by_line_without_its_cells(name, tmp_path):
    file, column, label, number, key = TABLES[name]
    path = spoilable(name, tmp_path) / file
    whole = path.read_bytes()

    def cell(column, value, row=3):
        return lambda t: t.__setitem__(column, [*t[column][:row], t[column][1] if value is None else value, *t[column][row + 1 :]])

    other = {"ham10000": "xyz", "brset": "7", "mbrset": "5", "mimic_cxr": "2"}[name]
    for change, message in [
        (lambda t: t.rename(columns={column: column + "s"}), f"{file} has no column '{column}'.*did you mean '{column}s'"),
        (cell(label, other), f"{file} line 5: {label} is not one of .* .1 such rows"),
        (cell(number, "many"), f"{file} line 5: {number} is not a number .1 such rows"),
        (cell(key, None, row=5), f"{file} line 7: {key}.* is also on line 3"),
    ]:
        path.write_bytes(whole)
        edit(path, change)
        with pytest.raises(ValueError, match=message) as caught:
            load_dataset(name, path.parent)
        assert f"'{other}'" not in str(caught.value) and "many" not in str(caught.value)
    assert pd.read_csv(path, dtype=str)[key][1] not in str(caught.value)


@pytest.mark.parametrize("name", ["ham10000", "brset", "mbrset", "mimic_cxr", "coco_qa", "recipes5k", "daquar"])
def test_half_a_download(name, tmp_path):
    root = spoilable(name, tmp_path)
    images = sorted(set(load_dataset(name, root).rows["image"]))
    for image in images[::2]:
        (root / image).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{name}: \d+ of \d+ pairs have no image file under .*='drop'") as caught:
        load_dataset(name, root)
    assert bool(re.search(r", first row \d+ \(", str(caught.value))) != DATASETS[name].card.credentialed
    assert check(name, root).problems[0] == str(caught.value)
    dropped = load_dataset(name, root, missing_images="drop")
    assert dropped.report["rows_without_image"] > 0 and set(dropped.rows["image"]) == set(images[1::2])


def test_rows_without_a_label_and_a_split_of_one_class_are_told(tmp_path):
    warned = check("mimic_cxr", release("mimic_cxr"), "clean").warnings
    empty = (load_dataset("mimic_cxr", release("mimic_cxr"), "clean").rows.filter(like="label_").sum(axis=1) == 0).to_numpy()
    assert f"rows without a label: {empty.sum()}, first row {empty.argmax()}; they count as negative for every class" in warned
    path = spoilable("coco_qa", tmp_path) / "test" / "answers.txt"
    path.write_text("red\n" * len(path.read_text().splitlines()))
    problem, *others = check("coco_qa", path.parents[1]).problems
    assert problem.startswith("all test rows are of one class: red; an AUC needs two classes") and not others


LINE_FILES = [
    ("coco_qa", "train/answers.txt", lambda s: s + "red\n", r"parallel files differ in length"),
    ("coco_qa", "test/img_ids.txt", None, "img_ids.txt"),
    ("recipes5k", "annotations/val_labels.txt", lambda s: "999" + s[s.index("\n") :], "val_labels.txt line 1: labels is not"),
    ("daquar", "qa.894.raw.train.txt", lambda s: s + "what in the image9 ?\n", r"train.txt has \d+ lines.*has no answer"),
    ("daquar", "qa.894.raw.test.txt", lambda s: "what ?\nred\n" + s, r"test.txt line 1: expected a question that names"),
    ("recipes5k", "annotations/val_images.txt", lambda s: s.replace("/8_", "/3_"), r"pair_id occurs more than once"),
    ("fakeddit", "multimodal_train.tsv", lambda s: s.replace("tr00003", "tr00001"), r"train.tsv line 5: id is also on line 3,"),
    (
        "fakeddit",
        "multimodal_train.tsv",
        lambda s: s.replace("2_way", "7_way"),
        "no column '2_way_label', the paper's task; read the l",
    ),
    ("fakeddit", "multimodal_test_public.tsv", lambda s: s[:-6] + "7\t1\t1\n", r"line 151: 2_way_label is not one of 0, 1"),
]


@pytest.mark.parametrize("name, path, change, message", LINE_FILES)
def test_line_files_out_of_step_or_missing(name, path, change, message, tmp_path):
    root = spoilable(name, tmp_path)
    if change is None:
        (root / path).unlink()
    else:
        (root / path).write_text(change((root / path).read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(FileNotFoundError if change is None else ValueError, match=message):
        load_dataset(name, root)


def test_windows_line_ends_in_reports_let_no_finding_into_the_clean_text(tmp_path):
    path = spoilable("mimic_cxr", tmp_path) / "mimic-cxr-reports.zip"
    with zipfile.ZipFile(path) as archive:
        reports = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in reports.items():
            no_heading = text.replace(b"\n\n FINDINGS:\n\n", b"\n\n")  # so that only a blank line ends the history
            archive.writestr(name, b"\xef\xbb\xbf" + no_heading.replace(b"\n", b"\r\n"))
    found, before = (load_dataset("mimic_cxr", r, "clean").rows["text"] for r in (path.parent, release("mimic_cxr")))
    assert found.tolist() == before.tolist() and not found.str.contains("There is").any()


def test_archives_cut_short(tmp_path):
    root = spoilable("mimic_cxr", tmp_path)
    path, reports = root / "mimic-cxr-2.0.0-split.csv.gz", root / "mimic-cxr-reports.zip"
    whole = path.read_bytes()
    for file, content, message in [
        (path, whole[:40], "split.csv.gz cannot be read .*cut short"),
        (reports, reports.read_bytes()[:100], "mimic-cxr-reports.zip is cut short"),
    ]:
        path.write_bytes(whole)
        file.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            load_dataset("mimic_cxr", root, "clean")
