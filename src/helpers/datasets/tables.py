"""Reading the tables of a release: tolerant of BOM, Windows line ends and compression; strict about columns and values."""

import difflib
import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd


def first_file(root: Path, names: Sequence[str]) -> Path:
    """The first of ``names`` that is a file under ``root``.

    Raises:
        FileNotFoundError: names the folder and every name tried.
    """
    for name in names:
        if (root / name).is_file():
            return root / name
    below = [path.parent for name in names for path in root.glob(f"*/{name}")]
    remedy = f"did you mean root={below[0]}?" if below else "point root at the folder that holds it, or finish the download"
    raise FileNotFoundError(f"{root} has no {' or '.join(names)}; {remedy}")


def read_table(path: Path, columns: Sequence[str] = (), separator: str | None = None, na_words: bool = False) -> pd.DataFrame:
    """Read a delimited file as strings; empty cells are missing values. The separator is a tab if the header has one, else a comma.

    With ``na_words``, cells such as ``NA`` and ``nan`` are missing too: pandas reads them so by default, and the authors did.

    Raises:
        ValueError: an empty or undecodable file, or one without one of ``columns``; names the nearest column.
    """
    try:
        separator = separator or ("\t" if "\t" in _header(path) else ",")
        table = pd.read_csv(path, sep=separator, dtype=str, encoding="utf-8-sig", keep_default_na=na_words, na_values=[""])
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except (EOFError, gzip.BadGzipFile):
        raise ValueError(f"{path} is cut short or not a gzip file; download it again") from None
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} is empty; download it again") from None
    except pd.errors.ParserError as error:
        raise ValueError(f"{path} cannot be read as a table ({str(error).strip()}); restore the file as released") from None
    table.columns = [str(c).strip() for c in table.columns]
    require_columns(table, columns, path)
    return table


def _header(path: Path) -> str:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig") as stream:
        return stream.readline()


def require_columns(table: pd.DataFrame, columns: Sequence[str], path) -> None:
    """Every one of ``columns`` must be in ``table``.

    Raises:
        ValueError: names the file, the column and the nearest one there is; not the others, which in a table without a header are
            cells, see :func:`numbers`.
    """
    for column in columns:
        if column not in table:
            near = difflib.get_close_matches(column, table.columns, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "is its first line the header, as released?"
            raise ValueError(f"{path} has no column {column!r} among its {table.shape[1]}; {hint}")


def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 text file without line ends; blank lines at the end are ignored.

    Raises:
        ValueError: the file is not UTF-8.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    while lines and not lines[-1].strip():
        lines.pop()
    return [line.strip() for line in lines]


def numbers(column: pd.Series, path) -> pd.Series:
    """Cells as float64, missing kept; a comma decimal is read as a point and a letter O as zero, both of which releases contain.

    Raises:
        ValueError: names the file, the line and the column of the cell that is not a number; not the cell, which in a table whose
            columns have slipped may be an id or a sentence of a credentialed set.
    """
    cleaned = column.astype("object").where(column.notna()).map(_numeral, na_action="ignore")
    values = pd.to_numeric(cleaned, errors="coerce")
    bad = values.isna() & column.notna()
    if bad.any():
        row = bad.to_numpy().argmax()
        raise ValueError(f"{path} line {row + 2}: {column.name} is not a number ({bad.sum()} such cells); restore the table")
    return values.astype(float)


def _numeral(cell: str) -> str:
    return str(cell).strip().replace("O", "0").replace("o", "0").replace(",", ".")


def classes_of(column: pd.Series, classes: Sequence[str], path) -> pd.Series:
    """``column`` unchanged if every cell is one of ``classes``.

    Raises:
        ValueError: names the file, the line, the column and the classes; not the cell, see :func:`numbers`.
    """
    bad = (~column.isin(list(classes))).to_numpy()
    if bad.any():
        row = bad.argmax()
        fault = "missing, expected" if pd.isna(column.iloc[row]) else "not"
        wanted = f"one of {', '.join(map(str, classes))}"
        raise ValueError(f"{path} line {row + 2}: {column.name} is {fault} {wanted} ({bad.sum()} such rows)")
    return column


def unique(column: pd.Series, path, private: bool = False, header: int = 1) -> pd.Series:
    """``column`` unchanged if no value occurs twice or is missing; the file has ``header`` lines before the first row.

    Raises:
        ValueError: names the file and both lines; the value too, unless ``private``.
    """
    again = (column.duplicated() | column.isna()).to_numpy()
    if again.any():
        row = again.argmax()
        which = "" if private else f" {column.iloc[row]!r}"
        first = (column == column.iloc[row]).to_numpy().argmax() + 1 + header
        fault = "is missing" if pd.isna(column.iloc[row]) else f"{which} is also on line {first}".strip()
        where = f"{path} line {row + 1 + header}: {column.name}"
        raise ValueError(f"{where} {fault}; every row needs its own ({again.sum()} such rows)")
    return column


def printed(column: pd.Series, path) -> pd.Series:
    """Numbers as pandas prints them after reading the column: ``63`` in a column of whole numbers, ``63.0`` in any other."""
    values = numbers(column, path)
    whole = values.notna().all() and not column.astype(str).str.contains(".", regex=False).any()
    return values.map(lambda v: v if pd.isna(v) else str(int(v)) if whole else str(v)).astype(object)


def words(column: pd.Series, of: Mapping, otherwise: str) -> pd.Series:
    """Phrases for coded cells: ``of[cell]``, or ``otherwise`` for any other cell, missing ones included."""
    return column.map(lambda cell: of.get(cell, otherwise)).astype(object)


def phrase(column: pd.Series, template: str, otherwise: str) -> pd.Series:
    """``template`` with each cell in place of ``{}``, or ``otherwise`` where the cell is missing."""
    return column.map(lambda cell: otherwise if pd.isna(cell) else template.format(cell)).astype(object)


def fill(template: str, fields: Mapping[str, pd.Series]) -> list[str]:
    """``template`` filled row by row from equally long ``fields``."""
    names = list(fields)
    return [template.format(**dict(zip(names, cells, strict=True))) for cells in zip(*fields.values(), strict=True)]


def age_band(age: pd.Series) -> pd.Series:
    """Age in years as a subgroup: under 40, 40-59, 60 and over, unknown."""
    return pd.cut(age, [-1, 39.99, 59.99, 200], labels=["under 40", "40-59", "60 and over"]).astype(object).fillna("unknown")


def parallel_lines(files: Mapping[str, Path]) -> pd.DataFrame:
    """One column per file, one row per line.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the files have different numbers of lines.
    """
    columns = {}
    for name, path in files.items():
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist; point root at the folder of the release, or finish the download")
        columns[name] = read_lines(path)
    counts = {files[name].name: len(lines) for name, lines in columns.items()}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise ValueError(f"{next(iter(files.values())).parent}: files that go line by line differ in length ({told}); restore them")
    return pd.DataFrame(columns)
