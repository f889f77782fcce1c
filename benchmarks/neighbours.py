"""Time and peak memory of the neighbour measures at 150,000 pairs of 512 dimensions: ``benchmarks/results/neighbours.json``.

python benchmarks/neighbours.py

Neighbours are sought for some drawn vectors among all; the time of a query does not depend on their number. Each measure runs in a
process of its own, so that peaks do not mix; memory is what it adds to the process that holds the vectors.
"""

import argparse
import json
import multiprocessing
import os
import resource
import sys
import time

import numpy as np

from helpers.files import project_root, write_json
from helpers.neighbours import nearest
from helpers.separation import mixing_at_k

MEASURES = {
    "nearest": lambda v, t, queries: nearest(v[:queries], t, 10),
    "mixing_at_k": lambda v, t, queries: mixing_at_k(v, t, most=queries),
}


def measured(name: str, pairs: int, dim: int, queries: int) -> dict:
    """Run one measure on normal vectors and return its seconds and its added peak memory as a multiple of the vectors."""
    rng = np.random.default_rng(0)
    image, text = (rng.standard_normal((pairs, dim), dtype=np.float32) for _ in range(2))
    before, started, busy = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter(), time.process_time()
    MEASURES[name](image, text, queries)
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    seconds = {"seconds": round(time.perf_counter() - started, 1), "cpu_seconds": round(time.process_time() - busy, 1)}
    return {"measure": name, **seconds, "added_memory_over_vectors": round(added / (image.nbytes + text.nbytes), 2)}


def main() -> None:
    """Measure each and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=150_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=2_000)
    args = parser.parse_args()
    rows = []
    for name in MEASURES:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(measured, (name, args.pairs, args.dim, args.queries)))
        print(json.dumps(rows[-1]), flush=True)
    about = {"command": "python benchmarks/neighbours.py " + " ".join(sys.argv[1:]), "threads": os.environ.get("OMP_NUM_THREADS")}
    write_json(project_root() / "benchmarks/results/neighbours.json", {**about, **vars(args), "measures": rows})


if __name__ == "__main__":
    main()
