"""Move both modalities: the shift along the gap (Eq. 5, 6), its four channels, its inverse, and post-hoc alignments."""
