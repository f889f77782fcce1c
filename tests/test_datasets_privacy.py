"""Credentialed data sets: no report, text or id in what a person sees by accident (displays, checks, errors)."""

import re

import pandas as pd
import pytest
from miniatures import edit

from helpers.datasets import check, load_dataset, miniature

MARKER = "Zebrafinch77"
VARIANTS = [(name, variant) for name in ("mimic_cxr", "brset", "mbrset") for variant in ("authors", "clean")]


@pytest.fixture(params=VARIANTS, ids=lambda p: "-".join(p))
def marked(request, tmp_path):
    name, variant = request.param
    return name, variant, miniature.write(name, tmp_path / "root", n=160, marker=MARKER)


def test_the_marker_is_planted(marked):
    name, variant, root = marked
    rows = load_dataset(name, root, variant).rows
    for column in ("pair_id", "group", "image"):
        assert rows[column].str.contains(MARKER).all()
    if name == "mimic_cxr" and variant == "authors":
        assert rows["text"].str.contains(MARKER).all()


def test_displays_and_checks_hold_counts_only(marked, capfd):
    name, variant, root = marked
    dataset = load_dataset(name, root, variant)
    shown = [repr(dataset), str(dataset), str(dataset.report), str(check(name, root, variant)), f"{dataset!s:>40}"]
    assert not any(MARKER in text for text in shown)
    assert MARKER not in "".join(capfd.readouterr())


@pytest.mark.parametrize("fault", ["missing image", "unreadable image", "repeated id"])
def test_faults_are_told_without_ids(marked, fault, capfd):
    name, variant, root = marked
    image = root / load_dataset(name, root, variant).rows["image"][0]
    if fault == "missing image":
        image.unlink()
    elif fault == "unreadable image":
        image.write_bytes(b"")
    else:
        path, key = {
            "mimic_cxr": (root / ("train.csv" if variant == "authors" else "mimic-cxr-2.0.0-metadata.csv.gz"), "dicom_id"),
            "brset": (root / "labels_brset.csv", "image_id"),
            "mbrset": (root / "labels_mbrset.csv", "file"),
        }[name]
        edit(path, lambda t: pd.concat([t, t.head(1)]))
    report = check(name, root, variant)
    assert not report.usable and MARKER not in str(report) and re.search(r"problem: .*\d", str(report))
    if fault != "unreadable image":
        with pytest.raises((ValueError, OSError)) as caught:
            load_dataset(name, root, variant)
        assert MARKER not in str(caught.value)
    assert MARKER not in "".join(capfd.readouterr())
