"""Gain of λ under a probe with a hidden layer, a converged linear probe and the authors' linear probe, on every shipped set.

    python studies/hidden_layer.py

The hidden layer is trained as the authors' stored runs were: 128 units, AdamW at 1e-3, batches of 32, the epoch of the lowest
validation loss, patience 5. Every probe is scored by the macro AUC of its scores. What the table holds is not measured again.
"""

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from helpers import EmbeddingSet, align, gap_vector, sweep
from helpers.files import replacing
from helpers.metrics import macro_auc
from helpers.probing.objective import Objective
from helpers.probing.protocol import split_rows
from helpers.probing.scoring import ranking_scores
from helpers.store import stored

INPUTS = ["data/embeddings"]
OUT = "data/measured/hidden_layer.csv"

LAMBDAS = tuple(round(0.1 * i, 1) for i in range(11))
SEEDS = (42, 43, 44, 45, 46)
LINEAR = ("authors-code-matched", "converged")
UNITS, RATE, BATCH, PATIENCE, EPOCHS = 128, 1e-3, 32, 5, 100
COLUMNS = ["dataset", "variant", "backbone", "probe", "lambda", "seed", "auc", "epochs"]


def hidden_layer(embeddings: EmbeddingSet, seed: int) -> list[tuple]:
    """Return ``(lambda, auc, epochs)`` of one seed; all λ share the split, the initial weights and the order of batches."""
    rows = split_rows(embeddings, seed)
    image, text, targets = embeddings.image_of(), embeddings.text_of(), embeddings.targets
    gap = gap_vector(image[rows.fit], text[rows.fit])
    objective = Objective.of(embeddings.task, "authors-code", targets[rows.fit])
    found = []
    for lam in LAMBDAS:
        moved = np.concatenate(align(image, text, gap, lam)[::-1], axis=1).astype(np.float32)
        x, y = torch.from_numpy(moved), torch.from_numpy(targets.astype(np.float32))
        logits, epochs = _train(x, y, rows, objective, seed)
        scores = ranking_scores(logits[rows.test], embeddings.task, "auc")
        found.append((lam, float(macro_auc(scores, targets[rows.test])), epochs))
    return found


def _train(x, y, rows, objective: Objective, seed: int) -> tuple[np.ndarray, int]:
    """Train one probe and return the logits of all rows at the epoch of the lowest validation loss, and that epoch."""
    torch.manual_seed(seed)
    probe = nn.Sequential(nn.Linear(x.shape[1], UNITS), nn.ReLU(), nn.Linear(UNITS, y.shape[1]))
    optimizer = torch.optim.AdamW(probe.parameters(), lr=RATE)
    order = torch.Generator().manual_seed(seed)
    fit, val = torch.from_numpy(rows.fit), torch.from_numpy(rows.val)
    lowest, best, chosen = np.inf, np.empty(0), 0
    for epoch in range(1, EPOCHS + 1):
        for batch in fit[torch.randperm(len(fit), generator=order)].split(BATCH):
            optimizer.zero_grad()
            _loss(objective, probe(x[batch]), y[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            loss = float(_loss(objective, probe(x[val]), y[val]))
            if loss < lowest:
                lowest, best, chosen = loss, probe(x).numpy(), epoch
        if epoch - chosen >= PATIENCE:
            break
    return best, chosen


def _loss(objective: Objective, logits, targets):
    """Return the authors' weighted loss of a batch; the package's objectives have the shape (outputs, probes, rows)."""
    weights = objective.weights(targets.T)
    return (objective.losses(logits.T[:, None], targets.T) * objective.batch_weights(weights)).sum()


def linear(embeddings: EmbeddingSet, protocol: str) -> pd.DataFrame:
    """Return λ, seed and AUC of the linear probe under a protocol, scored by its scores."""
    table = sweep(embeddings, protocol=protocol, lambdas=LAMBDAS, seeds=SEEDS, features=("joint",)).table
    table = table[(table["metric"] == "auc") & (table["split"] == "test") & table["class"].isna()]  # the macro mean
    return table.rename(columns={"lambda_image": "lambda", "value": "auc"})[["lambda", "seed", "auc", "epochs"]]


def measure(embeddings: EmbeddingSet, probe: str) -> pd.DataFrame:
    """Return one kind of probe on one embedding set."""
    if probe == "hidden layer":
        seeds = tqdm(SEEDS, desc=str(embeddings.identity), unit="seed")
        runs = [(lam, seed, auc, epochs) for seed in seeds for lam, auc, epochs in hidden_layer(embeddings, seed)]
        table = pd.DataFrame(runs, columns=["lambda", "seed", "auc", "epochs"])
    else:
        table = linear(embeddings, probe)
    own = embeddings.identity
    return table.assign(dataset=own.dataset, variant=own.variant, backbone=own.backbone, probe=probe)[COLUMNS]


def main() -> int:
    out = Path(OUT)
    done = pd.read_csv(out) if out.is_file() else pd.DataFrame(columns=COLUMNS)
    names = stored(INPUTS[0])[["dataset", "variant", "backbone"]].itertuples(index=False, name=None)
    for name, probe in product(names, ("hidden layer", *LINEAR)):
        if (done[COLUMNS[:4]] == [*name, probe]).all(axis=1).any():
            continue
        found = measure(EmbeddingSet.load(Path(INPUTS[0]).joinpath(*name)), probe)
        done = pd.concat([done, found], ignore_index=True) if len(done) else found
        with replacing(out) as temporary:
            done.to_csv(temporary, index=False, float_format="%.6f")
    return 0


if __name__ == "__main__":
    sys.exit(main())
