"""Compare two builds of the book: result tables, glued values and verdicts; numbers to 1e-12, everything else exactly.

    python tests/verification/compare_builds.py REFERENCE_CHECKOUT THIS_CHECKOUT [--expect FILE]

FILE lists differences that were meant, one per line as this script prints them; a meant difference that does not occur is an error
too. The first reference was a build of commit de15077.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

TOLERANCE = 1e-12
TABLES, PAGES = Path("runs/book/tables"), Path("book/executed")


def tables(build: Path) -> dict[str, pd.DataFrame]:
    """Return the result tables of a build by name."""
    return {path.stem: pd.read_parquet(path) for path in sorted((build / TABLES).glob("*.parquet"))}


def glued(build: Path) -> dict[str, object]:
    """Return the values that pages provide to prose, by page and name."""
    found: dict[str, object] = {}
    for path in sorted((build / PAGES).glob("*.ipynb")):
        for cell in json.loads(path.read_text())["cells"]:
            for output in cell.get("outputs", []):
                if (name := output.get("metadata", {}).get("scrapbook", {}).get("name")) is not None:
                    found[f"{path.stem}:{name}"] = "".join(output["data"].get("text/plain", ""))
    return found


def same(one, other) -> bool:
    """Tell whether two cells are equal: numbers to ``TOLERANCE`` relative to 1 or their size, missing values each other."""
    if isinstance(one, np.ndarray | list) and isinstance(other, np.ndarray | list):
        return len(one) == len(other) and all(map(same, one, other))
    if pd.isna(one) or pd.isna(other):
        return bool(pd.isna(one) and pd.isna(other))
    if isinstance(one, int | float | np.number) and isinstance(other, int | float | np.number):
        return abs(float(one) - float(other)) <= TOLERANCE * max(1.0, abs(float(one)))
    return one == other


def table_differences(name: str, one: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    """Return how two result tables differ, one line per column."""
    if list(one) != list(other):
        return [f"table {name}: columns {sorted(set(one) ^ set(other)) or 'in another order'}"]
    if len(one) != len(other):
        return [f"table {name}: {len(one)} and {len(other)} rows"]
    lines = []
    for column in one:
        rows = [i for i, (a, b) in enumerate(zip(one[column], other[column], strict=True)) if not same(a, b)]
        if rows:
            first = rows[0]
            lines.append(f"table {name}: {column} in {len(rows)} rows, first {one[column][first]!r} and {other[column][first]!r}")
    return lines


def differences(reference: Path, build: Path) -> list[str]:
    """Return every difference between two builds, one line each."""
    lines = []
    old, new = tables(reference), tables(build)
    if not old or not new:
        raise SystemExit(f"{reference if not old else build} holds no {TABLES}; run `make book` there first")
    where = ("the build", "the reference")
    lines += [f"table {name}: only in {where[name in old]}" for name in sorted(old.keys() ^ new.keys())]
    for name in sorted(old.keys() & new.keys()):
        lines += table_differences(name, old[name], new[name])
    before, after = glued(reference), glued(build)
    lines += [f"glued {name}: only in {where[name in before]}" for name in sorted(before.keys() ^ after.keys())]
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            lines.append(f"glued {name}: {before[name]} and {after[name]}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reference", type=Path)
    parser.add_argument("build", type=Path)
    parser.add_argument("--expect", type=Path, help="file of differences that were meant")
    given = parser.parse_args()
    found = differences(given.reference, given.build)
    meant = given.expect.read_text().splitlines() if given.expect else []
    for line in found:
        print(("meant     " if line in meant else "DIFFERENT ") + line)
    for line in meant:
        if line not in found:
            print(f"ABSENT    {line}")
    unmeant = len(set(found) ^ set(meant))
    print(f"{len(found)} differences, {unmeant} of them not as listed")
    return int(unmeant > 0)


if __name__ == "__main__":
    sys.exit(main())
