"""Write the book's summary of the run: the steps by Snakemake's benchmark files, and what was skipped and why."""

import json
import sys
from pathlib import Path

import pandas as pd
from markdown_tables import markdown_table

from helpers.files import replacing
from helpers.page import reasons

PAGE, SKIPPED = Path("book/generated/run_summary.md"), Path("runs/skipped.json")
COLUMNS = {"s": "Seconds in all", "longest": "Longest (s)", "cpu_time": "Processor seconds", "max_rss": "Largest step (MB)"}


def summary(benchmarks: Path, skipped: dict[str, str]) -> str:
    """Return the summary as Markdown. It names no machine and no folder."""
    lines = [f"- {line}" for line in reasons(skipped)]
    left = f"{len(skipped)} embedding sets were skipped because they cannot be made here:\n\n" if lines else "Nothing was skipped."
    return f"{steps(benchmarks)}\n\n{left}" + "\n".join(lines) + "\n"


def steps(benchmarks: Path) -> str:
    """Return a table of the latest run of each step, one row a kind of step; kinds are the folders of the benchmark files."""
    files = sorted(benchmarks.rglob("*.tsv"))
    if not files:
        return "No step of this copy has been run by the workflow."
    table = pd.concat([pd.read_csv(f, sep="\t", na_values="-").assign(Step=f.relative_to(benchmarks).parts[0]) for f in files])
    kinds = table.assign(longest=table["s"]).groupby("Step")
    shown = kinds.agg({"s": "sum", "longest": "max", "cpu_time": "sum", "max_rss": "max"}).rename(columns=COLUMNS)
    shown.insert(0, "Number", kinds.size())
    return markdown_table(shown.reset_index(), dict.fromkeys(COLUMNS.values(), ",.0f"))


if __name__ == "__main__":
    with replacing(PAGE) as temporary:
        temporary.write_text(summary(Path("runs/benchmarks"), json.loads(sys.argv[1])), encoding="utf-8")
