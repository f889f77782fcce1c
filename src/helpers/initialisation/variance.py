r"""Divide the variance of random networks' outputs between data and weights (Eq. 3) by a crossed random-effects model.

Output of network k on item i, each network on each item once:

.. math:: h_{ki} = \mu + a_k + b_i + e_{ki}

with independent effects of the weights, of the data and of both together. Variances are traces over the output's dimensions. They
add up to the total variance, and to the two terms of Eq. 3: the data-induced one is that of b plus that of e, the weight-induced
one that of a. Estimates are those of the analysis of variance (Searle, Casella and McCulloch, 1992): unbiased, so that a variance
near zero may be estimated below zero.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student

from ..arrays import unit_rows

PARTS = ("data", "data x weights", "weights")  # these add up
DATA_INDUCED = "data-induced"  # the sum of the first two: the first term of Eq. 3
NAMES = [*PARTS, DATA_INDUCED]
RATIO = "medical / natural"  # what stands for the data where both are compared
BLOCKS = 20


def variance_parts(outputs: np.ndarray) -> dict[str, float]:
    """Return the variance of each of ``PARTS`` and their sum over the first two, ``data-induced``, of outputs (K, n, d).

    Raises:
        ValueError: fewer than two networks or items, or values that are not finite.
    """
    k, n, _ = checked(outputs).shape
    grand = outputs.mean(axis=(0, 1))
    of_network, of_item = outputs.mean(axis=1) - grand, outputs.mean(axis=0) - grand
    within = np.square(outputs - grand).sum()
    weights, data = n * np.square(of_network).sum(), k * np.square(of_item).sum()
    residual = (within - weights - data) / ((k - 1) * (n - 1))
    found = {
        "data": (data / (n - 1) - residual) / k,
        "data x weights": residual,
        "weights": (weights / (k - 1) - residual) / n,
    }
    return {name: float(value) for name, value in found.items()} | {DATA_INDUCED: float(found["data"] + residual)}


@dataclass(frozen=True)
class Estimate:
    """The variance parts of outputs (4,), and of the outputs without each network (K, 4) and without each block of items (G, 4)."""

    parts: np.ndarray
    without_network: np.ndarray
    without_items: np.ndarray

    @classmethod
    def of(cls, outputs: np.ndarray) -> "Estimate":
        """Estimate the parts of outputs (K, n, d) and their jackknife values; items are removed in at most 20 random blocks.

        Raises:
            ValueError: fewer than three networks or items, see :func:`variance_parts`.
        """
        networks, items = checked(outputs).shape[:2]
        if networks < 3 or items < 3:
            raise ValueError(
                f"{networks} networks and {items} items give no interval; use at least 3 of each, 10 or more are useful"
            )
        blocks = np.array_split(np.random.default_rng(0).permutation(items), min(BLOCKS, items))

        def estimate(values) -> np.ndarray:
            found = variance_parts(values)
            return np.array([found[name] for name in NAMES])

        return cls(
            estimate(outputs),
            np.stack([estimate(np.delete(outputs, k, axis=0)) for k in range(networks)]),
            np.stack([estimate(np.delete(outputs, block, axis=1)) for block in blocks]),
        )


def interval_over_both(statistic: Callable[..., np.ndarray], *estimates: Estimate, level: float = 0.95):
    """Return a statistic of the parts of crossed samples and its interval over both random networks and random items.

    Samples share their networks, so the jackknife removes a network from all of them at once and items from one sample at a time.
    The variances of these jackknives add up and count the interaction of networks and items twice, which is conservative.
    Student's t has one degree of freedom less than there are networks.

    Returns:
        value, lower and upper ends, each an array like the statistic.
    """
    parts = [e.parts for e in estimates]
    value = statistic(*parts)
    variance = jackknife_variance([statistic(*rows) for rows in zip(*(e.without_network for e in estimates), strict=True)])
    for i, estimate in enumerate(estimates):
        replaced = [[*parts[:i], without, *parts[i + 1 :]] for without in estimate.without_items]
        variance = variance + jackknife_variance([statistic(*rows) for rows in replaced])
    half = student.ppf((1 + level) / 2, len(estimates[0].without_network) - 1) * np.sqrt(variance)
    return value, value - half, value + half


def variance_table(estimate: Estimate, level: float = 0.95) -> pd.DataFrame:
    """Return each part of the variance and its share of the total, with intervals over networks and items.

    Returns:
        ``part, value, low, high, share, share_low, share_high``; the shares of ``PARTS`` add up to 1.
    """
    values = interval_over_both(lambda parts: parts, estimate, level=level)
    shares = interval_over_both(lambda parts: parts / parts[:3].sum(), estimate, level=level)
    columns = dict(zip(("value", "low", "high"), values, strict=True))
    return pd.DataFrame({"part": NAMES, **columns, **dict(zip(("share", "share_low", "share_high"), shares, strict=True))})


def data_ratio(medical: Estimate, natural: Estimate, level: float = 0.95) -> tuple[float, float, float]:
    """Return the data-induced variance of medical over natural data with its interval; Eq. 4 says that it is at most 1.

    Args:
        medical, natural: of the same networks, so that their weights cancel from the comparison.

    Raises:
        ValueError: different networks, or outputs that are equal for all items.
    """
    counts = [len(e.without_network) for e in (medical, natural)]
    if counts[0] != counts[1]:
        raise ValueError(f"{counts[0]} networks saw the medical and {counts[1]} the natural data; give outputs of the same ones")
    if min(medical.parts[3], natural.parts[3]) <= 0:
        raise ValueError("the outputs of all items are equal in every network; a ratio needs some variance")
    log_ratio = interval_over_both(lambda one, other: np.log(one[3] / other[3]), medical, natural, level=level)
    value, low, high = (float(np.exp(x)) for x in log_ratio)
    return value, low, high


def jackknife_variance(without: list[np.ndarray]) -> np.ndarray:
    """Return the jackknife variance of a statistic from its values without one unit each."""
    values = np.stack(without)
    return (len(values) - 1) / len(values) * np.square(values - values.mean(axis=0)).sum(axis=0)


def normalised(outputs: np.ndarray) -> np.ndarray:
    """Return outputs (K, n, d) as unit vectors."""
    return unit_rows(outputs.reshape(-1, outputs.shape[-1]), "outputs").reshape(outputs.shape)


def checked(outputs: np.ndarray) -> np.ndarray:
    """Return outputs (K, n, d) once they are checked to define variances.

    Raises:
        ValueError: another shape, K = 1, one item, or values that are not finite.
    """
    if outputs.ndim != 3:
        raise ValueError(f"outputs must have shape (networks, items, dimensions), got {outputs.shape}")
    for name, size in zip(("network", "item"), outputs.shape, strict=False):
        if size < 2:
            raise ValueError(f"{size} {name} has no variance; give at least 2 {name}s")
    if not np.isfinite(outputs).all():
        raise ValueError("outputs hold values that are not finite; reduce depth or gain")
    return outputs
