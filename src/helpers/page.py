"""Check the parameters of a notebook before any work: an unknown name or a bad value stops it with one sentence.

Papermill only warns of an unknown name, and passes YAML's ``1e-3`` and the command line's ``[0, 1]`` on as strings. A spec maps
each parameter to a type for pydantic, made by the functions below.
"""

import ast
import hashlib
import json
import math
import platform
import re
import shlex
import subprocess
import time
from collections.abc import Iterable, MutableMapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Optional

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from IPython.display import Markdown, display
from myst_nb import glue
from pandas.io.formats.style import Styler
from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictStr, TypeAdapter, ValidationError, WrapValidator

from .arrays import choose
from .datasets.registry import title
from .datasets.splits import straddling
from .files import project_root, read_json, replacing
from .plotting import use_style
from .store.catalogue import SHIPPED, shipped_but_not_stored

ParameterType = Any
"""A type that pydantic's ``TypeAdapter`` takes, such as ``Annotated[int, Field(ge=0)]``."""


def check_parameters(namespace: MutableMapping, spec: dict[str, ParameterType]) -> dict:
    """Check the parameters in a notebook's ``globals()``, put the converted values back, and return them.

    Names come from IPython's own record of executed cells (``In``). A cell with literal assignments only holds parameters, whether
    it is the notebook's own or papermill injected it. This reveals names that are no parameter.

    Raises:
        ValueError: an unknown parameter (with the nearest known one), a missing one, or a value that its type refuses.
    """
    for name in assigned_literals(namespace.get("In", ())):
        choose(name, spec, "parameter")
    for name in spec:
        if name not in namespace:
            raise ValueError(f"parameter {name!r} is not set; give it a default in the cell tagged 'parameters'")
    values = {name: check_value(name, namespace[name], kind) for name, kind in spec.items()}
    namespace.update(values)
    return values


def check_value(name: str, value, kind: ParameterType, what: str = "parameter"):
    """Return ``value`` converted to the type ``kind``.

    Raises:
        ValueError: the value does not have this type; the error names the parameter, the value and the expected type.
    """
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise ValueError(f"{what} {name!r}: {first_problem(error)}") from None


def first_problem(error: ValidationError) -> str:
    """Return the first problem that pydantic found as the rest of a sentence: the value and the expected type."""
    problem = error.errors()[0]
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    expected = problem["msg"][0].lower() + problem["msg"][1:]
    return f"got {problem['input']!r}, but {expected}"


def number(low: float = -math.inf, high: float = math.inf) -> ParameterType:
    """Return the type of a finite number in [low, high]; a string that spells one is converted."""
    return _limited(float, "a number", low, high)


def integer(low: int, high: int) -> ParameterType:
    """Return the type of a whole number in [low, high]; 3.0 and "3" are 3."""
    return _limited(int, "a whole number", low, high)


def _limited(kind: type, what: str, low: float, high: float) -> ParameterType:
    """Return the type of a finite ``kind`` in [low, high]; a refusal states both limits, whichever was crossed."""
    expected = f"{what}{_limits(low, high)}"

    def check(value, convert):
        if not isinstance(value, bool):
            with suppress(ValidationError):
                found = convert(value)
                if math.isfinite(found) and low <= found <= high:
                    return found
        raise ValueError(f"got {value!r}, expected {expected}")

    return Annotated[kind, WrapValidator(check)]


def _limits(low: float, high: float) -> str:
    if math.isfinite(low) and math.isfinite(high):
        return f" between {low:,} and {high:,}"
    if math.isfinite(low):
        return f" of at least {low:,}"
    return f" of at most {high:,}" if math.isfinite(high) else ""


def flag() -> ParameterType:
    """Return the type of True and False."""
    return StrictBool


def text(choices: Iterable[str] | None = None, what: str = "value") -> ParameterType:
    """Return the type of a non-blank string, one of ``choices`` if they are given."""
    valid = None if choices is None else list(choices)

    def check(value: str) -> str:
        if not value.strip():
            raise ValueError(f"got {value!r}, expected a non-empty string")
        return value if valid is None else choose(value, valid, what)

    return Annotated[StrictStr, AfterValidator(check)]


def optional(kind: ParameterType) -> ParameterType:
    """Return the type of None or ``kind``."""
    return Optional[kind]  # noqa: UP045 (a type built at run time)


def many(kind: ParameterType, least: int = 0) -> ParameterType:
    """Return the type of a list of at least ``least`` distinct values.

    A JSON list given as a string is parsed, ``"0,0.5,1"`` is a list of three, and a single value is a list of one.
    """
    return Annotated[list[kind], BeforeValidator(_as_list), Field(min_length=least), AfterValidator(_distinct)]  # type: ignore[valid-type]


def _as_list(value) -> list:
    if isinstance(value, str) and (value.lstrip().startswith("[") or "," in value):
        bracketed = value.lstrip().startswith("[")
        try:
            value = json.loads(value if bracketed else f"[{value}]")
        except json.JSONDecodeError:
            if bracketed:
                raise ValueError(f"got {value!r}, expected a list in JSON, such as '[\"a\", \"b\"]' or '[0, 1]'") from None
    return list(value) if isinstance(value, list | tuple) else [value]


def _distinct(values: list) -> list:
    for i, value in enumerate(values):
        if value in values[:i]:
            raise ValueError(f"{value!r} is given twice; give each value once")
    return values


def assigned_literals(cells: Iterable[str], last: bool = False) -> dict[str, object]:
    """Return names and first (or last) values from the cells with literal assignments only, in order of appearance."""
    found: dict[str, object] = {}
    for source in cells:
        try:
            pairs = [_literal_assignment(statement) for statement in ast.parse(source).body]
        except (SyntaxError, ValueError):
            continue
        for name, value in pairs:
            if last or name not in found:
                found[name] = value
    return found


def _literal_assignment(statement: ast.stmt) -> tuple[str, object]:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value = statement.target, statement.value
    else:
        raise ValueError("not an assignment")
    if not isinstance(target, ast.Name):
        raise ValueError("not a name")
    # papermill writes non-finite numbers as float('nan')
    if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "float" and len(value.args) == 1:
        return target.id, float(ast.literal_eval(value.args[0]))
    return target.id, ast.literal_eval(value)


NAME = text()
SOURCE: dict[str, ParameterType] = {
    "datasets": many(NAME),
    "backbones": many(NAME),
    "variant": text(("clean", "authors"), "variant"),
    "store": optional(NAME),
    "data_root": optional(NAME),
    "results": optional(NAME),
}
"""Parameters of every notebook that reads embeddings: which sets, where they are, and where result tables go."""


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


PACKAGES = ("numpy", "scipy", "pandas", "torch", "scikit-learn", "matplotlib", "modality-gap-book")
OF_THE_WORKFLOW = ("results", "made_with")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def commit() -> str:
    """Return the short commit of the source, ``+ local changes`` if files differ from it, or ``unknown`` outside a repository."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=project_root(), capture_output=True, text=True, check=True, timeout=20)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + (" + local changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown (not a git checkout)"


def parameters_fingerprint(parameters: dict) -> str:
    """Return the first 16 digits of a SHA-256 over parameters as written, except those of the workflow."""
    own = {name: value for name, value in parameters.items() if name not in OF_THE_WORKFLOW}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:16]


def papermill_command(notebook: str, parameters: dict, defaults: dict) -> str:
    """Return the command that repeats a notebook with these parameters, without those at their default.

    It excludes the folder of result tables and ``made_with``: a run by hand must not overwrite the book's tables.

    Example:
        >>> papermill_command("03_lambda_sweep", {"protocol": ["paper"], "n_boot": 9}, {"protocol": "paper", "n_boot": 9})
        "papermill notebooks/03_lambda_sweep.ipynb out.ipynb -p protocol '[\\"paper\\"]'"
    """
    words = ["papermill", f"notebooks/{notebook}.ipynb", "out.ipynb"]
    for name, value in parameters.items():
        if value != defaults.get(name) and name not in OF_THE_WORKFLOW:
            words += ["-p", name, json.dumps(value) if isinstance(value, list) else str(value)]
    return shlex.join(words)


def fingerprints(sets: Iterable) -> pd.DataFrame:
    """Return one row per embedding set: its names, its size and the first 16 digits of its SHA-256."""
    rows = []
    for s in sets:
        name = [str(s.provenance.get(k, "own")) for k in ("dataset", "variant", "backbone")]
        rows.append((*name, len(s), len(s.image), len(s.text), s.dim, s.fingerprint[:16]))
    return pd.DataFrame(rows, columns=["data set", "variant", "backbone", "pairs", "images", "texts", "d", "fingerprint"])


NOT_SHOWN = "not_shown.json"
"""File in the store of a build: why each set that was excluded or skipped is not shown."""
RESULTS = Path("results")
"""Folder of result tables of a run by hand, in its working directory; the workflow's own is ``workflow.TABLES``."""
MADE_BY = b"modality-gap-book"


def results_folder(results=None) -> Path:
    """Return the folder for result tables and make it if absent; ``results`` in the working directory when None."""
    folder = Path(RESULTS if results is None else results)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Page:
    """One run of a notebook.

    Args:
        name: file name of the notebook without ending.
        namespace: the notebook's ``globals()``.
        spec: the type of every parameter, see :mod:`helpers.page`.

    Raises:
        ValueError: a parameter is unknown, of the wrong type or out of range.
    """

    def __init__(self, name: str, namespace: MutableMapping, spec: dict[str, ParameterType]):
        self.started = time.perf_counter()
        self.name = name
        self.parameters = check_parameters(namespace, spec)
        self.defaults = assigned_literals(namespace.get("In", ()))
        self.fingerprint = parameters_fingerprint(assigned_literals(namespace.get("In", ()), last=True))
        self.results = results_folder(self.parameters.get("results"))
        use_style()

    def save_table(self, table: pd.DataFrame, name: str) -> pd.DataFrame:
        """Write a result table as ``<results>/<name>.parquet``, with a fingerprint of this page's parameters, and return it."""
        content = pa.Table.from_pandas(table, preserve_index=False)
        made_by = json.dumps({"notebook": self.name, "parameters": self.fingerprint}).encode()
        with replacing(self.results / f"{name}.parquet") as temporary:
            pq.write_table(content.replace_schema_metadata({**(content.schema.metadata or {}), MADE_BY: made_by}), temporary)
        return table

    def read_table(self, name: str, maker: str) -> pd.DataFrame:
        """Return a result table that the notebook ``maker`` wrote.

        Raises:
            FileNotFoundError: the table is absent; says which notebook to run.
            ValueError: the table was made with other parameters than the workflow expects (parameter ``made_with``).
        """
        path = self.results / f"{name}.parquet"
        how = f"run notebooks/{maker}.ipynb with the same results folder first"
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; {how}")
        try:
            content = pq.read_table(path)
        except (pa.ArrowInvalid, OSError):
            raise ValueError(f"{path} is damaged; {how}") from None
        wanted = json.loads(self.parameters.get("made_with") or "{}").get(maker)
        made_by = json.loads((content.schema.metadata or {}).get(MADE_BY, b"{}"))
        if wanted is not None and made_by.get("parameters") != wanted:
            raise ValueError(f"{path} was made with other parameters than the book's; remove it and build the book again")
        return content.to_pandas()

    def glue(self, **values) -> None:
        """Make numbers and words available to the prose of the book by name, as plain Python values."""
        for name, value in values.items():
            glue(name, value.item() if hasattr(value, "item") else value, display=False)

    def show_text(self, sentence: str, /, **values) -> None:
        """Show a sentence with its values filled in and escaped; names go into ``values``, never into ``sentence``."""
        display(Markdown(fill(sentence, **values)))

    def describe_sets(self, sets: Sequence, variants: Sequence[str] = ("clean",)) -> None:
        """Show which sets the page uses, which have groups in several splits, and how to get shipped sets not stored here.

        Args:
            sets: embedding sets, or (dataset, backbone) pairs.
            variants: the variants the page reads.
        """
        self._show_sets(sets)
        self._show_straddling(sets)
        self._show_excluded()
        if not any(self.parameters.get(name) for name in ("datasets", "dataset", "backbones", "backbone")):
            self._show_not_stored(variants)

    def _show_sets(self, sets: Sequence) -> None:
        encoders: dict[str, dict] = {}
        for s in sets:
            dataset, backbone = s if isinstance(s, tuple) else (s.dataset, s.provenance.get("backbone", "own"))
            encoders.setdefault(title(dataset), {})[backbone] = None
        shown = "; ".join(f"{dataset} under {' and '.join(of)}" for dataset, of in encoders.items())
        self.show_text("Shown here: {shown}." if shown else "No embeddings are stored for this page.", shown=shown)

    def _show_straddling(self, sets: Sequence) -> None:
        for dataset, groups in {title(s.dataset): len(straddling(s.pairs)) for s in sets if not isinstance(s, tuple)}.items():
            if groups:
                self.show_text(
                    "{dataset}: {groups} groups are in more than one split; test scores are too high for unseen groups.",
                    dataset=dataset, groups=groups,
                )  # fmt: skip

    def _show_excluded(self) -> None:
        """Say which sets the workflow excluded or skipped, and why."""
        path = Path(self.parameters.get("store") or "", NOT_SHOWN)
        for line in reasons(read_json(path)) if path.is_file() else ():
            self.show_text("Not part of this run: {line}", line=line)

    def _show_not_stored(self, variants: Sequence[str]) -> None:
        absent: dict[tuple, dict] = {}
        for dataset, variant, backbone in (s for v in variants for s in shipped_but_not_stored(v, self.parameters.get("store"))):
            absent.setdefault((dataset, variant), {})[backbone] = None
        for (dataset, variant), backbones in absent.items():
            self.show_text(
                "No embeddings of {title} ({variant}) under {encoders} are stored here, so what needs them is not shown. The "
                "repository ships them in `{shipped}/{dataset}/{variant}`; `python -m helpers extract {dataset} "
                "--variant {variant} --backbone {first} --root FOLDER` makes them from raw data.",
                title=title(dataset), variant=variant, dataset=dataset, encoders=" and ".join(backbones), shipped=SHIPPED,
                first=next(iter(backbones)),
            )  # fmt: skip

    def show_footer(self, sets: Iterable = ()) -> None:
        """Show how this page was made: the command that repeats it, parameters, software, run time, and the sets it read."""
        display(Markdown(self._footer()))
        sets = list(sets)
        if sets:
            display(format_table(fingerprints(sets)))

    def _footer(self) -> str:
        command = papermill_command(self.name, self.parameters, self.defaults)
        parameters = "; ".join(code(f"{name} = {value!r}") for name, value in self.parameters.items())
        software = ", ".join(f"{name} {version}" for name, version in versions().items())
        block = fence(command, least=3)
        return (
            f"Run this page again:\n\n{block}bash\n{command}\n{block}\n\n"
            f"- **Parameters**: {parameters}\n- **Source**: commit `{commit()}`\n"
            f"- **Software**: {software}\n- **Run time**: {time.perf_counter() - self.started:.0f} s"
        )


def reasons(skipped: dict[str, str]) -> list[str]:
    """Return a line for each reason: the sets it concerns, and the reason."""
    sets: dict[str, list[str]] = {}
    for name, why in sorted(skipped.items()):
        sets.setdefault(why, []).append(name)
    return [f"{', '.join(names)}: {why}" for why, names in sets.items()]
