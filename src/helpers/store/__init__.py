"""Hold embedding sets in memory and on disk, import foreign formats, and list the stored sets."""

from .catalogue import Identity, folder_name, stored
from .embeddings import EmbeddingSet

__all__ = ["EmbeddingSet", "Identity", "folder_name", "stored"]
