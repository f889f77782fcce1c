"""Measure the gain of lambda, and of each channel, as a function of how long and how fast a linear probe is trained.

All but the training follows the protocol ``converged``: loss, gap rows, and the AUC of scores. Its minimiser is the limit.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from .. import metrics
from ..alignment.channels import CHANNELS
from ..statistics import bootstrap_counts, percentile_interval
from ..store.embeddings import EmbeddingSet
from .objective import Objective
from .paths import Descent, log_checkpoints, train_path
from .protocol import BRSET_UPDATES, PROTOCOLS
from .scoring import ranking_scores
from .sweep import alignment_grid, sweep
from .threads import run_in_threads
from .validation import split_rows
from .views import View, build_view

RATES = {"adamw": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), "sgd": (3e-4, 3e-3, 3e-2, 0.3)}
CHANNEL_RATE = 3e-4
BUDGET = BRSET_UPDATES
"""Updates of the authors' published probe on BRSET: at most 23 batches of 512 rows in each of 100 epochs."""
BUDGET_LONGER = 36_600
"""Updates of the authors' longer-trained probe on BRSET: at most 366 batches of 32 rows in each of 100 epochs."""
SEEDS = (42, 43)
LONGEST_RUN = 10**9  # epochs: the last checkpoint alone ends a path


@dataclass(frozen=True)
class _Arm:
    """One optimiser and seed: which probe has which rate and alignment."""

    optimizer: str
    seed: int
    probes: tuple[tuple[float, int], ...]


def training_gain(
    embeddings: EmbeddingSet,
    rates: Mapping[str, Sequence[float]] = RATES,
    checkpoints: Sequence[int] = log_checkpoints(BUDGET),
    seeds: Sequence[int] = SEEDS,
    channel_rate: float | None = CHANNEL_RATE,
    n_boot: int = 200,
    batch_size: int = 512,
    device: str = "cpu",
    workers: int | None = None,
) -> pd.DataFrame:
    """Return test AUC and AUC(1) - AUC(0) after numbers of updates, from one run per optimiser and seed.

    Args:
        rates: learning rates by optimiser (``adamw``, ``sgd``).
        checkpoints: numbers of updates; the largest ends the training.
        channel_rate: rate whose probes are also trained under each channel alone, and whose gains get intervals; none when None.
        n_boot: replicates of the paired bootstrap over test rows.

    Returns:
        a row per optimizer, rate, alignment and updates: ``auc``, ``gain`` (means over seeds), ``seed_sd`` (of the gain), ``low``,
        ``high`` (of the gain of all channels together; NaN elsewhere), ``n_seeds``.

    Raises:
        ValueError: an unknown optimiser, a rate that is not positive, or no checkpoint.
    """
    checkpoints = sorted({int(u) for u in checkpoints})
    grid = alignment_grid([0.0, 1.0], ("lambda", *CHANNELS))
    arms = [_Arm(o, s, _probes(values, channel_rate, len(grid))) for o, values in rates.items() for s in seeds]
    for arm in arms:
        Descent(arm.optimizer, [rate for rate, _ in arm.probes])  # refuses bad rates before any work
    split = {s: split_rows(embeddings, s) for s in seeds}
    views = {s: build_view(embeddings, grid, split[s].fit, split[s].fit, torch.float32, device) for s in seeds}
    task = [(arm, views[arm.seed], split[arm.seed]) for arm in arms]

    def work(one):
        arm, view, rows = one
        return _test_scores(embeddings, arm, view, rows, checkpoints, batch_size, device)

    scores = run_in_threads(work, task, min(workers or os.cpu_count() or 1, len(task)))
    counts = _counts(embeddings, n_boot)
    tables = []
    for optimizer in rates:
        mine = [i for i, arm in enumerate(arms) if arm.optimizer == optimizer]
        stacked = np.stack([scores[i] for i in mine])  # (seeds, checkpoints, probes, n_test, K)
        tables.append(
            _table(embeddings, stacked, arms[mine[0]].probes, checkpoints, channel_rate, counts).assign(optimizer=optimizer)
        )
    names = embeddings.identity
    table = pd.concat(tables, ignore_index=True)
    table["alignment"] = [grid[a].name if a else "none" for a in table["alignment"]]
    return table.assign(dataset=names.dataset, variant=names.variant, backbone=names.backbone, n_seeds=len(seeds))[COLUMNS]


COLUMNS = [
    "dataset", "variant", "backbone", "optimizer", "rate", "alignment", "updates", "auc", "gain", "seed_sd", "low", "high",
    "n_seeds",
]  # fmt: skip


def converged_gain(embeddings: EmbeddingSet, n_boot: int = 1000) -> pd.DataFrame:
    """Return the limit of :func:`training_gain`: AUC and gain of the converged probe for each alignment, with intervals."""
    result = sweep(embeddings, [0.0, 1.0], SEEDS, "converged", alignments=("lambda", *CHANNELS), progress=False)
    table = result.effects(n_boot=n_boot).rename(columns={"difference": "gain"})
    table["alignment"] = table["alignment"].where(table["lambda_image"] != 0, "none")
    names = embeddings.identity
    table = table.assign(dataset=names.dataset, variant=names.variant, backbone=names.backbone)
    return table[["dataset", "variant", "backbone", "alignment", "auc", "gain", "low", "high"]]


def _probes(rates: Sequence[float], channel_rate: float | None, n_alignments: int) -> tuple[tuple[float, int], ...]:
    """Return (rate, position of the alignment): lambda = 0 and 1 at every rate, then each channel at one."""
    both = [(float(rate), a) for rate in rates for a in (0, 1)]
    if channel_rate is None or channel_rate not in rates:
        return tuple(both)
    return (*both, *((channel_rate, a) for a in range(2, n_alignments)))


def _test_scores(embeddings, arm: _Arm, view: View, split, checkpoints, batch_size: int, device: str) -> np.ndarray:
    """Return the ranking scores of every probe at every checkpoint, (checkpoints, probes, n_test, K) float32."""
    targets = torch.from_numpy(np.ascontiguousarray(embeddings.targets.T)).to(device, torch.float32)
    objective = Objective.of(embeddings.task, PROTOCOLS["converged"].weighting, embeddings.targets[split.fit])
    fit, test = (torch.from_numpy(rows).to(device) for rows in (split.fit, split.test))
    view = view.chunk([a for _, a in arm.probes])
    lr = torch.tensor([rate for rate, _ in arm.probes], device=device)[None, :, None]
    path = train_path(view, targets, objective, fit, arm.seed, Descent(arm.optimizer, lr), checkpoints, batch_size, LONGEST_RUN)
    logits = (view.predict(test, parameters).permute(1, 2, 0).cpu().numpy() for _, parameters in path)
    return np.stack([ranking_scores(z, embeddings.task, "auc").astype(np.float32) for z in logits])


def _counts(embeddings, n_boot: int) -> np.ndarray:
    test = embeddings.pairs[embeddings.pairs["split"] == "test"]
    return bootstrap_counts(len(test), n_boot, groups=test["group"].to_numpy())


def _table(embeddings, scores: np.ndarray, probes, checkpoints, channel_rate: float | None, counts: np.ndarray) -> pd.DataFrame:
    targets = embeddings.targets[embeddings.rows("test")]
    auc = metrics.macro_auc(scores, targets)  # (seeds, checkpoints, probes)
    position = {probe: i for i, probe in enumerate(probes)}
    rows = []
    for (rate, alignment), i in position.items():
        zero = position[rate, 0]
        gain = auc[:, :, i] - auc[:, :, zero]
        sd = gain.std(axis=0, ddof=1) if len(gain) > 1 else np.full(len(checkpoints), np.nan)
        with_interval = alignment == 1 and rate == channel_rate
        for c, updates in enumerate(checkpoints):
            low, high = _interval(scores[:, c, [zero, i]], targets, counts) if with_interval else (np.nan, np.nan)
            rows.append((rate, alignment, updates, auc[:, c, i].mean(), gain[:, c].mean(), sd[c], low, high))
    return pd.DataFrame(rows, columns=["rate", "alignment", "updates", "auc", "gain", "seed_sd", "low", "high"])


def _interval(scores: np.ndarray, targets: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Return the paired interval of the mean gain over seeds; scores are (seeds, 2, n_test, K), without and with lambda."""
    draws = metrics.macro_auc(scores, targets, counts).mean(axis=0)
    return percentile_interval(draws[1] - draws[0])
