"""Make a small data set of synthetic photographs with questions, and read the content of a stored set, for tests."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from tiny_encoders import jpegs

from helpers.datasets.registry import Card, PairedDataset
from helpers.tasks import Task

CARD = Card("Synthetic", "natural", "made by tests", "CC0", "none", "nothing to get")


def synthetic_photographs(root: Path, n: int = 12, per_image: int = 1, **changes) -> PairedDataset:
    """Return ``n`` synthetic photographs with ``per_image`` questions each."""
    root = root / "raw"
    paths = jpegs(root / "images", n)
    rows = pd.DataFrame(
        [
            {"pair_id": f"p{i}-{k}", "image": f"images/{path.name}", "text": f"question {k} of {n if k else i}", "group": f"g{i}"}
            for i, path in enumerate(paths)
            for k in range(per_image)
        ]
    )
    rows["split"] = np.array(["train", "val", "test"])[np.arange(len(rows)) % 3]
    rows["label"] = np.array(["a", "b"])[np.arange(len(rows)) % 2]
    for column, values in changes.items():
        rows[column] = rows[column].astype(object)
        rows.loc[list(values), column] = list(values.values())
    return PairedDataset("synthetic", "common", rows, Task("binary", ("a", "b")), CARD, root, {"rows_without_image": np.int64(0)})


def content(folder: Path) -> dict:
    """Return the bytes of every file of a set, and its provenance without times."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    record = json.loads(found["provenance.json"])
    assert record.pop("run").keys() == {"command", "finished", "seconds"} and len(record.pop("record_sha256")) == 64
    return {**found, "provenance.json": record}
