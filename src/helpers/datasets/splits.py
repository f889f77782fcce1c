"""Split a table into train, val and test: by row as in the authors' code, or by whole groups; split a stored set anew."""

from dataclasses import replace

import numpy as np
import pandas as pd

from ..store.embeddings import EmbeddingSet

SEED = 42
SHARES = {"train": 0.7, "test": 0.2, "val": 0.1}  # in the order in which the splits receive a rare class


def by_row(strata: pd.Series) -> pd.Series:
    """Return the split of each row, stratified and ignoring groups; indexed in the authors' order, train (80 %) before test."""
    from sklearn.model_selection import train_test_split  # slow to load, and a workflow with nothing to do must answer fast

    parts = train_test_split(np.arange(len(strata)), test_size=0.2, stratify=strata.to_numpy(), random_state=SEED)
    return pd.concat([pd.Series(name, index) for name, index in zip(("train", "test"), parts, strict=True)])


def by_group(groups: pd.Series, strata: pd.Series | None = None, seed: int = SEED) -> np.ndarray:
    """Return the split name of each row: whole groups, and each stratum (of a group's first row) in proportion to ``SHARES``.

    Groups come in a seeded order; each goes to the split furthest below its share, so that a single one goes to train.
    """
    codes, _ = pd.factorize(groups)
    first, size = np.unique(codes, return_index=True)[1], np.bincount(codes)
    stratum = np.zeros(len(first), dtype=int) if strata is None else pd.factorize(strata, sort=True)[0][first]
    names, due = np.array(list(SHARES), dtype=object), np.array(list(SHARES.values()))
    assigned = np.empty(len(first), dtype=int)
    rng = np.random.default_rng(seed)
    for s in np.unique(stratum):
        members = rng.permutation(np.flatnonzero(stratum == s))
        target, filled = due * size[members].sum(), np.zeros(len(names))
        for g in members:
            assigned[g] = np.argmax((target - filled) / target)
            filled[assigned[g]] += size[g]
    return names[assigned][codes]


def straddling(rows: pd.DataFrame) -> pd.Index:
    """Return the groups that occur in more than one split."""
    splits_of = rows.groupby("group")["split"].nunique()
    return splits_of.index[splits_of > 1]


def seen_in_train(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return whether the group, image and exact text of each test pair also occur in train, bool (n_test, 3)."""
    train, test = (pairs[pairs["split"] == s] for s in ("train", "test"))
    return pd.DataFrame({key: test[key].isin(set(train[key])) for key in ("group", "image", "text")})


def shared_groups(pairs: pd.DataFrame) -> str | None:
    """Return a sentence on the test pairs whose group also occurs in train, or None."""
    seen = seen_in_train(pairs)["group"]
    who = f"{seen.sum():,} of {len(seen):,} test rows have a group, such as a patient, that also occurs in train"
    return f"{who}: the test score is too high for new groups" if seen.any() else None


def resplit(embeddings: EmbeddingSet, split) -> EmbeddingSet:
    """Return the set with other splits, (n,) of ``train``, ``val``, ``test`` or None for pairs to exclude."""
    split = pd.Series(np.asarray(split, dtype=object))
    return replace(embeddings, pairs=embeddings.pairs.assign(split=split)[split.notna().to_numpy()])
