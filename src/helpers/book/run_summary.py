"""Sum up a run of the workflow: what ran, how long, on what, with which embeddings, and what was skipped and why."""

from datetime import datetime
from pathlib import Path

import pandas as pd

from ..files import json_text, read_json, replacing, write_json
from ..page import commit, markdown_table, reasons, versions
from ..store.catalogue import stored
from .step import RECORDS

SUMMARY, SKIPPED, PAGE = Path("runs/summary.json"), Path("runs/skipped.json"), Path("book/generated/run_summary.md")
DIGITS = 16  # of a checksum on the page


def write_summary(store: str, page: bool = False) -> dict:
    """Write ``runs/summary.json``, and with ``page`` the section of the book that shows it; return the summary."""
    found = summary(store)
    write_json(SUMMARY, found)
    if page:
        with replacing(PAGE) as temporary:
            temporary.write_text(as_page(found), encoding="utf-8")
    return found


def summary(store: str, records: Path = RECORDS, skipped: Path = SKIPPED) -> dict:
    """Return the steps on record with their measures, the checksums of the sets in ``store``, and what was skipped and why."""
    steps = [read_json(path) for path in sorted(records.glob("*.json"))]
    sets = stored(store, faulty={}) if Path(store).is_dir() else stored(None).iloc[:0]
    return {
        "commit": commit(),
        "software": versions(),
        "steps": steps,
        "sets": {f"{row.dataset}/{row.variant}/{row.backbone}": _checksum(row.path) for row in sets.itertuples()},
        "skipped": read_json(skipped) if skipped.is_file() else {},
    }


def _checksum(folder: Path) -> str:
    """Return the checksum that a set's record states of itself; empty for a record of the first format."""
    record = read_json(folder / "provenance.json")
    return str(record.get("record_sha256", "")) if isinstance(record, dict) else ""


def as_page(found: dict) -> str:
    """Return the summary as Markdown. It names no machine and no folder."""
    parts = [_steps(found["steps"]), _skipped(found["skipped"]), _sets(found["sets"])]
    return "\n\n".join(part for part in parts if part) + "\n"


def _steps(steps: list[dict]) -> str:
    if not steps:
        return "No step of this copy has been run by the workflow."
    table = pd.DataFrame(steps)
    ends = [datetime.fromisoformat(s["started"]).timestamp() + s["seconds"] for s in steps]
    began = min(datetime.fromisoformat(s["started"]).timestamp() for s in steps)
    failed = int((table["exit_code"] != 0).sum())
    rows = table.groupby("kind", sort=False).agg(
        n=("name", "size"),
        seconds=("seconds", "sum"),
        longest=("seconds", "max"),
        cpu=("cpu_seconds", "sum"),
        peak=("peak_mb", "max"),
    )
    names = ["Steps", "Number", "Seconds in all", "Longest (s)", "Processor seconds", "Largest process (MB)"]
    shown = rows.reset_index().set_axis(names, axis=1)
    machines = table["machine"].nunique()
    accelerated = table["accelerators"].str.len().gt(0).sum()
    return (
        f"The latest run of each of the {len(table)} steps on record, on {machines} machine{'s' * (machines > 1)}; {accelerated} "
        f"steps were given an accelerator and {failed} failed. From the first start to the last end: {max(ends) - began:.0f} s.\n\n"
        + markdown_table(shown, dict.fromkeys(names[2:], ".0f"))
    )


def _skipped(skipped: dict[str, str]) -> str:
    if not skipped:
        return "Nothing was skipped."
    lines = "\n".join(f"- {line}" for line in reasons(skipped))
    return f"{len(skipped)} embedding sets were skipped because they cannot be made here:\n\n{lines}"


def _sets(sets: dict[str, str]) -> str:
    rows = [(f"`{name}`", f"`{checksum[:DIGITS] or 'none'}`") for name, checksum in sets.items()]
    return markdown_table(pd.DataFrame(rows, columns=["Embedding set", "Checksum of its record"])) if rows else ""


def read_skipped(path: Path = SKIPPED) -> dict[str, str]:
    """Return what an earlier start of this run decided to skip, by set."""
    return read_json(path) if path.is_file() else {}


def write_skipped(skipped: dict[str, str], path: Path = SKIPPED) -> None:
    """Record what is skipped; the file is left alone when nothing has changed, so that no step runs again for its date."""
    if not path.is_file() or path.read_text(encoding="utf-8") != json_text(skipped):
        write_json(path, skipped)


if __name__ == "__main__":
    import sys

    write_summary(sys.argv[1], page=True)
