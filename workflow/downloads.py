"""Put the downloads for readers next to the built pages, and list them on the front page: ``python workflow/downloads.py``."""

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

from helpers.files import UNFINISHED, project_root, replacing

SITE, EXECUTED, TABLES = (project_root() / name for name in ("_build/html", "book/executed", "runs/book/tables"))
FOLDER, PDF = "downloads", "modality-gap-book.pdf"
EPOCH = (1980, 1, 1, 0, 0, 0)
STORED = {".png", ".woff2", ".gz", ".zip", ".parquet", ".safetensors"}  # compressed already
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
    """Write the archives of a built site into its folder ``downloads``, list them on the front page, and return their paths.

    A PDF printed from these pages is listed and goes into the archive of the site; one of older pages is removed. An archive of
    nothing is not made.
    """
    target = site / FOLDER
    pdf = target / PDF
    if pdf.is_file() and pdf.stat().st_mtime < (site / "index.html").stat().st_mtime:
        pdf.unlink()
    (target / "site.zip").unlink(missing_ok=True)
    written = _archive_of(executed, "*.ipynb", target / "notebooks.zip") + _archive_of(tables, "*.parquet", target / "tables.zip")
    fill_panel(site)
    written += _archive_of(site, "*", target / "site.zip")
    fill_panel(site)
    return written


def _archive_of(folder: Path, pattern: str, path: Path) -> list[Path]:
    whole = [file for file in folder.rglob(pattern) if file.is_file() and not file.name.endswith(UNFINISHED)]
    return [write_archive(path, [(file, file.relative_to(folder).as_posix()) for file in whole])] if whole else []


def fill_panel(site: Path) -> None:
    """Turn each place ``<span class="download" data-file="..." data-made-by="...">`` of the front page into a link with its size.

    A file that this build lacks is text, with the command that makes it.
    """
    page = site / "book/intro.html"

    def filled(place: re.Match) -> str:
        start, name, command = place.groups()
        file = site / FOLDER / name
        if not file.is_file():
            return f"{start}not in this build: <code>{command}</code></span>"
        return f'{start}<a href="../{FOLDER}/{name}" download>{name}</a>, {file.stat().st_size / 1e6:.1f} MB</span>'

    content = PLACE.sub(filled, page.read_text("utf-8"))
    with replacing(page) as temporary:
        temporary.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    for path in make_downloads():
        print(path)
