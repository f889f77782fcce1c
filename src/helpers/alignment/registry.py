"""List every alignment by its one name; all have ``fit(image, text)``, ``transform(image, text)`` and ``save(path)``."""

import re
from collections.abc import Callable, Iterable
from functools import partial

from ..arrays import choose
from . import posthoc
from .estimator import GapAlignment, StoredAlignment, load
from .shift import CHANNELS, PAIRS, WITHOUT

CLASSES: dict[str, type[StoredAlignment]] = {
    c.name: c
    for c in (
        posthoc.Unaligned, posthoc.Centring, posthoc.ZScores, posthoc.ReAlign, posthoc.Leace, posthoc.Procrustes,
        posthoc.RidgeMap, posthoc.CCA, posthoc.Whitening, posthoc.TopRemoval,
    )
}  # fmt: skip
AT_ONE_LAMBDA = re.compile(r"lambda-(\d+(?:\.\d+)?)")  # such as lambda-0.5


def _shift(lam: float) -> Callable[..., GapAlignment]:
    """Return a maker of Eq. 5 at one lambda; without renormalising it is the channel ``shift``."""
    return lambda renormalise=True: GapAlignment(lam, None, "lambda" if renormalise else "shift")


SHIFTED = {f"lambda-{lam:g}": _shift(lam) for lam in (0.5, 1.0)}
COMPARED = ("none", *SHIFTED, *(name for name in CLASSES if name != "none"))  # what a comparison measures unless told otherwise
ALIGNMENTS: dict[str, Callable] = {
    **CLASSES,
    **SHIFTED,
    **{name: partial(GapAlignment, alignment=name) for name in ("lambda", *CHANNELS, *PAIRS, *WITHOUT)},
}


def make_alignment(name: str, **parameters):
    """Return an unfitted alignment.

    Args:
        name: a key of ``ALIGNMENTS``, or ``lambda-X`` with any X: Eq. 5 at that lambda.
        parameters: those of its class: ``renormalise`` for all of ``COMPARED``, ``lam`` and ``lam_text`` for channels.

    Example:
        >>> make_alignment("centring", renormalise=False)
        Centring(renormalise=False)
    """
    at = AT_ONE_LAMBDA.fullmatch(name)
    make = _shift(float(at[1])) if at else ALIGNMENTS[choose(name, ALIGNMENTS, "alignment")]
    return make(**parameters)


def with_none(names: Iterable[str]) -> list[str]:
    """Return the distinct names of alignments, ``none`` first; an unknown one is refused with the nearest."""
    return list(dict.fromkeys(["none", *(choose(name, ALIGNMENTS, "alignment") for name in names)]))


def load_alignment(path):
    """Read any alignment of this project from its safetensors file; an error names a file that holds none."""
    return load(path, {**CLASSES, GapAlignment.name: GapAlignment})
