"""Measure information between modalities and about the label against lambda, as restricted readers find it."""
