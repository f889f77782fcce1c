"""Measure the four channels of lambda = 1 in a factorial design on the shipped sets, for page 03.

    python studies/channel_factorial.py

Effects of channels need not add: what a shift does depends on whether norms spread. The average of a channel is over all orders in
which the four can be switched on (Shapley, 1953), so that averages add up to the whole by construction.
"""

from itertools import combinations, permutations

import numpy as np
import pandas as pd
from common import shipped_sets

from helpers import sweep
from helpers.alignment.shift import CHANNELS, FACTORIAL, Alignment
from helpers.files import project_root, replacing
from helpers.probing.inference import LAMBDAS, PairedBootstrap
from helpers.statistics import percentile_interval

INPUTS = ["data/embeddings/**/*"]
OUT = "data/measured/channel_factorial.csv"
PROTOCOLS = ("paper", "authors-code", "converged")
SEEDS = (42,)
NAMES = ["dataset", "backbone", "protocol"]


def channel_effects(result, n_boot: int = 1000, level: float = 0.95, random_state: int = 0) -> pd.DataFrame:
    """Return what each channel changes in the headline AUC at the largest lambda of a factorial sweep, joint features.

    Args:
        result: a sweep over ``helpers.alignment.shift.FACTORIAL`` and one lambda besides 0.

    Returns:
        one row per channel and measure (alone, lost without it, average over orders), then the whole, the sum of the channels
        alone, and the difference of these two: ``channel``, ``measure``, ``difference``, ``low``, ``high`` (paired percentile
        interval over test rows).
    """
    bootstrap = result.bootstrap(n_boot, random_state)
    gain = {frozenset(s): _gain(bootstrap, s) for size in range(5) for s in combinations(CHANNELS, size)}
    whole, rows = frozenset(CHANNELS), []
    for channel in CHANNELS:
        before = [frozenset(order[: order.index(channel)]) for order in permutations(CHANNELS)]
        average = np.mean([gain[some | {channel}] - gain[some] for some in before], axis=0)
        rows.append((channel, "alone", gain[frozenset([channel])]))
        rows.append((channel, "lost without it", gain[whole] - gain[whole - {channel}]))
        rows.append((channel, "average over orders", average))
    total = sum(gain[frozenset([channel])] for channel in CHANNELS)
    rows += [
        ("all", "whole", gain[whole]),
        ("all", "sum of the parts alone", total),
        ("all", "whole minus sum", gain[whole] - total),
    ]
    return pd.DataFrame(
        [(channel, measure, gain[0], *percentile_interval(gain[1:], level)) for channel, measure, gain in rows],
        columns=["channel", "measure", "difference", "low", "high"],
    )


def _gain(bootstrap: PairedBootstrap, channels: tuple[str, ...]) -> np.ndarray:
    """Return AUC with these channels minus AUC without any, observed first and then the replicates, (1 + n_boot,)."""
    base = bootstrap.zero("joint")
    if not channels:
        return np.zeros(1 + len(bootstrap.draws(base)))
    keys = bootstrap.keys[(bootstrap.keys["features"] == "joint") & (bootstrap.keys[LAMBDAS] != 0).all(axis=1)]
    same = [i for i, name in keys["alignment"].items() if Alignment(name).channels == channels]
    if not same:
        raise ValueError(f"the sweep lacks the channels {' and '.join(channels)}; sweep over helpers.alignment.shift.FACTORIAL")
    i = max(same, key=lambda k: keys.loc[k, "lambda_image"])
    return np.r_[bootstrap.auc(i).mean() - bootstrap.auc(base).mean(), bootstrap.draws(i) - bootstrap.draws(base)]


def main() -> None:
    tables = []
    for embeddings in (s for s in shipped_sets() if s.identity.variant != "authors"):
        for protocol in PROTOCOLS:
            result = sweep(embeddings, [0.0, 1.0], SEEDS, protocol, alignments=FACTORIAL, progress=False)
            names = {name: result.provenance[name] for name in NAMES}
            found = channel_effects(result).assign(**names, n_seeds=len(SEEDS))
            tables.append(found[[*NAMES, *found.columns.drop(NAMES)]])
            print(*names.values(), flush=True)
    with replacing(project_root() / OUT) as temporary:
        pd.concat(tables, ignore_index=True).to_csv(temporary, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
