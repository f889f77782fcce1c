"""Give a set other splits and labels: by row or by group, few rows per group, one label per group."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ..store.embeddings import EmbeddingSet
from ..tasks import SPLITS, Task

ARMS = ("by row", "by group")


def sibling_splits(groups, test_share: float = 0.5, random_state: int = 0) -> pd.DataFrame:
    """Return two splits with equal test rows and equal train sizes, one with siblings of test rows in train and one without.

    From a random share of the groups with at least two rows, half of the rows of each are test rows. Under ``by row``, train has
    the other half and is filled up from the remaining groups. Under ``by group``, train comes from the remaining groups only.

    Args:
        groups: (n,) names.

    Returns:
        columns ``by row`` and ``by group``, each ``train``, ``test`` or None (row not used), (n, 2).

    Raises:
        ValueError: fewer than two groups have two rows, or what remains cannot fill train.
    """
    codes, _ = pd.factorize(np.asarray(groups))
    rng = np.random.default_rng(random_state)
    several = np.flatnonzero(np.bincount(codes) > 1)
    if len(several) < 2:
        raise ValueError(f"{len(several)} groups have two rows or more; a split by group needs at least two such groups")
    drawn = rng.permutation(several)[: max(1, round(test_share * len(several)))]
    halves = [rng.permutation(np.flatnonzero(codes == g)) for g in drawn]
    test = np.concatenate([rows[: len(rows) // 2] for rows in halves])
    siblings = np.concatenate([rows[len(rows) // 2 :] for rows in halves])
    others = rng.permutation(np.flatnonzero(~np.isin(codes, drawn)))
    if len(others) <= len(siblings):
        lack = f"{len(others)} rows of other groups cannot take the place of {len(siblings)} siblings of test rows"
        raise ValueError(f"{lack}; use a smaller test_share")
    split = pd.DataFrame(None, index=range(len(codes)), columns=list(ARMS), dtype=object)
    split.loc[test] = "test"
    split.loc[[*siblings, *others[len(siblings) :]], "by row"] = "train"
    split.loc[others, "by group"] = "train"
    return split


def resplit(embeddings: EmbeddingSet, split) -> EmbeddingSet:
    """Return the set with other splits, (n,) of ``train``, ``val``, ``test`` or None for pairs to exclude."""
    split = pd.Series(np.asarray(split, dtype=object))
    return replace(embeddings, pairs=embeddings.pairs.assign(split=split)[split.notna().to_numpy()])


def redrawn_split(embeddings: EmbeddingSet, random_state: int = 0) -> np.ndarray:
    """Return new random splits, (n,) of ``train``, ``val`` and ``test``: whole groups, in the shares that the set has.

    Groups in random order fill train, then val, then test, so that a part may miss its share by less than one group.

    Raises:
        ValueError: fewer groups than splits in use.
    """
    groups, codes = np.unique(embeddings.pairs["group"].to_numpy().astype(str), return_inverse=True)
    names = [split for split in SPLITS if len(embeddings.rows(split))]
    if len(groups) < len(names):
        raise ValueError(f"{len(groups)} group(s) cannot be shared out over {len(names)} splits; give more groups")
    order = np.random.default_rng(random_state).permutation(len(groups))
    sizes = np.bincount(codes)[order]
    middle = (sizes.cumsum() - sizes / 2) / len(embeddings)
    ends = np.cumsum([len(embeddings.rows(split)) / len(embeddings) for split in names])
    of_group = np.empty(len(groups), dtype=object)
    of_group[order] = np.array(names, dtype=object)[np.searchsorted(ends[:-1], middle, side="right")]
    return of_group[codes]


def few_per_group(embeddings: EmbeddingSet, n: int, random_state: int = 0) -> EmbeddingSet:
    """Return the set with at most ``n`` random pairs of each group."""
    pairs = embeddings.pairs.sample(frac=1, random_state=random_state).groupby("group", sort=False).head(n)
    return replace(embeddings, pairs=pairs.sort_index())


def labelled_by_group(embeddings: EmbeddingSet, classes: Sequence[str]) -> EmbeddingSet:
    """Return the set with one label per group: that of its pairs whose label is in ``classes``; other groups are excluded.

    Raises:
        ValueError: a group has pairs of two of these classes, or fewer than two classes occur.
    """
    pairs = embeddings.pairs
    named = pairs[pairs["label"].isin(classes)].drop_duplicates(["group", "label"])
    twice = named["group"].duplicated().sum()
    if twice:
        several = f"{twice} groups have pairs of more than one of the classes {', '.join(classes)}"
        raise ValueError(f"{several}; name classes that exclude each other")
    found = tuple(c for c in classes if c in set(named["label"]))
    if len(found) < 2:
        raise ValueError(f"{len(found)} of the classes {', '.join(classes)} occur; a probe needs at least two")
    label = pairs["group"].map(named.set_index("group")["label"])
    task = Task("binary" if len(found) == 2 else "multiclass", found)
    return replace(embeddings, pairs=pairs.assign(label=label)[label.notna()], task=task)
