"""The linear probe over a whole grid of alignments and seeds, under several protocols."""

from .protocol import PROTOCOLS, STRENGTHS, Protocol
from .result import SweepResult
from .sweep import FEATURES, LAMBDAS, SEEDS, alignment_grid, sweep

__all__ = ["FEATURES", "LAMBDAS", "PROTOCOLS", "SEEDS", "STRENGTHS", "Protocol", "SweepResult", "alignment_grid", "sweep"]
