"""Hold embedding sets in memory and on disk, import foreign formats, and list the stored sets."""

from .catalogue import find_stored, stored
from .embeddings import EmbeddingSet
from .identity import Identity, folder_name

__all__ = ["EmbeddingSet", "Identity", "find_stored", "folder_name", "stored"]
