"""From images and texts to an EmbeddingSet; find a stored set, or make it."""

from .extract import extract
from .find import embeddings_for, select

__all__ = ["embeddings_for", "extract", "select"]
