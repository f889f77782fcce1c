"""Export test scores of every probe, row by row, to recompute intervals without this package."""

from pathlib import Path

import numpy as np
import pandas as pd

from ..datasets import DATASETS
from ..files import replacing
from .inference import KEYS

RUN = [*KEYS, "seed"]
ENDINGS = (".parquet", ".csv", ".csv.gz")


def refuse_private(dataset: str) -> None:
    """Raise if the test rows of a data set may not be exported, because it is credentialed."""
    if dataset in DATASETS and DATASETS[dataset].card.credentialed:
        raise ValueError(f"test scores of {dataset} are not exported, because its agreement forbids passing on data of its rows")


def refuse_ending(path) -> None:
    """Raise unless the ending of a file name is one of ``ENDINGS``."""
    if not str(path).endswith(ENDINGS):
        raise ValueError(f"--export {path}: expected a name that ends with {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")


def score_table(result, part: str) -> pd.DataFrame:
    """Return the logits of every probe of a sweep on every test row; refuse a credentialed data set.

    Args:
        result: a :class:`~helpers.probing.result.SweepResult`.
        part: ``lambda`` or ``alignments``, to tell the two sweeps of a set apart.

    Returns:
        one row per probe and test row: part, the keys of the run, seed, task, headline_metric, validation_auc (of the headline
        metric, what chooses lambda), row (number of the test row), group (number), and for every class ``target CLASS`` (0 or 1)
        and ``score CLASS`` (logit). Classes that no probe could learn are absent, as they are from the macro mean; of a softmax
        their logits stay, as the probabilities of the others need them.
    """
    refuse_private(result.provenance["dataset"])
    n_runs, n_rows, rows = len(result.runs), len(result.targets), result.table
    rows = rows[(rows["split"] == "val") & (rows["metric"] == result.headline_metric) & rows["class"].isna()]
    table = result.runs[RUN].merge(rows[[*RUN, "value"]], how="left", on=RUN).rename(columns={"value": "validation_auc"})
    table = table.loc[table.index.repeat(n_rows)].reset_index(drop=True)
    table.insert(0, "part", part)
    table = table.assign(task=result.task.kind, headline_metric=result.headline_metric)
    groups = np.unique(result.groups.astype(str), return_inverse=True)[1]  # numbered in the order in which the bootstrap draws them
    table["row"], table["group"] = np.tile(np.arange(n_rows), n_runs), np.tile(groups, n_runs)
    softmax = result.task.kind == "multiclass"
    columns = {}
    for k, name in enumerate(result.task.outputs):
        if result.learned[k]:
            columns[f"target {name}"] = np.tile(result.targets[:, k].astype(np.int8), n_runs)
        if result.learned[k] or softmax:
            columns[f"score {name}"] = result.scores[..., k].ravel()
    return pd.concat([table, pd.DataFrame(columns)], axis=1)


def write_scores(tables: list[pd.DataFrame], path) -> Path:
    """Write tables of :func:`score_table` as one file, ``.parquet``, ``.csv`` or ``.csv.gz``."""
    refuse_ending(path)
    path, table = Path(path), pd.concat(tables, ignore_index=True)
    with replacing(path) as temporary:
        if path.suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        else:
            table.to_csv(temporary, index=False, compression="gzip" if path.suffix == ".gz" else None)
    return path
