"""Information between modalities and about the label, against lambda: what cannot move, and what restricted readers see move."""
