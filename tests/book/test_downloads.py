"""What a reader may take away: archives that are whole and reproducible, and a panel that links what is there."""

import io
import os
import re
import zipfile

import pandas as pd
import pyarrow as pa
import pytest
from conftest import ROOT, small_set
from downloads import PLACE, make_downloads, refuse_ids

from helpers.probing.cache import run_sweep, sweep_folder
from helpers.probing.result import score_table

PANEL = (ROOT / "book/_static/downloads.md").read_text("utf-8")


@pytest.fixture
def built(tmp_path):
    site, executed, tables = (tmp_path / name for name in ("html", "executed", "tables"))
    pages = (site / "index.html", site / "book/intro.html", site / "_static/a.css")
    for path in (*pages, executed / "04_discussion.ipynb", executed / "private.ipynb"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    (tables / "08_adapt/embeddings").mkdir(parents=True)
    for name in ("claims", "pairs", "08_adapt/embeddings/pairs"):
        pd.DataFrame({"pair_id": ["Zebrafinch77"]} if "pairs" in name else {"claim": ["a"]}).to_parquet(tables / f"{name}.parquet")
    (site / "book/intro.html").write_text(f"<html>{PANEL}</html>")
    return site, executed, tables, tmp_path / "sweeps"


def linked(site) -> list[str]:
    return re.findall(r'href="\.\./downloads/([^"]+)"', (site / "book/intro.html").read_text())


def test_the_panel_links_what_there_is_and_no_pdf_of_older_pages(built):
    assert "{include} _static/downloads.md" in (ROOT / "book/intro.md").read_text() and len(PLACE.findall(PANEL)) == 5
    make_downloads(*built)
    assert set(linked(built[0])) == {"notebooks.zip", "tables.zip", "site.zip"}
    assert "make pdf" in (built[0] / "book/intro.html").read_text()
    pdf = built[0] / "downloads/modality-gap-book.pdf"
    pdf.write_bytes(b"%PDF")
    make_downloads(*built)
    assert len(linked(built[0])) == 4
    os.utime(pdf, (1, 1))
    make_downloads(*built)
    assert not pdf.exists() and len(linked(built[0])) == 3


def test_archives_hold_what_they_are_named_after_and_are_equal_if_contents_are(built):
    first, second = ({path.name: path.read_bytes() for path in make_downloads(*built)} for _ in range(2))
    assert first == second
    names = {path.name: zipfile.ZipFile(path).namelist() for path in (built[0] / "downloads").glob("*.zip")}
    assert names["notebooks.zip"] == ["04_discussion.ipynb"]
    assert {name for name in names["tables.zip"] if "/" not in name} == {"claims.parquet", "claims.csv", "codebook.csv"}
    with zipfile.ZipFile(built[0] / "downloads/tables.zip") as archive:
        codebook = archive.read("codebook.csv").decode()
        assert archive.read("measured/protocol_steps.csv") == (ROOT / "data/measured/protocol_steps.csv").read_bytes()
    assert 'claims,"Discussion: the claims, one by one",text and tables of its page,1,claim,' in codebook
    figures = "12_protocol_audit.html#fig-waterfall-gain 12_protocol_audit.html#fig-waterfall-auc"
    assert f"measured/protocol_steps,shipped with the repository,{figures}," in codebook
    assert {"book/intro.html", "_static/a.css", "downloads/notebooks.zip"} <= set(names["site.zip"])
    assert "downloads/site.zip" not in names["site.zip"]
    assert not any(b"Zebrafinch77" in archive for archive in first.values())
    (built[2] / "claims.parquet").unlink()
    assert [path.name for path in make_downloads(*built)] == ["notebooks.zip", "site.zip"]  # no archive of nothing


def test_scores_are_those_of_the_shipped_sets_alone_and_come_with_what_recomputes_their_intervals(built):
    for dataset in ("ham10000", "own-clinic"):
        embeddings = small_set(dataset, "clean", "lit-derm", False, 0)
        folder = sweep_folder(embeddings.identity, "authors-code", "lambda", built[3])
        result = run_sweep(embeddings, "authors-code", {"lambdas": [0, 1], "seeds": [1], "features": ["joint", "text"]}, folder)
    make_downloads(*built)
    with zipfile.ZipFile(built[0] / "downloads/scores.zip") as archive:
        assert set(archive.namelist()) == {"scores.parquet", "recompute_intervals.py", "LICENCES.txt"}
        assert archive.read("LICENCES.txt").startswith(b"HAM10000: CC BY-NC 4.0. ")
        found = pd.read_parquet(io.BytesIO(archive.read("scores.parquet")))
    expected = score_table(result, "lambda").query("features == 'joint'").assign(dataset="ham10000")  # of equal vectors
    pd.testing.assert_frame_equal(found, expected.reset_index(drop=True))
    assert set(found["dataset"]) == {"ham10000"} and not {"pair_id", "image", "text"} & set(found)


LEFT = [
    "notes.txt", "book/executed/99_private.html", "_sources/book/executed/99_private.ipynb", "_images/of-an-earlier-build.svg",
    "_static/pairs.parquet", "_static/own.csv", "downloads/raw.zip", ".ab.unfinished/x.html", "08_adapt/embeddings.csv",
]  # fmt: skip


def test_the_archive_of_the_site_holds_what_its_pages_declare_and_names_what_it_leaves_out(built, capsys):
    site = built[0]
    for name in (*LEFT, "_images/shown.svg"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("Zebrafinch77" if name in LEFT else "<svg/>")
    (site / "book/intro.html").write_text(f'<html>{PANEL}<img src="../_images/shown.svg"></html>')
    make_downloads(*built)
    with zipfile.ZipFile(site / "downloads/site.zip") as archive:
        names = archive.namelist()
        assert not any(b"Zebrafinch77" in archive.read(name) for name in names)
    assert {"index.html", "book/intro.html", "_static/a.css", "_images/shown.svg", "downloads/notebooks.zip"} <= set(names)
    said = capsys.readouterr().out
    assert all(f"as no page declares it: {name}\n" in said for name in LEFT) and "site.zip\n" not in said


@pytest.mark.parametrize("column", ["pair_id", "patient", "group", "Subject_ID", "study_id", "image", "text"])
def test_a_declared_table_with_a_column_of_ids_stops_the_archives(built, column):
    pd.DataFrame({"claim": ["a"], column: ["Zebrafinch77"]}).to_parquet(built[2] / "claims.parquet")
    with pytest.raises(ValueError, match=f"column '{column}' of .*claims.parquet may hold ids or texts of rows"):
        make_downloads(*built)
    assert not list((built[0] / "downloads").glob("*.zip"))


def test_no_frozen_table_of_a_page_has_a_column_of_ids():
    tables = list((ROOT / "tests/pages/frozen").rglob("*.csv"))
    assert len(tables) > 40
    for path in tables:
        table = pd.read_csv(path)  # in which a share of 1.0 is the number 1
        refuse_ids(pa.Schema.from_pandas(table.astype(dict.fromkeys(table.select_dtypes("number"), float))), path)
