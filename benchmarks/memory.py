"""Peak anonymous memory and time of import, loading, geometry and a sweep on a set that is larger than memory should hold.

    nice python benchmarks/memory.py --rows 377000 > benchmarks/results/memory.json

Draws a binary set of 2 x ROWS vectors in float16 (two cones of unequal width, three pairs a patient), and runs each step in a
process of its own. A parent reads RssAnon in /proc: pages of mapped files do not count, the kernel can drop them at any time. A few
of the 100 epochs and 29 strengths suffice. A smaller set, in memory and mapped, tells how much slower mapped rows are.
"""

import argparse
import json
import multiprocessing
import os
import platform
import re
import sys
import tempfile
import time
from contextlib import redirect_stdout, suppress
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import EmbeddingSet
from helpers.arrays import parts
from helpers.store.disk import fits_in_memory
from helpers.tasks import Task

STEPS = ("import", "load", "authors-code", "cone", "converged")
CONES = {"image": (0.9, 0.02), "text": (1.8, 0.01)}  # lengths of the mean and of the label's signal, beside noise of length 1


def build(folder: Path, rows: int, dim: int) -> Path:
    """Write the synthetic set block by block and return its folder."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, rows)
    vectors = {}
    for modality, (length, signal) in CONES.items():
        mean, direction = rng.normal(size=(2, dim)) / dim**0.5
        matrix = np.lib.format.open_memmap(folder / f"{modality}.npy", mode="w+", dtype=np.float16, shape=(rows, dim))
        for part in parts(rows, 4 * dim):
            noise = rng.standard_normal((part.stop - part.start, dim), dtype=np.float32) / dim**0.5
            block = noise + length * mean + signal * (2 * label[part, None] - 1) * direction
            matrix[part] = block / np.linalg.norm(block, axis=1, keepdims=True)
        matrix.flush()
        vectors[modality] = matrix
    pairs = pd.DataFrame({"pair_id": [f"{i:07d}" for i in range(rows)], "group": [f"patient-{i // 3:06d}" for i in range(rows)]})
    pairs["split"] = np.repeat(["train", "val", "test"], [7, 1, 2])[np.arange(rows) // 3 % 10]
    pairs["label"] = np.array(["finding", "none"])[label]
    pairs.to_csv(folder / "table.csv", index=False)
    pairs["image"] = pairs["text"] = np.arange(rows)
    made = EmbeddingSet(**vectors, pairs=pairs, task=Task("binary", ("finding", "none")), provenance={"dataset": "synthetic"})
    return made.save(folder / "set", dtype="float16")


def run_step(name: str, folder: Path, mapped: bool, args, answer) -> None:
    """Run one step in this process, and send the seconds that passed and those of the processor."""
    from helpers.cli import main
    from helpers.cones import cone_table
    from helpers.probing.protocol import PROTOCOLS
    from helpers.probing.sweep import sweep

    started = time.perf_counter(), time.process_time()
    if name == "import":
        files = [folder.parent / file for file in ("image.npy", "text.npy", "table.csv", "imported")]
        words = dict(zip(("text", "table", "out"), files[1:], strict=True)) | {"dataset": "synthetic", "backbone": "none"}
        words |= {"label": "label", "split": "split", "group": "group", "ids": "pair_id", "classes": "finding,none"}
        options = [str(word) for option, value in words.items() for word in (f"--{option}", value)]
        with redirect_stdout(sys.stderr):
            failed = main(["import", str(files[0]), "--overwrite", *options])
        if failed:
            raise SystemExit("import failed")
        return answer.send({"seconds": time.perf_counter() - started[0], "cpu_seconds": time.process_time() - started[1]})
    embeddings = EmbeddingSet.load(folder, 0 if mapped else float("inf"))
    if name != "load":
        started = time.perf_counter(), time.process_time()
    if name == "cone":
        cone_table(embeddings, args.n_boot)
    elif name != "load":
        protocol = PROTOCOLS[name]
        few = {"strengths": protocol.strengths[12 : 12 + args.strengths]} if name == "converged" else {"max_epochs": args.epochs}
        sweep(embeddings, seeds=(42,), protocol=protocol.replace(name=name, **few), progress=False)
    answer.send({"seconds": time.perf_counter() - started[0], "cpu_seconds": time.process_time() - started[1]})


def measured(name: str, folder: Path, mapped: bool, args) -> dict:
    """Run a step in a new process; return its answer with its peak of anonymous memory, read twenty times a second."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=run_step, args=(name, folder, mapped, args, there))
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
    sizes = {"rows": 377_000, "small-rows": 20_000, "dim": 1152, "epochs": 3, "strengths": 1, "n-boot": 1000}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    machine = {"cores": len(os.sched_getaffinity(0)), "processor": platform.machine(), "load_before": round(os.getloadavg()[0], 2)}
    runs = []
    for rows, ways in ((args.rows, (True,)), (args.small_rows, (False, True))):
        with tempfile.TemporaryDirectory() as folder:
            made = build(Path(folder), rows, args.dim)
            size = sum(file.stat().st_size for file in made.glob("*.safetensors"))
            runs += [{"rows": rows, "bytes": size} | measured(step, made, mapped, args) for mapped in ways for step in STEPS]
    found = {"machine": machine, "settings": vars(args), "mapped_above_numbers": fits_in_memory(), "runs": runs}
    print(json.dumps(found, indent=2))
