"""Score probes on rows that did not fit them, many at a time."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import torch

from .. import metrics
from ..tasks import Task

BLOCK = 2**17  # logits that are scored at once, so that memory does not grow with the number of probes


def run_in_threads(work: Callable[[Any], Any], tasks: Sequence[Any], workers: int) -> list:
    """Return ``work(task)`` of every task, in torch's inference mode; with several workers each uses one torch thread."""
    threads = torch.get_num_threads()

    def start():
        # Softmax tails underflow; products with denormals are many times slower. The flag is each thread's own.
        torch.set_flush_denormal(True)
        if workers > 1:
            torch.set_num_threads(1)

    try:
        with ThreadPoolExecutor(workers, initializer=start) as pool:
            return list(pool.map(torch.inference_mode()(work), tasks))
    finally:
        torch.set_num_threads(threads)


def ranking_scores(logits: np.ndarray, task: Task, metric: str) -> np.ndarray:
    """Return the scores (..., n, K) that rank rows: softmax probabilities, one-hot arg-max (``auc_hard``), or binary logits."""
    if task.kind != "multiclass":
        return logits
    return metrics.hard_labels(logits) if metric == "auc_hard" else metrics.softmax(logits)


def metrics_table(task: Task, learned: np.ndarray, logits: Sequence, targets: Sequence, workers: int = 1) -> pd.DataFrame:
    """Return the ``value`` of every ``run`` (its position), ``metric`` and ``class``, from logits and targets (n, K) of each run.

    Classes that are ``learned`` (K,) enter macro means if they are present in the rows.
    """
    by_class = ["auc", "average_precision", "sensitivity_at_90_specificity"]
    if task.kind == "multiclass":
        by_class.append("auc_hard")
    names = [(metric, name) for metric in by_class for name in (*task.outputs, None)]
    names += [("classes_absent", None), ("accuracy", None), ("log_loss", None)]
    values, same = np.empty((len(logits), len(names))), defaultdict(list)
    for i, own in enumerate(targets):
        same[own.tobytes()].append(i)

    def score(block: list[int]) -> None:
        values[block] = _scored(np.stack([logits[i] for i in block]), targets[block[0]], task, learned)

    sizes = {rows: max(1, BLOCK // max(1, logits[of[0]].size)) for rows, of in same.items()}
    run_in_threads(score, [of[i : i + sizes[rows]] for rows, of in same.items() for i in range(0, len(of), sizes[rows])], workers)
    table = pd.DataFrame(names * len(logits), columns=["metric", "class"])
    return table.assign(value=values.ravel(), run=np.repeat(np.arange(len(logits)), len(names)))


def _scored(logits: np.ndarray, targets: np.ndarray, task: Task, learned: np.ndarray) -> np.ndarray:
    """Return the metrics (p, n_metrics) of logits (p, n, K); a multi-label prediction is accurate if all labels are."""
    scores, positive = ranking_scores(logits, task, "auc"), targets.astype(bool)
    predicted = logits.argmax(axis=-1)
    by_class = []  # (metrics, p) of each class
    for k in range(len(task.outputs)):
        ranking = metrics.Ranking(scores[..., k], positive[:, k])
        own = [ranking.auc(), ranking.average_precision(), ranking.sensitivity_at_specificity(0.9)]
        if task.kind == "multiclass":
            own.append(metrics.hard_auc(predicted == k, positive[:, k]))
        by_class.append(own)
    values = np.ascontiguousarray(np.array(by_class).transpose(2, 1, 0))  # (p, metrics, K)
    present = positive.any(axis=0) & ~positive.all(axis=0) & learned
    macro = values[..., present].mean(axis=-1, keepdims=True) if present.any() else np.full((*values.shape[:2], 1), np.nan)
    flat = np.concatenate([values, macro], axis=-1).reshape(len(logits), -1)
    multiclass = task.kind == "multiclass"
    correct = predicted == positive.argmax(axis=-1) if multiclass else ((logits > 0) == positive).all(axis=-1)
    loss = metrics.log_losses(logits, positive, multiclass)
    absent = np.full(len(logits), (~present).sum())
    return np.column_stack([flat, absent, correct.mean(axis=-1), loss.mean(axis=-1)])
