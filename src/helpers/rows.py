"""Read the rows of matrices in blocks, whether they lie in memory or in a memory-mapped file larger than it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .checks import embedding_matrix, row_norms, unit_rows

BLOCK = 2**25  # numbers in a block: 256 MB in float64


class MappedRows:
    """Unit rows in float32 of a memory-mapped matrix (n, d) of float16 or float32; only the rows that are read are converted.

    It has the shape, the type and the indexing of the float32 array that it stands for, with the same values to the last bit.
    ``np.asarray`` reads all of it.

    Raises:
        ValueError: rows that are not finite, have no direction, or have a norm beyond float32; names the first.
    """

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(
        self, stored: np.ndarray, what: str = "embeddings", norm: np.ndarray | None = None, item: np.ndarray | None = None
    ):
        self.stored, self.item = stored, item
        self.norm = np.concatenate([_norms(b, what, start) for start, b in numbered_blocks(stored)]) if norm is None else norm
        self.shape = (len(stored) if item is None else len(item), stored.shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows) -> np.ndarray:
        which = rows if self.item is None else self.item[rows]
        found = self.stored[which].astype(np.float32)
        found /= self.norm[which]  # in place: a second array costs more than the division
        return found

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)

    def take(self, item: np.ndarray) -> "MappedRows":
        """Return the rows with these numbers (m,), in their order and also repeated, still unread."""
        return MappedRows(self.stored, norm=self.norm, item=item if self.item is None else self.item[item])


@dataclass(frozen=True)
class Stacked:
    """Rows of several matrices of one dimension below each other, read and changed block by block."""

    parts: tuple
    change: Callable[[np.ndarray], np.ndarray] = np.asarray

    @property
    def shape(self) -> tuple[int, int]:
        return sum(map(len, self.parts)), self.parts[0].shape[1]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(len(self))
        found, before = [], 0
        for part in self.parts:
            inside = part[max(start - before, 0) : max(stop - before, 0)]
            found += [self.change(inside)] if len(inside) else []
            before += len(part)
        return np.concatenate(found)


def as_rows(x, what: str = "embeddings") -> Any:
    """Return rows that can be read in blocks: ``x`` if it is one of this module's, else the checked array (n, d).

    Raises:
        ValueError: as :func:`helpers.checks.embedding_matrix`.
    """
    return x if isinstance(x, MappedRows | Stacked) else embedding_matrix(x, what)


def numbered_blocks(x) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the number of the first row of each block of ``x`` (n, d), and the block; a small matrix is one block."""
    for part in parts(len(x), x.shape[1]):
        yield part.start, x[part]


def parts(n: int, numbers: int) -> list[slice]:
    """Divide n items of so many numbers each into parts of the size of a block."""
    step = max(1, BLOCK // numbers)
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def blocks(x) -> Iterator[np.ndarray]:
    """Yield the blocks of ``x`` (n, d)."""
    return (block for _, block in numbered_blocks(x))


def unit_blocks(x, what: str = "embeddings") -> Iterator[np.ndarray]:
    """Yield the blocks of ``x`` (n, d) with rows of unit norm.

    Raises:
        ValueError: as :func:`helpers.checks.unit_rows`.
    """
    return (unit_rows(block, what, start) for start, block in numbered_blocks(as_rows(x, what)))


def mean_of(found: Iterator[np.ndarray]) -> np.ndarray:
    """Return the mean (d,) of the rows of all blocks, in float64."""
    total, n = np.zeros(()), 0
    for block in found:
        total, n = total + block.sum(axis=0, dtype=np.float64), n + len(block)
    return total / n


def _norms(stored: np.ndarray, what: str, start: int) -> np.ndarray:
    """Return what rows are divided by, (n, 1): their norm, or 1 for float32 rows that are unit already and stay bit for bit."""
    rows = embedding_matrix(stored, what, start)
    norm = row_norms(rows, what, start)
    if not np.isfinite(norm).all():
        raise ValueError(f"{what} row {start + int(norm.argmax())} has a norm beyond float32; bring the rows to unit norm first")
    if stored.dtype == np.float32:
        norm[np.abs(np.linalg.norm(rows.astype(np.float64), axis=1) - 1) < 1e-6] = 1
    return norm
