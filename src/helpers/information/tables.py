"""Tabulate quantities against lambda with intervals, from their value and their replicates."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ..statistics import percentile_interval

COLUMNS = ["lambda", "quantity", "value", "low", "high", "change", "change_low", "change_high"]


def against_first(found: Mapping[float, Mapping[str, np.ndarray]], level: float = 0.95) -> pd.DataFrame:
    """Return each quantity at each lambda with its interval, and its change from the first lambda with a paired interval.

    Args:
        found: by lambda and quantity, (1 + n_boot,) the value on all rows and then the replicates, the same draws everywhere.

    Returns:
        ``lambda, quantity, value, low, high, change, change_low, change_high``.
    """
    first = next(iter(found.values()))
    rows = []
    for lam, quantities in found.items():
        for name, draws in quantities.items():
            change = draws - first[name]
            rows.append(
                (lam, name, draws[0], *percentile_interval(draws[1:], level), change[0], *percentile_interval(change[1:], level))
            )
    return pd.DataFrame(rows, columns=COLUMNS)
