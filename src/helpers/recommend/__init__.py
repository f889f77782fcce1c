"""Which alignment, if any, to use: compare them on rows they have not seen, and recommend one only if its gain is clear of zero."""

from .choice import Recommendation, recommend, snippet
from .comparison import compare_alignments, summarise

__all__ = ["Recommendation", "compare_alignments", "recommend", "snippet", "summarise"]
