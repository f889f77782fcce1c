"""Recommend an alignment, or none: compare them on rows they have not seen, and recommend one only if its gain is clear of zero."""

from .choice import Recommendation, recommend, snippet
from .comparison import compare_alignments, summarise
from .findings import (
    count_clear,
    gallery_sentences,
    lambda_sentences,
    not_measured,
    renormalising_sentence,
    shipped_alignments,
    shipped_galleries,
    shipped_tasks,
    task_sentence,
    three_sentences,
    what_holds,
)
from .galleries import gallery_changes
from .one_set import mixed_search, pair_histograms
from .tasks import compare_tasks

__all__ = [
    "Recommendation", "compare_alignments", "compare_tasks", "count_clear", "gallery_changes", "gallery_sentences",
    "lambda_sentences", "mixed_search", "not_measured", "pair_histograms", "recommend", "renormalising_sentence",
    "shipped_alignments", "shipped_galleries", "shipped_tasks", "snippet", "summarise", "task_sentence", "three_sentences",
    "what_holds",
]  # fmt: skip
