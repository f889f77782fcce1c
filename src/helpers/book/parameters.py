"""Check the parameters of a notebook before any work: an unknown name or a bad value stops it with one sentence.

Papermill only warns of an unknown name, and passes YAML's ``1e-3`` and the command line's ``[0, 1]`` on as strings. A spec maps
each parameter to a type for pydantic, made by the functions below.
"""

import ast
import json
import math
from collections.abc import Iterable, MutableMapping
from contextlib import suppress
from typing import Annotated, Any, Optional

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictStr, TypeAdapter, ValidationError, WrapValidator

from ..checks import choose

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
