"""Measure the four channels of an alignment in a factorial design: each alone, each left off, and each on average.

Effects of channels need not add: what a shift does depends on whether norms spread. The average of a channel is over all orders in
which the four can be switched on (Shapley, 1953), so that averages add up to the whole by construction.
"""

from itertools import combinations
from math import factorial as orders

import numpy as np
import pandas as pd

from ..alignment.channels import CHANNELS, Alignment
from ..statistics import percentile_interval
from .inference import LAMBDAS

MEASURES = ("alone", "lost without it", "average over orders")


def channel_effects(result, n_boot: int = 1000, level: float = 0.95, random_state: int = 0) -> pd.DataFrame:
    """Return what each channel changes in the headline AUC at the largest lambda of a factorial sweep, joint features.

    Args:
        result: a sweep over ``helpers.alignment.channels.FACTORIAL`` and one lambda besides 0.

    Returns:
        one row per channel and measure (``MEASURES``), then the whole, the sum of the channels alone, and the difference of these
        two: ``channel``, ``measure``, ``difference``, ``low``, ``high`` (paired percentile interval over test rows).

    Raises:
        ValueError: the sweep lacks a subset of the channels; names it.
    """
    bootstrap = result.bootstrap(n_boot, random_state)
    value = {subset: _gain(bootstrap, subset) for size in range(5) for subset in combinations(CHANNELS, size)}
    alone = {channel: value[(channel,)] for channel in CHANNELS}
    whole = value[CHANNELS]
    rows = []
    for channel in CHANNELS:
        others = tuple(c for c in CHANNELS if c != channel)
        for measure, gain in zip(MEASURES, (alone[channel], whole - value[others], _average(value, channel)), strict=True):
            rows.append((channel, measure, gain))
    total = sum(alone.values())
    rows += [("all", "whole", whole), ("all", "sum of the parts alone", total), ("all", "whole minus sum", whole - total)]
    return pd.DataFrame(
        [(channel, measure, gain[0], *percentile_interval(gain[1:], level)) for channel, measure, gain in rows],
        columns=["channel", "measure", "difference", "low", "high"],
    )


def _gain(bootstrap, channels: tuple[str, ...]) -> np.ndarray:
    """Return AUC with these channels minus AUC without any, observed first and then the replicates, (1 + n_boot,)."""
    base = bootstrap.zero("joint")
    if not channels:
        return np.zeros(1 + len(bootstrap.draws(base)))
    keys = bootstrap.keys[(bootstrap.keys["features"] == "joint") & (bootstrap.keys[LAMBDAS] != 0).all(axis=1)]
    same = [i for i, name in keys["alignment"].items() if name != "centred" and Alignment(name).channels == channels]
    if not same:
        raise ValueError(
            f"the sweep lacks the channels {' and '.join(channels)}; sweep over FACTORIAL of helpers.alignment.channels"
        )
    i = max(same, key=lambda k: keys.loc[k, "lambda_image"])
    return np.r_[bootstrap.auc(i).mean() - bootstrap.auc(base).mean(), bootstrap.draws(i) - bootstrap.draws(base)]


def _average(value: dict[tuple[str, ...], np.ndarray], channel: str) -> np.ndarray:
    """Return the mean of what a channel adds to those before it, over all orders of the four."""
    others, total = [c for c in CHANNELS if c != channel], 0
    for size in range(len(CHANNELS)):
        weight = orders(size) * orders(len(others) - size) / orders(len(CHANNELS))
        for before in combinations(others, size):
            joined = tuple(c for c in CHANNELS if c in (*before, channel))
            total = total + weight * (value[joined] - value[before])
    return np.asarray(total)
