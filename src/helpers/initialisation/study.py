"""Measure Eq. 3 and 4: the parts of the variance on medical and natural data, over networks, depths and kinds of output."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from ..arrays import unit_rows
from .networks import mlp_outputs
from .variance import RATIO, Estimate, data_ratio, normalised, variance_table

OUTPUTS = ("unit", "unnormalised")


def compare_outputs(medical: np.ndarray, natural: np.ndarray) -> pd.DataFrame:
    """Return the parts of the variance on both kinds of data and, of the data-induced part, the ratio that Eq. 4 bounds by 1.

    Args:
        medical, natural: (K, n, d) and (K, m, d) outputs of the same networks, not normalised.

    Returns:
        ``output, data, part, value, low, high, share, share_low, share_high``; the ratio stands under data ``medical / natural``.
    """
    frames = []
    for output in OUTPUTS:
        both = {"medical": medical, "natural": natural}
        if output == "unit":
            both = {name: normalised(values) for name, values in both.items()}
        estimates = {name: Estimate.of(values) for name, values in both.items()}
        frames += [variance_table(estimate).assign(output=output, data=name) for name, estimate in estimates.items()]
        ratio = dict(zip(("value", "low", "high"), data_ratio(estimates["medical"], estimates["natural"]), strict=True))
        frames.append(pd.DataFrame([{"output": output, "data": RATIO, "part": "data-induced", **ratio}]))
    table = pd.concat(frames, ignore_index=True)
    return table[["output", "data", "part", "value", "low", "high", "share", "share_low", "share_high"]]


def mlp_study(
    inputs: Mapping[str, tuple[np.ndarray, np.ndarray]],
    activations: Sequence[str],
    depths: Iterable[int],
    networks: int,
    width: int = 256,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return :func:`compare_outputs` of random perceptrons by activation and depth.

    Args:
        inputs: by name, medical (n, d) and natural (m, d) rows.
        networks: K, how many initialisations of each.

    Returns:
        ``inputs, network, depth, networks, items, ...``; depth 0 is the inputs themselves, as unit vectors.
    """
    frames = []
    for name, pair in inputs.items():
        frames.append(input_variance(*pair).assign(inputs=name, network="inputs", depth=0, networks=0, items=sum(map(len, pair))))
        for activation in activations:
            for depth in depths:
                medical, natural = mlp_outputs(pair, activation, depth, networks, width, random_state)
                about = {"inputs": name, "network": f"{activation} perceptron", "depth": depth, "networks": networks}
                frames.append(compare_outputs(medical, natural).assign(**about, items=len(medical[0]) + len(natural[0])))
    return in_order(pd.concat(frames, ignore_index=True))


def input_variance(medical: np.ndarray, natural: np.ndarray) -> pd.DataFrame:
    """Return the variance of the inputs themselves as unit vectors, which is all from the data, and its ratio."""
    variance = {name: float(unit_rows(x).var(axis=0, ddof=1).sum()) for name, x in (("medical", medical), ("natural", natural))}
    values = variance | {RATIO: variance["medical"] / variance["natural"]}
    return pd.DataFrame(
        [{"output": "unit", "data": name, "part": "data-induced", "value": value} for name, value in values.items()]
    )


def centred(pair: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return both data sets with their own mean subtracted: what the data hold besides a common offset."""
    return tuple(x - x.mean(axis=0) for x in pair)  # type: ignore[return-value]


def what_decides(table: pd.DataFrame) -> dict[str, float]:
    """Return how much of the variation of the logarithm of the data-induced part each cause explains; the shares add up to 1.

    A two-way layout of networks (rows of :func:`mlp_study` of one kind of input and of output) by kinds of data:
    ``network`` is the spread of the means over data, ``data`` that of the means over networks, ``both`` the rest.
    """
    part = table[(table["part"] == "data-induced") & (table["data"] != RATIO) & (table["depth"] > 0)]
    logs = np.log(part.pivot(index=["network", "depth"], columns="data", values="value").to_numpy())
    centre = logs - logs.mean()
    total = np.square(centre).sum()
    network = logs.shape[1] * np.square(centre.mean(axis=1)).sum() / total
    data = logs.shape[0] * np.square(centre.mean(axis=0)).sum() / total
    return {"network": float(network), "data": float(data), "both": float(1 - network - data)}


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the names of the measured quantities before their values."""
    first = ["inputs", "network", "depth", "networks", "items"]
    return table[first + [c for c in table if c not in first]]
