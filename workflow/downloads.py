"""Put the downloads for readers next to the built pages, and list them on the front page: ``python workflow/downloads.py``."""

import re
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from declarations import NOTEBOOKS, read_pages
from sphinx_external_toc.parsing import parse_toc_yaml

from helpers.files import project_root, replacing

SITE, EXECUTED, TABLES = (project_root() / name for name in ("_build/html", "book/executed", "runs/book/tables"))
FOLDER, PDF = "downloads", "modality-gap-book.pdf"
OF_BUILDER = ("index.html", "search.html", "genindex.html", "py-modindex.html", "searchindex.js", "objects.inv", ".buildinfo")
OF_A_PAGE = (".css", ".js", ".map", ".svg", ".png", ".html", ".md", ".po", ".mo", ".woff2", ".ttf", ".txt")  # files in ``_static``
EPOCH = (1980, 1, 1, 0, 0, 0)
STORED = {".png", ".woff2", ".gz", ".zip", ".parquet", ".safetensors"}  # compressed already
OF_A_ROW = re.compile(r"(.*_)?(ids?|uid|mrn|patient|subject|person)|row|group|image|text|report|caption|path|file", re.IGNORECASE)
PLACE = re.compile(r'(<span class="download" data-file="([\w.-]+)" data-made-by="([\w ]+)">).*?</span>', re.DOTALL)


def write_archive(path: Path, files: Iterable[tuple[Path, str]]) -> Path:
    """Write files under their given names into a ZIP; equal contents give equal bytes."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for file, name in sorted(files, key=lambda item: item[1]):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_STORED if file.suffix in STORED else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())
    return path


def make_downloads(site: Path = SITE, executed: Path = EXECUTED, tables: Path = TABLES) -> list[Path]:
    """Write the archives of a built site, list them on the front page, and return their paths; a PDF of older pages is removed.

    Archives of notebooks and tables hold what ``notebooks/pages.yml`` declares and nothing else that lies in their folders.
    """
    target = site / FOLDER
    pdf = target / PDF
    if pdf.is_file() and pdf.stat().st_mtime < (site / "index.html").stat().st_mtime:
        pdf.unlink()
    (target / "site.zip").unlink(missing_ok=True)
    written = []
    pages = read_pages(project_root() / NOTEBOOKS)
    notebooks = [executed / f"{name}.ipynb" for name in pages]
    results = {tables / f"{table}.parquet": page.title for page in pages.values() for table in page.writes.get("tables", [])}
    results = {table: title for table, title in results.items() if table.is_file()}
    for table in results:
        refuse_ids(pq.read_schema(table), table)
    with tempfile.TemporaryDirectory() as work:
        for_readers = as_csv(results, Path(work))
        for name, folder, listed in (("notebooks", executed, notebooks), ("tables", tables, results), ("site", site, None)):
            present = files_of_site(site) if listed is None else filter(Path.is_file, listed)
            files = [(file, file.relative_to(folder).as_posix()) for file in present]
            if name == "tables":
                files += [(file, file.name) for file in for_readers]
            if files:  # an archive of nothing is not made
                written.append(write_archive(target / f"{name}.zip", files))
            fill_panel(site)
    return written


def as_csv(results: dict[Path, str], folder: Path) -> list[Path]:
    """Write result tables as CSV, and ``codebook.csv``: the page, rows, columns and types of each; return the files."""
    entries = []
    for table, title in results.items():
        rows = pd.read_parquet(table)
        rows.to_csv(folder / f"{table.stem}.csv", index=False)
        entries += [(table.stem, title, len(rows), column, str(rows[column].dtype)) for column in rows]
    if entries:
        pd.DataFrame(entries, columns=["table", "page", "rows", "column", "type"]).to_csv(folder / "codebook.csv", index=False)
    return sorted(folder.iterdir())


def files_of_site(site: Path) -> list[Path]:
    """Return the files of a built site that ``_toc.yml`` declares or its builder makes: pages, their sources and their pictures.

    A file that an earlier build or a user left is not packed, and named on the standard output.
    """
    named = list(parse_toc_yaml(project_root() / "_toc.yml"))
    allowed = {*OF_BUILDER, *(f"{FOLDER}/{name}" for name in ("notebooks.zip", "tables.zip", PDF))}
    allowed |= {name for page in named for name in (f"{page}.html", f"_sources/{page}.md", f"_sources/{page}.ipynb")}
    shown = "".join(page.read_text("utf-8") for name in named if (page := site / f"{name}.html").is_file())
    files = {path.relative_to(site).as_posix(): path for path in sorted(site.rglob("*")) if path.is_file()}
    allowed |= {name for name in files if name.startswith("_static/") and Path(name).suffix in OF_A_PAGE}
    allowed |= {name for name in files if name.startswith("_images/") and name in shown}
    for name in files.keys() - allowed - {f"{FOLDER}/site.zip"}:
        print(f"not packed into site.zip, as no page declares it: {name}")
    return [path for name, path in files.items() if name in allowed]


def refuse_ids(schema: pa.Schema, table: Path) -> None:
    """Raise a ValueError if a result table has a column that may name a row or a person; shares and scores are real numbers."""
    for column in schema:
        if OF_A_ROW.fullmatch(column.name) and not pa.types.is_floating(column.type):
            fault = f"column {column.name!r} of {table} may hold ids or texts of rows, which are not published"
            raise ValueError(f"{fault}; let its page save counts or scores alone")


def fill_panel(site: Path) -> None:
    """Turn each place of ``PLACE`` on the front page into a link with its size, or the command that makes the file."""
    page = site / "book/intro.html"

    def filled(place: re.Match) -> str:
        start, name, command = place.groups()
        file = site / FOLDER / name
        if not file.is_file():
            return f"{start}not in this build: <code>{command}</code></span>"
        return f'{start}<a href="../{FOLDER}/{name}" download>{name}</a>, {file.stat().st_size / 1e6:.1f} MB</span>'

    with replacing(page) as temporary:
        temporary.write_text(PLACE.sub(filled, page.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    for path in make_downloads():
        print(path)
