"""Store the rows of a study set by set: a run that was stopped loses one set, and ``--only`` makes single sets again."""

import os
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.arrays import choose
from helpers.files import project_root, read_json, replacing, write_json
from helpers.store.catalogue import SHIPPED, SHIPPED_SETS
from helpers.store.embeddings import EmbeddingSet
from helpers.tasks import SPLITS

NAMES = ["dataset", "variant", "backbone"]


def shipped_sets(only: list[str] = ()) -> list[EmbeddingSet]:
    """Load the sets that the repository ships, or those of them that are named ``dataset/variant/backbone``."""
    names = ["/".join(names) for names in SHIPPED_SETS]
    return [EmbeddingSet.load(project_root() / SHIPPED / choose(name, names, "shipped set")) for name in only or names]


def names_of(embeddings: EmbeddingSet) -> dict[str, str]:
    """Return the columns that name a set in the tables of a study."""
    return {name: getattr(embeddings.identity, name) for name in NAMES}


def redrawn_split(embeddings: EmbeddingSet, random_state: int = 0) -> np.ndarray:
    """Return new random splits, (n,) of names: whole groups fill train, val and test in turn, to the shares that the set has."""
    codes = embeddings.tied_groups
    groups = np.unique(codes)
    shares = {split: len(rows) / len(embeddings) for split in SPLITS if len(rows := embeddings.rows(split))}
    if len(groups) < len(shares):
        raise ValueError(f"{len(groups)} group(s) cannot be shared out over {len(shares)} splits; give more groups")
    order = np.random.default_rng(random_state).permutation(len(groups))
    sizes = np.bincount(codes)[order]
    middle = (sizes.cumsum() - sizes / 2) / len(embeddings)
    of_group = np.empty(len(groups), dtype=object)
    ends = np.cumsum(list(shares.values()))
    of_group[order] = np.array(list(shares), dtype=object)[np.searchsorted(ends[:-1], middle, side="right")]
    return of_group[codes]


@dataclass
class Clock:
    """Time since a set was begun, in seconds of the clock and of the processor."""

    began: float = field(default_factory=time.perf_counter)
    processor: float = field(default_factory=time.process_time)


def store_rows(tables: dict[str, pd.DataFrame], embeddings: EmbeddingSet, clock: Clock) -> None:
    """Write tables (by path) in place of the rows of this set, and beside each a JSON record of how they were made."""
    made = {
        "command": " ".join(["python", f"studies/{Path(sys.argv[0]).name}", *sys.argv[1:]]), "cores": os.cpu_count(),
        "embeddings": embeddings.fingerprint,
        "software": {name: version(name) for name in ("torch", "numpy", "pandas", "scikit-learn")},
        "processor_seconds": round(time.process_time() - clock.processor, 1),
        "seconds": round(time.perf_counter() - clock.began, 1),
    }  # fmt: skip
    own = "/".join(names_of(embeddings).values())
    for name, table in tables.items():
        path = project_root() / name
        old = pd.read_csv(path) if path.is_file() else table.iloc[:0]
        others = old[old[NAMES].agg("/".join, axis=1) != own] if len(old) else old
        with replacing(path) as temporary:
            pd.concat([others, table], ignore_index=True).to_csv(temporary, index=False, float_format="%.6g")
        record = path.with_suffix(".json")
        write_json(record, {"sets": (read_json(record)["sets"] if record.is_file() else {}) | {own: made}})
