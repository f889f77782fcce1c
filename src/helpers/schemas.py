"""Declare what each kind of stored table may hold, one type a column, and check tables against it.

The shipped tables share one vocabulary: a column name means the same in all of them. An error names file, column and row, and
repeats no value, which may be a patient's.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from .files import shipped_file
from .tasks import SPLITS

SLACK = 1e-6  # of inequalities between numbers that were rounded on the way to the file
Text = Annotated[str, StringConstraints(pattern=r"^[^\p{C}]+$", max_length=1000)]
Count = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=-SLACK, le=1 + SLACK)]
Change = Annotated[float, Field(ge=-1, le=1)]
Length = Annotated[float, Field(ge=-SLACK, le=2 + SLACK)]  # of the difference of two means of unit vectors
Lambda = Annotated[float, Field(ge=-2, le=2)]
Features = Literal["joint", "image", "text"]

STRICT = ConfigDict(strict=True, allow_inf_nan=False)
NAMES: dict[str, Any] = dict.fromkeys(("dataset", "variant", "backbone"), str)
RUN = NAMES | {"protocol": str, "alignment": str, "features": Features, "lambda_image": Lambda | None, "lambda_text": Lambda | None}
RUN |= {"seed": Annotated[int, Field(ge=-(2**63), lt=2**64)]}
STRENGTHS = dict.fromkeys(("strength", "strength_relative"), Positive | None)
SCORES = RUN | {"split": Literal[SPLITS], "metric": str, "class": str | None, "value": Positive | None, "epochs": Positive | None}
SCORES |= STRENGTHS | {"optimality": Positive | None}
RUNS = RUN | {"epochs": Positive | None, "trained": Positive | None, "validation_loss": Positive | None, **STRENGTHS}
RUNS |= {"strength_at_edge": bool | None, "optimality": Positive | None}
PAIRS = {"pair_id": str | int, "split": str, "group": str | int, "image": Count, "text": Count}
CAPTIONS = {"variant": str, "pair_id": str, "caption": Count, "image": Count, "text": Count, "split": Literal[SPLITS]}
LARGEST_VALUE = dict.fromkeys(("R", "R_distinct", "distinct_share", "cos_gap_pc1", "gap_share", "pc1_share"), 1)
LARGEST_VALUE |= {"gap_norm": 2, "residual_gap": 2, "residual_gap_predicted": 2, "effective_rank": 100_000}
QUANTITIES = tuple(LARGEST_VALUE)
LARGEST_VALUE |= dict.fromkeys(("auc", "auc_hard", "average_precision", "sensitivity_at_90_specificity", "accuracy"), 1)
INTERVAL = dict.fromkeys(("value", "low", "high"), float | None)
CONES = NAMES | {"domain": str, "modality": Features, "quantity": Literal[QUANTITIES], **INTERVAL, "route": str}
GAIN = {"auc_at_zero": Share, "auc": Share, "difference": Change, "low": Change | None, "high": Change | None}
READ = {  # result tables that a page reads, by name
    "cone_effect": CONES,
    "lambda_sweep": SCORES | {"route": str},
    "lambda_selected": {**{name: RUN[name] for name in ("features", "alignment", "lambda_image", "lambda_text")}, **GAIN}
    | {"minimum_detectable": Positive | None, "p_value": Share | None, "dataset": str, "backbone": str, "protocol": str},
    "authors_gaps": {"dataset": str, "domain": str, "backbone": str, "lambda": Lambda, "low": Length, "high": Length}
    | {"cosine_low": Share},
}

Setting = Annotated[float | Text, Field(union_mode="left_to_right")]  # such as a temperature, or ``learned``
SHIPPED: dict[Any, str] = {  # type: columns that hold it in shipped tables, or in the one named; those not listed hold text
    Share: "R R_image R_text auc auc_mean auc_at_zero auroc ci_low ci_high acc_mean accuracy f1_mean macro_f1 p_value recall "
    "separability distinct_text_share",
    Length: "gap distribution_gap",
    Change: "gain gain_low gain_high best_gain chosen_gain chosen_low chosen_high auc_change auc_change_low auc_change_high "
    "gain_change gain_change_low gain_change_high slope mean_pc1 mean_pc2 measured/channel_factorial:difference",
    Positive: "auc_std seed_sd standard_error var_pc1 var_pc2 pixel_variance loss rank_image rank_text epochs texts",
    float: "value low high value_low value_high change change_low change_high relative relative_low relative_high growth "
    "growth_low growth_high share share_low share_high",
    # the others say of what a row tells, and no two rows of a table are alike in all of them
    Lambda: "lambda best_lambda chosen_lambda",
    Count: "n pairs n_images n_seeds d draws epoch gallery items labels length lesion_in_train limit networks random_state seed "
    "seeds splits test test_images train updates depth published/datasets:rows measured/matched_sensitivity:rows",
    # whole numbers that pandas reads as float where some are empty
    Annotated[float, Field(ge=0, multiple_of=1)]: "number test_rows measured/matched_sensitivity:labels",
    Setting: "setting temperature rate reached",
    bool: "renormalise",
    Features: "modality",
}
KINDS = {column: kind for kind, columns in SHIPPED.items() for column in columns.split()}
MEASURES = [measure for kind in (Share, Length, Change, Positive, float) for measure in (kind, kind | None)]
MIDDLES = ("value", "gain", "slope", "difference", "auroc", "gap")  # the number that the columns low and high of a table are around
MAY_BE_EMPTY = set(
    "auc_change auc_change_low auc_change_high change change_low change_high classes epochs gain_change gain_change_low "
    "gain_change_high how labels low high loss measure number rank_image rank_text reason recall seed_sd share share_low "
    "share_high test_rows value variant why_not".split()
)


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


def shipped_table(name: str, columns: str = "", keys: tuple[list[str], ...] = (), **options) -> pd.DataFrame:
    """Return ``data/<name>.csv`` of the repository as ``pandas.read_csv`` reads it, once its checksum and content are checked.

    ``columns`` are those it must have; each combination of the values of ``keys``, such as a curve and a lambda, is one row.
    """
    path = shipped_file(f"data/{name}.csv")
    with usable(path, "restore it"):
        table = pd.read_csv(path, **options)
        kinds = {c: KINDS.get(f"{name}:{c}") or KINDS.get(c, Text) for c in columns.split() or table}
        check_table(table.replace("", None), {c: kind | None if c in MAY_BE_EMPTY else kind for c, kind in kinds.items()})
        if table.empty or keys and len(table) != math.prod(len(table[key].drop_duplicates()) for key in keys):
            raise ValueError("its rows are not one for each combination of its keys")
    return table


@cache
def _column_of(kind: Any) -> TypeAdapter:
    return TypeAdapter(list[kind], config=STRICT)


def check_table(table: pd.DataFrame, columns: dict[str, Any]) -> pd.DataFrame:
    """Return a table with these columns alone, values of their types in every row, and numbers inside their intervals."""
    if list(table) != list(columns):
        raise ValueError(f"its columns must be {', '.join(columns)}")
    for name, kind in columns.items():
        values = table[name].astype(object).where(table[name].notna(), None).tolist()
        try:
            _column_of(kind).validate_python(values)
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
        if len(wrong := np.flatnonzero((table["value"] > largest + SLACK) | largest.notna() & (table["value"] < -SLACK))):
            raise ValueError(f"row {wrong[0]}: value is outside the range of its {what}")
    if len(twice := np.flatnonzero(table.duplicated([name for name, kind in columns.items() if kind not in MEASURES]))):
        raise ValueError(f"row {twice[0]} tells of the same thing as an earlier one")
    return table
