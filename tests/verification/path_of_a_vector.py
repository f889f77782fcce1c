"""Follow one vector from image file to the curves of Fig. 3, and count the modules that run and the calls between them.

    PYTHONPATH=src python tests/verification/path_of_a_vector.py

Only public names are used, so that the script also measures an earlier commit by ``PYTHONPATH=<its checkout>/src``.
"""

import sys
import tempfile
import threading
from collections import Counter
from importlib import import_module
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from PIL import Image

from helpers import EmbeddingSet, extract, load_backbone, load_dataset, sweep

CURVES = ("helpers.plotting", "helpers.plotting.sweeps")  # now, and until the style and its figures became one module
N = 60


def write_pictures(folder: Path) -> Path:
    """Write small images and a table with their texts, labels and splits; return the table's path."""
    folder.mkdir()
    rng, rows = np.random.default_rng(0), []
    for i in range(N):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        split = ("train", "val", "test")[i % 3]
        rows.append({"image": f"{i}.png", "text": f"picture {i}", "label": "ab"[i // 3 % 2], "split": split})
    pd.DataFrame(rows).to_csv(folder / "pairs.csv", index=False)
    return folder / "pairs.csv"


def walk(folder: Path) -> None:
    """Take the pictures all the way: read, encode, store, load, sweep, draw."""
    table, out = write_pictures(folder / "raw"), folder / "own" / "own" / "lit-natural"
    data = load_dataset("manifest", root=str(table), image="image", text="text", label="label", split_column="split")
    extract(data, load_backbone("lit-natural"), out, workers=0)
    embeddings = EmbeddingSet.load(out)
    result = sweep(embeddings, lambdas=(0.0, 1.0), seeds=(42,), protocol="paper", workers=1, progress=False)
    curves = next(module.curves for module in map(import_module, CURVES) if hasattr(module, "curves"))
    curves(result.summary())


def main() -> None:
    """Print the modules with a function that ran, and how often a function of one called a function of another."""
    ran, calls = set(), Counter()

    def note(frame, event, _):
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module.startswith("helpers") and frame.f_code.co_name != "<module>":
            ran.add(module)
            before = frame.f_back.f_globals.get("__name__", "") if frame.f_back else ""
            if before.startswith("helpers") and before != module:
                calls[before, module] += 1

    matplotlib.use("Agg")
    with tempfile.TemporaryDirectory() as folder:
        threading.setprofile(note)
        sys.setprofile(note)
        try:
            walk(Path(folder))
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
    print(*sorted(ran), sep="\n")
    print(f"{len(ran)} modules ran; {calls.total()} calls from one to another, over {len(calls)} pairs of modules")


if __name__ == "__main__":
    main()
