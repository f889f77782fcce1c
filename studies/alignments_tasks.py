"""Measure what every alignment does to the tasks of each shipped set's labels: ``python studies/alignments_tasks.py``.

Alignments and probes learn from the training rows and the test rows judge, under two protocols.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from alignments import CHANGES
from common import names_of
from prompts import prompts_of

from helpers import EmbeddingSet, metrics, sweep
from helpers.alignment.registry import COMPARED, with_none
from helpers.files import project_root, replacing
from helpers.probing.objective import Objective
from helpers.probing.protocol import Protocol, resolve_protocol
from helpers.probing.result import SweepResult
from helpers.recommend import aligned
from helpers.retrieval import retrieval_ranks, several_distinct
from helpers.statistics import bootstrap_counts, percentile_interval
from helpers.store.catalogue import SHIPPED, stored
from helpers.tasks import Task

INPUTS = ["data/embeddings", "data/prompts"]
OUT = "data/measured/alignments_tasks.csv"
LABELS = (20, 100, 500)  # labelled rows, of sets that have more
OTHER = {"text": "image", "image": "text"}
PROMPT_TEMPERATURE = 0.01  # of the softmax over prompts, as in CLIP
LEAST_ROWS = 50  # test rows of a subgroup
BINS = 15  # of the calibration error
LEAST_OF_A_KIND = 5  # rows with and without a class, in every level of a subgroup

Measured = dict[str, tuple[float, np.ndarray]]  # a value on the test rows, and its bootstrap replicates


def tasks(embeddings: EmbeddingSet) -> pd.DataFrame:
    """Return the rows of :func:`compare_tasks` of one set under both protocols, with the names of the set."""
    n_train = len(embeddings.rows("train"))
    converged = compare_tasks(embeddings, prompts=prompts_of(embeddings), sizes=[size for size in LABELS if size < n_train])
    of_code = compare_tasks(embeddings, protocol="authors-code")
    table = pd.concat([converged.assign(protocol="converged"), of_code.assign(protocol="authors-code")])
    about = {**names_of(embeddings), "rows": "test", "pairs": len(embeddings.rows("test"))}
    return table.assign(**about)[[*about, *table.columns]]


def compare_tasks(
    embeddings: EmbeddingSet,
    alignments: Sequence[str] = COMPARED,
    prompts: np.ndarray | None = None,
    protocol: str | Protocol = "converged",
    sizes: Sequence[int] = (),
    n_draws: int = 5,
    n_boot: int = 500,
) -> pd.DataFrame:
    """Fit every alignment on the training rows, and score each task on the test rows.

    The tasks: a probe on both modalities (``probe_auc``, ``log_loss``, ``brier`` and ``calibration_error``, at the class shares of
    the training rows); a probe trained on one modality and scored on the other (``text_to_image_auc`` and back, and their log
    losses); the joint probe from few labels (``auc_20_labels``); the distance between the best and the worst level of a subgroup
    (``sex_spread``); retrieval among the test rows (``recall@10_image_to_text`` and back), where texts and images differ enough;
    and the nearest prompt (``zero_shot_auc``). Intervals are paired bootstraps over groups of test rows.

    Args:
        prompts: (K, d) vectors of one prompt per output of the task; no zero-shot task without.
        sizes: numbers of labelled training rows, drawn ``n_draws`` times; alignments always see all training pairs.

    Returns:
        one row per alignment and measure: alignment, measure, value, low, high, change (from none), change_low, change_high,
        reason. An alignment that the rows do not allow has one row that says why, without a measure.
    """
    targets, test = embeddings.targets, embeddings.rows("test")
    weights = bootstrap_counts(len(test), n_boot, groups=embeddings.pairs["group"].to_numpy()[test])
    found: dict[str, Measured] = {}
    rows: list[dict] = []
    for name in with_none(alignments):
        try:
            fitted, moved = aligned(embeddings, name)
        except ValueError as error:
            rows.append({"alignment": name, "reason": str(error)})
            continue
        found[name] = _probe_measures(moved, protocol, weights) | _retrieval(moved.image_of(test), moved.text_of(test), weights)
        for fit_on in OTHER:
            found[name] |= _transfer_measures(moved, fit_on, protocol, weights)
        for size in sizes:
            results = [_probe(few_labels(moved, size, draw), "joint", protocol) for draw in range(n_draws)]
            found[name][f"auc_{size}_labels"] = _mean_auc(results, weights)
        if prompts is not None:
            prompt = fitted.transform(embeddings.image[:1], prompts)[1]
            found[name]["zero_shot_auc"] = _zero_shot(moved.image_of(test), prompt, targets[test], moved.task, weights)
    return pd.DataFrame([*_changes_from_none(found), *rows])


def crossed(embeddings: EmbeddingSet, fit_on: str) -> EmbeddingSet:
    """Return a set in which the test pairs hold, as this modality, the vector of the other one.

    A probe of ``fit_on`` features then learns from that modality and is scored on the other.
    """
    own, other = getattr(embeddings, fit_on), getattr(embeddings, OTHER[fit_on])
    is_test = (embeddings.pairs["split"] == "test").to_numpy()
    rows = np.where(is_test, len(own) + embeddings.pairs[OTHER[fit_on]], embeddings.pairs[fit_on])
    return replace(embeddings, pairs=embeddings.pairs.assign(**{fit_on: rows}), **{fit_on: np.concatenate([own, other])})  # type: ignore[arg-type]


def few_labels(embeddings: EmbeddingSet, size: int, draw: int) -> EmbeddingSet:
    """Return the set with ``size`` of its training rows, including one of each class, and all validation and test rows."""
    order = np.random.default_rng(draw).permutation(embeddings.rows("train"))
    first = [order[np.flatnonzero(column)[0]] for column in embeddings.targets[order].T if column.any()]
    chosen = list(dict.fromkeys([*first, *order]))[:size]
    others = np.concatenate([embeddings.rows("val"), embeddings.rows("test")])
    return replace(embeddings, pairs=embeddings.pairs.iloc[np.sort(np.concatenate([chosen, others]))])


def restore_shares(logits: np.ndarray, targets: np.ndarray, task: Task, weighting: str = "balanced") -> np.ndarray:
    """Return logits (..., K) of a probe with weighted classes, moved to the class shares of its training targets (n, K).

    A loss that weighs positives w times as much as negatives adds log w to the logit; a class that no row teaches has its share.
    """
    objective, share = Objective.of(task, weighting, targets), targets.mean(axis=0).clip(1e-9, 1 - 1e-9)
    prior = np.log(share) if objective.softmax else np.log(share / (1 - share))
    weighted = (objective.positive > 0) & (objective.negative > 0)
    ratio = np.divide(objective.positive, objective.negative, out=np.ones(len(share)), where=weighted)
    return logits + np.where(weighted, -np.log(ratio), prior)


def _probe_measures(embeddings: EmbeddingSet, protocol: str | Protocol, weights: np.ndarray) -> Measured:
    """Measure the probe on both modalities: its AUC, its spread over subgroups and its calibration."""
    result = _probe(embeddings, "joint", protocol)
    logits, targets, multiclass = _restored(result, embeddings, protocol), result.targets, result.task.kind == "multiclass"
    probability = metrics.probabilities(logits, multiclass)
    errors = (calibration_error(probability, targets, w) for w in (None, weights))
    return {
        "probe_auc": _mean_auc([result], weights),
        **_subgroup_spreads(result, weights),
        "log_loss": _mean(metrics.log_losses(logits, targets, multiclass), weights),
        "brier": _mean(np.square(probability - targets).mean(axis=1), weights),
        "calibration_error": _recentred(*errors),
    }


def calibration_error(probability, targets, weights=None) -> np.ndarray:
    """Return the expected calibration error of probabilities (n, K), mean over outputs (Kull et al., NeurIPS 2019).

    Per output and bin of equal width, the distance of the mean probability from the share of positives, weighted by rows. With
    ``weights`` (b, n), which say how often each row counts, the result is (b,).
    """
    probability, targets = np.asarray(probability, dtype=np.float64), np.asarray(targets)
    counts = np.ones((1, len(targets))) if weights is None else np.asarray(weights, dtype=np.float64)
    total = np.zeros(len(counts))
    for p, y in zip(probability.T, targets.T, strict=True):
        bin_of = np.minimum((p * BINS).astype(int), BINS - 1)
        excess = np.zeros((len(p), BINS))
        excess[np.arange(len(p)), bin_of] = p - y
        total += np.abs(counts @ excess).sum(axis=1)
    error = total / counts.sum(axis=1) / targets.shape[1]
    return error[0] if weights is None else error


def _transfer_measures(embeddings: EmbeddingSet, fit_on: str, protocol: str | Protocol, weights: np.ndarray) -> Measured:
    """Measure a probe trained on one modality and scored on the other: AUC, and log loss at the shares of the training rows."""
    result, name = _probe(crossed(embeddings, fit_on), fit_on, protocol), f"{fit_on}_to_{OTHER[fit_on]}"
    losses = metrics.log_losses(_restored(result, embeddings, protocol), result.targets, result.task.kind == "multiclass")
    return {f"{name}_auc": _mean_auc([result], weights), f"{name}_log_loss": _mean(losses, weights)}


def _retrieval(image: np.ndarray, text: np.ndarray, weights: np.ndarray) -> Measured:
    """Return recall@10 both ways, resampling queries among the same candidates; nothing where retrieval is undefined."""
    try:
        several_distinct(image, "image", 10)
        several_distinct(text, "text", 10)
    except ValueError:
        return {}
    found = {"image_to_text": retrieval_ranks(image, text), "text_to_image": retrieval_ranks(text, image)}
    return {f"recall@10_{way}": _mean((ranks < 10).astype(float), weights) for way, ranks in found.items()}


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


def _zero_shot(image, prompts, targets, task: Task, weights) -> tuple[float, np.ndarray]:
    """Return the AUC of the cosines with the prompts, under a softmax if classes exclude each other."""
    cosines = image.astype(np.float64) @ np.asarray(prompts, dtype=np.float64).T
    scores = metrics.softmax(cosines / PROMPT_TEMPERATURE) if task.kind == "multiclass" else cosines
    return float(metrics.macro_auc(scores, targets)), metrics.macro_auc(scores, targets, weights)


def _probe(embeddings: EmbeddingSet, features: str, protocol: str | Protocol) -> SweepResult:
    return sweep(embeddings, [0.0], (42,), protocol, [features], workers=1, progress=False)


def _restored(result: SweepResult, embeddings: EmbeddingSet, protocol: str | Protocol) -> np.ndarray:
    """Return the test logits (n_test, K) at the class shares of the training rows."""
    targets = embeddings.targets[embeddings.rows("train")]
    return restore_shares(result.scores[0], targets, result.task, resolve_protocol(protocol).weighting)


def _mean_auc(results: list[SweepResult], weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean AUC of some probes and its replicates, which resample the probes (if several) and the test rows."""
    value = np.mean([r.headline_auc().mean() for r in results])
    drawn = np.stack([r.headline_auc(weights=weights).mean(axis=0) for r in results], axis=1)
    share = bootstrap_counts(len(results), len(weights), random_state=1) / len(results)
    return float(value), (share * drawn).sum(axis=1)


def _mean(values: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    return float(values.mean()), weights @ values / weights.sum(axis=1)


def _recentred(value, draws: np.ndarray) -> tuple[float, np.ndarray]:
    """Return value and replicates of a distance; resampling makes it larger on average, and this bias is subtracted."""
    return float(value), draws - np.nanmean(draws) + value


def _changes_from_none(found: dict[str, Measured]) -> list[dict]:
    """Return one row per alignment and measure with the intervals of its value and of its change from none."""
    rows = []
    for name, measured in found.items():
        for measure, (value, draws) in measured.items():
            base, base_draws = found["none"][measure]
            numbers = (value, *percentile_interval(draws), value - base, *percentile_interval(draws - base_draws))
            rows.append({"alignment": name, "measure": measure, **dict(zip(CHANGES, numbers, strict=True)), "reason": ""})
    return rows


if __name__ == "__main__":
    tables = []
    for row in stored(project_root() / SHIPPED).itertuples():
        tables.append(tasks(EmbeddingSet.load(row.path)))
        print(f"measured: {row.dataset} {row.variant} {row.backbone}", flush=True)
    with replacing(project_root() / OUT) as temporary:
        pd.concat(tables).to_csv(temporary, index=False, float_format="%.5f")
