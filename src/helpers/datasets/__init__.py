"""Data sets as image-text pairs: the paper's eight, the shipped examples, and any table of yours."""

from .base import Card, PairedDataset
from .registry import DATASETS, canonical_variant, load_dataset

__all__ = ["DATASETS", "Card", "PairedDataset", "canonical_variant", "load_dataset"]
