"""Measure the gain of lambda, and of each channel, as a function of how long and how fast a linear probe is trained.

    python studies/training_gain.py                     all shipped sets, about 7 minutes on two cores
    python studies/training_gain.py --longer            up to the updates of the authors' longer run (AdamW, one seed): hours

Everything but the training follows the protocol ``converged``: loss, gap rows and the AUC of scores. Its probe is the limit.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, product

import numpy as np
import pandas as pd
import torch
from common import NAMES, Clock, names_of, shipped_sets, store_rows

from helpers import PROTOCOLS, metrics, sweep
from helpers.alignment.shift import CHANNELS, Alignment
from helpers.probing.descent import BETAS, EPSILON, MOMENTUM, gradients, start
from helpers.probing.objective import Objective
from helpers.probing.protocol import BRSET_UPDATES, split_rows
from helpers.probing.scoring import ranking_scores, run_in_threads
from helpers.probing.sweep import alignment_grid
from helpers.probing.views import View, build_view
from helpers.statistics import bootstrap_counts, percentile_interval

INPUTS = ["data/embeddings/**/*"]
OUT = ["data/measured/training_gain.csv", "data/measured/training_gain_limit.csv"]
OUT_LONGER = "data/measured/training_gain_longer.csv"
RATES = {"adamw": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), "sgd": (3e-4, 3e-3, 3e-2, 0.3)}
CHANNEL_RATE = 3e-4  # its probes are also trained under each channel alone, and its gains get intervals
LONGER_UPDATES = 36_600  # of the authors' longer-trained probe on BRSET: at most 366 batches of 32 rows in each of 100 epochs
SEEDS = (42, 43)
COLUMNS = [*NAMES, "optimizer", "rate", "alignment", "updates", "auc", "gain", "seed_sd", "low", "high", "n_seeds"]


def log_checkpoints(last: int, first: int = 10) -> tuple[int, ...]:
    """Return whole numbers from ``first`` to ``last``, six a decade."""
    return tuple(dict.fromkeys(round(u) for u in np.geomspace(first, last, round(6 * np.log10(last / first)) + 1)))


@dataclass(frozen=True)
class Descent:
    """Settings of the descent of one run: numbers for all probes, or tensors that broadcast to (K, A, n_features + 1)."""

    optimizer: str  # ``sgd`` (momentum 0.9) or ``adamw``
    lr: float | torch.Tensor
    epsilon: float | torch.Tensor = EPSILON  # of AdamW
    start: Callable[[torch.Tensor], torch.Tensor] = lambda parameters: parameters  # changes the initial parameters
    adjust: Callable[[torch.Tensor], torch.Tensor] = lambda gradient: gradient  # changes each gradient


def train_path(embeddings, view: View, descent: Descent, checkpoints, seed: int, size: int = 512) -> Iterator[np.ndarray]:
    """Train one probe per alignment of a view of the embeddings as a protocol does, with the loss of ``converged``.

    Nothing stops it early: it yields the logits of the test rows, (A, n_test, K), at each checkpoint, a number of updates.
    """
    split, targets = split_rows(embeddings, seed), torch.from_numpy(np.ascontiguousarray(embeddings.targets.T))
    targets = targets.to(view.modalities[0].shift.dtype)
    objective = Objective.of(embeddings.task, PROTOCOLS["converged"].weighting, embeddings.targets[split.fit])
    fit, test, done = torch.from_numpy(split.fit), torch.from_numpy(split.test), 0
    generator, parameters = start(view, targets, seed)
    parameters = descent.start(parameters)
    step = _broadcast_stepper(parameters, descent)
    while done < max(checkpoints):
        for gradient in gradients(view, targets, objective, fit, generator, size, parameters):
            step(descent.adjust(gradient))
            done += 1
            if done in checkpoints:
                yield view.predict(test, parameters).permute(1, 2, 0).numpy()
            if done == max(checkpoints):
                return


def _broadcast_stepper(parameters, descent: Descent):
    """Return a function that makes one step of the optimiser without weight decay, in place, with rates that broadcast."""
    mean, square, taken = torch.zeros_like(parameters), torch.zeros_like(parameters), count(1)

    def sgd_step(gradient):
        mean.mul_(MOMENTUM).add_(gradient)
        parameters.sub_(descent.lr * mean)

    def adamw_step(gradient):
        n = next(taken)
        mean.lerp_(gradient, 1 - BETAS[0])
        square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        scale = square.sqrt().div_((1 - BETAS[1] ** n) ** 0.5).add_(descent.epsilon)
        parameters.sub_(descent.lr / (1 - BETAS[0] ** n) * (mean / scale))

    return sgd_step if descent.optimizer == "sgd" else adamw_step


def path_scores(
    embeddings, optimizer: str, probes: Sequence[tuple[float, Alignment]], checkpoints: Sequence[int], seed: int, batch_size: int
) -> np.ndarray:
    """Return test scores (checkpoints, probes, n_test, K) along one run of probes, each given by learning rate and alignment."""
    descent = Descent(optimizer, torch.tensor([rate for rate, _ in probes])[None, :, None])
    alignments, fit = list(dict.fromkeys(alignment for _, alignment in probes)), split_rows(embeddings, seed).fit
    view = build_view(embeddings, alignments, fit, fit, torch.float32, "cpu").chunk([alignments.index(a) for _, a in probes])
    path = train_path(embeddings, view, descent, checkpoints, seed, batch_size)
    return np.stack([ranking_scores(logits, embeddings.task, "auc").astype(np.float32) for logits in path])


def training_gain(
    embeddings,
    rates: dict[str, Sequence[float]] = RATES,
    checkpoints: Sequence[int] = log_checkpoints(BRSET_UPDATES),
    seeds: Sequence[int] = SEEDS,
    channel_rate: float | None = CHANNEL_RATE,
    n_boot: int = 200,
    batch_size: int = 512,
    workers: int | None = None,
) -> pd.DataFrame:
    """Return test AUC and AUC(1) - AUC(0) after numbers of updates, from one run per optimiser and seed; ``COLUMNS``.

    ``auc`` and ``gain`` are means over seeds, ``seed_sd`` is of the gain. ``low`` and ``high`` are the interval of the gain of the
    whole alignment at ``channel_rate``; NaN elsewhere.
    """
    zero, one, *channels = alignment_grid([0.0, 1.0], ("lambda", *CHANNELS))
    probes = {
        optimizer: [*product(values, (zero, one)), *((rate, c) for rate in values if rate == channel_rate for c in channels)]
        for optimizer, values in rates.items()
    }
    runs = list(product(rates, seeds))

    def work(run):
        optimizer, seed = run
        return path_scores(embeddings, optimizer, probes[optimizer], checkpoints, seed, batch_size)

    found = dict(zip(runs, run_in_threads(work, runs, min(workers or os.cpu_count() or 1, len(runs))), strict=True))
    test = embeddings.pairs[embeddings.pairs["split"] == "test"]
    counts = bootstrap_counts(len(test), n_boot, groups=test["group"].to_numpy())
    targets, rows = embeddings.targets[embeddings.rows("test")], []
    for optimizer in rates:
        scores = np.stack([found[optimizer, seed] for seed in seeds])  # (seeds, checkpoints, probes, n_test, K)
        auc = metrics.macro_auc(scores, targets)
        for i, (rate, alignment) in enumerate(probes[optimizer]):
            base = probes[optimizer].index((rate, zero))
            gain = auc[:, :, i] - auc[:, :, base]
            sd = gain.std(axis=0, ddof=1) if len(seeds) > 1 else np.full(len(checkpoints), np.nan)
            for c, updates in enumerate(checkpoints):
                low = high = np.nan
                if alignment == one and rate == channel_rate:
                    draws = metrics.macro_auc(scores[:, c, [base, i]], targets, counts).mean(axis=0)
                    low, high = percentile_interval(draws[1] - draws[0])
                name = "none" if alignment == zero else alignment.name
                rows.append((optimizer, rate, name, updates, auc[:, c, i].mean(), gain[:, c].mean(), sd[c], low, high, len(seeds)))
    return pd.DataFrame(rows, columns=COLUMNS[3:]).assign(**names_of(embeddings))[COLUMNS]


def converged_gain(embeddings, n_boot: int = 1000) -> pd.DataFrame:
    """Return the limit of the training: AUC and gain of the converged probe for each alignment, with intervals."""
    result = sweep(embeddings, [0.0, 1.0], SEEDS, "converged", alignments=("lambda", *CHANNELS), progress=False)
    table = result.effects(n_boot=n_boot).rename(columns={"difference": "gain"})
    table["alignment"] = table["alignment"].where(table["lambda_image"] != 0, "none")
    return table.assign(**names_of(embeddings))[[*NAMES, "alignment", "auc", "gain", "low", "high"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--longer", action="store_true", help=f"continue to {LONGER_UPDATES:,} updates and write {OUT_LONGER}")
    parser.add_argument("--only", nargs="+", default=[], metavar="DATASET/VARIANT/ENCODER", help="some of the shipped sets")
    parser.add_argument("--workers", type=int, default=None, help="threads; all cores when absent")
    args = parser.parse_args()
    for embeddings in shipped_sets(args.only):
        clock = Clock()
        if args.longer:
            beyond = log_checkpoints(LONGER_UPDATES, first=BRSET_UPDATES)[1:]
            table = training_gain(embeddings, {"adamw": (3e-4, 1e-3)}, beyond, SEEDS[:1], None, workers=args.workers)
            tables = {OUT_LONGER: table}
        else:
            tables = dict(zip(OUT, (training_gain(embeddings, workers=args.workers), converged_gain(embeddings)), strict=True))
        store_rows(tables, embeddings, clock)
        print(*names_of(embeddings).values(), flush=True)


if __name__ == "__main__":
    main()
