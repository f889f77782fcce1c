"""Peak anonymous memory and time of loading, geometry and a sweep on a set that is larger than memory should hold.

    nice python benchmarks/memory.py --rows 377000 > benchmarks/results/memory.json

Draws a binary set of 2 x ROWS vectors in float16 (two cones of unequal width, three pairs a patient), and runs each step in a
process of its own. A parent reads RssAnon in /proc: pages of mapped files do not count, the kernel can drop them at any time. A few
epochs and strengths suffice. A smaller set, in memory and mapped, tells how much slower mapped rows are.
"""

import argparse
import json
import multiprocessing
import os
import platform
import re
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import EmbeddingSet
from helpers.arrays import parts
from helpers.store.disk import IN_MEMORY
from helpers.tasks import Task

STEPS = ("import", "load", "authors-code", "cone", "converged")
CONES = {"image": (0.9, 0.02), "text": (1.8, 0.01)}  # lengths of the mean and of the label's signal, beside noise of length 1
SHARES = (0.7, 0.1, 0.2)


def build(folder: Path, rows: int, dim: int) -> Path:
    """Write the synthetic set block by block and return its folder."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, rows)
    vectors = {}
    for modality, (length, signal) in CONES.items():
        mean, direction = rng.normal(size=(2, dim)) / dim**0.5
        matrix = np.memmap(folder / modality, dtype=np.float16, mode="w+", shape=(rows, dim))
        for part in parts(rows, 4 * dim):
            noise = rng.standard_normal((part.stop - part.start, dim), dtype=np.float32) / dim**0.5
            block = noise + length * mean + signal * (2 * label[part, None] - 1) * direction
            matrix[part] = block / np.linalg.norm(block, axis=1, keepdims=True)
        matrix.flush()
        vectors[modality] = matrix
    pairs = pd.DataFrame({"pair_id": [f"{i:07d}" for i in range(rows)], "group": [f"patient-{i // 3:06d}" for i in range(rows)]})
    bounds = (np.cumsum(SHARES[:2]) * rows).astype(int) // 3 * 3
    pairs["split"] = np.array(["train", "val", "test"])[np.searchsorted(bounds, np.arange(rows), side="right")]
    pairs["label"] = np.array(["finding", "none"])[label]
    pairs["image"] = pairs["text"] = np.arange(rows)
    made = EmbeddingSet(**vectors, pairs=pairs, task=Task("binary", ("finding", "none")), provenance={"dataset": "synthetic"})
    made.save(folder / "set", dtype="float16")
    for modality in CONES:
        (folder / modality).unlink()
    return folder / "set"


def run_step(name: str, folder: Path, in_memory: float, args, answer) -> None:
    """Run one step in this process, and send the seconds that passed, those of the processor, and what shows that it was done."""
    from helpers.cones import cone_table
    from helpers.probing.protocol import PROTOCOLS
    from helpers.probing.sweep import sweep

    warnings.simplefilter("ignore")  # a few epochs are not convergence
    if name == "import":
        return answer.send({})
    started = time.perf_counter(), time.process_time()
    embeddings = EmbeddingSet.load(folder, in_memory)
    found = {"fingerprint": embeddings.fingerprint[:16]}
    if name != "load":
        started = time.perf_counter(), time.process_time()
    if name == "cone":
        table = cone_table(embeddings, args.n_boot)
        found = {f"{m} {q}": round(v, 5) for m, q, v in table[["modality", "quantity", "value"]].itertuples(index=False)}
    elif name != "load":
        protocol = PROTOCOLS[name]
        few = {"strengths": protocol.strengths[12 : 12 + args.strengths]} if name == "converged" else {"max_epochs": args.epochs}
        result = sweep(embeddings, seeds=(42,), protocol=protocol.replace(name=name, **few), progress=False)
        found = {"probes": len(result.runs), "AUC": round(float(result.best["auc"].iloc[0]), 5)}
    seconds, cpu_seconds = time.perf_counter() - started[0], time.process_time() - started[1]
    answer.send({"seconds": seconds, "cpu_seconds": cpu_seconds, "found": found})


def measured(name: str, folder: Path, mapped: bool, args) -> dict:
    """Run a step in a new process; return its answer with its peak of anonymous memory, read twenty times a second."""
    here, there = multiprocessing.Pipe()
    arguments = (name, folder, 0 if mapped else float("inf"), args, there)
    process = multiprocessing.get_context("spawn").Process(target=run_step, args=arguments)
    process.start()
    peak = 0
    while process.is_alive():
        with suppress(FileNotFoundError, ProcessLookupError, AttributeError):  # it has ended
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max(peak, 1024 * int(re.search(r"RssAnon:\s*(\d+)", status).group(1)))
        time.sleep(0.05)
    if process.exitcode:
        raise SystemExit(f"step {name} failed")
    return {"step": name, "mapped": mapped, "peak_anonymous_bytes": peak, **here.recv()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=377_000)
    parser.add_argument("--small-rows", type=int, default=20_000, help="rows of the set that is run in memory and mapped")
    parser.add_argument("--dim", type=int, default=1152)
    parser.add_argument("--epochs", type=int, default=3, help="epochs of the descents; the protocols have 100")
    parser.add_argument("--strengths", type=int, default=1, help="strengths that the converged probe tries; the protocol has 29")
    parser.add_argument("--n-boot", type=int, default=1000, help="resamples of the geometry's intervals")
    args = parser.parse_args()
    machine = {"cores": len(os.sched_getaffinity(0)), "processor": platform.machine(), "load_before": round(os.getloadavg()[0], 2)}
    runs = []
    for rows, ways in ((args.rows, (True,)), (args.small_rows, (False, True))):
        with tempfile.TemporaryDirectory() as folder:
            made = build(Path(folder), rows, args.dim)
            size = sum(file.stat().st_size for file in made.glob("*.safetensors"))
            runs += [{"rows": rows, "bytes": size} | measured(step, made, mapped, args) for mapped in ways for step in STEPS]
    print(json.dumps({"machine": machine, "settings": vars(args), "mapped_above_numbers": IN_MEMORY, "runs": runs}, indent=2))
