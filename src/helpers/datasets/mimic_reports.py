"""Read the reports of MIMIC-CXR from the archive or the folders, and find the part written before the image was read."""

import os
import re
import zipfile
import zlib
from pathlib import Path

import pandas as pd
from tqdm import tqdm

ARCHIVES = ("mimic-cxr-reports.zip", "metadata/mimic-cxr-reports.zip")
WANTED = re.compile(
    r"^[ \t]*(?:CLINICAL )?(?:INDICATION|HISTORY|INFORMATION|REASON FOR (?:THIS )?EXAM(?:INATION)?)S?:[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
# A blank line, a heading at the start of a line, or a heading in capitals within a line: findings may follow.
END = re.compile(r"\n[ \t]*\n|\n[ \t]*[A-Za-z][A-Za-z ,/()-]{2,40}:|\b[A-Z]{4,}(?: [A-Z]+)*:")


def section(report: str) -> str:
    """Return indication, history and reason for the examination of one report, joined; empty if it has none.

    A section ends at the first blank line or heading, so that history never contains findings.
    """
    found = []
    for heading in WANTED.finditer(report):
        end = END.search(report, heading.end())
        body = " ".join(report[heading.end() : end.start() if end else None].split())
        if body and body not in found:
            found.append(body)
    return " ".join(found)


def read_reports(root: Path, paths: pd.Series) -> pd.Series:
    """Return the text of the report at each of ``paths`` (``files/p10/p1000.../s....txt``), None if absent; read each once.

    Raises:
        FileNotFoundError: neither the archive nor a report in the folders exists.
        ValueError: a report cannot be read; names the row of the table, not the path, which holds ids.
    """
    archive = next((root / name for name in ARCHIVES if (root / name).is_file()), None)
    if archive is None and not (root / "files").is_dir():
        raise FileNotFoundError(f"{root} has neither {' nor '.join(ARCHIVES)} nor files/ with report texts; download the reports")
    try:
        opened = zipfile.ZipFile(archive) if archive else None
    except zipfile.BadZipFile:
        raise ValueError(f"{archive} is cut short or not a zip file; download it again") from None
    try:
        members = set(opened.namelist()) if opened else set()
        texts: dict[str, str | None] = {}
        for row, path in enumerate(tqdm(paths, desc="reports", unit="report", leave=False)):
            if path in texts or pd.isna(path):
                continue
            try:
                if opened and path in members:
                    texts[path] = opened.read(path).decode("utf-8-sig").replace("\r\n", "\n")  # a section ends at a blank line
                else:
                    texts[path] = (root / path).read_text(encoding="utf-8-sig") if os.path.isfile(root / path) else None
            except UnicodeDecodeError as error:
                raise ValueError(f"the report of table row {row} is not UTF-8 (byte {error.start}); restore it") from None
            except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:  # RuntimeError: encrypted
                raise ValueError(f"the report of table row {row} cannot be read ({type(error).__name__}); restore it") from None
    finally:
        if opened:
            opened.close()
    return pd.Series([texts.get(path) for path in paths], index=paths.index, dtype=object)
