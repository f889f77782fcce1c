"""Read the tables of a release and check their columns and cells; no error prints a cell, which may be an id or a report."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from ..arrays import choose_column, shortened
from ..store.formats import read_delimited

RELEASED = "restore the file as released"


def first_file(root: Path, names: Sequence[str]) -> Path:
    """Return the first of ``names`` that is a file under ``root``."""
    if (path := next((root / name for name in names if (root / name).is_file()), None)) is not None:
        return path
    below = [path.parent for name in names for path in root.glob(f"*/{name}")]
    remedy = f"did you mean root={below[0]}?" if below else "point root at the folder that holds it, or finish the download"
    raise FileNotFoundError(f"{root} has no {' or '.join(names)}; {remedy}")


def read_table(path: Path, columns: Sequence[str] = (), na_words: bool = False, remedy: str = RELEASED) -> pd.DataFrame:
    """Read a delimited file as strings, an empty cell as missing, with ``na_words`` also NA, nan ...; ``columns`` need rows."""
    table = read_delimited(path, remedy, na_words=na_words)
    for column in columns:
        choose_column(column, table, path, columns)
    if columns and not len(table):
        raise ValueError(f"{path} has a header and no rows; {remedy}")
    return table


def released(root: Path, names: Sequence[str], columns: Sequence[str], na_words: bool = True) -> tuple[pd.DataFrame, Path]:
    """Return the first of a release's tables that is there, and its path; the first of ``columns`` names each row."""
    path = first_file(root, names)
    table = read_table(path, columns, na_words)
    unique(table[columns[0]], path)
    return table, path


def in_parts(parts: Iterable[str], read: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of every official part, one part after another, with its name as their split."""
    return pd.concat([read(part).assign(split=part) for part in parts], ignore_index=True)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 text file without line ends and without blank lines at the end."""
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").rstrip().splitlines()]
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist; point root at the folder of the release, or finish the download") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None


def parallel_lines(files: Mapping[str, Path]) -> pd.DataFrame:
    """Read text files in parallel: one column per file, one row per line."""
    table = pd.DataFrame({name: pd.Series(read_lines(path)) for name, path in files.items()})
    if table.isna().any(axis=None):
        lengths = ", ".join(f"{path} {table[name].count()}" for name, path in files.items())
        raise ValueError(f"parallel files differ in length ({lengths}); restore them")
    return table


def refuse(bad: pd.Series, column: pd.Series, path, fault: str, first: int = 2, faults: list | None = None) -> None:
    """Raise a ValueError, or note it in ``faults``, that counts bad cells and names the line of one; row 0 is line ``first``."""
    if bad.any():
        error = ValueError(f"{path} line {bad.idxmax() + first}: {column.name} {fault} ({bad.sum()} such rows)")
        if faults is None:
            raise error
        faults.append(error)


def numbers(column: pd.Series, path) -> pd.Series:
    """Return cells as float64, missing ones as NaN; read a decimal comma as a point and a letter O as zero, as in releases."""
    values = pd.to_numeric(column.str.strip().str.translate(str.maketrans("Oo,", "00.")), errors="coerce").astype(float)
    refuse(values.isna() & column.notna(), column, path, "is not a number")
    return values


def classes_of(column: pd.Series, classes: Sequence[str] | Sequence[int], path) -> pd.Series:
    """Return ``column`` unchanged if every cell is one of ``classes``."""
    refuse(~column.isin(list(classes)), column, path, f"is not one of {shortened(', '.join(map(str, classes)))}")
    return column


def unique(column: pd.Series, path) -> pd.Series:
    """Return ``column`` unchanged if no value is repeated or missing."""
    refuse(column.isna(), column, path, "is missing, and every row needs its own")
    again = column.duplicated()
    first = (column == column[again.idxmax()]).idxmax() + 2
    refuse(again, column, path, f"is also on line {first}, and every row needs its own")
    return column


def printed(column: pd.Series, path) -> pd.Series:
    """Return numbers as pandas prints them after reading the column: ``63`` if all are whole numbers, else ``63.0``."""
    values = numbers(column, path)
    whole = values.notna().all() and not column.str.contains(".", regex=False).any()
    return values.map(lambda v: str(int(v)) if whole else str(v), na_action="ignore").astype(object)


def words(column: pd.Series, of: Mapping | str, otherwise: str) -> pd.Series:
    """Return ``of[cell]``, or the cell in place of ``{}`` in a template ``of``; ``otherwise`` for any other cell or none."""
    said = of.format if isinstance(of, str) else dict(of)
    return column.map(said, na_action="ignore").astype(object).fillna(otherwise)


def fill(template: str, fields: Mapping[str, pd.Series]) -> list[str]:
    """Return ``template`` filled row by row from equally long ``fields``."""
    return [template.format(**row) for row in pd.DataFrame(dict(fields)).to_dict("records")]


def age_band(age: pd.Series) -> pd.Series:
    """Return age in years as a subgroup: under 40, 40-59, 60 and over, unknown."""
    return pd.cut(age, [-1, 39.99, 59.99, 200], labels=["under 40", "40-59", "60 and over"]).astype(object).fillna("unknown")
