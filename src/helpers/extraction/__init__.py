"""Turn images and texts into an EmbeddingSet; find a stored set, or make it."""
