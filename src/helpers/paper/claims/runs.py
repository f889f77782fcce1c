"""Hold the tables of our own runs for the claims."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from ...probing.protocol import PROTOCOLS
from ...published import HARD_AUC, SCORE_AUC, sweep_gains

CURVE = ["dataset", "variant", "backbone", "protocol"]
GEOMETRY_COLUMNS = ("dataset", "variant", "backbone", "domain", "modality", "quantity", "value")


@dataclass(frozen=True)
class Runs:
    """Tables of our own runs: geometry (notebook 01), sweep and selected lambdas (notebook 03); None for an absent one."""

    geometry: pd.DataFrame | None = None
    sweep: pd.DataFrame | None = None
    selected: pd.DataFrame | None = None

    @cached_property
    def gains(self) -> pd.DataFrame | None:
        """Return the joint-feature rows of :func:`helpers.published.sweep_gains`, each curve in its headline AUC."""
        if self.sweep is None:
            return None
        hard = [name for name, protocol in PROTOCOLS.items() if protocol.multiclass_auc == "hard"]
        labels = sweep_gains(self.sweep, "auc_hard").assign(metric=HARD_AUC)
        scores = sweep_gains(self.sweep).assign(metric=SCORE_AUC)
        gains = pd.concat([labels[labels["protocol"].isin(hard)], scores]).drop_duplicates([*CURVE, "features", "lambda"])
        gains = gains[gains["features"] == "joint"].reset_index(drop=True)
        return gains if len(gains) else None

    def quantities(self, names: Iterable[str]) -> pd.DataFrame | None:
        """Return the rows of some quantities of our geometry table, or None if there are none.

        Raises:
            ValueError: the table lacks a column.
        """
        if self.geometry is None:
            return None
        missing = [c for c in GEOMETRY_COLUMNS if c not in self.geometry]
        if missing:
            raise ValueError(f"our geometry table lacks the column {missing[0]!r}; it needs {', '.join(GEOMETRY_COLUMNS)}")
        rows = self.geometry[self.geometry["quantity"].isin(names)]
        return rows if len(rows) else None
