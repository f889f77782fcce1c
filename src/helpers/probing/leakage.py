"""Measure leakage through a text, a group or a split: compare scores of test rows joined by id, from probes or from keys alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from .. import metrics
from ..datasets import DATASETS
from ..files import read_json
from ..retrieval import closest_training_rows, shared_rows_curve
from ..statistics import bootstrap_counts, percentile_interval
from ..store.embeddings import PROVENANCE, EmbeddingSet
from .grid import FEATURES
from .resplit import ARMS, resplit, sibling_splits
from .sweep import sweep

THRESHOLDS = np.round(np.linspace(0, 1, 101), 2)  # cosines


@dataclass(frozen=True)
class Scored:
    """Test rows under one treatment."""

    ids: pd.Index  # (n,)
    scores: np.ndarray  # (n_seeds, n, K)
    targets: np.ndarray  # (n, K) 0/1
    groups: np.ndarray  # (n,)
    classes: tuple[str, ...]  # K names


def text_names_label(folders) -> pd.DataFrame:
    """Return how often a positive's own text names the class, as counted in the records of stored sets.

    Args:
        folders: folders of stored sets; those without such a count are excluded, and sets of one data set count once.

    Returns:
        one row per data set and class: ``dataset``, ``class``, ``share`` of positives.
    """
    rows = []
    for folder in folders:
        record = read_json(Path(folder) / PROVENANCE)
        counted = record.get("data_report", {}).get("input_caption_names_label", {})
        rows += [(record["dataset"], name, share) for name, share in counted.items()]
    return pd.DataFrame(rows, columns=["dataset", "class", "share"]).drop_duplicates(["dataset", "class"], ignore_index=True)


def near_duplicates(sets: Sequence[EmbeddingSet], most: int = 3) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare distinct test vectors with training vectors, image by image and text by text.

    Args:
        sets: embedding sets; those without training or test rows are excluded.
        most: number of pairs by id, of each set and modality; none of a credentialed or unknown data set.

    Returns:
        the curve ``dataset, variant, backbone, modality, cosine, share`` of test rows with a training row at least this similar,
        and the most similar unequal pairs ``dataset, variant, backbone, modality, test, train, cosine``.
    """
    curves, pairs = [], []
    for s in sets:
        train, test = s.rows("train"), s.rows("test")
        if not (len(train) and len(test)):
            continue
        for modality, of in (("image", s.image_of), ("text", s.text_of)):
            about = {k: s.provenance[k] for k in ("dataset", "variant", "backbone")} | {"modality": modality}
            largest, row = closest_training_rows(of(test), of(train))
            curves.append(pd.DataFrame(about | {"cosine": THRESHOLDS, "share": shared_rows_curve(largest, THRESHOLDS)}))
            if s.dataset not in DATASETS or DATASETS[s.dataset].card.credentialed:
                continue
            numbers = s.pairs[modality].to_numpy()
            unequal = np.flatnonzero(numbers[test] != numbers[train][row])
            first = unequal[np.argsort(-largest[unequal], kind="stable")]
            first = first[np.unique(numbers[test][first], return_index=True)[1]]  # each distinct vector once
            first = first[np.argsort(-largest[first], kind="stable")][:most]
            ids = s.pairs["pair_id"].to_numpy()
            named = {"test": ids[test][first], "train": ids[train][row[first]], "cosine": largest[first]}
            pairs.append(pd.DataFrame(about | named))
    columns = ["dataset", "variant", "backbone", "modality"]
    return _stacked(curves, [*columns, "cosine", "share"]), _stacked(pairs, [*columns, "test", "train", "cosine"])


def _stacked(tables: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def key_scores(key, targets, train, test, weight: float = 1.0) -> np.ndarray:
    r"""Return class frequencies of the train rows that share a test row's key, :math:`(\sum y + w\bar y)/(n + w)`.

    This needs no encoder. A key that does not occur in train gets the frequencies of all train rows.

    Args:
        key: (n,) values, such as the number of a text or of a patient.
        targets: (n, K) 0/1.
        train, test: row numbers.
        weight: w, in rows.

    Returns:
        (n_test, K) scores in [0, 1].
    """
    codes = pd.factorize(np.asarray(key))[0]
    targets = np.asarray(targets, dtype=np.float64)
    sums = np.zeros((codes.max() + 1, targets.shape[1]))
    np.add.at(sums, codes[train], targets[train])
    counts = np.bincount(codes[train], minlength=len(sums))[:, None]
    return ((sums + weight * targets[train].mean(axis=0)) / (counts + weight))[codes[test]]


def scored_by_key(embeddings: EmbeddingSet, key: str) -> Scored:
    """Score the test rows by :func:`key_scores` of a column of the pairs (``group``, ``image`` or ``text``)."""
    scores = key_scores(embeddings.pairs[key], embeddings.targets, embeddings.rows("train"), embeddings.rows("test"))
    return _scored(embeddings, scores[None])


def scored_by_probes(embeddings: EmbeddingSet, protocol: str, seeds: Sequence[int]) -> dict[str, Scored]:
    """Score the test rows by the unaligned probe (lambda = 0), by kind of features."""
    result = sweep(embeddings, lambdas=[0.0], seeds=seeds, protocol=protocol, features=FEATURES[::-1], progress=False)
    return {f: _scored(embeddings, result.headline_scores[(result.runs["features"] == f).to_numpy()]) for f in reversed(FEATURES)}


def _scored(embeddings: EmbeddingSet, scores: np.ndarray) -> Scored:
    rows, task = embeddings.rows("test"), embeddings.task
    pairs = embeddings.pairs.iloc[rows]
    return Scored(pd.Index(pairs["pair_id"]), scores, embeddings.targets[rows], pairs["group"].to_numpy(), task.outputs)


def paired_difference(first: Scored, second: Scored, n_boot: int = 1000, level: float = 0.95, random_state: int = 0) -> dict:
    """Return the macro AUC of ``first`` minus that of ``second`` on their common test rows and classes, joined by id.

    The percentile interval resamples those rows together for both, by the groups of ``second``; AUCs are means over seeds.

    Returns:
        ``first``, ``second`` (AUC), ``difference``, ``low``, ``high``, ``test_rows``, ``classes`` (those with rows of both kinds).

    Raises:
        ValueError: no test row or no class in common, or rows of one id with other labels.
    """
    ids, classes = first.ids.intersection(second.ids, sort=False), [c for c in first.classes if c in second.classes]
    if not len(ids) or not classes:
        lack = "test row" if not len(ids) else "class"
        raise ValueError(f"the two sets have no {lack} in common; compare sets of one data set with the same pair ids and labels")
    sides = []
    for side in (first, second):
        rows, columns = side.ids.get_indexer(ids), [side.classes.index(c) for c in classes]
        sides.append((side.scores[:, rows][:, :, columns], side.targets[rows][:, columns], side.groups[rows]))
    (scores, targets, _), (others, theirs, groups) = sides
    unequal = (targets != theirs).any(axis=1)
    if unequal.any():
        raise ValueError(f"{unequal.sum()} of {len(ids)} test rows have other labels in the second set; compare equal labels only")
    counts = bootstrap_counts(len(ids), n_boot, random_state, groups)
    auc, other = (float(metrics.macro_auc(s, targets).mean()) for s in (scores, others))
    draws = (metrics.macro_auc(scores, targets, counts) - metrics.macro_auc(others, targets, counts)).mean(axis=0)
    low, high = percentile_interval(draws, level)
    present = int((targets.any(axis=0) & ~targets.all(axis=0)).sum())
    return {
        "first": auc, "second": other, "difference": auc - other, "low": low, "high": high,
        "test_rows": len(ids), "classes": present,
    }  # fmt: skip


def compare_variants(authors: EmbeddingSet, clean: EmbeddingSet, protocol: str, seeds: Sequence[int], n_boot=1000) -> pd.DataFrame:
    """Measure the gain of the authors' text: AUC under ``authors`` minus AUC under ``clean``.

    Returns:
        a row per features and for the exact text as a key (``class`` None: macro mean), and one per class for text alone.
    """
    arms = [scored_by_probes(s, protocol, seeds) | {"text as key": scored_by_key(s, "text")} for s in (authors, clean)]
    by_class = [{c: _of_class(arm["text"], c) for c in arm["text"].classes} for arm in arms]
    parts = [_differences(authors, arms, ("authors", "clean"), n_boot).assign(**{"class": None})]
    if set(by_class[0]) & set(by_class[1]) and len(by_class[0]) > 1:
        alone = _differences(authors, by_class, ("authors", "clean"), n_boot)
        parts.append(alone.rename(columns={"features": "class"}).assign(features="text"))
    return pd.concat(parts, ignore_index=True)


def compare_splits(embeddings: EmbeddingSet, protocol: str, seeds: Sequence[int], key: str, n_boot=1000, draws=3) -> pd.DataFrame:
    """Measure the gain of siblings in train: AUC split by row minus AUC split by group, on equal test rows and train sizes.

    ``key`` is the column (``image`` or ``text``) that siblings share; the function also scores it as a key by itself. The arm split
    by row also draws its validation rows by row, as a person who does not know the groups would.

    Returns:
        a row per draw of :func:`sibling_splits` and features.
    """
    ungrouped = replace(embeddings, pairs=embeddings.pairs.assign(group=embeddings.pairs["pair_id"]))
    parts = []
    for draw in range(draws):
        split = sibling_splits(embeddings.pairs["group"], random_state=draw)
        sets = [resplit(ungrouped, split["by row"]), resplit(embeddings, split["by group"])]
        arms = [scored_by_probes(s, protocol, seeds) | {f"{key} as key": scored_by_key(s, key)} for s in sets]
        parts.append(_differences(embeddings, arms, ARMS, n_boot).assign(draw=draw))
    return pd.concat(parts, ignore_index=True)


def mean_over_draws(table: pd.DataFrame) -> pd.DataFrame:
    """Return means over draws of AUCs, differences and bounds; ``seed_sd`` is the standard deviation of the difference."""
    by = table.groupby(["dataset", "backbone", "features"], sort=False)
    means = by[[*ARMS, "difference", "low", "high", "test_rows"]].mean()
    return means.assign(seed_sd=by["difference"].std(ddof=1), draws=by.size()).reset_index()


def _differences(embeddings: EmbeddingSet, arms: list[dict[str, Scored]], names: tuple[str, str], n_boot: int) -> pd.DataFrame:
    about = {k: str(embeddings.provenance.get(k, "own")) for k in ("dataset", "backbone")}
    rows = [{**about, "features": f, **paired_difference(arms[0][f], arms[1][f], n_boot)} for f in arms[0] if f in arms[1]]
    return pd.DataFrame(rows).rename(columns={"first": names[0], "second": names[1]})


def _of_class(scored: Scored, name: str) -> Scored:
    k = scored.classes.index(name)
    return replace(scored, scores=scored.scores[:, :, [k]], targets=scored.targets[:, [k]], classes=(name,))
