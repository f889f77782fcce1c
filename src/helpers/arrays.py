"""Check the input of public functions, and read rows of vectors in blocks; each error says in one sentence what to do."""

import difflib
import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b

import numpy as np

ZERO_NORM = 1e-8
LARGE = {"float32": 1e18, "float64": 1e150}  # a row with a larger number is scaled first, because squares overflow
NORM_BLOCK = 2**12  # rows whose norms are computed at a time; all at once would need two more copies of them
COLUMN_NAMES = ("pair_id", "image", "text", "label", "split", "group")  # one of them shows that a first line is a header
BLOCK = 2**25  # numbers in a block: 256 MB in float64
NAME = re.compile(r"[A-Za-z][A-Za-z_.-]{0,39}\d{0,2}")  # of a column that a message may print; another may be a cell


def shortened(text: str, most: int = 2000) -> str:
    """Return a text of at most about so many characters: its beginning, and its end, where a sentence says what to do."""
    return text if len(text) <= most else f"{text[: most * 3 // 4]} [{len(text) - most:,} characters] {text[-most // 4 :]}"


def choose(value: str, valid: Iterable[str], what: str) -> str:
    """Return ``value`` if it is one of ``valid``; else raise a ValueError that names the nearest valid value and lists all."""
    valid = list(dict.fromkeys(valid))
    if value in valid:
        return value
    near = difflib.get_close_matches(str(value), valid, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"unknown {what} {shortened(repr(value), 200)}; {hint}valid: {shortened(', '.join(valid))}")


def choose_column(column: str, columns: Iterable, source, others: Iterable[str] = ()) -> str:
    """Return ``column`` if ``source`` has it; unless a known column or one of ``others`` is there, the error names none, because
    the first line may be a patient's row.
    """
    columns = [str(c) for c in columns]
    if column in columns:
        return column
    near = difflib.get_close_matches(str(column), columns) if {*COLUMN_NAMES, *others} & {*columns} else []
    near = [c for c in near if NAME.fullmatch(c)]
    hint = f"did you mean {near[0]!r}?" if near else "is its first line the header?"
    raise ValueError(f"{source} has no column {shortened(repr(column), 200)} among its {len(columns)}; {hint}")


def place(keys: Iterable[str | int]) -> str:
    """Return where in a JSON object a value stands, such as ``files.image``: on one line and short, whatever the keys hold."""
    return ".".join(" ".join(str(key).split())[:40] for key in list(keys)[:5])


def as_array(x, what: str) -> np.ndarray:
    """Return ``x`` as an array: a torch tensor without its graph, bfloat16 and float8 as float32; refuse masked values."""
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise ValueError(f"{what} has {np.ma.count_masked(x)} masked values; fill them, or leave out their rows")
    try:
        if isinstance(x, list | tuple) and len(x) and hasattr(x[0], "detach"):
            return np.stack([as_array(row, what) for row in x])
        if hasattr(x, "detach"):
            x = x.detach().cpu()
            x = x.float() if str(x.dtype).startswith(("torch.bfloat16", "torch.float8")) else x
        x = np.asarray(x)
        in_cells = x.dtype == object and x.ndim == 1 and len(x) and isinstance(x[0], list | tuple | np.ndarray)
        return np.stack([as_array(row, what) for row in x]) if in_cells else x
    except ValueError as error:
        if "Object arrays" in str(error):
            raise
        raise ValueError(f"{what} has rows of different length; give an array with as many numbers in each row") from None


def unequal(arrays: dict) -> list[str]:
    """Return a clause for each array, if it is not None, that is none or has another number of rows than ``image``."""
    n, found = len(arrays.get("image", ())), []
    for name, values in arrays.items():
        what = "single value" if getattr(values, "ndim", 1) == 0 else type(values).__name__
        if isinstance(values, dict | set | str) or what == "single value":
            found.append(f"{name} is a {what}; give a list or array with one value per pair")
        elif values is not None and len(values) != n and "image" in arrays:
            several = name == "text" and len(values) > n and len(values) % n == 0
            how = f" (k captions an image have shape (n, k, d): text.reshape({n}, {len(values) // n}, -1))" if several else ""
            found.append(f"{name} has {len(values)} rows and image has {n}{how}")
    return found


def embedding_matrix(x, what: str = "embeddings", start: int = 0) -> np.ndarray:
    """Return vectors (n, d) as a checked array, float64 or else float32; ``start`` is the number of a block's first row."""
    x = as_array(x, what)
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"{what} must have shape (n, d) with n, d >= 1, got {x.shape}")
    if not np.issubdtype(x.dtype, np.floating) and x.dtype.name != "bfloat16":
        raise ValueError(f"{what} must be floating point, got {x.dtype}; convert with .astype('float32')")
    x = x if x.dtype in (np.float32, np.float64) else x.astype(np.float32)
    _refuse(~np.isfinite(x).all(axis=1), what, "row(s) with non-finite values", start)
    return x


def paired_rows(image, text, **others) -> tuple[np.ndarray, np.ndarray, int]:
    """Return checked image vectors (n, d), text vectors (m, d), and k of texts (n, k, d), k captions an image: 0 of a matrix.

    Each of ``others`` that is not None must have n values.
    """
    image, text = as_array(image, "image"), as_array(text, "text")
    each = text.shape[1] if text.ndim == 3 else 0
    text = text.reshape(-1, text.shape[2]) if each else text
    checked = embedding_matrix(image, "image"), embedding_matrix(text, "text")
    if image.dtype.itemsize > 2 or text.dtype.itemsize > 2:  # half precision stays, because later only blocks are converted
        image, text = checked
    if wrong := unequal({"image": image, "text": text[:: each or 1]} | others):
        raise ValueError(f"{'; '.join(wrong)}; every array needs one row per pair")
    return image, text, each


def _refuse(bad: np.ndarray, what: str, fault: str, start: int) -> None:
    if bad.any():
        raise ValueError(f"{what} has {bad.sum()} {fault}, first at row {start + bad.argmax()}; drop or re-extract them")


def same_dimension(image, text, pairs: bool = False) -> None:
    """Refuse image and text vectors of different dimensions, which share no space, and different numbers of rows of pairs."""
    if image.shape[1] != text.shape[1]:
        raise ValueError(f"image vectors have {image.shape[1]} dimensions and text vectors {text.shape[1]}; use one dual encoder")
    if pairs and len(image) != len(text):
        raise ValueError(f"image has {len(image)} rows and text {len(text)}; give one row per pair in both")


def unit_rows(x, what: str = "embeddings", start: int = 0) -> np.ndarray:
    """Return the rows of ``x`` (n, d) divided by their L2 norm, in the precision of ``x``; refuse rows without a direction."""
    x = embedding_matrix(x, what, start)
    largest = np.maximum(x.max(axis=1, keepdims=True), -x.min(axis=1, keepdims=True))
    if largest.max() > LARGE[x.dtype.name]:
        x = np.where(largest > LARGE[x.dtype.name], x / np.maximum(largest, 1), x)
    return x / row_norms(x, what, start)


def squarable(*matrices) -> tuple[float, list]:
    """Return a number and the matrices divided by it, so that no square overflows their type; 1 unless they hold huge numbers."""
    plain = [x for x in matrices if isinstance(x, np.ndarray)]  # memory-mapped rows are unit
    largest = max((max(float(x.max()), -float(x.min())) for x in plain), default=1.0)
    if largest <= min((LARGE[x.dtype.name] for x in plain), default=largest):
        return 1.0, [*matrices]
    return largest, [x / x.dtype.type(largest) for x in matrices]


def unit_both(image, text, pairs: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return image (n, d) and text (m, d) vectors as unit rows; of ``pairs``, n is m."""
    image, text = unit_rows(image, "image"), unit_rows(text, "text")
    same_dimension(image, text, pairs)
    return image, text


def row_norms(x: np.ndarray, what: str = "embeddings", start: int = 0) -> np.ndarray:
    """Return the L2 norms of rows, (n, 1), in the precision of ``x``; refuse a norm below 1e-8 or beyond that precision."""
    norm = np.concatenate([np.linalg.norm(x[i : i + NORM_BLOCK], axis=1, keepdims=True) for i in range(0, len(x), NORM_BLOCK)])
    _refuse(norm[:, 0] < ZERO_NORM, what, "zero-norm row(s)", start)
    _refuse(~np.isfinite(norm[:, 0]), what, f"row(s) with a norm beyond {x.dtype}", start)
    return norm


def check_vectors(x, shape: tuple[int | None, int | None], what: str, unit: bool = False) -> np.ndarray:
    """Return stored vectors of this shape (None: any length) as a checked array; rows have a direction, or norm 1 if ``unit``."""
    x = embedding_matrix(x, what)
    if any(wanted not in (None, found) for wanted, found in zip(shape, x.shape, strict=True)):
        raise ValueError(f"{what} has shape {x.shape}, expected {' x '.join(str(n or 'n') for n in shape)}")
    norm = row_norms(x, what)
    if unit and np.abs(norm - 1).max() > 1e-3:
        raise ValueError(f"{what} has rows whose norm is not 1")
    return x


def distinct_rows(x) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct rows of ``x`` (n, d), 0.0 and -0.0 alike, in order of first appearance, and each row's number (n,)."""
    numbers: dict[bytes, int] = {}
    x = np.asarray(x)
    digests = (blake2b(row + 0.0, digest_size=16).digest() for row in x)  # -0.0 + 0.0 is 0.0; sorting rows would copy them
    codes = np.array([numbers.setdefault(digest, len(numbers)) for digest in digests], dtype=np.intp)
    return (x if len(numbers) == len(x) else x[np.unique(codes, return_index=True)[1]]), codes  # without a copy if all differ


class MappedRows:
    """Unit rows in float32 of a memory-mapped matrix (n, d) of float16 or float32; only the rows that are read are converted."""

    dtype = np.dtype(np.float32)

    def __init__(self, stored: np.ndarray, what: str = "embeddings", norm=None, item: np.ndarray | None = None):
        self.stored, self.item = stored, item
        if norm is None:
            norm = np.concatenate([_divisors(stored[part], what, part.start) for part in parts(*stored.shape)])
        self.norm, self.shape = norm, (len(stored) if item is None else len(item), stored.shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows) -> np.ndarray:
        which = rows if self.item is None else self.item[rows]
        found = self.stored[which].astype(np.float32)
        return np.divide(found, self.norm[which], out=found)  # a second array costs more than the division

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)

    def take(self, item: np.ndarray) -> "MappedRows":
        """Return the rows with these numbers (m,), in their order and also repeated, still unread."""
        return MappedRows(self.stored, norm=self.norm, item=item if self.item is None else self.item[item])


def _divisors(stored: np.ndarray, what: str, start: int) -> np.ndarray:
    """Return what rows are divided by, (n, 1): their norm, or 1 for float32 rows that are unit already and stay bit for bit."""
    rows = embedding_matrix(stored, what, start)
    norm = row_norms(rows, what, start)
    norm[already_unit(stored)] = 1
    return norm


def already_unit(x: np.ndarray) -> np.ndarray:
    """Tell which rows, (n,), are float32 of norm 1 to 1e-6; they stay bit for bit, so that saving and loading changes nothing."""
    if x.dtype != np.float32:
        return np.zeros(len(x), dtype=bool)
    return np.abs(np.linalg.norm(x.astype(np.float64), axis=1) - 1) < 1e-6


def as_rows(x, what: str = "embeddings"):
    """Return rows that can be read in blocks: ``x`` if it is memory-mapped, else the checked array (n, d)."""
    return x if isinstance(x, MappedRows) else embedding_matrix(x, what)


def parts(n: int, numbers: int) -> list[slice]:
    """Divide n items of so many numbers each into parts of the size of a block."""
    step = max(1, BLOCK // numbers)
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def blocks(x) -> Iterator[np.ndarray]:
    """Yield the blocks of ``x`` (n, d); a small matrix is one block."""
    return (x[part] for part in parts(*x.shape))


def unit_blocks(x, what: str = "embeddings") -> Iterator[np.ndarray]:
    """Yield the blocks of ``x`` (n, d) with rows of unit norm, in float64: float32 would shorten all rows by one rounding."""
    x = as_rows(x, what)
    return (unit_rows(x[part].astype(np.float64), what, part.start) for part in parts(*x.shape))


def mean_of(found: Iterator[np.ndarray]) -> np.ndarray:
    """Return the mean (d,) of the rows of all blocks, in float64."""
    sums, sizes = zip(*((block.sum(axis=0, dtype=np.float64), len(block)) for block in found), strict=True)
    return sum(sums) / sum(sizes)
