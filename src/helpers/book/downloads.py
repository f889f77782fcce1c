"""Put the downloads for readers next to the built pages, and list them on the front page: ``python -m helpers.book.downloads``."""

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

from ..files import UNFINISHED, project_root, replacing
from . import TABLES

FOLDER = "downloads"
PDF, NOTEBOOKS, RESULTS, SITE = "modality-gap-book.pdf", "notebooks.zip", "tables.zip", "site.zip"
EPOCH = (1980, 1, 1, 0, 0, 0)
PLACE = re.compile(
    r'(?P<start><span class="download" data-file="(?P<file>[\w.-]+)" data-made-by="(?P<command>[\w ]+)">).*?</span>', re.DOTALL
)
STORED = {".png", ".woff2", ".gz", ".zip", ".parquet", ".safetensors"}  # compressed already


def write_archive(path: Path, files: Iterable[tuple[Path, str]]) -> Path:
    """Write files under their given names into a ZIP; equal contents give equal bytes."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for file, name in sorted(files, key=lambda item: item[1]):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_STORED if file.suffix in STORED else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())
    return path


def make_downloads(site: Path, executed: Path, tables: Path) -> list[Path]:
    """Write the archives of a built site into its folder ``downloads``, list them on the front page, and return their paths.

    A PDF printed from these pages is listed and goes into the archive of the site; one of older pages is removed. An archive of
    nothing is not made.

    Args:
        site: folder of the built pages; its archive opens without a connection, from ``index.html``.
        executed: folder of executed notebooks.
        tables: folder of result tables.
    """
    target, written = Path(site) / FOLDER, []
    if (target / PDF).is_file() and (target / PDF).stat().st_mtime < (Path(site) / "index.html").stat().st_mtime:
        (target / PDF).unlink()
    for name, folder, pattern in ((NOTEBOOKS, executed, "*.ipynb"), (RESULTS, tables, "*.parquet")):
        written += _archive_of(Path(folder), pattern, target / name)
    (target / SITE).unlink(missing_ok=True)
    fill_panel(site)
    written += _archive_of(Path(site), "*", target / SITE)
    fill_panel(site)
    return written


def _archive_of(folder: Path, pattern: str, path: Path) -> list[Path]:
    whole = [file for file in folder.rglob(pattern) if file.is_file() and UNFINISHED not in str(file)]
    files = [(file, file.relative_to(folder).as_posix()) for file in whole]
    return [write_archive(path, files)] if files else []


def fill_panel(site: Path, page: str = "book/intro.html") -> int:
    """Turn each place ``<span class="download" data-file="..." data-made-by="...">`` of a page into a link with the file's size.

    A file that this build lacks is text, with the command that makes it. Return how many files are linked.
    """
    path = Path(site) / page
    folder, up = Path(site) / FOLDER, "../" * page.count("/")

    def filled(place: re.Match) -> str:
        file = folder / Path(place["file"]).name
        if not file.is_file():
            return f"{place['start']}not in this build: <code>{place['command']}</code></span>"
        size = f"{file.stat().st_size / 1e6:.1f} MB"
        return f'{place["start"]}<a href="{up}{FOLDER}/{file.name}" download>{file.name}</a>, {size}</span>'

    content, _ = PLACE.subn(filled, path.read_text("utf-8"))
    with replacing(path) as temporary:
        temporary.write_text(content, encoding="utf-8")
    return content.count(f'<a href="{up}{FOLDER}/')


def main() -> None:
    """Make the archives of the built site, list them on its front page, and print their paths."""
    root = project_root()
    for path in make_downloads(root / "_build/html", root / "book/executed", root / TABLES):
        print(path)


if __name__ == "__main__":
    main()
