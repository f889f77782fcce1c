"""Infer AUC(lambda) - AUC(0): paired bootstrap over test rows, selection on validation, correction for many lambdas.

The spread over seeds (a standard deviation) and over test samples (a bootstrap over test rows or groups) have separate columns. The
bootstrap averages the AUC over seeds within each replicate.
"""

from functools import cache

import numpy as np
import pandas as pd

from ..statistics import bootstrap_counts, max_t_test, percentile_interval

KEYS = ["dataset", "variant", "backbone", "protocol", "alignment", "features", "lambda_image", "lambda_text"]
LAMBDAS = ["lambda_image", "lambda_text"]
POWER_FACTOR = 1.959964 + 0.841621  # two-sided 5 %, power 80 %
SELECTED = ["auc_at_zero", "auc", "difference", "low", "high", "minimum_detectable"]


class PairedBootstrap:
    """Test AUCs of the alignments of a sweep, one row of ``keys`` each, and their bootstrap replicates on shared resamples."""

    def __init__(self, result, n_boot: int = 1000, random_state: int = 0):
        weights = bootstrap_counts(len(result.targets), n_boot, random_state, result.groups)
        present = [k for k in KEYS if k in result.runs]
        grouped = list(result.runs.groupby(present, sort=False, dropna=False))
        self.keys = pd.DataFrame([keys for keys, _ in grouped], columns=present)
        runs_of = [runs.sort_values("seed").index for _, runs in grouped]
        self.auc = cache(lambda i: result.headline_auc(runs_of[i]))  # of alignment i by seed, (n_seeds,)
        self.draws = cache(lambda i: result.headline_auc(runs_of[i], weights).mean(axis=0))  # of the mean over seeds, (n_boot,)
        positives, rows = weights @ result.targets[:, result.learned], weights.sum(axis=1, keepdims=True)
        self.classes_dropped = int(((positives == 0) | (positives == rows)).sum())

    def zero(self, features: str) -> int:
        """Return the number of the unaligned probe of these features."""
        at_zero = (self.keys["alignment"] == "lambda") & (self.keys[LAMBDAS] == 0).all(axis=1)
        return int(np.flatnonzero(at_zero & (self.keys["features"] == features))[0])

    def effect(self, i: int, level: float) -> dict[str, float]:
        """Return the effect of alignment i against lambda = 0: the columns of :func:`effects`."""
        base = self.zero(self.keys["features"][i])
        draws, paired = self.draws(i) - self.draws(base), self.auc(i) - self.auc(base)
        low, high = percentile_interval(draws, level)
        error = float(np.nanstd(draws, ddof=1)) if (~np.isnan(draws)).sum() > 1 else np.nan
        return {
            "auc": self.auc(i).mean(),
            "difference": self.auc(i).mean() - self.auc(base).mean(),
            "low": low,
            "high": high,
            "standard_error": error,
            "seed_sd": paired.std(ddof=1) if len(paired) > 1 else np.nan,
            "minimum_detectable": POWER_FACTOR * error if error > 0 else np.nan,  # none for a probe compared with itself
            "classes_dropped": self.classes_dropped,
            "n_seeds": len(paired),
        }


def effects(result, n_boot: int = 1000, level: float = 0.95, random_state: int = 0) -> pd.DataFrame:
    """Return the difference of the headline AUC to lambda = 0 for every alignment and kind of features.

    ``auc`` is a mean over seeds, ``low`` to ``high`` a percentile interval, ``standard_error`` of the bootstrap, ``seed_sd`` of the
    paired difference, ``minimum_detectable`` with 80 % power at 5 % (NaN at lambda = 0); ``classes_dropped`` counts pairs of class
    and replicate without a positive or negative row.
    """
    bootstrap = result.bootstrap(n_boot, random_state)
    return bootstrap.keys.join(pd.DataFrame([bootstrap.effect(i, level) for i in bootstrap.keys.index]))


def selected(result, n_boot: int = 1000, level: float = 0.95, random_state: int = 0) -> pd.DataFrame:
    """Return the lambda that validation rows choose and its gain on test, one row per features.

    The choice has the highest headline AUC on validation (mean over seeds); among equals, or without any AUC, the smallest
    ``|lambda|``. The bootstrap over test rows holds it fixed. ``minimum_detectable`` is NaN where lambda = 0 is chosen.
    """
    bootstrap, mean = result.bootstrap(n_boot, random_state), result.summary(split="val")
    mean = mean[mean["alignment"] == "lambda"].assign(size=lambda t: t[LAMBDAS].abs().sum(axis=1))
    best = mean.sort_values(["mean", "size", *LAMBDAS], ascending=[False, True, True, True]).groupby("features", sort=False).head(1)
    columns, rows = ["features", "alignment", *LAMBDAS], []
    for _, chosen in best.iterrows():
        same = (bootstrap.keys[columns] == chosen[columns]).all(axis=1)
        effect = bootstrap.effect(int(np.flatnonzero(same)[0]), level)
        effect["auc_at_zero"] = bootstrap.auc(bootstrap.zero(chosen["features"])).mean()
        rows.append({**chosen[columns], **{name: effect[name] for name in SELECTED}})
    return pd.DataFrame(rows, columns=[*columns, *SELECTED])


def some_lambda_beats_zero(result, n_boot: int = 1000, random_state: int = 0) -> pd.DataFrame:
    """Test whether the best of all lambdas beats lambda = 0, by the bootstrap distribution of the largest t (max-t).

    ``best_lambda`` is the image's, by test difference; ``p_value`` is one-sided and corrected for all lambdas.
    """
    bootstrap, rows = result.bootstrap(n_boot, random_state), []
    for features, group in bootstrap.keys[bootstrap.keys["alignment"] == "lambda"].groupby("features", sort=False):
        base = bootstrap.zero(features)
        others = [i for i in group.index if i != base]
        if not others:
            continue
        draws = np.stack([bootstrap.draws(i) - bootstrap.draws(base) for i in others])
        differences = np.array([bootstrap.auc(i).mean() - bootstrap.auc(base).mean() for i in others])
        best = int(differences.argmax())
        largest, p_value = max_t_test(differences, draws)
        rows.append((features, "lambda", group["lambda_image"][others[best]], differences[best], largest, p_value, len(others)))
    return pd.DataFrame(rows, columns=["features", "alignment", "best_lambda", "difference", "largest_t", "p_value", "n_lambdas"])
