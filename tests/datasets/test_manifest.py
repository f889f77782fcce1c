"""Any table: formats, tasks and splits."""

import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from helpers.datasets import check, load_dataset
from helpers.datasets.splits import straddling


@pytest.fixture
def table(tmp_path):
    (tmp_path / "pictures").mkdir()
    for i in range(60):
        Image.new("RGB", (8, 8), (4 * i, 0, 0)).save(tmp_path / "pictures" / f"{i}.png")
    rows = []
    for i in range(60):
        row = {"image": f"pictures/{i}.png", "text": f"sentence {i}", "label": f"c{i % 3}", "patient": f"p{i // 2}"}
        row |= {"red": i % 2, "round": int(i % 5 == 0), "tags": "red" * (i % 2) + "|" * (i % 10 == 5) + "round" * (i % 5 == 0)}
        rows.append({**row, "split": ("train", "train", "train", "validate", "test")[i // 2 % 5]})
    return pd.DataFrame(rows)


WRITE = {
    "csv": lambda t, p: t.to_csv(p, index=False),
    "tsv": lambda t, p: t.to_csv(p, sep="\t", index=False),
    "parquet": lambda t, p: t.to_parquet(p),
    "jsonl": lambda t, p: t.to_json(p, orient="records", lines=True),
    "json": lambda t, p: t.to_json(p, orient="records"),
    "feather": lambda t, p: t.to_feather(p),
}


@pytest.mark.parametrize("suffix", WRITE)
def test_formats_agree(tmp_path, table, suffix):
    WRITE["csv"](table, tmp_path / "reference.csv")
    WRITE[suffix](table, tmp_path / f"manifest.{suffix}")
    expected = load_dataset("manifest", tmp_path / "reference.csv", label=["red", "round"], group="patient")
    found = load_dataset("manifest", tmp_path, label="red,round", group="patient")
    pd.testing.assert_frame_equal(expected.rows, found.rows, check_dtype=False)
    assert found.task.kind == "multilabel" and found.name == "manifest" and expected.name == "reference"


def test_the_folder_of_a_hugging_face_dataset_is_a_table(tmp_path, table):
    (tmp_path / "saved").mkdir()
    found = pa.Table.from_pandas(table, preserve_index=False)
    for number, part in enumerate((found[:50], found[50:])):
        with (
            pa.OSFile(str(tmp_path / f"saved/data-{number:05d}-of-00002.arrow"), "wb") as sink,
            pa.ipc.new_stream(sink, part.schema) as writer,
        ):
            writer.write_table(part)
    names = [{"filename": f"data-{number:05d}-of-00002.arrow"} for number in range(2)]
    (tmp_path / "saved/state.json").write_text(json.dumps({"_data_files": names}))
    WRITE["csv"](table, tmp_path / "saved.csv")
    expected = load_dataset("manifest", tmp_path / "saved.csv")
    made = load_dataset("manifest", tmp_path / "saved", image_root=str(tmp_path))
    pd.testing.assert_frame_equal(made.rows, expected.rows, check_dtype=False)


def test_kind_is_inferred_and_confirmed(tmp_path, table):
    WRITE["csv"](table, tmp_path / "manifest.csv")
    assert load_dataset("manifest", tmp_path).task.kind == "multiclass"
    binary = load_dataset("manifest", tmp_path, label="red", kind="binary")
    assert binary.task.kind == "binary" and binary.task.classes == ("0", "1")
    tags = load_dataset("manifest", tmp_path, label="tags", label_separator="|")
    columns = load_dataset("manifest", tmp_path, label=["red", "round"])
    assert (tags.rows[["label_red", "label_round"]] == columns.rows[["label_red", "label_round"]]).all(axis=None)
    assert tags.report["without_any_label"] == ((table["red"] == 0) & (table["round"] == 0)).sum()
    with pytest.raises(ValueError, match="label poses a multiclass task .3 classes., not binary"):
        load_dataset("manifest", tmp_path, kind="binary")


def test_given_split_is_kept_and_a_missing_one_is_made_by_group(tmp_path, table):
    WRITE["csv"](table, tmp_path / "manifest.csv")
    given = load_dataset("manifest", tmp_path, group="patient")
    assert given.rows["split"].tolist() == table["split"].replace("validate", "val").tolist() and not given.report["split_made"]
    made = load_dataset("manifest", tmp_path, split="made", group="patient")
    assert made.report["split_made"] and straddling(made.rows).empty and set(made.rows["split"]) == {"train", "val", "test"}
    WRITE["csv"](table.drop(columns="split"), tmp_path / "manifest.csv")
    pd.testing.assert_frame_equal(load_dataset("manifest", tmp_path, group="patient").rows, made.rows)
    with pytest.raises(ValueError, match="no column 'split'"):
        load_dataset("manifest", tmp_path, split="given")


def spoil(table, line, column, value):
    table = table.astype(object)
    table.loc[line - 2, column] = value
    return table


@pytest.mark.parametrize(
    "change, options, message",
    [
        (
            lambda t: t.rename(columns={"text": "texts"}),
            {},
            r"no column 'text'.*did you mean 'texts'.*text= \(--option text=NAME",
        ),
        (lambda t: spoil(t, 7, "label", ""), {}, r"manifest.csv: label has 1 missing value.s. .1 empty., first at line 7"),
        (
            lambda t: spoil(t, 7, "label", "None"),
            {},
            r"label has 1 missing value.s. .1 None., first at line 7; .*--option classes=",
        ),
        (lambda t: spoil(t, 7, "label", "-1"), {}, r"label has 1 missing value.s. .1 -1., first at line 7"),
        (lambda t: spoil(t, 7, "patient", ""), {"group": "patient"}, r"patient has 1 missing value.s. .1 empty., first at line 7"),
        (lambda t: spoil(t, 7, "patient", "NaN"), {"group": "patient"}, r"patient has 1 missing value.s. .1 NaN., first at line 7"),
        (
            lambda t: t.assign(tags="red|nan"),
            {"label": "tags", "label_separator": "|"},
            "tags has a name that reads as missing or is not in classes, first at line 2 .60 such",
        ),
        (lambda t: t.assign(label="[0]"), {}, "label holds lists"),
        (lambda t: t, {"split_column": "fold"}, "no column 'fold'"),
        (lambda t: t, {"label": "red,round", "label_separator": "|"}, "label_separator and classes are for one label column"),
        (lambda t: t, {"label": "red,round", "classes": "a,b"}, "label_separator and classes are for one label column"),
        (lambda t: t.assign(label="cat"), {}, "label holds one class only; a probe"),
        (lambda t: t.assign(label=np.arange(60) / 7), {}, r"label has 60 distinct values in 60 rows"),
        (
            lambda t: spoil(t, 5, "red", 2),
            {"label": "red,round"},
            r"manifest.csv: labels .red. is not 0 or 1, first at line 5 .1 such",
        ),
        (
            lambda t: spoil(t, 5, "round", ""),
            {"label": "red,round"},
            r"labels .round. has 1 missing value.s. .1 empty., first at line 5",
        ),
        (lambda t: spoil(t, 9, "split", "secret"), {}, r"manifest.csv line 9: split is not one of train, val, test"),
        (lambda t: spoil(t, 3, "split", "test"), {"group": "patient"}, r"line 2: group is in two splits; keep it in one \(2 such"),
        (lambda t: spoil(t, 4, "image", "../secret.png"), {}, r"manifest.csv line 4: image leads out of"),
        (lambda t: spoil(t, 4, "image", ""), {}, r"manifest.csv line 4: image is missing"),
        (
            lambda t: spoil(t, 4, "image", "pictures/none.png"),
            {},
            r"1 of 60 pairs have no image.*first manifest.csv line 4; complete",
        ),
        (lambda t: spoil(t, 8, "text", "sentence 1"), {"id": "text"}, r"line 8: text is also on line 3"),
        (lambda t: t.set_axis([*t.columns[:-1], "text"], axis=1), {}, r"columns 2 and 8 have the same name"),
        (lambda t: t.iloc[:0], {}, r"manifest.csv has a header and no rows; save it again"),
        (
            lambda t: t,
            {"image_root": "/nowhere/at/all"},
            "none of 60 image paths is a file in /nowhere/at/all; they .* 'xxxxxxxx/9.png'",
        ),
    ],
)
def test_bad_tables_are_named(tmp_path, table, change, options, message):
    WRITE["csv"](change(table), tmp_path / "manifest.csv")
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        load_dataset("manifest", tmp_path, **options)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_rows_with_a_missing_label_can_be_dropped_and_are_counted(tmp_path, table, kind):
    label = ["label", "other"] if kind == "multilabel" else "label"
    rows = table.assign(label=np.arange(len(table)) % 2, other=1).astype({"label": str})
    spoil(rows, 3, "label", "").to_csv(tmp_path / "manifest.csv", index=False)
    found = load_dataset("manifest", tmp_path, "clean", label=label, missing_labels="drop")
    assert found.report["rows_without_label"] == 1 and len(found) == len(table) - 1 and found.task.kind == kind
    spoil(spoil(rows, 3, "label", ""), 9, "split", "secret").to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(ValueError, match="bad.csv line 9: split"):  # the line in the file
        load_dataset("manifest", tmp_path / "bad.csv", "clean", label=label, missing_labels="drop")
    rows = spoil(spoil(rows, 3, "label", "NA"), 9, "patient", "")
    rows.to_csv(tmp_path / "gap.csv", index=False)
    with pytest.raises(ValueError, match="gap.csv: patient has 1 missing value.s. .1 empty., first at line 9"):
        load_dataset("manifest", tmp_path / "gap.csv", "clean", label=label, missing_labels="drop", group="patient")
    assert "rows without label" in str(check("manifest", tmp_path, "clean", label=label, missing_labels="drop", open_images=False))


def test_other_bad_files(tmp_path):
    for name, content, message in [
        ("manifest.csv", b"", "is empty; save it again"),
        ("manifest.parquet", b"not parquet", "is not a whole Parquet table"),
        ("manifest.jsonl", b"{bad", "manifest.jsonl is damaged .JSONDecodeError"),
        ("manifest.xlsx", b"", "manifest.xlsx is a workbook, which is not read; save its sheet as CSV"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=message):
            load_dataset("manifest", tmp_path / name)


def test_cells_are_read_however_they_are_written(tmp_path, table):
    table.to_csv(tmp_path / "manifest.csv", index=False, sep=";")
    assert load_dataset("manifest", tmp_path).rows["text"].tolist() == table["text"].tolist()
    WRITE["jsonl"](table.assign(red=table["red"] == 1), tmp_path / "m.jsonl")
    found = load_dataset("manifest", tmp_path, table="m.jsonl", label="red,round").rows
    assert found["label_red"].tolist() == table["red"].tolist()
    table.loc[3:4, "text"] = ["two\nlines, and a comma", "NA"]
    table = table.assign(image=[str(tmp_path / p) for p in table["image"]], id=[f"a{i}" for i in range(60)])
    (tmp_path / "manifest.csv").write_text(table.to_csv(index=False, lineterminator="\r\n"), encoding="utf-8-sig", newline="")
    rows = load_dataset("manifest", tmp_path).rows
    assert rows["text"][3:5].tolist() == ["two\nlines, and a comma", "NA"] and rows["split"][59] == "test"
    assert rows["image"][1] == "pictures/1.png" and rows["pair_id"][7] == "a7"


def test_a_table_may_lie_apart_from_its_images_and_has_the_card_that_its_owner_gives(tmp_path, table):
    home = tmp_path / "home"
    home.mkdir()
    WRITE["csv"](table, home / "pairs.csv")
    by_option = load_dataset("manifest", home / "pairs.csv", image_root=str(tmp_path))
    by_root = load_dataset("manifest", tmp_path, table=str(home / "pairs.csv"))
    assert by_option.root == by_root.root == tmp_path and by_option.rows["image"][1] == "pictures/1.png"
    WRITE["csv"](table, tmp_path / "manifest.csv")
    dataset = load_dataset("manifest", tmp_path, title="owls", domain="medical", credentialed=True)
    assert dataset.name == "owls" and dataset.card.domain == "medical" and dataset.card.credentialed


@pytest.mark.parametrize("suffix", WRITE)
def test_metadata_is_text_a_listed_class_is_one_and_what_is_not_used_is_said(tmp_path, table, suffix):
    table = table.drop(columns="split").assign(patient=[f"{i % 20:03d}" for i in range(60)], id=[f"{i:05d}" for i in range(60)])
    WRITE[suffix](table.assign(label=["None", "mass "] * 30), tmp_path / f"manifest.{suffix}")
    found = load_dataset("manifest", tmp_path, group="patient", classes="mass,None")
    assert found.task.classes == ("mass", "None") and found.rows["label"].tolist() == ["None", "mass"] * 30
    assert found.rows["group"].tolist() == table["patient"].tolist() and found.rows["pair_id"].tolist() == table["id"].tolist()
    assert found.report["notes"] == ["columns not used: red, round, tags"]
    report = check("manifest", tmp_path, classes="mass,None", open_images=False)
    assert "columns not used: patient (perhaps the group), red, round, tags" in report.warnings
    assert any("rows of one patient may be on both sides" in warning for warning in report.warnings) and report.usable
    with pytest.raises(ValueError, match="is a table already; leave out table=x.csv"):
        load_dataset("manifest", tmp_path / f"manifest.{suffix}", table="x.csv")


def test_a_text_that_determines_the_label_and_classes_that_differ_in_case_are_told(tmp_path, table):
    table["text"] = "a picture of class " + table["label"]
    WRITE["csv"](table, tmp_path / "manifest.csv")
    (told,) = [w for w in check("manifest", tmp_path).warnings if "the text alone determines the label" in w]
    assert "3 distinct texts, 1 to 1 for each of 3 labels" in told
    by_two = check("manifest", tmp_path, label="red,round").warnings  # of two labels, the text tells neither
    table.loc[3, "text"] = "a picture of class c1"
    table["label"] = table["label"].where(table.index % 2 == 0, table["label"].str.upper())
    WRITE["csv"](table, tmp_path / "manifest.csv")
    warnings = check("manifest", tmp_path).warnings
    assert not any("text alone" in w for w in (*by_two, *warnings))
    assert "6 classes differ from another in case alone: C0, C1, C2, c0, c1 ...; write them alike if they are one" in warnings


def test_a_check_tells_every_fault_at_once_with_file_and_line(tmp_path, table):
    faults = {3: ("patient", "p9"), 12: ("image", "pictures/gone.png"), 15: ("image", "../out.png"), 18: ("split", "secret"),
              20: ("label", ""), 25: ("image", "")}  # fmt: skip
    for line, (column, value) in faults.items():
        table = spoil(table, line, column, value)
    for line in (30, 33):
        (tmp_path / table["image"][line - 2]).write_bytes(b"no picture")
    WRITE["csv"](table, tmp_path / "manifest.csv")
    report = check("manifest", tmp_path, group="patient")
    told = [
        "label has 1 missing value(s) (1 empty), first at line 20", "line 25: image is missing", "line 15: image leads out of",
        "line 18: split is not one of", "line 3: group is in two splits", "first manifest.csv line 12; complete",
        "images that cannot be decoded: 2, manifest.csv line 30, manifest.csv line 33",
    ]  # fmt: skip
    assert [fact for fact in told if fact not in " ".join(report.problems)] == [] and not report.usable
    assert "groups in more than one split: 1, the first in train (manifest.csv line 3)" in str(report.warnings)
    assert len(report.problems) == len(told) and "secret" not in str(report) and "55 pairs" in report.facts[0]
    with pytest.raises(ValueError, match="first at line 20"):
        load_dataset("manifest", tmp_path, group="patient")
    assert check("manifest", tmp_path, group="patient", missing_images="drop").problems == tuple(
        fault for fault in report.problems if "no image file" not in fault
    )


def test_groups_are_checked_on_the_rows_that_have_one(tmp_path, table):
    for line, patient in ((3, "p9"), (12, "")):  # of another split than the other rows of p9, and missing
        table = spoil(table, line, "patient", patient)
    WRITE["csv"](table, tmp_path / "manifest.csv")
    report = check("manifest", tmp_path, group="patient")
    assert any("line 3: group is in two splits" in problem for problem in report.problems)
    assert any("patient has 1 missing value(s) (1 empty), first at line 12" in problem for problem in report.problems)


def read_as_lists(tmp_path, table, suffix, **columns):
    """Write cells that are lists as people have them, in CSV as Python or as JSON writes them, and read the table."""
    if suffix in ("csv", "tsv"):
        columns = {name: [str(x) if suffix == "csv" else json.dumps(x) for x in column] for name, column in columns.items()}
    WRITE[suffix](table.assign(**columns), tmp_path / f"manifest.{suffix}")
    return load_dataset("manifest", tmp_path)


@pytest.mark.parametrize("suffix", WRITE)
def test_a_list_of_captions_is_a_pair_each_and_a_list_of_labels_a_multi_label_task(tmp_path, table, suffix):
    captions = [[f"it's {i}", f'"two", of {i}', *(["[three]"] if i % 2 else [])] for i in range(60)]
    found = read_as_lists(tmp_path, table.drop(columns=["split", "tags"]), suffix, text=captions)
    assert found.rows["text"].tolist() == sum(captions, []) and len(found) == 150
    assert found.rows["pair_id"].tolist()[:6] == ["0000000-0", "0000000-1", "0000001-0", "0000001-1", "0000001-2", "0000002-0"]
    assert straddling(found.rows).empty and (found.rows["group"] == found.rows["image"]).all()
    assert "text lists the captions of each image: 60 rows give 150 pairs" in found.report["notes"]
    labels = [[name for name, n in (("red", i % 2 == 1), ("a, b", i % 5 == 0)) if n] for i in range(60)]
    found = read_as_lists(tmp_path, table, suffix, label=labels)
    assert found.task.kind == "multilabel" and found.task.classes == ("a, b", "red")
    assert (
        found.rows["label_red"].tolist() == table["red"].tolist() and found.rows["label_a, b"].tolist() == table["round"].tolist()
    )


def test_one_hot_columns_are_classes_unless_the_kind_says_otherwise(tmp_path, table):
    hot = {name: (table["label"] == f"c{k}").astype(float) for k, name in enumerate(("MEL", "NV", "BCC"))}
    WRITE["csv"](table.assign(**hot, text="a photograph"), tmp_path / "manifest.csv")
    found = load_dataset("manifest", tmp_path, label="MEL,NV,BCC")
    assert found.task.kind == "multiclass" and found.rows["label"].tolist() == ["MEL", "NV", "BCC"] * 20
    said = "every row has exactly one of the 3 labels, which are taken as classes of one multiclass task"
    assert [note for note in found.report["notes"] if note.startswith(said)]
    assert load_dataset("manifest", tmp_path, label="MEL,NV,BCC", kind="multilabel").task.kind == "multilabel"
    report = check("manifest", tmp_path, label="MEL,NV,BCC", open_images=False)
    assert any(w.startswith(said) for w in report.warnings) and any(w.startswith("all texts are the same") for w in report.warnings)
    with pytest.raises(ValueError, match="red, round poses a multilabel task .2 classes., not binary"):
        load_dataset("manifest", tmp_path, label="red,round", kind="binary")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (lambda i: f"{i}", r"they look like '9', and 60 have a file like 'xxxxxxxx/9.png': write its folder, zeros and ending"),
        (lambda i: f"pictures/{i:05d}", r"they look like 'xxxxxxxx/99999', and 60 have a file like 'xxxxxxxx/9.png'"),
        (lambda i: f"pictures/{i}.PNG", r"they look like 'xxxxxxxx/9.PNG', and 60 have a file like 'xxxxxxxx/9.png'"),
        (lambda i: f"secret{i}.1.dcm", r"they look like 'xxxxxx9.9.xxx', and no image file there has such a name; check root"),
        (lambda i: f"https://secret.org/{i}.png", r"line 2: image is an address .URL.; save each image as a file.*60 such rows"),
        (lambda i: f"s3://secret/{i}.png", "line 2: image is an address .URL."),
        (lambda i: {"bytes": b"secret\0", "path": f"{i}.png"}, "line 2: image holds an object or the bytes of an image"),
        (lambda i: b"\x89PNG\0secret", "line 2: image holds an object or the bytes of an image"),
    ],
)
def test_image_cells_that_are_no_paths_are_described_and_what_would_fit_is_said(tmp_path, table, cells, message):
    table.assign(image=[cells(i) for i in range(60)]).to_parquet(tmp_path / "manifest.parquet")
    for problem in check("manifest", tmp_path).problems:
        assert re.search(message, problem) and "secret" not in problem
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_dataset("manifest", tmp_path)
    blanks = table.assign(image=" " + table["image"] + " ")
    blanks.to_parquet(tmp_path / "manifest.parquet")
    assert load_dataset("manifest", tmp_path).rows["image"].tolist() == table["image"].tolist()
