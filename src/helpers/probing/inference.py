"""What can be said of AUC(lambda) - AUC(0): paired bootstrap over test rows, selection on validation, many lambdas counted.

Seed spread (standard deviation over seeds) and test-sampling spread (bootstrap over test rows, or over groups where rows share one)
are different things and stay in different columns. The bootstrap averages the AUC over seeds within each replicate.
"""

import numpy as np
import pandas as pd

from .. import metrics
from ..resampling import bootstrap_counts

KEYS = ["dataset", "variant", "backbone", "protocol", "alignment", "features", "lambda_image", "lambda_text"]
POWER_FACTOR = 1.959964 + 0.841621  # two-sided 5 %, power 80 %


def effects(result, n_boot: int = 1000, level: float = 0.95, random_state: int = 0) -> pd.DataFrame:
    """Difference of the headline AUC to lambda = 0 for every alignment and kind of features.

    Returns:
        one row per alignment and features: ``auc`` (mean over seeds), ``difference``, ``low``, ``high`` (percentile interval),
        ``standard_error`` (of the bootstrap), ``seed_sd`` (of the paired difference over seeds), ``minimum_detectable`` (the
        difference found with 80 % power at 5 %; NaN at lambda = 0 itself), ``classes_dropped`` (class-replicate pairs without a
        positive or negative row).
    """
    table, replicates, dropped = _replicates(result, n_boot, random_state)
    reference = _reference(table)
    rows = []
    for i, row in table.iterrows():
        base = reference[row["features"]]
        difference = row["values"].mean() - table["values"][base].mean()
        draws = replicates[i] - replicates[base]
        low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
        error = np.nanstd(draws, ddof=1)
        paired = row["values"] - table["values"][base]
        spread = paired.std(ddof=1) if len(paired) > 1 else np.nan
        rows.append((row["values"].mean(), difference, low, high, error, spread, _detectable(error), dropped, len(paired)))
    names = ["auc", "difference", "low", "high", "standard_error", "seed_sd", "minimum_detectable", "classes_dropped", "n_seeds"]
    return pd.concat([table[_keys(table)], pd.DataFrame(rows, columns=names)], axis=1)


def selected(result, n_boot: int = 1000, level: float = 0.95, random_state: int = 0, alignment: str = "lambda") -> pd.DataFrame:
    """The one lambda that validation rows choose, and what it gains on test.

    The choice takes the highest headline AUC on validation (mean over seeds), the smallest ``|lambda|`` among equals. The bootstrap
    is over test rows with the choice held fixed, so it is the interval of the chosen probes.

    Returns:
        one row per features: ``lambda_image``, ``lambda_text``, ``auc``, ``auc_at_zero``, ``difference``,
        ``low``, ``high``, ``minimum_detectable`` (NaN where lambda = 0 is chosen).
    """
    weights = bootstrap_counts(len(result.targets), n_boot, random_state, result.groups)
    validation = result.table.query(
        "split == 'val' and metric == @name and `class`.isna()", local_dict={"name": result.headline_metric}
    )
    rows = []
    for features, runs in result.runs[result.runs["alignment"] == alignment].groupby("features", sort=False):
        lambdas = ["lambda_image", "lambda_text"]
        keys = ["features", "alignment", *lambdas, "seed"]
        scored = runs.reset_index(names="run").merge(validation[[*keys, "value"]], on=keys)
        mean = scored.groupby(lambdas)["value"].mean().reset_index()
        mean["size"] = mean[lambdas].abs().sum(axis=1)
        best = mean.sort_values(["value", "size"], ascending=[False, True]).iloc[0]
        picked = scored[(scored[lambdas] == best[lambdas]).all(axis=1)].set_index("seed")["run"]
        chosen, base = picked.to_numpy(), _zero_runs(result, features).loc[picked.index, "run"].to_numpy()
        score = result.headline_scores
        auc, at_zero = (metrics.macro_auc(score[i], result.targets).mean() for i in (chosen, base))
        draws = metrics.macro_auc(score[chosen], result.targets, weights) - metrics.macro_auc(score[base], result.targets, weights)
        draws = draws.mean(axis=0)
        low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
        rows.append(
            {
                "features": features,
                "alignment": alignment,
                **best[lambdas],
                "auc": auc,
                "auc_at_zero": at_zero,
                "difference": auc - at_zero,
                "low": low,
                "high": high,
                "minimum_detectable": _detectable(np.nanstd(draws, ddof=1)),
            }
        )
    return pd.DataFrame(rows)


def some_lambda_beats_zero(result, n_boot: int = 1000, random_state: int = 0, alignment: str = "lambda") -> pd.DataFrame:
    """One-sided test that the best of all lambdas beats lambda = 0, by the bootstrap distribution of the largest t (max-T).

    Returns:
        one row per features: ``best_lambda`` (image, by test difference), ``difference``, ``largest_t``, ``p_value``
        (one-sided), ``n_lambdas``.
    """
    table, replicates, _ = _replicates(result, n_boot, random_state)
    reference = _reference(table)
    rows = []
    for features, group in table[table["alignment"] == alignment].groupby("features", sort=False):
        base = reference[features]
        others = [i for i in group.index if i != base]
        if not others:
            continue
        draws = replicates[others] - replicates[base]
        difference = np.array([table["values"][i].mean() - table["values"][base].mean() for i in others])
        error = np.nanstd(draws, axis=1, ddof=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            t = np.where(error > 0, difference / error, 0)
            null = np.where(error[:, None] > 0, (draws - difference[:, None]) / error[:, None], 0).max(axis=0)
        best = int(difference.argmax())
        rows.append(
            {
                "features": features,
                "alignment": alignment,
                "best_lambda": table["lambda_image"][others[best]],
                "difference": difference[best],
                "largest_t": t.max(),
                "p_value": (1 + np.nansum(null >= t.max())) / (n_boot + 1),
                "n_lambdas": len(others),
            }
        )
    return pd.DataFrame(rows, columns=["features", "alignment", "best_lambda", "difference", "largest_t", "p_value", "n_lambdas"])


def by_subgroup(result) -> pd.DataFrame:
    """Headline AUC at each alignment within the test rows of each subgroup value, with how many rows and classes it rests on."""
    frames = []
    for column in result.subgroups:
        for value, rows in result.subgroups.groupby(column, observed=True).groups.items():
            targets = result.targets[rows]
            present = int((targets.any(axis=0) & ~targets.all(axis=0)).sum())
            auc = metrics.macro_auc(result.headline_scores[:, rows], targets)
            frame = result.runs[[*_keys(result.runs), "seed"]].assign(auc=auc)
            mean = frame.groupby(_keys(result.runs), sort=False)["auc"].mean().reset_index()
            frames.append(
                mean.assign(subgroup=column.removeprefix("subgroup_"), level=str(value), n_rows=len(rows), n_classes=present)
            )
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _detectable(error: float) -> float:
    """Smallest difference found with 80 % power at 5 %; NaN where a probe is compared with itself and nothing could be found."""
    return POWER_FACTOR * error if error > 0 else np.nan


def _keys(table: pd.DataFrame) -> list[str]:
    return [k for k in KEYS if k in table]


def _replicates(result, n_boot: int, random_state: int):
    """Keys with test AUC by seed, (n_alignments, n_boot) bootstrap AUC averaged over seeds, and how many classes dropped out."""
    known = result.bootstraps.get((n_boot, random_state))
    if known is not None:
        return known
    weights = bootstrap_counts(len(result.targets), n_boot, random_state, result.groups)
    positives = weights @ result.targets
    dropped = int(((positives == 0) | (positives == weights.sum(axis=1, keepdims=True))).sum())
    rows, replicates = [], []
    for keys, runs in result.runs.groupby(_keys(result.runs), sort=False, dropna=False):
        scores = result.headline_scores[runs.sort_values("seed").index]
        rows.append((*keys, metrics.macro_auc(scores, result.targets)))
        replicates.append(metrics.macro_auc(scores, result.targets, weights).mean(axis=0))
    table = pd.DataFrame(rows, columns=[*_keys(result.runs), "values"])
    result.bootstraps[n_boot, random_state] = table, np.stack(replicates), dropped
    return result.bootstraps[n_boot, random_state]


def _reference(table: pd.DataFrame) -> dict[str, int]:
    zero = table[(table["alignment"] == "lambda") & (table["lambda_image"] == 0) & (table["lambda_text"] == 0)]
    return dict(zip(zero["features"], zero.index, strict=True))


def _zero_runs(result, features: str) -> pd.DataFrame:
    runs = result.runs.reset_index(names="run")
    zero = (
        (runs["alignment"] == "lambda") & (runs["lambda_image"] == 0) & (runs["lambda_text"] == 0) & (runs["features"] == features)
    )
    return runs[zero].set_index("seed")
