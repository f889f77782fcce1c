"""Divide the output variance of networks at initialisation between data and weights (Eq. 3, 4)."""
