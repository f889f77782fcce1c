"""How far results are from the first when they are computed again: a second run, two threads, two workers.

    python tests/verification/reproducibility.py [--json tests/verification/results/reproducibility.json]

Each setting runs in a process of its own, on shipped HAM10000 pairs (clean, the first 300 rows of each split) and on 16 synthetic
photographs with their texts under the shipped encoder ``lit-natural``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"first run": (1, 1), "a second run": (1, 1), "two threads": (2, 1), "two workers": (1, 2)}  # threads, workers


def results(workers: int) -> dict[str, np.ndarray]:
    from helpers import EmbeddingSet, extract, load_backbone, sweep
    from helpers.cones import cone_table

    sys.path.append(str(ROOT / "tests"))
    from photographs import synthetic_photographs

    whole = EmbeddingSet.load(ROOT / "data/embeddings/ham10000/clean/lit-derm")
    pairs = whole.pairs.groupby("split", sort=False).head(300)
    embeddings = EmbeddingSet(whole.image, whole.text, pairs, whole.task, whole.provenance)
    with tempfile.TemporaryDirectory() as folder:
        dataset, encoder = synthetic_photographs(Path(folder), n=16), load_backbone("lit-natural")
        made = extract(dataset, encoder, Path(folder) / "set", batch_size=8, workers=workers - 1)
    one = {"lambdas": (0.0, 1.0), "seeds": (1,), "features": ("joint",), "workers": workers}
    return {
        "geometry and its intervals": cone_table(embeddings, n_boot=100)[["value", "low", "high"]].to_numpy(),
        "test scores, `converged`": sweep(embeddings, protocol="converged", **one).scores,
        "test scores, `paper`": sweep(embeddings, protocol="paper", **one).scores,
        "embeddings": np.concatenate([made.image, made.text]),
    }


def in_a_process(threads: int, workers: int, path: Path) -> dict[str, np.ndarray]:
    """Compute every result in a fresh process with this many threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    here = os.environ | dict.fromkeys(names, str(threads)) | {"PYTHONPATH": f"{ROOT}/src:{Path(__file__).parent}"}
    code = f"import numpy, reproducibility; numpy.savez({str(path)!r}, **reproducibility.results({workers}))"
    subprocess.run([sys.executable, "-c", code], env=here, check=True)
    with np.load(path) as stored:
        return dict(stored)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = {change: in_a_process(*setting, Path(folder) / "arrays.npz") for change, setting in SETTINGS.items()}
    found: dict[str, dict] = {}
    for what, first in made.pop("first run").items():
        for change, of in made.items():
            equal, apart = first.tobytes() == of[what].tobytes(), float(np.nanmax(np.abs(first - of[what])))
            found.setdefault(what, {})[change] = {"bitwise": equal, "largest difference": apart}
    print(text := json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")
