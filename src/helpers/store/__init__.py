"""Embedding sets in memory and on disk, import of foreign formats, and the catalogue of what is stored."""

from .catalogue import folder_name, stored
from .embeddings import EmbeddingSet

__all__ = ["EmbeddingSet", "folder_name", "stored"]
