"""Make a small data set of synthetic photographs with questions, read the content of a stored set, and run processes."""

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pandas as pd
from tiny_encoders import jpegs

from helpers.datasets.registry import Card, PairedDataset
from helpers.tasks import Task

CARD = Card("Synthetic", "natural", "made by tests", "CC0", "none", "nothing to get")


def synthetic_photographs(root: Path, n: int = 12, per_image: int = 1, **changes) -> PairedDataset:
    """Return ``n`` synthetic photographs with ``per_image`` questions each; ``changes`` are columns as {row: value}."""
    root = root / "raw"
    paths, each = jpegs(root / "images", n), [(i, k) for i in range(n) for k in range(per_image)]
    rows = pd.DataFrame({"pair_id": [f"p{i}-{k}" for i, k in each], "image": [f"images/{paths[i].name}" for i, _ in each]})
    rows["text"] = [f"question {k} of {n if k else i}" for i, k in each]
    rows["group"] = [f"g{i}" for i, _ in each]
    rows["split"] = np.resize(["train", "val", "test"], len(each))
    rows["label"] = np.resize(["a", "b"], len(each))
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


def in_processes(function, *calls: tuple) -> list[int]:
    """Run a function with each of several arguments at once, in processes of their own, and return their exit codes."""
    runs = [multiprocessing.get_context("fork").Process(target=function, args=arguments) for arguments in calls]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    return [run.exitcode for run in runs]
