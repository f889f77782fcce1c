"""Run all studies of information of one embedding set against lambda, as one table for the book and the repository."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..arrays import choose
from ..statistics import corrected_interval
from ..store.embeddings import EmbeddingSet
from .critic import critic_table
from .forces import forces_table, own_temperature
from .label import label_information
from .modalities import modality_information

STUDIES = ("label", "modality", "forces", "critic")
LAMBDAS = (0.0, 0.25, 0.5, 0.75, 1.0)
UPDATES = (20, 200)
STATES = (0, 1, 2)
NAMES = ["dataset", "variant", "backbone", "study"]


def measured_information(
    embeddings: EmbeddingSet,
    study: str,
    lambdas: Sequence[float] = LAMBDAS,
    n_boot: int = 1000,
    temperature: float | None = None,
    updates: Sequence[int] = UPDATES,
    states: Sequence[int] = STATES,
) -> pd.DataFrame:
    """Return one study of a set against lambda, with the set's names.

    Args:
        study: one of ``STUDIES``.
        lambdas: 0 first.
        n_boot: bootstrap replicates of the studies that have any.
        temperature: temperature of the forces; the encoder's own when None.
        updates, states: numbers of updates and random states of the critic.

    Returns:
        ``dataset, variant, backbone, study, lambda, quantity, value, low, high, change, change_low, change_high``.

    Raises:
        ValueError: an unknown study, or lambdas that do not start at 0.
    """
    choose(study, STUDIES, "study")
    if not len(lambdas) or lambdas[0] != 0:
        raise ValueError(f"lambdas must start at 0, with which the others are compared, got {list(lambdas)}")
    if study == "label":
        table = label_information(embeddings, lambdas, n_boot)
    elif study == "modality":
        table = modality_information(embeddings, lambdas, n_boot)
    elif study == "forces":
        own = own_temperature(embeddings.identity.backbone)[0] if temperature is None else temperature
        table = forces_table(embeddings, lambdas, own)
    else:
        table = summarise_critic(critic_table(embeddings, lambdas, updates, states))
    names = {"dataset": embeddings.dataset, **{k: embeddings.provenance.get(k, "own") for k in ("variant", "backbone")}}
    return table.assign(**names, study=study)[[*NAMES, *table.columns]]


def summarise_critic(critic: pd.DataFrame) -> pd.DataFrame:
    """Return mean and t interval over random states of :func:`critic_table`, in the columns of the other studies."""
    rows = []
    for updates, of_length in critic.groupby("updates"):
        wide = of_length.pivot(index="lambda", columns="random_state", values="value")
        for lam, values in wide.iterrows():
            change = values - wide.iloc[0]
            ends = [corrected_interval(x, 0.0) if len(x) > 1 else (np.nan, np.nan) for x in (values, change)]
            rows.append((lam, f"critic, {updates} updates", values.mean(), *ends[0], change.mean(), *ends[1]))
    return pd.DataFrame(rows, columns=["lambda", "quantity", "value", "low", "high", "change", "change_low", "change_high"])


def at(table: pd.DataFrame, quantity: str, lam: float = 1.0) -> pd.Series:
    """Return the one row of a quantity at a lambda, of the table of one set.

    Raises:
        KeyError: there is not exactly one such row.
    """
    found = table[(table["quantity"] == quantity) & np.isclose(table["lambda"], lam)]
    if len(found) != 1:
        raise KeyError(f"{len(found)} rows of {quantity} at lambda = {lam}, expected one")
    return found.iloc[0]
