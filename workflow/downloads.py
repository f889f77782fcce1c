"""Put the downloads for readers next to the built pages, and list them on the front page: ``python workflow/downloads.py``."""

import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from declarations import NOTEBOOKS, Declared, figures, read_pages
from sphinx_external_toc.parsing import parse_toc_yaml

from helpers.datasets import DATASETS
from helpers.files import project_root, replacing
from helpers.probing.cache import FOLDER as SWEPT
from helpers.probing.cache import RECORD, load_cached
from helpers.probing.result import score_table
from helpers.schemas import shipped_table
from helpers.store.catalogue import SHIPPED_SETS

SITE, EXECUTED, TABLES, SWEEPS = (project_root() / name for name in ("_build/html", "book/executed", "runs/book/tables", SWEPT))
RECOMPUTE = project_root() / "tests/verification/recompute_intervals.py"
NO_FIGURE = "text and tables of its page"
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


def make_downloads(site: Path = SITE, executed: Path = EXECUTED, tables: Path = TABLES, sweeps: Path = SWEEPS) -> list[Path]:
    """Write the archives of a built site, list them on the front page, and return their paths; a PDF of older pages is removed.

    Archives of notebooks and tables hold what ``notebooks/pages.yml`` declares and nothing else that lies in their folders.
    """
    target, pages = site / FOLDER, read_pages(project_root() / NOTEBOOKS)
    pdf, readable = target / PDF, target / "tables"
    if pdf.is_file() and pdf.stat().st_mtime < (site / "index.html").stat().st_mtime:
        pdf.unlink()
    (target / "site.zip").unlink(missing_ok=True)
    shutil.rmtree(readable, ignore_errors=True)
    results = [tables / f"{table}.parquet" for page in pages.values() for table in page.writes.get("tables", [])]
    results = [table for table in results if table.is_file()]
    for table in results:
        refuse_ids(pq.read_schema(table), table)
    if results:
        write_csv(results, pages, readable)
    packed = {
        "notebooks": [(path, path.name) for name in pages if (path := executed / f"{name}.ipynb").is_file()],
        "tables": [(path, path.name) for path in results],
    }
    packed["tables"] += [(path, path.relative_to(readable).as_posix()) for path in readable.rglob("*.csv")]
    written = []
    with tempfile.TemporaryDirectory() as work:
        packed["scores"] = write_scores(sweeps, Path(work) / "scores.parquet", tables)
        for name, files in (*packed.items(), ("site", None)):
            if files is None:  # the site, with the other archives and their links in it
                files = [(path, path.relative_to(site).as_posix()) for path in files_of_site(site)]
            if files:  # an archive of nothing is not made
                written.append(write_archive(target / f"{name}.zip", files))
            fill_panel(site)
    return written


def write_csv(results: list[Path], pages: dict[str, Declared], folder: Path) -> None:
    """Write result tables, and the shipped ones that figures show, as CSV; ``codebook.csv`` names their figures and columns."""
    shown: dict[str, list[str]] = {}
    for name in pages:
        for figure, tables in figures(project_root() / NOTEBOOKS / f"{name}.ipynb").items():
            for table in tables:
                shown.setdefault(table, []).append(f"{name}.html#{figure}")
    titles = {table: page.title for page in pages.values() for table in page.writes.get("tables", [])}
    contents = {path.stem: pd.read_parquet(path) for path in results} | {name: shipped_table(name) for name in shown if "/" in name}
    entries = []
    for name, table in contents.items():
        path = folder / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in titles:
            table.to_csv(path, index=False)
        else:
            shutil.copy(project_root() / f"data/{name}.csv", path)
        about = name, titles.get(name, "shipped with the repository"), " ".join(shown.get(name, [NO_FIGURE])), len(table)
        entries += [(*about, column, str(table[column].dtype)) for column in table]
    columns = ["table", "page", "figures", "rows", "column", "type"]
    pd.DataFrame(entries, columns=columns).to_csv(folder / "codebook.csv", index=False)


def write_scores(sweeps: Path, path: Path, tables: Path) -> list[tuple[Path, str]]:
    """Write the test scores of the joint probes of the shipped sets, and return what recomputes their intervals, with its names.

    Credentialed data sets are refused, and no set of a user is read; nothing is returned where no sweep is stored.
    """
    folders = [record.parent for record in sorted(sweeps.glob(f"*/*/*/*/*/{RECORD}")) if record.parts[-6:-3] in SHIPPED_SETS]
    if not folders:
        return []
    found = [score_table(load_cached(folder), folder.name).query("features == 'joint'") for folder in folders]
    table = pa.Table.from_pandas(pd.concat(found, ignore_index=True), preserve_index=False)
    scores = [name for name in table.column_names if name.startswith("score ")]
    repeating = [name for name in table.column_names if name not in scores]
    pq.write_table(table, path, compression="zstd", use_byte_stream_split=scores, use_dictionary=repeating)
    licences = path.with_name("LICENCES.txt")
    cards = [DATASETS[name].card for name in sorted({folder.parts[-5] for folder in folders})]
    licences.write_text("".join(f"{card.title}: {card.licence}. {card.source}\n" for card in cards), encoding="utf-8")
    compared = [tables / f"{name}.parquet" for name in ("lambda_effects", "channel_effects", "lambda_selected")]
    return [(file, file.name) for file in (path, licences, RECOMPUTE, *filter(Path.is_file, compared))]


def files_of_site(site: Path) -> list[Path]:
    """Return the files of a built site that ``_toc.yml`` declares or its builder makes: pages, their sources and their pictures.

    A file that an earlier build or a user left is not packed, and named on the standard output.
    """
    named = list(parse_toc_yaml(project_root() / "_toc.yml"))
    allowed = {*OF_BUILDER, *(f"{FOLDER}/{name}" for name in ("notebooks.zip", "tables.zip", PDF))}
    allowed |= {path.relative_to(site).as_posix() for path in (site / FOLDER / "tables").rglob("*.csv")}
    allowed |= {name for page in named for name in (f"{page}.html", f"_sources/{page}.md", f"_sources/{page}.ipynb")}
    shown = "".join(page.read_text("utf-8") for name in named if (page := site / f"{name}.html").is_file())
    files = {path.relative_to(site).as_posix(): path for path in sorted(site.rglob("*")) if path.is_file()}
    allowed |= {name for name in files if name.startswith("_static/") and Path(name).suffix in OF_A_PAGE}
    allowed |= {name for name in files if name.startswith("_images/") and name in shown}
    for name in files.keys() - allowed - {f"{FOLDER}/{name}.zip" for name in ("scores", "site")}:
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
            return f"{start}{name}, which <code>{command}</code> makes</span>"
        return f'{start}<a href="../{FOLDER}/{name}" download>{name}</a>, {file.stat().st_size / 1e6:.1f} MB</span>'

    with replacing(page) as temporary:
        temporary.write_text(PLACE.sub(filled, page.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    for path in make_downloads():
        print(path)
