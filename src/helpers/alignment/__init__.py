"""Move both modalities: the shift along the gap (Eq. 5, 6), its four channels, its inverse, and post-hoc alignments."""

from .channels import ALIGNMENTS, CHANNELS, Alignment
from .estimator import GapAlignment
from .pairs import PairAlignment
from .shift import align, predicted_residual_gap, residual_gap, unalign

__all__ = ["ALIGNMENTS", "CHANNELS", "Alignment", "GapAlignment", "PairAlignment"]
__all__ += ["align", "predicted_residual_gap", "residual_gap", "unalign"]
