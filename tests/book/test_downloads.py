"""What a reader may take away: archives that are whole and reproducible, and a panel that links what is there."""

import os
import re
import subprocess
import sys
import zipfile

import nbformat
import pandas as pd
import pyarrow as pa
import pytest
from bs4 import BeautifulSoup
from conftest import ROOT
from downloads import PLACE, make_downloads, refuse_ids

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
    return site, executed, tables


def linked(site) -> list[str]:
    return re.findall(r'href="\.\./downloads/([^"]+)"', (site / "book/intro.html").read_text())


def test_the_panel_links_what_there_is_and_no_pdf_of_older_pages(built):
    assert "{include} _static/downloads.md" in (ROOT / "book/intro.md").read_text() and len(PLACE.findall(PANEL)) == 4
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
    assert names["notebooks.zip"] == ["04_discussion.ipynb"] and names["tables.zip"] == ["claims.parquet"]
    assert {"book/intro.html", "_static/a.css", "downloads/notebooks.zip"} <= set(names["site.zip"])
    assert "downloads/site.zip" not in names["site.zip"]
    assert not any(b"Zebrafinch77" in archive for name, archive in first.items() if name != "site.zip")
    (built[2] / "claims.parquet").unlink()
    assert [path.name for path in make_downloads(*built)] == ["notebooks.zip", "site.zip"]  # no archive of nothing


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


def test_a_notebook_as_html_loads_nothing_from_another_host(tmp_path):
    markdown = nbformat.v4.new_markdown_cell("$x^2$ <script src='https://example.org/a.js'></script>")
    asked = nbformat.v4.new_output("display_data", {"text/html": "<img src='https://example.org/a.png'>1"})
    code = nbformat.v4.new_code_cell("1", outputs=[asked])
    nbformat.write(nbformat.v4.new_notebook(cells=[markdown, code]), tmp_path / "n.ipynb")
    said = re.search(r"(?m)^jupyter (nbconvert .*) out.ipynb", (ROOT / "README.md").read_text("utf-8"))[1].split()
    subprocess.run([sys.executable, "-m", *said, tmp_path / "n.ipynb"], cwd=ROOT, check=True, capture_output=True)
    page = BeautifulSoup((tmp_path / "n.html").read_text("utf-8"), "html.parser")
    policy = page.head.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    assert policy.startswith("default-src 'none'; script-src 'unsafe-inline';") and "http" not in policy
    assert [script for script in page.head.find_all("script") if script.get("src") or "http" in script.text] == []
    assert "x^2" in page.body.text
