"""Load data sets as image-text pairs: the paper's eight, the shipped examples, and any table of yours."""

from .audit import Report, check
from .registry import DATASETS, Card, PairedDataset, canonical_variant, load_dataset

__all__ = ["DATASETS", "Card", "PairedDataset", "Report", "canonical_variant", "check", "load_dataset"]
