"""Check the input of public functions: each error is one sentence that says what is wrong and what to do."""

import difflib
import re
from collections.abc import Iterable

import numpy as np

ZERO_NORM = 1e-8
BLOCK = 2**12  # rows whose norms are computed at a time; all at once would need two more copies of them


def choose(value: str, valid: Iterable[str], what: str) -> str:
    """Return ``value`` if it is one of ``valid``.

    Raises:
        ValueError: names the nearest valid value and lists the others.
    """
    valid = list(valid)
    if value in valid:
        return value
    near = difflib.get_close_matches(str(value), valid, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"unknown {what} {value!r}; {hint}valid: {', '.join(valid)}")


def choose_column(column: str, columns: Iterable, source) -> str:
    """Return ``column`` if ``source``, a table with these ``columns``, has it.

    Raises:
        ValueError: names the source and, if it looks like a name, the nearest column. The error does not list the other columns:
            in a table without a header they are the cells of its first row.
    """
    columns = [str(c) for c in columns]
    if column in columns:
        return column
    near = [c for c in difflib.get_close_matches(str(column), columns, n=3) if looks_like_a_name(c)]
    hint = f"did you mean {near[0]!r}?" if near else "is its first line the header?"
    raise ValueError(f"{source} has no column {column!r} among its {len(columns)}; {hint}")


def place(keys: Iterable[str | int]) -> str:
    """Return where in a JSON object a value stands, such as ``files.image``: on one line and short, whatever the keys hold."""
    return ".".join(" ".join(str(key).split())[:40] for key in list(keys)[:5])


def looks_like_a_name(column: str) -> bool:
    """Return whether a header's entry looks like the name of a column: one short word, with at most two digits at its end."""
    return re.fullmatch(r"[A-Za-z][A-Za-z_.-]{0,39}\d{0,2}", column) is not None


def embedding_matrix(x, what: str = "embeddings", start: int = 0) -> np.ndarray:
    """Return one modality's vectors as an array, once they are checked: shape (n, d), n >= 1, real, finite.

    Half precision becomes float32, because sums of many half-precision rows lose digits. float32 and float64 stay as they are.

    Args:
        start: number of the first row, for errors, if ``x`` is a block of a larger matrix.

    Raises:
        ValueError: names the argument, and the first offending row where there is one.
    """
    x = np.asarray(x)
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"{what} must have shape (n, d) with n, d >= 1, got {x.shape}")
    if not np.issubdtype(x.dtype, np.floating):
        raise ValueError(f"{what} must be floating point, got {x.dtype}; convert with .astype('float32')")
    if x.dtype not in (np.float32, np.float64):
        x = x.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{what} has {len(bad)} row(s) with non-finite values, first at row {start + bad[0]}; drop or re-extract them"
        )
    return x


def same_dimension(image: np.ndarray, text: np.ndarray) -> None:
    """Refuse image and text vectors of different dimensions, which share no space.

    Raises:
        ValueError: when the dimensions differ.
    """
    if image.shape[1] != text.shape[1]:
        raise ValueError(
            f"image vectors have {image.shape[1]} dimensions and text vectors {text.shape[1]}; "
            "use the projected features of one dual encoder"
        )


def unit_rows(x, what: str = "embeddings", start: int = 0) -> np.ndarray:
    """Return the rows of ``x`` (n, d) divided by their L2 norm, in the precision of ``x``; ``start`` numbers rows in errors.

    Raises:
        ValueError: for a row of norm below 1e-8, which has no direction.
    """
    x = embedding_matrix(x, what, start)
    return x / row_norms(x, what, start)


def row_norms(x: np.ndarray, what: str = "embeddings", start: int = 0) -> np.ndarray:
    """Return the L2 norms of rows, (n, 1), in the precision of ``x``; raise as :func:`unit_rows`."""
    norm = np.concatenate([np.linalg.norm(x[i : i + BLOCK], axis=1, keepdims=True) for i in range(0, len(x), BLOCK)])
    bad = np.flatnonzero(norm[:, 0] < ZERO_NORM)
    if len(bad):
        raise ValueError(f"{what} has {len(bad)} zero-norm row(s), first at row {start + bad[0]}; drop or re-extract them")
    return norm
