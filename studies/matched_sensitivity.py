"""Is the medical set more sensitive to λ once rows and labels are matched? HAM10000 against Flickr8k on the test bench (page 14).

    python studies/matched_sensitivity.py

Only rows that the heads of the encoder were not trained on take part, and equally many of both sets: 300 under lit-natural, 1,000
under lit-derm. They are split anew twenty times into 70, 10 and 20 %. Labels are predicted one by one without class weights: the
objects of Flickr8k and the classes of HAM10000 that hold at least one row in twenty. The gain of λ = 1 is measured in macro AUC and
in bits of log loss, after 2,300 updates of AdamW at 3e-4 as behind the paper's Fig. 3, and for the converged probe.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from common import NAMES, names_of, redrawn_split, shipped_sets
from scipy.stats import t as student
from tqdm import tqdm

from helpers import PROTOCOLS, EmbeddingSet, sweep
from helpers.backbones.registry import HEADS
from helpers.datasets.splits import resplit
from helpers.files import project_root, read_json, replacing
from helpers.statistics import corrected_interval
from helpers.tasks import Task

INPUTS = ["data/embeddings/**/*", "data/heads/*"]
OUT = "data/measured/matched_sensitivity.csv"
MOST, SHARES, LEAST, SPLITS = 1000, {"train": 0.7, "val": 0.1, "test": 0.2}, 0.05, 20
TRAININGS = {"2,300 updates": "authors-code-matched", "converged": "converged"}


def unseen(embeddings: EmbeddingSet) -> EmbeddingSet:
    """Return the rows that the heads of the encoder were not trained on."""
    record = read_json(HEADS / f"{embeddings.identity.backbone}.json")["trained_on"]
    own = record["dataset"] == embeddings.identity.dataset
    if own and record["pairs"] != len(embeddings.rows("train")):
        raise ValueError(
            f"{embeddings.identity} has {len(embeddings.rows('train'))} training rows and its heads were trained on "
            f"{record['pairs']}; compare sets under the split that the heads were trained on"
        )
    return replace(embeddings, pairs=embeddings.pairs[embeddings.pairs["split"] != "train"]) if own else embeddings


def matched(embeddings: EmbeddingSet, n_rows: int) -> EmbeddingSet:
    """Return ``n_rows`` random rows with binary labels."""
    chosen = np.sort(np.random.default_rng(5).permutation(len(embeddings))[:n_rows])
    pairs = embeddings.pairs.iloc[chosen].reset_index(drop=True)
    if embeddings.task.kind == "multilabel":
        return replace(embeddings, pairs=pairs)
    share = embeddings.pairs["label"].value_counts(normalize=True)
    classes = tuple(sorted(share.index[share >= LEAST]))
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
    sets = [unseen(embeddings) for embeddings in shipped_sets() if embeddings.identity.variant != "authors"]
    runs = []
    for embeddings in sets:
        n_rows = min([MOST, *(len(other) for other in sets if other.identity.backbone == embeddings.identity.backbone)])
        small = matched(embeddings, n_rows)
        about = names_of(embeddings) | {"rows": n_rows, "labels": len(small.task.classes)}
        for state in tqdm(range(SPLITS), desc=str(embeddings.identity), unit="split"):
            runs += [{**about, **row} for row in gains(small, state)]
    table, rows = pd.DataFrame(runs), []
    for names, own in table.groupby([*NAMES, "rows", "labels", "training", "measure"], sort=False):
        low, high = corrected_interval(own["gain"], own["ratio"].mean())
        rows.append((*names, own["gain"].mean(), low, high, len(own)))
    for (backbone, n_rows, training, measure), own in table.groupby(["backbone", "rows", "training", "measure"], sort=False):
        of = {name: own.loc[own["dataset"] == name, "gain"].to_numpy() for name in ("ham10000", "flickr8k")}
        names = ("ham10000 minus flickr8k", "", backbone, n_rows, None, training, measure)
        rows.append((*names, *contrast(of, own["ratio"].mean()), SPLITS))
    found = pd.DataFrame(rows, columns=[*NAMES, "rows", "labels", "training", "measure", "gain", "low", "high", "splits"])
    found["labels"] = found["labels"].astype("Int64")
    with replacing(project_root() / OUT) as temporary:
        found.to_csv(temporary, index=False, float_format="%.6f")
