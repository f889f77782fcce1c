"""Displays, checks and errors of credentialed data sets contain no report, text or id."""

import logging
import re
import traceback
import zipfile

import miniatures as miniature
import numpy as np
import pandas as pd
import pytest
from miniatures import edit

from helpers.cli import main
from helpers.datasets import check, load_dataset

MARKER = "Zebrafinch77"
VARIANTS = [(name, variant) for name in ("mimic_cxr", "brset", "mbrset") for variant in ("authors", "clean")]


@pytest.fixture(params=VARIANTS, ids=lambda p: "-".join(p))
def marked(request, tmp_path):
    name, variant = request.param
    return name, variant, miniature.write(name, tmp_path / "root", n=160, marker=MARKER)


def test_displays_and_checks_hold_counts_only(marked, capfd):
    name, variant, root = marked
    dataset = load_dataset(name, root, variant)
    for column in ("pair_id", "group", "image", *["text"] * (name == "mimic_cxr" and variant == "authors")):
        assert dataset.rows[column].str.contains(MARKER).all()
    shown = [repr(dataset), str(dataset), str(dataset.report), str(check(name, root, variant)), f"{dataset!s:>40}"]
    assert MARKER not in "".join([*shown, *capfd.readouterr()])


@pytest.mark.parametrize("fault", ["missing image", "unreadable image", "repeated id"])
def test_faults_are_told_without_ids(marked, fault, capfd):
    name, variant, root = marked
    image = root / load_dataset(name, root, variant).rows["image"][0]
    if fault == "missing image":
        image.unlink()
    elif fault == "unreadable image":
        image.write_bytes(b"")
    else:
        of_mimic = "train.csv" if variant == "authors" else "mimic-cxr-2.0.0-metadata.csv.gz"
        edit(root / (of_mimic if name == "mimic_cxr" else f"labels_{name}.csv"), lambda t: pd.concat([t, t.head(1)]))
    report = check(name, root, variant)
    assert not report.usable and MARKER not in str(report) and re.search(r"problem: .*\d", str(report))
    assert MARKER not in "".join(capfd.readouterr())


def slip(table: pd.DataFrame) -> pd.DataFrame:
    """Move every cell of the fourth row one column further."""
    table.iloc[3] = [table.iat[3, -1], *table.iloc[3, :-1]]
    return table


def headless(table: pd.DataFrame) -> pd.DataFrame:
    return table.iloc[1:].set_axis(table.iloc[0].tolist(), axis=1)


TABLES = [
    *[("mimic_cxr", "authors", name) for name in ("train.csv", "valid.csv", "cxr-study-list.csv")],
    *[("mimic_cxr", "clean", f"mimic-cxr-2.0.0-{kind}.csv.gz") for kind in ("metadata", "split", "chexpert")],
    *[(name, variant, f"labels_{name}.csv") for name in ("brset", "mbrset") for variant in ("authors", "clean")],
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a marked release of each credentialed data set."""
    folder = tmp_path_factory.mktemp("whole")
    return {name: miniature.write(name, folder / name, n=80, marker=MARKER) for name in {table[0] for table in TABLES}}


@pytest.mark.parametrize("change", [slip, headless], ids=["slipped columns", "no header"])
@pytest.mark.parametrize(("name", "variant", "table"), TABLES)
def test_spoiled_tables_are_told_without_their_cells(whole, name, variant, table, change):
    path = whole[name] / table
    released = path.read_bytes()
    try:
        edit(path, change)
        report = check(name, whole[name], variant)
    finally:
        path.write_bytes(released)
    assert MARKER not in str(report) and (change is slip or not report.usable)


def test_a_report_that_cannot_be_read_is_told_by_its_row(tmp_path):
    path = miniature.write("mimic_cxr", tmp_path / "root", n=80, marker=MARKER) / "mimic-cxr-reports.zip"
    with zipfile.ZipFile(path) as archive:
        first = next(iter(archive.infolist()))
    with path.open("r+b") as file:
        file.seek(first.header_offset + 30 + len(first.filename))
        file.write(bytes(first.compress_size))
    problem = check("mimic_cxr", path.parent, "clean").problems[0]
    assert re.match(r"the report of table row \d+ cannot be read", problem) and MARKER not in problem


def reports(n: int = 40) -> pd.DataFrame:
    """Return a table of coordinates with a patient's id, a report and a label in each row."""
    rng = np.random.default_rng(0)
    about = {"patient": [f"{MARKER}{i}" for i in range(n)], "report": [f"seen by {MARKER} on day {i}" for i in range(n)]}
    columns = {f"{name}_emb_{i}": rng.normal(size=n) for name in ("img", "text") for i in range(2)}
    return pd.DataFrame(about | {"label": ["a", "b"] * (n // 2), "split": ["train", "test"] * (n // 2)} | columns)


LABEL = ["--label", "report"]
IMPORTS = {
    "no header": (headless, []),
    "a report as label": (lambda t: t, LABEL),
    "a short text as label, few rows": (lambda t: t.head(12).assign(report=t["patient"]), LABEL),
    "few sentences as labels": (lambda t: t.assign(report=[f"The heart is large. {MARKER} {i % 2}" for i in range(40)]), LABEL),
    "a repeated id": (lambda t: t.assign(patient=t["patient"][0]), ["--ids", "patient"]),
}


@pytest.mark.parametrize("fault", IMPORTS)
def test_an_import_is_refused_without_cells(tmp_path, fault, capfd, caplog):
    change, options = IMPORTS[fault]
    change(reports()).to_csv(tmp_path / "vectors.csv", index=False)
    words = ["import", str(tmp_path / "vectors.csv"), "--dataset", "own", "--backbone", "theirs", "--out", str(tmp_path / "set")]
    with caplog.at_level(logging.DEBUG):
        assert main([*words, *options]) == 2
    shown = "".join(capfd.readouterr()) + caplog.text
    assert MARKER not in shown and "error: " in shown and not (tmp_path / "set").exists()


def test_classes_of_few_rows_are_counted_not_named(tmp_path, capfd):
    short = {"report": [f"{MARKER} {i // 2}" for i in range(40)], "split": ["train"] * 20 + ["test"] * 20}  # each text twice
    table = reports().assign(**short)
    table.to_csv(tmp_path / "vectors.csv", index=False)
    words = ["import", str(tmp_path / "vectors.csv"), "--dataset", "own", "--backbone", "theirs", "--out", str(tmp_path / "set")]
    assert main([*words, "--label", "report"]) == 0
    shown = "".join(capfd.readouterr())
    assert MARKER not in shown and "classes without a train row: 10, first in row 20; the mean over classes excludes them" in shown


COLUMNS = {"image": "patient", "text": "report"}
MANIFESTS = {
    "no header": (headless, COLUMNS),
    "a report as label": (lambda t: t, {**COLUMNS, "label": "report"}),
    "a report as split": (lambda t: t, {**COLUMNS, "split_column": "report"}),
    "no images": (lambda t: t, COLUMNS),
    "an image elsewhere": (lambda t: t.assign(patient="/" + t["patient"]), COLUMNS),
    "a repeated id": (lambda t: t.assign(patient=t["patient"][0]), {**COLUMNS, "id": "patient"}),
}


@pytest.mark.parametrize("fault", MANIFESTS)
def test_a_table_is_refused_without_cells_in_sentence_or_traceback(tmp_path, fault, capfd):
    change, options = MANIFESTS[fault]
    change(reports()).to_csv(tmp_path / "pairs.csv", index=False)
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        load_dataset("manifest", tmp_path / "pairs.csv", **options)
    shown = "".join(traceback.format_exception(caught.value)) + str(check("manifest", tmp_path / "pairs.csv", **options))
    words = [word for name, value in options.items() for word in ("--option", f"{name}={value}")]
    assert main(["check", "manifest", "--root", str(tmp_path / "pairs.csv"), *words]) == 1
    assert MARKER not in shown + "".join(capfd.readouterr())
