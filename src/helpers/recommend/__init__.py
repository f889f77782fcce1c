"""Recommend an alignment, or none: compare them on rows they have not seen, and recommend one only if its gain is clear of zero."""

from .choice import Recommendation, recommend, snippet
from .comparison import compare_alignments, summarise
from .findings import not_measured, shipped_alignments, three_sentences

__all__ = [
    "Recommendation", "compare_alignments", "not_measured", "recommend", "shipped_alignments", "snippet", "summarise",
    "three_sentences",
]  # fmt: skip
