"""Inspect every image and text of a data set before encoding, and report each problem with its row."""

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from ..datasets.base import PairedDataset
from ..images import ImageFile, inspect_image
from .encoding import progress, read_work_file, write_work_file

SHOWN = 10
INSPECTED = dict[str, tuple[str, tuple[str, ...], tuple[int, int]]]  # path -> SHA-256, notes, (size, time)
SECONDS_BETWEEN_NOTES = 60  # most seconds of inspection that a kill can cost


class InputError(ValueError):
    """Error for rows that cannot be encoded; ``report`` is the table of all of them."""

    def __init__(self, message: str, report: pd.DataFrame):
        super().__init__(message)
        self.report = report


def inspect(dataset: PairedDataset, cache: Path | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Inspect every text and every image file of a data set, without decoding pixels, and return ``(keys, report)``.

    ``keys`` has the content hashes ``image`` and ``text`` of every row, None if unusable; ``report`` lists each error and note with
    its row. ``cache`` is a file that stores the findings, so that the next inspection reads only files of another size or time.
    """
    rows, keys, problems = dataset.rows.reset_index(drop=True), [], []
    named = [path if isinstance(path, str) else None for path in rows["image"]]
    found = _inspect_files(dataset.root, list(dict.fromkeys(named)), cache)
    for row, (path, text) in enumerate(zip(named, rows["text"], strict=True)):
        file, fault = found[path], _text_fault(text)
        problems += [(row, "image", "error", file.error)] if file.error else []
        problems += [(row, "image", "note", note) for note in file.notes]
        if fault:
            problems.append((row, "text", "error", fault))
        elif "\ufffd" in text:
            problems.append((row, "text", "note", "text has replacement characters; it was read in the wrong encoding"))
        keys.append((file.sha256, None if fault else hashlib.sha256(text.encode()).hexdigest()))
    return pd.DataFrame(keys, columns=["image", "text"]), report_table(rows, problems)


def _text_fault(text) -> str | None:
    if not isinstance(text, str):
        return f"text is {type(text).__name__}, expected a string"
    if not text.strip():
        return "text is empty"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "text is not valid Unicode (lone surrogates, from a file read in the wrong encoding); read the table as UTF-8"
    return None


def _inspect_files(root: Path, paths: list, cache: Path | None) -> dict[str | None, ImageFile]:
    """Return what :func:`inspect_image` finds for each path; a usable file in ``cache`` is read again only if it changed."""
    stamps = {path: _stamp(root, path) for path in paths}
    known = (cache and read_work_file(cache, INSPECTED)) or {}
    found = {path: ImageFile(*known[path][:2]) for path in paths if path in known and known[path][2] == stamps[path]}
    new = [path for path in paths if path not in found]
    noted = time.monotonic()
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        looked = pool.map(lambda path: inspect_image(root, path), new)
        bar = progress(looked, total=len(paths), desc="inspecting files", unit="file", initial=len(found))
        for path, file in zip(new, bar, strict=True):
            found[path] = file
            if cache is not None and (path == new[-1] or time.monotonic() - noted >= SECONDS_BETWEEN_NOTES):
                usable = {name: (seen.sha256, seen.notes, stamps[name]) for name, seen in found.items() if seen.sha256}
                write_work_file(cache, usable)
                noted = time.monotonic()
    return found


def _stamp(root: Path, relative) -> tuple[int, int] | None:
    """Return size and time of a file, which reveal a change; None if the file is absent."""
    try:
        status = os.stat(Path(root) / relative)
    except (OSError, TypeError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def report_table(rows: pd.DataFrame, problems: list[tuple[int, str, str, str]]) -> pd.DataFrame:
    """Return problems ``(row, field, severity, what)`` as a table in row order, with the pair ids."""
    table = pd.DataFrame(problems, columns=["row", "field", "severity", "what"]).sort_values(["row", "field"], kind="stable")
    table.insert(1, "pair_id", rows["pair_id"].to_numpy()[table["row"].to_numpy(dtype=int)])
    return table.reset_index(drop=True)


def summary(report: pd.DataFrame, n_rows: int, credentialed: bool) -> str:
    """Return the errors of a report in a few lines, without ids for a credentialed data set."""
    errors = report[report["severity"] == "error"]
    lines = [f"{errors['row'].nunique()} of {n_rows} rows cannot be encoded:"]
    for row, pair_id, field, what in errors[["row", "pair_id", "field", "what"]].head(SHOWN).itertuples(index=False):
        lines.append(f"  row {row}{'' if credentialed else f' ({pair_id})'}, {field}: {what}")
    if len(errors) > SHOWN:
        lines.append(f"  and {len(errors) - SHOWN} more")
    return "\n".join(lines)
