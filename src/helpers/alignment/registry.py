"""List every alignment by name; all have ``fit(image, text)``, ``transform(image, text)`` and ``save(path)``."""

from collections.abc import Callable

from ..arrays import choose
from . import posthoc
from .estimator import GapAlignment
from .posthoc import AffineAlignment, load_affine
from .stored import read_arrays

CLASSES: dict[str, type[AffineAlignment]] = {
    c.name: c
    for c in (
        posthoc.Unaligned, posthoc.Centring, posthoc.ZScores, posthoc.ReAlign, posthoc.Leace, posthoc.Procrustes,
        posthoc.RidgeMap, posthoc.CCA, posthoc.Whitening, posthoc.TopRemoval,
    )
}  # fmt: skip


def _shift(lam: float) -> Callable[..., GapAlignment]:
    """Return a maker of Eq. 5 at one lambda; without renormalising it is the channel ``shift``."""
    return lambda renormalise=True: GapAlignment(lam, None, "lambda" if renormalise else "shift")


ALIGNMENTS: dict[str, Callable] = {
    "none": posthoc.Unaligned,
    "lambda-0.5": _shift(0.5),
    "lambda-1": _shift(1.0),
    **{name: made for name, made in CLASSES.items() if name != "none"},
}


def make_alignment(name: str, **parameters):
    """Return an unfitted alignment.

    Args:
        name: a key of ``ALIGNMENTS``.
        parameters: parameters of its class; all classes take ``renormalise``.

    Raises:
        ValueError: an unknown alignment; names the nearest.

    Example:
        >>> make_alignment("centring", renormalise=False)
        Centring(renormalise=False)
    """
    return ALIGNMENTS[choose(name, ALIGNMENTS, "alignment")](**parameters)


def load_alignment(path):
    """Read any alignment of this project from its safetensors file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file holds no alignment; names it.
    """
    return GapAlignment.load(path) if "lam" in read_arrays(path)[1] else load_affine(path, CLASSES)
