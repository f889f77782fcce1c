"""Write tables as Markdown, and the book's summary of the run: the steps by Snakemake's benchmarks, what was skipped and why."""

import json
import sys
from pathlib import Path

import pandas as pd

from helpers.files import replacing
from helpers.page import printed, reasons

PAGE, SKIPPED = Path("book/generated/run_summary.md"), Path("runs/skipped.json")
NUMBER = r"(< )?[−+]?[\d.,]+(e[+-]\d+)?( %)?|–"
COLUMNS = {"s": "Seconds in all", "longest": "Longest (s)", "cpu_time": "Processor seconds", "max_rss": "Largest step (MB)"}


def markdown_table(table: pd.DataFrame, caption: str, formats: dict[str, str] | None = None) -> str:
    """Return a table with its caption in MyST, numbers to the right; cells may hold roles and code, a missing value is a dash."""

    def cell(column, value) -> str:
        shown = "–" if pd.isna(value) else format(value, (formats or {}).get(column, ""))
        return printed(shown).replace("|", "\\|").replace("\n", " ")

    cells = pd.DataFrame({c: [cell(c, v) for v in table[c]] for c in table}, columns=table.columns, dtype=object)
    sides = ["right" if cells[c].str.fullmatch(NUMBER).all() else "left" for c in cells]
    return f":::{{table}} {caption}\n\n{cells.to_markdown(index=False, disable_numparse=True, colalign=sides)}\n:::\n"


def summary(benchmarks: Path, skipped: dict[str, str]) -> str:
    """Return the summary as Markdown: the latest run of each step, by kind, and each reason. It names no machine and no folder."""
    left = (
        f"{len(skipped)} embedding sets were skipped because they cannot be made here:\n\n" if skipped else "Nothing was skipped."
    )
    return f"{_steps(benchmarks)}\n\n{left}" + "\n".join(f"- {line}" for line in reasons(skipped)) + "\n"


def _steps(benchmarks: Path) -> str:
    files = sorted(benchmarks.rglob("*.tsv"))
    if not files:
        return "No step of this copy has been run by the workflow."
    table = pd.concat([pd.read_csv(f, sep="\t", na_values="-").assign(Step=f.relative_to(benchmarks).parts[0]) for f in files])
    kinds = table.assign(longest=table["s"]).groupby("Step")
    shown = kinds.agg({"s": "sum", "longest": "max", "cpu_time": "sum", "max_rss": "max"}).rename(columns=COLUMNS)
    shown.insert(0, "Number", kinds.size())
    caption = "The latest run of each step, by kind."
    return markdown_table(shown.reset_index(), caption, dict.fromkeys(COLUMNS.values(), ",.0f"))


if __name__ == "__main__":
    with replacing(PAGE) as temporary:
        temporary.write_text(summary(Path("runs/benchmarks"), json.loads(sys.argv[1])), encoding="utf-8")
