"""Format the tables and sentences of the book: here alone, names and numbers become Markdown or HTML and are escaped."""

import re
from string import Formatter

import pandas as pd
from pandas.io.formats.style import Styler

from ..datasets.registry import title

HEADINGS = {
    "dataset": "data set", "backbone": "encoder", "auc": "AUC", "p_value": "p", "auc_at_zero": "AUC at λ = 0",
    "minimum_detectable": "smallest detectable", "lambda_image": "λ",
}  # fmt: skip


INTERVALS = (("low", "high", "95 % interval"), ("change_low", "change_high", "95 % interval of the change"))


def escape_markdown(value: str) -> str:
    """Return a name as Markdown that only shows it: no HTML, role, mathematics, link or new line."""
    return re.sub(r"([\\`*$~|<>\[\]{}&!#@]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", " ".join(value.split()))


def fence(text: str, least: int = 1) -> str:
    """Return backticks that enclose a text as code, more than stand together anywhere in it."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))


def code(text: str) -> str:
    """Return Markdown that shows a text as code in a line."""
    ticks = fence(text := " ".join(text.split()))
    return f"{ticks}{text}{ticks}" if ticks == "`" else f"{ticks} {text} {ticks}"


class _EscapedValues(Formatter):
    """``str.format`` with escaped values, so that no name acts as a format string, as Markdown or as HTML."""

    def format_field(self, value, format_spec: str) -> str:
        return escape_markdown(format(value, format_spec))


def fill(sentence: str, /, **values) -> str:
    """Return Markdown with escaped values filled in; ``sentence`` is the page's own text and contains no user's name.

    Example:
        >>> fill("{name} has {n:,} pairs.", name="<b>x</b>", n=1200)
        '\\\\<b\\\\>x\\\\</b\\\\> has 1,200 pairs.'
    """
    return _EscapedValues().vformat(sentence, (), values)


def format_table(
    table: pd.DataFrame, precision: int = 3, thousands: str | None = None, stacked: bool = False, **formats: str
) -> Styler:
    """Return a table in the style of the book: headings in words, printed names of data sets, a dash for a missing value.

    The two ends of an interval, ``low`` and ``high``, share one column.

    Args:
        precision: number of decimals.
        thousands: separator of thousands.
        stacked: cells hold sentences, and a narrow screen shows the cells of a row below each other.
        formats: a format by column.
    """
    table = _with_intervals(table, precision)
    table = table.assign(dataset=table["dataset"].map(title)) if "dataset" in table else table
    headings = {c: HEADINGS.get(c, str(c).replace("_", " ")) for c in table}
    own = {headings[column]: form for column, form in formats.items()}
    styled = table.rename(columns=headings).style.hide(axis="index")
    styled = styled.format(own, precision=precision, na_rep="–", thousands=thousands, escape="html").format_index(
        axis=1, escape="html"
    )
    if stacked:
        styled = styled.set_table_attributes('class="stacked"')
    names = [headings[c] for c in ("dataset", "backbone") if c in headings]
    return styled.set_properties(subset=names, **{"white-space": "nowrap"}) if names else styled


def _with_intervals(table: pd.DataFrame, precision: int) -> pd.DataFrame:
    """Return the table with each pair of columns of ``INTERVALS`` as one column of texts; NaN where an end is missing."""
    for low, high, name in INTERVALS:
        if {low, high} <= set(table):
            ends = zip(table[low], table[high], strict=True)
            both = [f"{a:.{precision}f} to {b:.{precision}f}" if pd.notna(a) and pd.notna(b) else None for a, b in ends]
            place = list(table).index(low)
            table = table.drop(columns=[low, high])
            table.insert(place, name, both)
    return table


def markdown_table(table: pd.DataFrame, formats: dict[str, str] | None = None) -> str:
    """Return a table of the book's own texts as Markdown; cells may hold roles and code.

    Args:
        formats: a format specification by column. A missing value is left blank; bars and line breaks are escaped.
    """

    def cell(column, value) -> str:
        return "" if pd.isna(value) else format(value, (formats or {}).get(column, "")).replace("|", "\\|").replace("\n", " ")

    cells = pd.DataFrame({c: [cell(c, v) for v in table[c]] for c in table}, columns=table.columns, dtype=object)
    return cells.to_markdown(index=False, disable_numparse=True) + "\n"
