"""Run a page: check its parameters, write and read result tables, show names safely, say how it was made."""

import ast
import hashlib
import json
import math
import os
import platform
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterable, MutableMapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import metadata
from numbers import Integral, Number
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from IPython.display import Markdown, display
from myst_nb import glue
from pandas.io.formats.style import Styler
from pydantic import AfterValidator, BeforeValidator, StrictStr, TypeAdapter, ValidationError, WrapValidator

from .arrays import choose
from .datasets.registry import title
from .datasets.splits import shared_groups
from .files import below, check_writable, project_root, read_json, replacing
from .schemas import DECLARED, READ, check_table, usable
from .store.catalogue import SHIPPED, shipped_but_not_stored
from .store.disk import read_arrow
from .tasks import NO_LABELS

ParameterType = Any  # what pydantic's TypeAdapter takes; the functions below make some


def check_parameters(namespace: MutableMapping, spec: dict[str, ParameterType]) -> dict:
    """Check the parameters in ``globals()``, which are its public lower-case plain values, put converted ones back, return them."""
    for name in [n for n, value in namespace.items() if n.islower() and not n.startswith("_") and _is_plain(value)]:
        choose(name, spec, "parameter")
    values = {}
    for name, kind in spec.items():
        try:
            values[name] = TypeAdapter(kind).validate_python(namespace[name])
        except ValidationError as error:
            raise ValueError(f"parameter {name!r}: {first_problem(error)}") from None
    namespace.update(values)
    return values


def _is_plain(value) -> bool:
    if isinstance(value, list | dict):
        return all(map(_is_plain, value if isinstance(value, list) else [*value, *value.values()]))
    return value is None or type(value) in (bool, int, float, str)


def first_problem(error: ValidationError) -> str:
    """Return the first problem that pydantic found as the rest of a sentence: the value and the expected type."""
    problem = error.errors()[0]
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    return f"got {problem['input']!r}, but {problem['msg'][0].lower()}{problem['msg'][1:]}"


def number(low: float = -math.inf, high: float = math.inf, kind: type = float, what: str = "a number") -> ParameterType:
    """Return the type of a finite number in [low, high], or a string that spells one; a refusal states both limits."""

    def check(value, convert):
        with suppress(ValidationError):
            if not isinstance(value, bool) and math.isfinite(found := convert(value)) and low <= found <= high:
                return found
        raise ValueError(f"got {value!r}, expected {what} between {low:,} and {high:,}")

    return Annotated[kind, WrapValidator(check)]


integer = partial(number, kind=int, what="a whole number")  # in [low, high]; 3.0 and "3" are 3


def text(choices: Iterable[str] | None = None, what: str = "value") -> ParameterType:
    """Return the type of a non-blank string, one of ``choices`` if they are given."""
    valid = None if choices is None else list(choices)

    def check(value: str) -> str:
        if not value.strip():
            raise ValueError(f"got {value!r}, expected a non-empty string")
        return value if valid is None else choose(value, valid, what)

    return Annotated[StrictStr, AfterValidator(check)]


def many(kind: ParameterType, least: int = 0) -> ParameterType:
    """Return the type of at least ``least`` distinct values: a list, JSON of one, ``"0,0.5,1"``, or a single value."""
    return Annotated[list[kind], BeforeValidator(partial(_as_list, least=least))]  # type: ignore[valid-type]


def _as_list(value, least: int) -> list:
    if isinstance(value, str) and re.search(r"^\s*\[|,", value):
        with suppress(json.JSONDecodeError):  # words without quotation marks are one value
            value = json.loads(value if "[" in value else f"[{value}]")
    values = list(value) if isinstance(value, list | tuple) else [value]
    if twice := [value for i, value in enumerate(values) if value in values[:i]]:
        raise ValueError(f"{twice[0]!r} is given twice; give each value once")
    if len(values) < least:
        raise ValueError(f"got {value!r}, expected at least {count(least, 'value')}")
    return values


def _existing(value: str) -> str:
    if not Path(value).exists():
        raise ValueError(f"{value} does not exist; give the path of an existing folder or file, or leave it out")
    return value


def count(n: int, what: str) -> str:
    """Return a number and its noun, such as ``1 embedding set`` or ``6 embedding sets``."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def span(low: float, high: float, form: str = "+.4f") -> str:
    """Return a range, such as ``+0.0012 to +0.0100``; one number where both ends print alike."""
    return printed(f"{low:{form}} to {high:{form}}")


NAME = text()
SOURCE: dict[str, ParameterType] = {  # of every notebook that reads embeddings: which sets, and where they and the results are
    "datasets": many(NAME), "backbones": many(NAME), "variant": text(("clean", "authors"), "variant"),
    "store": NAME | None, "data_root": Annotated[StrictStr, AfterValidator(_existing)] | None, "results": NAME | None,
}  # fmt: skip
INTERVALS = (("low", "high", "95 % interval"), ("change_low", "change_high", "95 % interval of the change"))


def escape_markdown(value: str) -> str:
    """Return a name as Markdown that only shows it: no HTML, role, mathematics, link or new line."""
    return re.sub(r"([\\`*$~|<>\[\]{}&!#@]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", " ".join(value.split()))


def printed(words: str) -> str:
    """Return text with true minus signs, 5 % for 5%, zeros without a sign and one number for equal ends; code stays as it is."""
    parts = re.split(r"(`+[^`]*`+)", words)
    for i in range(0, len(parts), 2):
        part = re.sub(r"(?<![\w.)\]/@-])-(?=\d)", "−", parts[i])
        part = re.sub(r"(?<![\w.])[−+](0(?:\.0+)?)(?![\d.,]*\d|e)", r"\1", part)
        part = re.sub(r"(?<!from )(?<![\w.,−+])([−+]?\d[\d.,]*%?)(?: \(\1 to \1\)| to \1(?!\d|%|[.,]\d))", r"\1", part)
        parts[i] = re.sub(r"(?<=\d)%(?!\w)", " %", part)
    return "".join(parts)


def fill(sentence: str, /, **values) -> str:
    """Return Markdown with escaped values filled in; ``sentence`` is the page's own text and contains no user's name."""
    return printed(sentence.format(**{n: v if isinstance(v, Number) else escape_markdown(str(v)) for n, v in values.items()}))


def format_table(table: pd.DataFrame, precision: int = 3, caption: str = "", stacked: bool = False, **formats: str) -> Styler:
    """Return a table in the style of the book, with ``precision`` digits or ``formats`` by column; a narrow screen shows the cells
    of a row below each other if it is ``stacked``.
    """
    to_the_right = {c for c in table if pd.api.types.is_numeric_dtype(table[c])} | {name for *_, name in INTERVALS}
    for low, high, name in INTERVALS:
        if {low, high} <= set(table):
            ends = [*zip(table[low], table[high], strict=True)]
            small = 0.5 * 0.1**precision  # an end below it gets more digits, so that its side of zero is seen
            digits = [precision + 2 * (0 < min(abs(a), abs(b)) < small) for a, b in ends]
            both = [f"{a:.{d}f} to {b:.{d}f}" if pd.notna(a + b) else None for (a, b), d in zip(ends, digits, strict=True)]
            table = table.rename(columns={low: name}).assign(**{name: both}).drop(columns=high)
    table = table.assign(dataset=table["dataset"].map(title)) if "dataset" in table else table
    headings = {c: DECLARED["headings"].get(c, str(c).replace("_", " ")) for c in table}

    def cell(value, form: str) -> str:
        plain = f"{{:.{precision}f}}" if isinstance(value, Number) and not isinstance(value, Integral) else "{}"
        return printed((form or plain).format(value))

    styled = table.rename(columns=headings).reset_index(drop=True).style.hide(axis="index").format_index(axis=1, escape="html")
    styled = styled.format({headings[c]: partial(cell, form=formats.get(c, "")) for c in table}, na_rep="–", escape="html")
    styled = styled.set_table_attributes('class="stacked"' if stacked else "").set_caption(caption)
    names, right = ([headings[c] for c in table if c in found] for found in (("dataset", "backbone"), to_the_right))
    styled = styled.set_properties(names, **{"white-space": "nowrap"}).set_properties(right, **{"text-align": "right"})
    return styled.map_index(lambda heading: "text-align: right" if heading in right else "", axis=1)


PACKAGES = ("numpy", "scipy", "pandas", "torch", "scikit-learn", "matplotlib")
OF_THE_WORKFLOW = ("results", "made_with")
OF_THE_BOOK = "runs/book/tables"  # results folder of the workflow
NOT_SHOWN = "not_shown.json"  # in the store of a build: why each set that was excluded or skipped is not shown
MADE_BY = b"modality-gap-book"


def commit() -> str:
    """Return the short commit of the source, ``+ local changes`` if files differ from it, or ``unknown`` outside a repository."""
    words = ["git", "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty= + local changes"]
    try:
        return subprocess.run(words, cwd=project_root(), capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown (not a git checkout)"


def write_result(path: Path, table: pd.DataFrame, **about: str) -> None:
    """Write a result table with how it was made and its checksum; an earlier result table is replaced, any other file stays."""
    content = pa.Table.from_pandas(table, preserve_index=False)
    made_by = json.dumps({**about, "sha256": checksum_of_table(content)})
    with replacing(path, is_ours=lambda file: bool(_maker(file))) as temporary:
        pq.write_table(content.replace_schema_metadata({**content.schema.metadata, MADE_BY: made_by}), temporary)


def checksum_of_table(table: pa.Table) -> str:
    """Return the SHA-256 over the cells of a result table, which does not depend on how its file is laid out."""
    return hashlib.sha256(table.to_pandas().to_csv(index=False).encode()).hexdigest()


def notebook_defaults(notebook: Path) -> dict[str, Any]:
    """Return the parameters of a notebook and their defaults, from its cell tagged ``parameters``."""
    from papermill import inspect_notebook

    return {name: ast.literal_eval(found["default"]) for name, found in inspect_notebook(str(notebook)).items()}


def parameters_fingerprint(parameters: dict) -> str:
    """Return the first 16 digits of a SHA-256 over parameters as written, except those of the workflow."""
    own = {name: value for name, value in parameters.items() if name not in OF_THE_WORKFLOW}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:16]


def reasons(skipped: dict[str, str]) -> list[str]:
    """Return a line for each reason: the sets it concerns, and the reason."""
    return [f"{', '.join(sorted(s for s in skipped if skipped[s] == why))}: {why}" for why in dict.fromkeys(skipped.values())]


class ParameterError(ValueError):
    """Refusal of a page's parameters, of which IPython, and so papermill, shows the sentence alone."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class Page:
    """One run of the notebook ``name``: ``page = Page("01_cone_effect", globals(), spec)`` before any other work."""

    def __init__(self, name: str, namespace: MutableMapping, spec: dict[str, ParameterType]):
        from .plotting import use_style  # the workflow reads this module too, and draws nothing

        self.started, self.name = time.perf_counter(), name
        self.fingerprint = parameters_fingerprint({parameter: namespace.get(parameter) for parameter in spec})
        try:
            self.parameters = check_parameters(namespace, spec)
            self.results = Path(self.parameters.get("results") or "results")
            if os.sep == "/" and "\\" in str(self.results):
                raise ValueError(f"parameter 'results': {self.results} has a backslash; write the folder with slashes")
            check_writable(self.results / "tables").parent.mkdir(parents=True, exist_ok=True)
        except ValueError as error:
            raise ParameterError(str(error)) from None
        except OSError as error:
            raise ParameterError(f"parameter 'results': {error}; give a folder that can be written") from None
        of_the_book = self.results.resolve() == (project_root() / OF_THE_BOOK).resolve()
        self.sweeps = None if of_the_book else self.results / "sweeps"  # cache of a run by hand
        use_style()

    def save_table(self, table: pd.DataFrame, name: str) -> pd.DataFrame:
        """Write a table with a fingerprint of this page's parameters and return it; one of others is copied to another name."""
        declared = project_root() / "notebooks/pages.yml"
        page = yaml.safe_load(declared.read_text("utf-8")).get(self.name) if declared.is_file() else None
        if page is not None and name not in page.get("writes", {}).get("tables", []):
            raise ValueError(f"notebooks/pages.yml does not declare that {self.name} writes the table {name!r}; add it there")
        path = below(self.results, f"{name}.parquet")
        former = _maker(path).get("parameters", self.fingerprint)
        if former != self.fingerprint:
            aside = path.with_suffix(f".{former}.parquet")
            with replacing(aside, is_ours=lambda file: bool(_maker(file))) as temporary:
                shutil.copy(path, temporary)
            self.show_text("`{path}` held the results of other parameters; they are now in `{aside}`.", path=path, aside=aside.name)
        write_result(path, table, notebook=self.name, parameters=self.fingerprint)
        return table

    def read_table(self, name: str, maker: str) -> pd.DataFrame:
        """Return a result table as the notebook ``maker`` wrote it, with the parameters that the workflow expects if any."""
        path, how = below(self.results, f"{name}.parquet"), f"run notebooks/{maker}.ipynb with the same results folder first"
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; {how}")
        made_by, content, table = _maker(path), read_arrow(path, f"remove it and {how}"), None
        with suppress(Exception):
            table = content.to_pandas() if made_by["sha256"] == checksum_of_table(content) else None
        if table is None:
            raise ValueError(f"{path} is damaged, or was changed after its page wrote it; remove it and {how}")
        written = made_by.get("parameters")
        if json.loads(self.parameters.get("made_with") or "{}").get(maker, written) != written:
            raise ValueError(f"{path} was made with other parameters than the book's; remove it and build the book again")
        with usable(path, f"remove it and {how}"):
            return check_table(table, READ[name]) if name in READ else table

    def glue(self, **values) -> None:
        """Make numbers and words available to other pages by name, as plain Python values."""
        for name, value in values.items():
            glue(name, value.item() if hasattr(value, "item") else value, display=False)

    def show_text(self, sentence: str, /, **values) -> None:
        """Show a sentence with its values filled in and escaped; names go into ``values``, never into ``sentence``."""
        display(Markdown(fill(sentence, **values)))

    def describe_sets(self, sets: Sequence, variants: Sequence[str] = ("clean",)) -> None:
        """Show which sets, or (dataset, backbone), the page reads, test groups in train, and shipped sets not stored here."""
        pairs = [s if isinstance(s, tuple) else (s.dataset, s.identity.backbone) for s in sets]
        first = "Shown here: {shown}." if pairs else "No embeddings are stored for this page."
        self.show_text(first, shown=_under((title(dataset), backbone) for dataset, backbone in pairs))
        shared = {title(s.dataset): shared_groups(s.pairs) for s in sets if not isinstance(s, tuple)}
        for dataset, told in ((of, sentence) for of, sentence in shared.items() if sentence):
            self.show_text("{of}: {told}.", of=dataset, told=told)
        store = self.parameters.get("store")
        for line in reasons(read_json(path)) if (path := Path(store or "", NOT_SHOWN)).is_file() else ():
            self.show_text("Not part of this run: {line}", line=line)
        named = any(self.parameters.get(name) for name in ("datasets", "dataset", "backbones", "backbone"))
        absent = [] if named else [s for variant in variants for s in shipped_but_not_stored(variant, store)]
        if absent:
            self.show_text(
                "No embeddings of {sets} are stored here, so what needs them is not shown. The repository ships them in "
                "`{folder}`; `python -m helpers extract DATASET --variant VARIANT --backbone NAME --root FOLDER` makes them.",
                folder=SHIPPED, sets=_under((f"{title(dataset)} ({variant})", backbone) for dataset, variant, backbone in absent),
            )  # fmt: skip

    def labelled(self, sets: Sequence, needed: bool = False) -> list:
        """Return the sets with labels, and show which have none; a ValueError if labels are ``needed`` and no set has any."""
        without = [(title(s.dataset), s.identity.backbone) for s in sets if not s.labelled]
        if needed and len(without) == len(sets):
            raise ValueError(f"{_under(without)}: {NO_LABELS}")
        if without:
            self.show_text("Without labels, which a probe needs, and so not among the probes: {sets}.", sets=_under(without))
        return [s for s in sets if s.labelled]

    def show_footer(self, sets: Iterable = ()) -> None:
        """Show how this page was made: the command that repeats it, parameters, software, run time, and the sets it read."""
        notebook = f"notebooks/{self.name}.ipynb"
        defaults = notebook_defaults(project_root() / notebook) if (project_root() / notebook).is_file() else {}
        words = ["papermill", notebook, "out.ipynb"]
        for name, value in self.parameters.items():
            if value != defaults.get(name) and name not in OF_THE_WORKFLOW:
                words += ["-p", name, json.dumps(value) if isinstance(value, list) else str(value)]
        command = shlex.join(words)
        block = "`" * max(3, *(1 + len(run) for run in re.findall("`+", command)), 0)
        parameters = "; ".join(escape_markdown(f"{name} = {value!r}") for name, value in self.parameters.items())
        software = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
        display(Markdown(
            f"Run this page again:\n\n{block}bash\n{command}\n{block}\n\n- **Parameters**: {parameters}\n"
            f"- **Source**: commit `{commit()}`\n- **Software**: Python {platform.python_version()}, {software}\n"
            f"- **Run time**: {time.perf_counter() - self.started:.0f} s"
        ))  # fmt: skip
        table = pd.DataFrame([s.identity.columns | {"pairs": len(s), "images": len(s.image), "texts": len(s.text)} for s in sets])
        if len(table):
            display(format_table(table.assign(fingerprint=[s.fingerprint[:16] for s in sets]), caption="Sets of this page."))


def _maker(path: Path) -> dict:
    """Return the notebook and the parameters that a result table records; nothing where it records none or is damaged."""
    with suppress(Exception):  # whatever the library of the format raises on malformed bytes
        return dict(json.loads(pq.read_schema(path).metadata[MADE_BY]))
    return {}


def _under(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the encoders of each data set, such as ``HAM10000 under clip and siglip; BRSET under clip``."""
    encoders: dict[str, list[str]] = {}
    for dataset, backbone in dict.fromkeys(pairs):
        encoders.setdefault(dataset, []).append(backbone)
    return "; ".join(f"{dataset} under {' and '.join(of)}" for dataset, of in encoders.items())
