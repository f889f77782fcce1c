"""Parameters of a notebook, checked before any work: unknown names, wrong types and values out of range stop with one sentence.

Papermill only warns of a name the notebook does not know, and passes YAML's ``1e-3`` and the command line's ``[0, 1]`` on as
strings. A spec maps each name to a reader made by the functions below; a reader takes a value and returns it in its proper type,
or raises.
"""

import ast
import json
import math
from collections.abc import Callable, Iterable, MutableMapping

from ..checks import choose

Reader = Callable[[object], object]


def check_parameters(namespace: MutableMapping, spec: dict[str, Reader]) -> dict:
    """Check the parameters in a notebook's ``globals()``, put the converted values back, and return them.

    Names are read from IPython's own record of executed cells (``In``): a cell of nothing but literal assignments holds parameters,
    whether it is the notebook's own or was injected by papermill, so that a name set for nothing is found.

    Raises:
        ValueError: an unknown parameter (with the nearest known one), a missing one, or a value its reader refuses.
    """
    for name in assigned_literals(namespace.get("In", ())):
        choose(name, spec, "parameter")
    for name in spec:
        if name not in namespace:
            raise ValueError(f"parameter {name!r} is not set; give it a default in the cell tagged 'parameters'")
    values = {}
    for name, read in spec.items():
        try:
            values[name] = read(namespace[name])
        except ValueError as error:
            raise ValueError(f"parameter {name!r}: {error}") from None
    namespace.update(values)
    return values


def assigned_literals(cells: Iterable[str]) -> dict[str, object]:
    """Names and first values set by the cells that hold nothing but assignments of literals, in order of appearance."""
    found: dict[str, object] = {}
    for source in cells:
        try:
            statements = ast.parse(source).body
            pairs = [_literal_assignment(statement) for statement in statements]
        except (SyntaxError, ValueError):
            continue
        for name, value in pairs:
            found.setdefault(name, value)
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


def number(low: float = -math.inf, high: float = math.inf) -> Reader:
    """A finite number in [low, high]; a string that spells one is converted."""
    wanted = f"expected a number{_range(low, high)}"

    def read(value):
        try:
            result = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
        except ValueError:
            result = math.nan
        if not math.isfinite(result) or not low <= result <= high:
            raise ValueError(f"got {value!r}, {wanted}")
        return result

    return read


def integer(low: float = -math.inf, high: float = math.inf) -> Reader:
    """A whole number in [low, high]; 3.0 and "3" are 3."""
    read_number = number(low, high)

    def read(value):
        try:
            result = read_number(value)
        except ValueError:
            result = math.nan
        if result != result or result != int(result):
            raise ValueError(f"got {value!r}, expected a whole number{_range(low, high)}")
        return int(result)

    return read


def flag() -> Reader:
    """True or False."""

    def read(value):
        if not isinstance(value, bool):
            raise ValueError(f"got {value!r}, expected True or False")
        return value

    return read


def text(choices: Iterable[str] | None = None, what: str = "value") -> Reader:
    """A non-empty string, one of ``choices`` where they are given."""

    def read(value):
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"got {value!r}, expected a non-empty string")
        return value if choices is None else choose(value, choices, what)

    return read


def optional(reader: Reader) -> Reader:
    """None, or what ``reader`` takes."""
    return lambda value: None if value is None else reader(value)


def many(reader: Reader, least: int = 0) -> Reader:
    """A list of distinct values; a JSON list given as a string is parsed, a single value is a list of one."""

    def read(value):
        if isinstance(value, str) and value.lstrip().startswith("["):
            try:
                value = json.loads(value)
            except json.JSONDecodeError:
                raise ValueError(f"got {value!r}, expected a list in JSON, such as '[\"a\", \"b\"]' or '[0, 1]'") from None
        items = list(value) if isinstance(value, list | tuple) else [value]
        if len(items) < least:
            raise ValueError(f"got {len(items)} values, expected at least {least}")
        result = [reader(item) for item in items]
        repeated = [r for i, r in enumerate(result) if r in result[:i]]
        if repeated:
            raise ValueError(f"{repeated[0]!r} is given twice; give each value once")
        return result

    return read


def _range(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(high):
        return f" of at least {low:g}"
    return f" of at most {high:g}" if math.isinf(low) else f" between {low:g} and {high:g}"


NAME = text()
SOURCE = {
    "datasets": many(NAME),
    "backbones": many(NAME),
    "variant": text(("clean", "authors"), "variant"),
    "store": optional(NAME),
    "data_root": optional(NAME),
    "results": optional(NAME),
}
"""What every notebook that reads embeddings takes: which sets, where they are, and where results go."""
