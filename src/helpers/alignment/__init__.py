"""Move both modalities: the shift along the gap (Eq. 5, 6), its four channels, its inverse, and post-hoc alignments."""

from importlib import import_module
from typing import TYPE_CHECKING

from .channels import ALIGNMENTS, CHANNELS, Alignment
from .shift import align, predicted_residual_gap, residual_gap, unalign

if TYPE_CHECKING:
    from .estimator import GapAlignment, PairAlignment

__all__ = ["ALIGNMENTS", "CHANNELS", "Alignment", "GapAlignment", "PairAlignment"]
__all__ += ["align", "predicted_residual_gap", "residual_gap", "unalign"]

_ESTIMATORS = {"GapAlignment": ".estimator", "PairAlignment": ".estimator"}


def __getattr__(name: str):
    """Import an estimator on first use, because it needs scikit-learn and a registry of names does not."""
    if name in _ESTIMATORS:
        return getattr(import_module(_ESTIMATORS[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
