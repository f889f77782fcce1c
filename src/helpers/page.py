"""Run a page: check its parameters, write and read result tables, show names safely, say how it was made.

Papermill only warns of an unknown parameter, and passes YAML's ``1e-3`` and the command line's ``[0, 1]`` on as strings. A spec
maps each parameter to a type for pydantic, made by the functions below; a bad value stops the page before any work.
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
from collections import defaultdict
from collections.abc import Iterable, MutableMapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Optional

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from IPython.display import Markdown, display
from myst_nb import glue
from pandas.io.formats.style import Styler
from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictStr, TypeAdapter, ValidationError, WrapValidator

from .arrays import choose
from .datasets.registry import title
from .datasets.splits import straddling
from .files import project_root, read_json, replacing
from .store.catalogue import SHIPPED, shipped_but_not_stored
from .style import use_style

ParameterType = Any  # what pydantic's TypeAdapter takes, such as Annotated[int, Field(ge=0)]


def check_parameters(namespace: MutableMapping, spec: dict[str, ParameterType]) -> dict:
    """Check the parameters in a notebook's ``globals()``, put the converted values back, and return them.

    A page checks its parameters before it makes any global of its own. So every lower-case global that holds a plain literal (None,
    a truth value, number, string, or list or dict of them), is not private and not in the spec counts as an unknown parameter.
    """
    for name in [n for n, value in namespace.items() if n.islower() and not n.startswith("_") and _is_literal(value)]:
        choose(name, spec, "parameter")
    values = {}
    for name, kind in spec.items():
        if name not in namespace:
            raise ValueError(f"parameter {name!r} is not set; give it a default in the cell tagged 'parameters'")
        try:
            values[name] = TypeAdapter(kind).validate_python(namespace[name])
        except ValidationError as error:
            raise ValueError(f"parameter {name!r}: {first_problem(error)}") from None
    namespace.update(values)
    return values


def _is_literal(value) -> bool:
    if isinstance(value, list | dict):
        return all(map(_is_literal, value if isinstance(value, list) else [*value, *value.values()]))
    return value is None or type(value) in (bool, int, float, str)


def first_problem(error: ValidationError) -> str:
    """Return the first problem that pydantic found as the rest of a sentence: the value and the expected type."""
    problem = error.errors()[0]
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    return f"got {problem['input']!r}, but {problem['msg'][0].lower()}{problem['msg'][1:]}"


def number(low: float = -math.inf, high: float = math.inf) -> ParameterType:
    """Return the type of a finite number in [low, high]; a string that spells one is converted."""
    return _limited(float, "a number", low, high)


def integer(low: int, high: int) -> ParameterType:
    """Return the type of a whole number in [low, high]; 3.0 and "3" are 3."""
    return _limited(int, "a whole number", low, high)


def _limited(kind: type, what: str, low: float, high: float) -> ParameterType:
    """Return the type of a finite ``kind`` in [low, high]; a refusal states both limits, whichever was crossed."""

    def check(value, convert):
        with suppress(ValidationError):
            found = value if isinstance(value, bool) else convert(value)
            if not isinstance(found, bool) and math.isfinite(found) and low <= found <= high:
                return found
        raise ValueError(f"got {value!r}, expected {what} between {low:,} and {high:,}")

    return Annotated[kind, WrapValidator(check)]


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
    if twice := [value for i, value in enumerate(values) if value in values[:i]]:
        raise ValueError(f"{twice[0]!r} is given twice; give each value once")
    return values


NAME = text()
SOURCE: dict[str, ParameterType] = {  # of every notebook that reads embeddings: which sets, and where they and the results are
    "datasets": many(NAME),
    "backbones": many(NAME),
    "variant": text(("clean", "authors"), "variant"),
    "store": optional(NAME),
    "data_root": optional(NAME),
    "results": optional(NAME),
}
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
    """Return Markdown with escaped values filled in; ``sentence`` is the page's own text and contains no user's name."""
    return _EscapedValues().vformat(sentence, (), values)


def format_table(
    table: pd.DataFrame, precision: int = 3, thousands: str | None = None, stacked: bool = False, **formats: str
) -> Styler:
    """Return a table in the style of the book: headings in words, printed names of data sets, a dash for a missing value.

    The two ends of an interval, ``low`` and ``high``, share one column.

    Args:
        stacked: cells hold sentences, and a narrow screen shows the cells of a row below each other.
        formats: a format by column.
    """
    table = _with_intervals(table, precision)
    table = table.assign(dataset=table["dataset"].map(title)) if "dataset" in table else table
    headings = {c: HEADINGS.get(c, str(c).replace("_", " ")) for c in table}
    own = {headings[column]: form for column, form in formats.items()}
    styled = table.rename(columns=headings).style.hide(axis="index").format_index(axis=1, escape="html")
    styled = styled.format(own, precision=precision, na_rep="–", thousands=thousands, escape="html")
    if stacked:
        styled = styled.set_table_attributes('class="stacked"')
    names = [headings[c] for c in ("dataset", "backbone") if c in headings]
    return styled.set_properties(subset=names, **{"white-space": "nowrap"}) if names else styled


def _with_intervals(table: pd.DataFrame, precision: int) -> pd.DataFrame:
    """Return the table with each pair of columns of ``INTERVALS`` as one column of texts; None where an end is missing."""
    for low, high, name in INTERVALS:
        if {low, high} <= set(table):
            ends = zip(table[low], table[high], strict=True)
            both = [f"{a:.{precision}f} to {b:.{precision}f}" if pd.notna(a) and pd.notna(b) else None for a, b in ends]
            table = table.rename(columns={low: name}).assign(**{name: both}).drop(columns=high)
    return table


PACKAGES = ("numpy", "scipy", "pandas", "torch", "scikit-learn", "matplotlib", "modality-gap-book")
OF_THE_WORKFLOW = ("results", "made_with")
NOT_SHOWN = "not_shown.json"  # in the store of a build: why each set that was excluded or skipped is not shown
MADE_BY = b"modality-gap-book"


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


def notebook_defaults(notebook: Path) -> dict[str, Any]:
    """Return the parameters of a notebook and their defaults, from its cell tagged ``parameters``."""
    from papermill import inspect_notebook

    return {name: ast.literal_eval(found["default"]) for name, found in inspect_notebook(str(notebook)).items()}


def parameters_fingerprint(parameters: dict) -> str:
    """Return the first 16 digits of a SHA-256 over parameters as written, except those of the workflow."""
    own = {name: value for name, value in parameters.items() if name not in OF_THE_WORKFLOW}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:16]


def papermill_command(page: str, parameters: dict, defaults: dict) -> str:
    """Return the command that repeats a page with these parameters, without those at their default.

    It excludes the folder of result tables and ``made_with``: a run by hand must not overwrite the book's tables.
    """
    words = ["papermill", f"notebooks/{page}.ipynb", "out.ipynb"]
    for name, value in parameters.items():
        if value != defaults.get(name) and name not in OF_THE_WORKFLOW:
            words += ["-p", name, json.dumps(value) if isinstance(value, list) else str(value)]
    return shlex.join(words)


def reasons(skipped: dict[str, str]) -> list[str]:
    """Return a line for each reason: the sets it concerns, and the reason."""
    return [f"{', '.join(sorted(s for s in skipped if skipped[s] == why))}: {why}" for why in dict.fromkeys(skipped.values())]


class Page:
    """One run of a notebook: ``page = Page("01_cone_effect", globals(), spec)`` before any other work.

    ``name`` is the file name of the notebook without ending, ``spec`` gives the type of every parameter.
    """

    def __init__(self, name: str, namespace: MutableMapping, spec: dict[str, ParameterType]):
        self.started = time.perf_counter()
        self.name = name
        given = {parameter: namespace[parameter] for parameter in spec if parameter in namespace}
        self.parameters = check_parameters(namespace, spec)
        self.fingerprint = parameters_fingerprint(given)
        self.results = Path(self.parameters.get("results") or "results")
        self.results.mkdir(parents=True, exist_ok=True)
        use_style()

    def save_table(self, table: pd.DataFrame, name: str) -> pd.DataFrame:
        """Write a result table as ``<results>/<name>.parquet``, with a fingerprint of this page's parameters, and return it."""
        declared = project_root() / "notebooks/pages.yml"
        page = yaml.safe_load(declared.read_text("utf-8")).get(self.name) if declared.is_file() else None
        if page is not None and name not in page.get("writes", {}).get("tables", []):
            raise ValueError(f"notebooks/pages.yml does not declare that {self.name} writes the table {name!r}; add it there")
        content = pa.Table.from_pandas(table, preserve_index=False)
        made_by = json.dumps({"notebook": self.name, "parameters": self.fingerprint}).encode()
        with replacing(self.results / f"{name}.parquet") as temporary:
            pq.write_table(content.replace_schema_metadata({**(content.schema.metadata or {}), MADE_BY: made_by}), temporary)
        return table

    def read_table(self, name: str, maker: str) -> pd.DataFrame:
        """Return a result table that the notebook ``maker`` wrote, with the parameters that the workflow expects if any."""
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
        """Make numbers and words available to other pages by name, as plain Python values."""
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
        encoders: dict[str, dict] = defaultdict(dict)
        for s in sets:
            dataset, backbone = s if isinstance(s, tuple) else (s.dataset, s.provenance.get("backbone", "own"))
            encoders[title(dataset)][backbone] = None
        shown = "; ".join(f"{dataset} under {' and '.join(of)}" for dataset, of in encoders.items())
        self.show_text("Shown here: {shown}." if shown else "No embeddings are stored for this page.", shown=shown)
        for dataset, groups in {title(s.dataset): len(straddling(s.pairs)) for s in sets if not isinstance(s, tuple)}.items():
            if groups:
                sentence = "{dataset}: {groups} groups are in more than one split; test scores are too high for unseen groups."
                self.show_text(sentence, dataset=dataset, groups=groups)
        store = self.parameters.get("store")
        path = Path(store or "", NOT_SHOWN)
        for line in reasons(read_json(path)) if path.is_file() else ():
            self.show_text("Not part of this run: {line}", line=line)
        if any(self.parameters.get(name) for name in ("datasets", "dataset", "backbones", "backbone")):
            return
        absent: dict[tuple, dict] = defaultdict(dict)
        for dataset, variant, backbone in (s for v in variants for s in shipped_but_not_stored(v, store)):
            absent[dataset, variant][backbone] = None
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
        notebook = project_root() / f"notebooks/{self.name}.ipynb"
        command = papermill_command(self.name, self.parameters, notebook_defaults(notebook) if notebook.is_file() else {})
        parameters = "; ".join(code(f"{name} = {value!r}") for name, value in self.parameters.items())
        found = {"python": platform.python_version()} | {d.name: d.version for d in metadata.distributions() if d.name in PACKAGES}
        software = ", ".join(f"{name} {version}" for name, version in found.items())
        block = fence(command, least=3)
        footer = (
            f"Run this page again:\n\n{block}bash\n{command}\n{block}\n\n"
            f"- **Parameters**: {parameters}\n- **Source**: commit `{commit()}`\n"
            f"- **Software**: {software}\n- **Run time**: {time.perf_counter() - self.started:.0f} s"
        )
        display(Markdown(footer))
        columns = ["data set", "variant", "backbone", "pairs", "images", "texts", "d", "fingerprint"]
        names = ("dataset", "variant", "backbone")
        rows = [
            [*(str(s.provenance.get(k, "own")) for k in names), len(s), len(s.image), len(s.text), s.dim, s.fingerprint[:16]]
            for s in sets
        ]
        if rows:
            display(format_table(pd.DataFrame(rows, columns=columns)))
