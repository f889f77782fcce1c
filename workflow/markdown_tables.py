"""Write a table of the book's own texts as Markdown."""

import pandas as pd


def markdown_table(table: pd.DataFrame, formats: dict[str, str] | None = None) -> str:
    """Return a table as Markdown; cells may hold roles and code, bars and line breaks are escaped, a missing value is left blank.

    ``formats`` gives a format specification by column.
    """

    def cell(column, value) -> str:
        return "" if pd.isna(value) else format(value, (formats or {}).get(column, "")).replace("|", "\\|").replace("\n", " ")

    cells = pd.DataFrame({c: [cell(c, v) for v in table[c]] for c in table}, columns=table.columns, dtype=object)
    return cells.to_markdown(index=False, disable_numparse=True) + "\n"
