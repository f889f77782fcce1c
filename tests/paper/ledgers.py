"""What tests of the ledger share: the ledger of published numbers, computed once, and small tables of our own runs."""

from functools import cache

import numpy as np
import pandas as pd

from helpers.paper.claims import ledger


@cache
def published_ledger() -> pd.DataFrame:
    return ledger()


def verdict(fragment: str) -> pd.Series:
    table = published_ledger()
    rows = table[table["claim"].str.contains(fragment, regex=False)]
    assert len(rows) == 1
    return rows.iloc[0]


def geometry():
    row = dict(variant="authors", backbone="lit-natural", modality="image", low=np.nan, high=np.nan)
    return pd.DataFrame(
        [
            {**row, "dataset": "ham10000", "domain": "medical", "quantity": "R", "value": 0.7},
            {**row, "dataset": "flickr8k", "domain": "natural", "quantity": "R", "value": 0.25},
            {**row, "dataset": "ham10000", "domain": "medical", "quantity": "effective_rank", "value": 31.5},
        ]
    )


def sweep(protocol="converged", metric="auc", scores=(0.90, 0.92, 0.91)):
    rows = []
    for lam, auc in zip((0.0, 0.5, 1.0), scores, strict=True):
        row = dict(
            dataset="ham10000", variant="clean", backbone="lit-derm", protocol=protocol, alignment="lambda", features="joint"
        )
        rows.append(
            {
                **row,
                "lambda_image": lam,
                "lambda_text": lam,
                "seed": 0,
                "split": "test",
                "metric": metric,
                "class": None,
                "value": auc,
            }
        )
    return pd.DataFrame(rows)


def of_the_paper(values: dict[str, tuple[float, float]], quantity="gap_norm", **other) -> pd.DataFrame:
    """Our geometry of data sets under CLIP and MedSigLIP."""
    row = dict(variant="authors", domain="", modality="joint", quantity=quantity, low=np.nan, high=np.nan) | other
    cells = [(d, b, v) for d, pair in values.items() for b, v in zip(("clip", "medsiglip"), pair, strict=True)]
    return pd.DataFrame([{**row, "dataset": d, "backbone": b, "value": v} for d, b, v in cells])


GAPS = {"brset": (1.0, 0.8), "ham10000": (1.1, 0.8), "daquar": (0.9, 0.8)}
