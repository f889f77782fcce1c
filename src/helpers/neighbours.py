"""Find nearest neighbours by cosine in blocks, so that memory stays close to that of the vectors themselves."""

from collections.abc import Iterator
from hashlib import blake2b

import numpy as np

from .arrays import as_rows, same_dimension, unit_blocks, unit_rows

BLOCK = 2**23  # similarities held at a time: 32 MB in float32


def similarity_blocks(queries: np.ndarray, corpus: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield row numbers (b,) and inner products (b, m) of ``queries`` (n, d) with ``corpus`` (m, d), block by block."""
    step = max(1, BLOCK // len(corpus))
    for start in range(0, len(queries), step):
        rows = np.arange(start, min(start + step, len(queries)))
        yield rows, queries[rows] @ corpus.T


def nearest(queries, corpus, k: int, exclude_self: bool = False, own: np.ndarray | None = None) -> np.ndarray:
    """Return the row numbers of the k most similar corpus rows by cosine, most similar first.

    Args:
        queries: (n, d) vectors.
        corpus: (m, d) vectors.
        k: number of neighbours.
        exclude_self: treat query i as corpus row i, which is not its own neighbour.
        own: (n,) the corpus row of each query, if the queries are some rows of the corpus; excluded likewise.

    Returns:
        (n, k) int64.

    Raises:
        ValueError: unequal dimensions, zero-norm rows, or k larger than the number of candidates.
    """
    queries, corpus = unit_rows(queries, "queries"), unit_rows(corpus, "corpus")
    same_dimension(queries, corpus)
    return nearest_of_units(queries, corpus, k, np.arange(len(queries)) if exclude_self and own is None else own)


def nearest_of_units(queries: np.ndarray, corpus: np.ndarray, k: int, own: np.ndarray | None = None) -> np.ndarray:
    """Return :func:`nearest` of unit rows, without a copy of them."""
    enough_rows(k, len(corpus) - (own is not None))
    result = np.empty((len(queries), k), dtype=np.int64)
    for rows, similarity in similarity_blocks(queries, corpus):
        if own is not None:
            similarity[np.arange(len(rows)), own[rows]] = -np.inf
        top = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(similarity, top, axis=1), axis=1, kind="stable")
        result[rows] = np.take_along_axis(top, order, axis=1)
    return result


def enough_rows(k: int, candidates: int) -> int:
    """Return ``k`` if there are at least k candidates.

    Raises:
        ValueError: k is below 1 or larger than the number of candidates.
    """
    if not 1 <= k <= candidates:
        raise ValueError(f"k is {k} and there are {candidates} candidate rows; choose k between 1 and {candidates}")
    return k


def distinct_codes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct vectors among the rows of ``x`` (n, d), and each row's number among them; see :func:`distinct_rows`."""
    return distinct_rows(np.ascontiguousarray(x) + 0.0)  # turns -0.0 into 0.0, which has other bytes and the same value


def distinct_rows(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of ``x`` (n, d) that differ in their bytes, in order of first appearance, and each row's number (n,)."""
    rows = np.ascontiguousarray(x)
    first, code = first_rows(rows)
    return rows[first], code


def first_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each row of ``rows`` (n, d) that differs in its bytes appears first, in order, and each row's number (n,).

    Rows are compared by a digest of 128 bits, because sorting the rows themselves needs several copies of them.
    """
    keys = np.frombuffer(b"".join(blake2b(row, digest_size=16).digest() for row in rows), dtype="V16")
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse.ravel()]


def unit_pairs(image, text) -> tuple[np.ndarray, np.ndarray]:
    """Return image and text vectors (n, d) of pairs as unit rows.

    Raises:
        ValueError: different numbers of rows, unequal dimensions, non-finite or zero-norm rows.
    """
    image, text = unit_rows(image, "image"), unit_rows(text, "text")
    same_dimension(image, text)
    same_number(image, text)
    return image, text


def unit_pair_blocks(image, text) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield image and text vectors of pairs as unit rows, block by block; raise as :func:`unit_pairs`."""
    image, text = as_rows(image, "image"), as_rows(text, "text")
    same_dimension(image, text)
    same_number(image, text)
    yield from zip(unit_blocks(image, "image"), unit_blocks(text, "text"), strict=True)


def same_number(image, text) -> None:
    """Refuse modalities with different numbers of rows, which cannot be pairs.

    Raises:
        ValueError: names both numbers.
    """
    if len(image) != len(text):
        raise ValueError(f"image has {len(image)} rows and text {len(text)}; give one row per pair in both")
