"""Measure an alignment on tasks other than the joint probe: calibration, transfer, few labels, subgroups, zero-shot prompts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from .. import metrics
from ..alignment.registry import ALIGNMENTS, COMPARED, make_alignment
from ..arrays import choose
from ..probing.objective import Objective
from ..probing.protocol import Protocol, resolve_protocol
from ..probing.result import SweepResult
from ..probing.sweep import sweep
from ..retrieval import retrieval_ranks, several_distinct
from ..statistics import bootstrap_counts, percentile_interval
from ..store.embeddings import EmbeddingSet
from ..tasks import Task

Measured = dict[str, tuple[float, np.ndarray]]  # a value on the test rows, and its bootstrap replicates
OTHER = {"text": "image", "image": "text"}
PROMPT_TEMPERATURE = 0.01  # of the softmax over prompts, as in CLIP
RECALL_AT = 10
LEAST_ROWS = 50  # test rows of a subgroup
LEAST_OF_A_KIND = 5  # rows with and without a class, in every level of a subgroup


def compare_tasks(
    embeddings: EmbeddingSet,
    alignments: Sequence[str] = COMPARED,
    prompts: np.ndarray | None = None,
    protocol: str | Protocol = "converged",
    sizes: Sequence[int] = (),
    n_draws: int = 5,
    n_boot: int = 500,
    level: float = 0.95,
    random_state: int = 0,
) -> pd.DataFrame:
    """Fit every alignment on the training rows, and score each task on the test rows.

    The tasks: a probe on both modalities (``probe_auc``, ``log_loss``, ``brier`` and ``calibration_error``, its probabilities
    moved back from weighted classes to the shares of the training rows); a probe trained on one modality and
    scored on the other (``text_to_image_auc``, ``image_to_text_auc``, and their log losses); the same joint probe from few labels
    (``auc_20_labels``); the distance between the best and the worst level of a subgroup (``sex_spread``); retrieval among the test
    rows (``recall@10_image_to_text`` and back), where texts and images differ enough; and the nearest prompt (``zero_shot_auc``).
    Strengths are chosen on the validation rows of the modality that is trained on.

    Args:
        embeddings: a labelled set with training and test rows.
        alignments: names of the registry; ``none`` is always among them, and all renormalise.
        prompts: (K, d) vectors of one prompt per output of the task; no zero-shot task without.
        sizes: numbers of labelled training rows. One row of each class is drawn first; alignments always see all training pairs.
        n_draws: draws of so few rows, the same for every alignment; intervals resample the draws as well.

    Returns:
        one row per alignment and measure: alignment, measure, value, low, high, change (from none), change_low, change_high,
        reason. Intervals are paired bootstraps over groups of test rows. An alignment that the rows do not allow has one row
        that says why, without a measure.

    Raises:
        ValueError: no labels, no training or no test rows, an unknown alignment, or a size that is not below the training rows.
    """
    names = list(dict.fromkeys(["none", *(choose(a, ALIGNMENTS, "alignment") for a in alignments)]))
    targets = embeddings.targets
    test, n_train = _rows(embeddings, "test"), len(_rows(embeddings, "train"))
    for size in sizes:
        if not 1 <= size < n_train:
            raise ValueError(f"{size} labels cannot be drawn from {n_train} training rows; give sizes between 1 and {n_train - 1}")
    weights = bootstrap_counts(len(test), n_boot, random_state, embeddings.pairs["group"].to_numpy()[test])
    found: dict[str, Measured] = {}
    impossible = {}
    for name in names:
        try:
            moved, moved_prompts = move_set(embeddings, name, prompts)
        except ValueError as error:
            impossible[name] = str(error)
            continue
        measured = _probe_measures(moved, protocol, weights) | _retrieval(moved.image_of(test), moved.text_of(test), weights)
        for fit_on in ("text", "image"):
            measured |= _transfer_measures(moved, fit_on, protocol, weights)
        for size in sizes:
            results = [_sweep(_few(moved, size, draw), "joint", protocol) for draw in range(n_draws)]
            measured[f"auc_{size}_labels"] = _mean_auc(results, weights)
        if moved_prompts is not None:
            measured["zero_shot_auc"] = _zero_shot(moved.image_of(test), moved_prompts, targets[test], moved.task, weights)
        found[name] = measured
    return _table(found, impossible, level)


def move_set(embeddings: EmbeddingSet, alignment: str, prompts=None) -> tuple[EmbeddingSet, np.ndarray | None]:
    """Return the set, and prompts as texts, moved by an alignment that is fitted on its training rows.

    Raises:
        ValueError: no training rows, or too few of them for this alignment.
    """
    train = _rows(embeddings, "train")
    fitted = make_alignment(alignment).fit(embeddings.image_of(train), embeddings.text_of(train))
    image, text = fitted.transform(embeddings.image, embeddings.text)
    moved = None if prompts is None else fitted.transform(embeddings.image[:1], prompts)[1]
    return replace(embeddings, image=image, text=text), moved


def crossed(embeddings: EmbeddingSet, fit_on: str) -> EmbeddingSet:
    """Return a set in which the test pairs hold, as this modality, the vector of the other one.

    A probe of ``fit_on`` features then learns from that modality and is scored on the other.
    """
    other = OTHER[choose(fit_on, OTHER, "modality")]
    both = np.concatenate([getattr(embeddings, fit_on), getattr(embeddings, other)])
    is_test = (embeddings.pairs["split"] == "test").to_numpy()
    rows = np.where(is_test, len(getattr(embeddings, fit_on)) + embeddings.pairs[other], embeddings.pairs[fit_on])
    changes: dict[str, Any] = {fit_on: both, "pairs": embeddings.pairs.assign(**{fit_on: rows})}
    return replace(embeddings, **changes)


def restore_shares(logits: np.ndarray, targets: np.ndarray, task: Task, weighting: str = "balanced") -> np.ndarray:
    """Return logits (..., K) of a probe with weighted classes, moved to the class shares of its training targets (n, K).

    A loss that weighs positives w times as much as negatives adds log w to the logit; a class that no row teaches has its share.

    Args:
        weighting: class weights of the loss, see :mod:`helpers.probing.objective`.
    """
    objective, share = Objective.of(task, weighting, targets), targets.mean(axis=0).clip(1e-9, 1 - 1e-9)
    prior = np.log(share) if objective.softmax else np.log(share / (1 - share))
    weighted = (objective.positive > 0) & (objective.negative > 0)
    ratio = np.divide(objective.positive, objective.negative, out=np.ones(len(share)), where=weighted)
    return logits + np.where(weighted, -np.log(ratio), prior)


def _rows(embeddings: EmbeddingSet, split: str) -> np.ndarray:
    rows = embeddings.rows(split)
    if not len(rows):
        what = {"train": "training", "test": "test"}[split]
        raise ValueError(f"{embeddings.dataset} has no {what} rows; alignments are fitted on training rows and judged on test rows")
    return rows


def _sweep(embeddings: EmbeddingSet, features: str, protocol: str | Protocol) -> SweepResult:
    return sweep(embeddings, [0.0], (42,), protocol, [features], workers=1, progress=False)


def _mean_auc(results: list[SweepResult], weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean AUC of some probes and its replicates, which resample the probes (if several) and the test rows."""
    value = np.mean([r.headline_auc().mean() for r in results])
    drawn = np.stack([r.headline_auc(weights=weights).mean(axis=0) for r in results], axis=1)
    share = bootstrap_counts(len(results), len(weights), random_state=1) / len(results)
    return float(value), (share * drawn).sum(axis=1)


def _probe_measures(embeddings: EmbeddingSet, protocol: str | Protocol, weights: np.ndarray) -> Measured:
    """Measure the probe on both modalities: its AUC, its spread over subgroups and its calibration."""
    result = _sweep(embeddings, "joint", protocol)
    calibration = _calibration(_restored(result, embeddings, protocol), result, weights)
    return {"probe_auc": _mean_auc([result], weights), **_subgroup_spreads(result, weights), **calibration}


def _restored(result: SweepResult, embeddings: EmbeddingSet, protocol: str | Protocol) -> np.ndarray:
    """Return the test logits (n_test, K) at the class shares of the training rows."""
    targets = embeddings.targets[embeddings.rows("train")]
    return restore_shares(result.scores[0], targets, result.task, resolve_protocol(protocol).weighting)


def _calibration(logits: np.ndarray, result: SweepResult, weights: np.ndarray) -> Measured:
    multiclass = result.task.kind == "multiclass"
    probability = metrics.probabilities(logits, multiclass)
    rows = {
        "log_loss": metrics.log_losses(logits, result.targets, multiclass),
        "brier": metrics.brier_scores(probability, result.targets),
    }
    error = metrics.calibration_error(probability, result.targets)
    draws = metrics.calibration_error(probability, result.targets, weights)
    return {name: _mean(values, weights) for name, values in rows.items()} | {"calibration_error": _recentred(error, draws)}


def _mean(values: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    return float(values.mean()), weights @ values / weights.sum(axis=1)


def _recentred(value, draws: np.ndarray) -> tuple[float, np.ndarray]:
    """Return value and replicates of a distance; resampling makes it larger on average, and this bias is subtracted."""
    return float(value), draws - np.nanmean(draws) + value


def _transfer_measures(embeddings: EmbeddingSet, fit_on: str, protocol: str | Protocol, weights: np.ndarray) -> Measured:
    """Measure a probe trained on one modality and scored on the other: AUC, and log loss at the shares of the training rows."""
    result, name = _sweep(crossed(embeddings, fit_on), fit_on, protocol), f"{fit_on}_to_{OTHER[fit_on]}"
    losses = metrics.log_losses(_restored(result, embeddings, protocol), result.targets, result.task.kind == "multiclass")
    return {f"{name}_auc": _mean_auc([result], weights), f"{name}_log_loss": _mean(losses, weights)}


def _retrieval(image: np.ndarray, text: np.ndarray, weights: np.ndarray) -> Measured:
    """Return recall both ways, resampling queries among the same candidates; nothing where retrieval is undefined."""
    try:
        several_distinct(image, "image", RECALL_AT)
        several_distinct(text, "text", RECALL_AT)
    except ValueError:
        return {}
    found = {"image_to_text": retrieval_ranks(image, text), "text_to_image": retrieval_ranks(text, image)}
    return {f"recall@{RECALL_AT}_{way}": _mean((ranks < RECALL_AT).astype(float), weights) for way, ranks in found.items()}


def _subgroup_spreads(result: SweepResult, weights: np.ndarray) -> Measured:
    """Return the largest minus the smallest AUC over the levels of each subgroup, on classes with enough rows in every level."""
    measured: Measured = {}
    for column in result.subgroups:
        levels = result.subgroups.groupby(column, observed=True).groups
        rows = [np.asarray(r) for level, r in levels.items() if level != "unknown" and len(r) >= LEAST_ROWS]
        counts = [np.stack([result.targets[r].sum(axis=0), (1 - result.targets[r]).sum(axis=0)]) for r in rows]
        if len(rows) < 2 or not (shared := (np.min(counts, axis=(0, 1)) >= LEAST_OF_A_KIND) & result.learned).any():
            continue
        scores, targets = result.headline_scores[0][:, shared], result.targets[:, shared]
        value = np.array([metrics.macro_auc(scores[r], targets[r]) for r in rows])
        draws = np.stack([metrics.macro_auc(scores[r], targets[r], weights[:, r]) for r in rows])
        measured[f"{column.removeprefix('subgroup_')}_spread"] = _recentred(np.ptp(value), np.ptp(draws, axis=0))
    return measured


def _few(embeddings: EmbeddingSet, size: int, draw: int) -> EmbeddingSet:
    """Return the set with ``size`` of its training rows, including one of each class, and all validation and test rows."""
    rng, train = np.random.default_rng(draw), embeddings.rows("train")
    order = rng.permutation(train)
    targets = embeddings.targets[order]
    first = [order[np.flatnonzero(column)[0]] for column in targets.T if column.any()]
    chosen = list(dict.fromkeys([*first, *order]))[:size]
    others = np.concatenate([embeddings.rows("val"), embeddings.rows("test")])
    return replace(embeddings, pairs=embeddings.pairs.iloc[np.sort(np.concatenate([chosen, others]))])


def _zero_shot(
    image: np.ndarray, prompts: np.ndarray, targets: np.ndarray, task: Task, weights: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the AUC of the cosines with the prompts, under a softmax if classes exclude each other."""
    cosines = image.astype(np.float64) @ np.asarray(prompts, dtype=np.float64).T
    scores = metrics.softmax(cosines / PROMPT_TEMPERATURE) if task.kind == "multiclass" else cosines
    return float(metrics.macro_auc(scores, targets)), metrics.macro_auc(scores, targets, weights)


def _table(found: dict[str, Measured], impossible: dict[str, str], level: float) -> pd.DataFrame:
    """Return one row per alignment and measure with both intervals, and one per alignment that could not be fitted."""
    rows: list[dict] = []
    for name, measured in found.items():
        for measure, (value, draws) in measured.items():
            base, base_draws = found["none"][measure]
            low, high = percentile_interval(draws, level)
            change_low, change_high = percentile_interval(draws - base_draws, level)
            rows.append({"alignment": name, "measure": measure, "value": value, "low": low, "high": high, "change": value - base,
                         "change_low": change_low, "change_high": change_high, "reason": ""})  # fmt: skip
    return pd.DataFrame([*rows, *({"alignment": name, "reason": why} for name, why in impossible.items())])
