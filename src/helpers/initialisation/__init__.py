"""Networks at initialisation: the variance of their outputs shared out between data and weights (Eq. 3, 4)."""
