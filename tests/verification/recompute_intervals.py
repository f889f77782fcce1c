"""Recompute every interval of page 03 from exported test scores, with pandas, numpy and scikit-learn alone.

    python -m helpers sweep ham10000 lit-derm --export scores/ham10000-lit-derm.parquet      # and so on for every set
    python tests/verification/recompute_intervals.py scores/*.parquet --tables runs/book/tables

Nothing of the package is imported. A replicate draws groups of test rows; both AUCs of a difference are of the same draw and
averaged over seeds; an interval is the central 95 % of the replicates. With ``--tables``, the status is 1 where the page differs.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

SET = ["dataset", "variant", "backbone", "protocol", "part"]
ALIGNMENT = ["alignment", "features", "lambda_image", "lambda_text"]
TABLES = {"lambda_effects": "lambda", "channel_effects": "alignments"}


def ranking_scores(logits: np.ndarray, task: str, metric: str) -> np.ndarray:
    """Return what rows are ranked by: logits, softmax probabilities, or one-hot predictions."""
    if metric == "auc_hard" and task == "multiclass":
        return (logits.argmax(axis=1)[:, None] == np.arange(logits.shape[1])).astype(float)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True) if task == "multiclass" else logits


def auc_draws(score: np.ndarray, positive: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the AUC of one class in every replicate, given how often each row occurs in each (n, n_boot); ties count half."""
    order = np.argsort(score, kind="stable")
    negative, positive_rows = order[~positive[order]], np.flatnonzero(positive)
    below = np.zeros((len(negative) + 1, counts.shape[1]), counts.dtype)
    np.cumsum(counts[negative], axis=0, out=below[1:])
    first, last = (np.searchsorted(score[negative], score[positive_rows], side) for side in ("left", "right"))
    up = counts[positive_rows]
    wins = (up * (below[first] + below[last])).sum(axis=0, dtype=np.float64) / 2
    with np.errstate(invalid="ignore"):
        return wins / (up.sum(axis=0) * below[-1].astype(np.float64))


def filled(rows: pd.DataFrame, prefix: str) -> list[str]:
    return [c.removeprefix(prefix) for c in rows if c.startswith(prefix) and rows[c].notna().all()]


def macro_auc(probe: pd.DataFrame, classes: list[str], counts: np.ndarray) -> np.ndarray:
    """Return the macro AUC of one probe: on the test rows by scikit-learn, then in every replicate, (1 + n_boot,)."""
    names = filled(probe, "score ")
    logits = probe[[f"score {name}" for name in names]].to_numpy(np.float64)
    scores = ranking_scores(logits, probe["task"].iloc[0], probe["headline_metric"].iloc[0])
    values = []
    for name in classes:
        positive, score = probe[f"target {name}"].to_numpy() == 1, scores[:, names.index(name)]
        observed = roc_auc_score(positive, score) if 0 < positive.sum() < len(positive) else np.nan
        values.append(np.r_[observed, auc_draws(score, positive, counts)])
    there = (~np.isnan(values)).sum(axis=0)
    return np.where(there > 0, np.nansum(values, axis=0) / np.maximum(there, 1), np.nan)


def of_one_set(rows: pd.DataFrame, n_boot: int, seed: int) -> pd.DataFrame:
    """Return the intervals of AUC - AUC(0) and the validation AUC of each alignment of one sweep."""
    first = rows.drop_duplicates("row").sort_values("row")
    n_groups = int(first["group"].max()) + 1
    drawn = np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n_boot)
    counts = np.ascontiguousarray(drawn[:, first["group"].to_numpy()].T, dtype=np.float32)  # exact: all sums stay below 2 ** 24
    found, classes, probes = [], filled(rows, "target "), rows.groupby([*ALIGNMENT, "seed"], sort=False)
    by_probe = {keys: macro_auc(probe.sort_values("row"), classes, counts) for keys, probe in probes}
    auc = pd.DataFrame(by_probe).T.groupby(level=[0, 1, 2, 3], sort=False).mean()
    for keys, values in auc.iterrows():
        change = (values - auc.loc[("lambda", keys[1], 0.0, 0.0)]).to_numpy()
        low, high = np.nanquantile(change[1:], [0.025, 0.975])
        found.append((*keys, values.iloc[0], change[0], low, high))
    table = pd.DataFrame(found, columns=[*ALIGNMENT, "auc", "difference", "low", "high"])
    validation = rows[rows["row"] == 0].groupby(ALIGNMENT, sort=False)["validation_auc"].mean()
    return table.merge(validation.reset_index(), on=ALIGNMENT)


def recompute(files: list[str], features: list[str], n_boot: int, seed: int) -> pd.DataFrame:
    tables = []
    for file in files:
        scores = pd.read_parquet(file) if str(file).endswith(".parquet") else pd.read_csv(file)
        for keys, rows in scores[scores["features"].isin(features)].groupby(SET, sort=False):
            tables.append(of_one_set(rows, n_boot, seed).assign(**dict(zip(SET, keys, strict=True))))
    return pd.concat(tables, ignore_index=True)[[*SET, *ALIGNMENT, "auc", "difference", "low", "high", "validation_auc"]]


def chosen_on_validation(intervals: pd.DataFrame) -> pd.DataFrame:
    """Return the row of highest validation AUC per sweep and features; the smallest lambda among equals."""
    rows = intervals[(intervals["part"] == "lambda") & (intervals["alignment"] == "lambda")]
    rows = rows.assign(size=rows["lambda_image"].abs() + rows["lambda_text"].abs())
    rows = rows.sort_values(["validation_auc", "size"], ascending=[False, True], kind="stable")
    return rows.groupby([*SET, "features"], sort=False).head(1)


def compare(intervals: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Return, for each table of page 03, how many intervals it has, how many were recomputed, and the largest difference."""
    found, columns = [], ["difference", "low", "high"]
    pages = {name: (intervals[intervals["part"] == part], ALIGNMENT) for name, part in TABLES.items()}
    pages["lambda_selected"] = (chosen_on_validation(intervals), ["features", "lambda_image", "lambda_text"])
    for name, (mine, keys) in pages.items():
        page = pd.read_parquet(folder / f"{name}.parquet")
        page = page[page["features"].isin(intervals["features"])]
        on = [k for k in ("dataset", "backbone", "protocol") if k in page] + keys
        both = page.merge(mine, on=on, how="left", suffixes=("_page", ""))
        apart = (both[columns].to_numpy() - both[[f"{c}_page" for c in columns]].to_numpy()) if len(both) else np.zeros((0, 3))
        found.append((name, len(page), int(both["low"].notna().sum()), np.nanmax(np.abs(apart), initial=0.0)))
    return pd.DataFrame(found, columns=["table", "intervals", "recomputed", "largest difference"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", nargs="+", help="files of `python -m helpers sweep ... --export FILE`")
    parser.add_argument("--tables", type=Path, help="folder of the result tables of page 03, to compare with")
    parser.add_argument("--n-boot", type=int, default=1000)
    given = parser.parse_args()
    intervals = recompute(given.scores, ["joint"], given.n_boot, 0)
    found = compare(intervals, given.tables) if given.tables else intervals
    print(found.to_string(index=False))
    equal = not given.tables or (found["intervals"].eq(found["recomputed"]) & found["largest difference"].le(1e-6)).all()
    return int(not equal)


if __name__ == "__main__":
    sys.exit(main())
