"""Move both modalities: the shift along the gap (Eq. 5, 6), its four channels, its inverse, and post-hoc alignments."""

from importlib import import_module
from typing import TYPE_CHECKING

from .channels import CHANNELS, Alignment
from .shift import align, predicted_residual_gap, residual_gap, unalign

if TYPE_CHECKING:
    from .estimator import GapAlignment, PairAlignment
    from .registry import ALIGNMENTS, load_alignment, make_alignment

__all__ = ["ALIGNMENTS", "CHANNELS", "Alignment", "GapAlignment", "PairAlignment", "load_alignment", "make_alignment"]
__all__ += ["align", "predicted_residual_gap", "residual_gap", "unalign"]

_LATER = {"GapAlignment": ".estimator", "PairAlignment": ".estimator"}
_LATER |= dict.fromkeys(("ALIGNMENTS", "load_alignment", "make_alignment"), ".registry")


def __getattr__(name: str):
    """Import what needs scikit-learn on first use, because a grid of names does not need it."""
    if name in _LATER:
        return getattr(import_module(_LATER[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
