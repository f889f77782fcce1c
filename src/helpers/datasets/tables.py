"""Read the tables of a release: tolerate BOM, Windows line ends and compression; check columns and values strictly.

No error prints a cell, which may be an id or a sentence of a credentialed set if columns have slipped.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from ..arrays import choose_column
from ..store.foreign import read_delimited

RELEASED = "restore the file as released"


def first_file(root: Path, names: Sequence[str]) -> Path:
    """Return the first of ``names`` that is a file under ``root``."""
    for name in names:
        if (root / name).is_file():
            return root / name
    below = [path.parent for name in names for path in root.glob(f"*/{name}")]
    remedy = f"did you mean root={below[0]}?" if below else "point root at the folder that holds it, or finish the download"
    raise FileNotFoundError(f"{root} has no {' or '.join(names)}; {remedy}")


def read_table(path: Path, columns: Sequence[str] = (), na_words: bool = False, remedy: str = RELEASED) -> pd.DataFrame:
    """Read a delimited file as strings; empty cells are missing values.

    Args:
        columns: required columns; then rows are required too.
        na_words: treat cells such as ``NA`` and ``nan`` as missing too, the default of pandas, which the authors used.
    """
    # The header is read as a row, because pandas would rename a column whose name occurs twice.
    table = read_delimited(path, remedy, header=None, dtype=str, keep_default_na=na_words, na_values=[""])
    names = [f"unnamed {i}" if pd.isna(name) else name.strip() for i, name in enumerate(table.iloc[0])]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ValueError(f"{path}: columns {names.index(name) + 1} and {i + 1} have the same name; rename one of them")
    table = table.iloc[1:].set_axis(names, axis=1).reset_index(drop=True)
    for column in columns:
        choose_column(column, names, path)
    if columns:
        require_rows(table, path, remedy)
    return table


def require_rows(table: pd.DataFrame, path, remedy: str = RELEASED) -> None:
    """Raise a ValueError if a table has a header but no rows."""
    if not len(table):
        raise ValueError(f"{path} has a header and no rows; {remedy}")


def read_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 text file without line ends and without blank lines at the end."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    return [line.strip() for line in lines]


def parallel_lines(files: Mapping[str, Path]) -> pd.DataFrame:
    """Read text files in parallel: one column per file, one row per line."""
    columns = {}
    for name, path in files.items():
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist; point root at the folder of the release, or finish the download")
        columns[name] = read_lines(path)
    if len({len(lines) for lines in columns.values()}) > 1:
        lengths = ", ".join(f"{files[name].name} {len(lines)}" for name, lines in columns.items())
        raise ValueError(f"{next(iter(files.values())).parent}: parallel files differ in length ({lengths}); restore them")
    return pd.DataFrame(columns)


def numbers(column: pd.Series, path) -> pd.Series:
    """Return cells as float64, missing ones as NaN; read a decimal comma as a point and a letter O as zero, as in releases."""
    cleaned = column.str.strip().str.replace("O", "0").str.replace("o", "0").str.replace(",", ".")
    values = pd.to_numeric(cleaned, errors="coerce").astype(float)
    bad = values.isna() & column.notna()
    if bad.any():
        row = bad.to_numpy().argmax()
        raise ValueError(f"{path} line {row + 2}: {column.name} is not a number ({bad.sum()} such cells); restore the table")
    return values


def classes_of(column: pd.Series, classes: Sequence[str] | Sequence[int], path) -> pd.Series:
    """Return ``column`` unchanged if every cell is one of ``classes``."""
    bad = (~column.isin(list(classes))).to_numpy()
    if bad.any():
        row = bad.argmax()
        fault = "missing, expected" if pd.isna(column.iloc[row]) else "not"
        wanted = f"one of {', '.join(map(str, classes))}"
        raise ValueError(f"{path} line {row + 2}: {column.name} is {fault} {wanted} ({bad.sum()} such rows)")
    return column


def unique(column: pd.Series, path, private: bool = False, header: int = 1) -> pd.Series:
    """Return ``column`` unchanged if no value is repeated or missing; the file has ``header`` lines before the first row."""
    again = (column.duplicated() | column.isna()).to_numpy()
    if again.any():
        row = again.argmax()
        value, which = column.iloc[row], "" if private else f" {column.iloc[row]!r}"
        fault = " is missing" if pd.isna(value) else f"{which} is also on line {(column == value).to_numpy().argmax() + 1 + header}"
        where = f"{path} line {row + 1 + header}: {column.name}"
        raise ValueError(f"{where}{fault}; every row needs its own ({again.sum()} such rows)")
    return column


def printed(column: pd.Series, path) -> pd.Series:
    """Return numbers as pandas prints them after reading the column: ``63`` if all are whole numbers, else ``63.0``."""
    values = numbers(column, path)
    whole = values.notna().all() and not column.astype(str).str.contains(".", regex=False).any()
    return values.map(lambda v: v if pd.isna(v) else str(int(v)) if whole else str(v)).astype(object)


def words(column: pd.Series, of: Mapping, otherwise: str) -> pd.Series:
    """Return phrases for coded cells: ``of[cell]``, or ``otherwise`` for any other cell, missing ones included."""
    return column.map(lambda cell: of.get(cell, otherwise)).astype(object)


def phrase(column: pd.Series, template: str, otherwise: str) -> pd.Series:
    """Return ``template`` with each cell in place of ``{}``, or ``otherwise`` for a missing cell."""
    return column.map(lambda cell: otherwise if pd.isna(cell) else template.format(cell)).astype(object)


def fill(template: str, fields: Mapping[str, pd.Series]) -> list[str]:
    """Return ``template`` filled row by row from equally long ``fields``."""
    return [template.format(**row) for row in pd.DataFrame(dict(fields)).to_dict("records")]


def age_band(age: pd.Series) -> pd.Series:
    """Return age in years as a subgroup: under 40, 40-59, 60 and over, unknown."""
    return pd.cut(age, [-1, 39.99, 59.99, 200], labels=["under 40", "40-59", "60 and over"]).astype(object).fillna("unknown")
