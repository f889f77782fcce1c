"""Check stored tables against the types that ``columns.toml`` declares; no error repeats a value, which may be a patient's."""

import math
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from .files import shipped_file
from .tasks import SPLITS

DECLARED = tomllib.loads(Path(__file__).with_name("columns.toml").read_text("utf-8"))
QUANTITIES = tuple(DECLARED["largest"]["quantity"])
LARGEST_VALUE: dict[str, float] = DECLARED["largest"]["quantity"] | DECLARED["largest"]["metric"]
STRICT = ConfigDict(strict=True, allow_inf_nan=False)
SLACK = 1e-6  # of inequalities between numbers that were rounded on the way to the file
Text = Annotated[str, StringConstraints(pattern=r"^[^\p{C}]+$", max_length=1000)]
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=-SLACK, le=1 + SLACK)]
Change = Annotated[float, Field(ge=-1, le=1)]
Length = Annotated[float, Field(ge=-SLACK, le=2 + SLACK)]  # of the difference of two means of unit vectors
Lambda = Annotated[float, Field(ge=-2, le=2)]
Features = Literal["joint", "image", "text"]
TYPES: dict[str, Any] = {
    "Text": Text, "Count": Count, "Positive": Positive, "Share": Share, "Change": Change, "Length": Length, "Lambda": Lambda,
    "Features": Features, "str": str, "float": float, "bool": bool, "Identifier": str | int, "Split": Literal[SPLITS],
    "Quantity": Literal[QUANTITIES],  # type: ignore[valid-type]
    "Protocol": Literal["paper", "authors-code", "converged"], "Metric": Literal["auc", "auc_hard"],
    "Scored": Literal[(*DECLARED["largest"]["metric"], "log_loss", "classes_absent")],  # type: ignore[valid-type]
    "Seed": Annotated[int, Field(ge=-(2**63), lt=2**64)],
    "Whole": Annotated[float, Field(ge=0, multiple_of=1)],  # whole numbers that pandas reads as float where some are empty
    "Setting": Annotated[float | Text, Field(union_mode="left_to_right")],  # such as a temperature, or ``learned``
}  # fmt: skip
TYPES |= {f"{name}?": kind | None for name, kind in TYPES.items()}
TABLES = {name: {column: TYPES[kind] for column, kind in columns.items()} for name, columns in DECLARED["tables"].items()}
PAIRS, CAPTIONS, SCORES, RUNS = (TABLES[name] for name in ("pairs", "captions", "scores", "runs"))
READ = {name: TABLES[name] for name in ("cone_effect", "lambda_selected", "authors_gaps")}  # result tables that a page reads
READ["lambda_sweep"] = SCORES | {"route": str}
SHIPPED = {column: kind for kind, columns in DECLARED["shipped"].items() for column in columns.split()}
MAY_BE_EMPTY = DECLARED["empty"]["columns"].split()
MEASURES = [TYPES[name + end] for name in ("Share", "Length", "Change", "Positive", "float") for end in ("", "?")]
MIDDLES = ("value", "gain", "slope", "difference", "auroc", "gap")  # the number that the columns low and high of a table are around


class UnusableRecord(ValueError):
    """Error for a stored result that is damaged or has another format; names the file and how to make it again."""


@contextmanager
def usable(path, remake: str) -> Iterator[None]:
    """Turn an error about the content of a stored file into one sentence that names it and says how to make it again."""
    try:
        yield
    except UnusableRecord:
        raise
    except ValueError as error:
        raise UnusableRecord(f"{path}: {error}; {remake}") from None


def shipped_table(name: str, **options) -> pd.DataFrame:
    """Return ``data/<name>.csv`` of the repository as ``pandas.read_csv`` reads it, once its checksum and content are checked."""
    path, columns, keys = shipped_file(f"data/{name}.csv"), DECLARED["columns"].get(name, ""), DECLARED["keys"].get(name)
    with usable(path, "restore it"):
        table = pd.read_csv(path, **options)
        kinds = {c: SHIPPED.get(f"{name}:{c}") or SHIPPED.get(c, "Text") for c in columns.split() or table}
        kinds = {c: TYPES[f"{kind}?" if c in MAY_BE_EMPTY else kind] for c, kind in kinds.items()}
        check_table(table.replace("", None), kinds)
        if table.empty or keys and len(table) != math.prod(len(table[key].drop_duplicates()) for key in keys):
            raise ValueError("its rows are not one for each combination of its keys")
    return table


def check_table(table: pd.DataFrame, columns: dict[str, Any]) -> pd.DataFrame:
    """Return a table with these columns alone, values of their types in every row, and numbers inside their intervals."""
    if list(table) != list(columns):
        raise ValueError(f"its columns must be {', '.join(columns)}")
    for name, kind in columns.items():
        values = table[name].astype(object).where(table[name].notna(), None).tolist()
        try:
            TypeAdapter(list[kind], config=STRICT).validate_python(values)  # type: ignore[valid-type]
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise ValueError(f"column {name!r}, row {first['loc'][0]}: {first['msg']}") from None
    for low in (name for name in columns if name.endswith("low") and name.replace("low", "high") in columns):
        stem = low.removesuffix("low").removesuffix("_")
        middle = stem if stem in columns else next((m for m in MIDDLES if stem in ("", "ci") and m in columns), low)
        for smaller, larger in pairwise((low, middle, low.replace("low", "high"))):
            if len(wrong := np.flatnonzero(table[smaller].astype(float) > table[larger].astype(float) + SLACK)):
                raise ValueError(f"row {wrong[0]}: {smaller} is larger than {larger}")
    for what in ({"quantity", "metric"} if "value" in columns else set()) & set(columns):
        largest = table[what].map(LARGEST_VALUE).astype(float)  # none for quantities of a study
        for number in [name for name in ("value", "low", "high") if name in columns]:
            x = table[number].astype(float)
            if len(wrong := np.flatnonzero((x > largest + SLACK) | largest.notna() & (x < -SLACK))):
                raise ValueError(f"row {wrong[0]}: {number} is outside the range of its {what}")
    if len(twice := np.flatnonzero(table.duplicated([name for name, kind in columns.items() if kind not in MEASURES]))):
        raise ValueError(f"row {twice[0]} tells of the same thing as an earlier one")
    return table
