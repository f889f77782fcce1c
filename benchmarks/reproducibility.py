"""How far results are from the first when they are computed again: a second run, two threads, two workers.

    python benchmarks/reproducibility.py [--json benchmarks/results/reproducibility.json]

Each setting runs in a process of its own. Geometry and probes are of the shipped HAM10000 pairs (clean, first 900 rows of each
split), embeddings are of 16 synthetic photographs and their texts under the shipped encoder ``lit-natural``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {"first run": (1, 1), "a second run": (1, 1), "two threads": (2, 1), "two workers": (1, 2)}
ROWS = 900
ONE_SEED = {"lambdas": (0.0, 0.5, 1.0), "seeds": (1,), "features": ("joint",)}
PARTS = ("geometry", "converged probes", "paper's probes", "embeddings")


def results(part: str, workers: int) -> dict[str, np.ndarray]:
    """Compute one result and return its arrays."""
    from helpers import EmbeddingSet, extract, load_backbone, sweep
    from helpers.measures import cone_table

    if part == "embeddings":
        sys.path.append(str(ROOT / "tests"))
        from photographs import synthetic_photographs

        with tempfile.TemporaryDirectory() as folder:
            made = extract(
                synthetic_photographs(Path(folder), n=16),
                load_backbone("lit-natural"),
                Path(folder) / "set",
                batch_size=8,
                workers=workers - 1,
            )
        return {"image": made.image, "text": made.text}
    whole = EmbeddingSet.load(ROOT / "data/embeddings/ham10000/clean/lit-derm")
    pairs = whole.pairs.groupby("split", sort=False).head(ROWS)
    embeddings = EmbeddingSet(whole.image, whole.text, pairs, whole.task, whole.provenance)
    if part == "geometry":
        return {"values": cone_table(embeddings, n_boot=100)[["value", "low", "high"]].to_numpy()}
    protocol = "converged" if part == "converged probes" else "paper"
    return {"scores": sweep(embeddings, protocol=protocol, workers=workers, **ONE_SEED).scores}


def in_a_process(part: str, threads: int, workers: int, folder: Path) -> dict[str, np.ndarray]:
    """Compute one result in a fresh process with this many threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    here = os.environ | dict.fromkeys(names, str(threads)) | {"PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"}
    path = folder / "arrays.npz"
    words = [sys.executable, str(Path(__file__).resolve()), "--compute", part, str(workers), str(path)]
    subprocess.run(words, env=here, check=True, stderr=subprocess.DEVNULL)
    with np.load(path) as stored:
        return dict(stored)


def compared(first: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict:
    """Return whether two results are equal bit for bit, and their largest absolute difference."""
    differences = [np.nanmax(np.abs(first[name].astype(float) - other[name])) for name in first]
    return {
        "bitwise": all(first[name].tobytes() == other[name].tobytes() for name in first),
        "largest difference": float(max(differences)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--compute", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.compute:
        part, workers, path = given.compute
        np.savez(path, **results(part, int(workers)))
        return
    found: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        for part in PARTS:
            first = {}
            for change, (threads, workers) in SETTINGS.items():
                if part == "geometry" and workers > 1:
                    continue  # it has none
                made = in_a_process(part, threads, workers, Path(folder))
                first = first or made
                if change != "first run":
                    found.setdefault(part, {})[change] = compared(first, made)
                    print(part, change, found[part][change], flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
