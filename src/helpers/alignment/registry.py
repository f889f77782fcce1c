"""List every alignment by its one name; all have ``fit(image, text)``, ``transform(image, text)`` and ``save(path)``."""

import json
import re
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from ..arrays import choose
from ..files import read_arrays
from .estimator import GapAlignment, StoredAlignment
from .posthoc import AffineAlignment
from .shift import CHANNELS, PAIRS, WITHOUT

CLASSES = {c.name: c for c in AffineAlignment.__subclasses__()}  # in the order of their module
AT_ONE_LAMBDA = re.compile(r"lambda-(\d+(?:\.\d+)?)")  # such as lambda-0.5


def _shift(lam: float, renormalise: bool = True) -> GapAlignment:
    """Return Eq. 5 at one lambda; without renormalising it is the channel ``shift``."""
    return GapAlignment(lam, None, "lambda" if renormalise else "shift")


SHIFTED = {f"lambda-{lam:g}": partial(_shift, lam) for lam in (0.5, 1.0)}
COMPARED = ("none", *SHIFTED, *(name for name in CLASSES if name != "none"))  # what a comparison measures unless told otherwise
ALIGNMENTS: dict[str, Callable] = {**CLASSES, **SHIFTED}
ALIGNMENTS |= {name: partial(GapAlignment, alignment=name) for name in ("lambda", *CHANNELS, *PAIRS, *WITHOUT)}


def make_alignment(name: str, **parameters):
    """Return an unfitted alignment: a name of ``ALIGNMENTS`` with its parameters, or ``lambda-X``, Eq. 5 at any lambda.

    Example:
        >>> make_alignment("centring", renormalise=False)
        Centring(renormalise=False)
    """
    if at := AT_ONE_LAMBDA.fullmatch(name):
        return _shift(float(at[1]), **parameters)
    return ALIGNMENTS[choose(name, ALIGNMENTS, "alignment")](**parameters)


def with_none(names: Iterable[str]) -> list[str]:
    """Return the distinct names of alignments, ``none`` first; an unknown one is refused with the nearest."""
    return list(dict.fromkeys(["none", *(choose(name, ALIGNMENTS, "alignment") for name in names)]))


def load_alignment(path) -> StoredAlignment:
    """Read any alignment of this project from its safetensors file; an error names a file that holds none."""
    try:
        arrays, metadata = read_arrays(path)
        if not all(np.issubdtype(x.dtype, np.floating) and np.isfinite(x).all() for x in arrays.values()):
            raise ValueError("it holds numbers that are not finite")
        about = json.loads(metadata["alignment"])
        alignment = {**CLASSES, GapAlignment.name: GapAlignment}[about["name"]](**about["parameters"])
        alignment._restore(arrays)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no alignment at {path}; an alignment's `save` writes one") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not an intact alignment ({error}); fit it again and save it there") from None
    return alignment
