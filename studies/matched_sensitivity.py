"""Is the medical set more sensitive to λ once rows and task are matched? HAM10000 against Flickr8k on the test bench (page 14).

    python studies/matched_sensitivity.py

Both sets have 1,000 rows here, split anew ten times into 700, 100 and 200, and labels that are predicted one by one without class
weights: the objects of Flickr8k, and the classes of HAM10000 with at least 20 expected test rows. The gain of λ = 1 is measured in
macro AUC and in bits of log loss, after 2,300 updates of AdamW at 3e-4 as behind the paper's Fig. 3, and for the converged probe.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from common import NAMES, names_of, shipped_sets
from scipy.stats import t as student
from tqdm import tqdm

from helpers import PROTOCOLS, EmbeddingSet, sweep
from helpers.datasets.splits import redrawn_split, resplit
from helpers.files import project_root, replacing
from helpers.statistics import corrected_interval
from helpers.tasks import Task

INPUTS = ["data/embeddings/**/*"]
OUT = "data/measured/matched_sensitivity.csv"
ROWS, SHARES, LEAST, SPLITS = 1000, {"train": 0.7, "val": 0.1, "test": 0.2}, 20, 10
TRAININGS = {"2,300 updates": "authors-code-matched", "converged": "converged"}


def matched(embeddings: EmbeddingSet) -> EmbeddingSet:
    """Return 1,000 random rows with binary labels."""
    chosen = np.sort(np.random.default_rng(5).permutation(len(embeddings))[:ROWS])
    pairs = embeddings.pairs.iloc[chosen].reset_index(drop=True)
    if embeddings.task.kind == "multilabel":
        return replace(embeddings, pairs=pairs)
    expected = pairs["label"].value_counts() * SHARES["test"]
    classes = tuple(sorted(expected.index[expected >= LEAST]))
    labels = {f"label_{name}": (pairs["label"] == name).astype("int8") for name in classes}
    return replace(embeddings, pairs=pairs.drop(columns="label").assign(**labels), task=Task("multilabel", classes))


def shared_split(embeddings: EmbeddingSet, state: int) -> pd.Series:
    """Return a random split by group in the shares of the study."""
    even = embeddings.pairs["split"].to_numpy().copy()
    even[:] = np.repeat(list(SHARES), [round(share * len(embeddings)) for share in SHARES.values()])
    return redrawn_split(replace(embeddings, pairs=embeddings.pairs.assign(split=even)), state)


def gains(embeddings: EmbeddingSet, state: int) -> list[dict]:
    """Return the gain of lambda = 1 in AUC and in bits under each training on one split."""
    split, rows = resplit(embeddings, shared_split(embeddings, state)), []
    for training, protocol in TRAININGS.items():
        how = PROTOCOLS[protocol].replace(name=protocol, weighting="none")
        table = sweep(split, [0.0, 1.0], (42,), how, workers=1, progress=False).table
        table = table[(table["split"] == "test") & table["class"].isna() & table["metric"].isin(["auc", "log_loss"])]
        wide = table.pivot_table(index="metric", columns="lambda_image", values="value")
        bits = (wide.loc["log_loss", 0.0] - wide.loc["log_loss", 1.0]) / np.log(2)
        ratio = len(split.rows("test")) / len(split.rows("train"))
        rows += [
            {
                "training": training,
                "measure": "AUC",
                "state": state,
                "gain": wide.loc["auc", 1.0] - wide.loc["auc", 0.0],
                "ratio": ratio,
            },
            {"training": training, "measure": "bits", "state": state, "gain": bits, "ratio": ratio},
        ]
    return rows


def contrast(of: dict[str, np.ndarray], ratio: float) -> tuple[float, float, float]:
    """Return medical minus natural gain and its 95 % interval; the sets share no rows, so their corrected variances add up."""
    values = list(of.values())
    variance = sum(v.var(ddof=1) * (1 / len(v) + ratio) for v in values)
    half = student.ppf(0.975, min(map(len, values)) - 1) * np.sqrt(variance)
    difference = float(values[0].mean() - values[1].mean())
    return difference, difference - half, difference + half


if __name__ == "__main__":
    runs = []
    for embeddings in shipped_sets():
        if embeddings.identity.variant != "authors":
            small = matched(embeddings)
            for state in tqdm(range(SPLITS), desc=str(embeddings.identity), unit="split"):
                runs += [{**names_of(embeddings), **row} for row in gains(small, state)]
    table, rows = pd.DataFrame(runs), []
    for names, own in table.groupby([*NAMES, "training", "measure"], sort=False):
        low, high = corrected_interval(own["gain"], own["ratio"].mean())
        rows.append((*names, own["gain"].mean(), low, high, len(own)))
    for (backbone, training, measure), own in table.groupby(["backbone", "training", "measure"], sort=False):
        of = {name: own.loc[own["dataset"] == name, "gain"].to_numpy() for name in ("ham10000", "flickr8k")}
        rows.append(("ham10000 minus flickr8k", "", backbone, training, measure, *contrast(of, own["ratio"].mean()), SPLITS))
    found = pd.DataFrame(rows, columns=[*NAMES, "training", "measure", "gain", "low", "high", "splits"])
    with replacing(project_root() / OUT) as temporary:
        found.to_csv(temporary, index=False, float_format="%.6f")
