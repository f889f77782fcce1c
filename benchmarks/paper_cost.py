"""What the extraction of the full paper costs, in hours and currency, and a simulation of its shards on several accelerators.

    python benchmarks/paper_cost.py --price 2.5 > benchmarks/results/paper_cost.json

Measured: the megapixels that a core decodes and resizes in a second. Stated: the options, and the sizes of images below."""

import argparse
import heapq
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from helpers.images import decode
from helpers.published import datasets

MEGAPIXELS = {"mimic_cxr": 7.8, "ham10000": 0.27, "brset": 4.0, "mbrset": 2.0}  # of a typical image, rounded up
MEGAPIXELS |= {"coco_qa": 0.31, "fakeddit": 0.5, "recipes5k": 0.3, "daquar": 0.31}
ALL_ROWS = {"mimic_cxr": 380_000, "fakeddit": 700_000}  # upper bounds for releases of which the paper uses a part
TWO_TEXTS = {"mimic_cxr", "ham10000", "brset", "mbrset", "fakeddit", "daquar"}  # their images are encoded with each text
SHARDS, CHUNK, RETRIES = 16, 256, 2  # config/paper.yml, helpers.extraction.encoding, workflow/profiles/slurm
TOWERS = {  # image and text: layers, width, width of the feed-forward part, tokens of one input
    "clip": ((12, 768, 3072, 50), (12, 512, 2048, 77)),
    "siglip": ((12, 768, 3072, 576), (12, 768, 3072, 64)),
    "biomedclip": ((12, 768, 3072, 197), (12, 768, 3072, 256)),
    "medsiglip": ((27, 1152, 4304, 1024), (27, 1152, 4304, 64)),
}


@dataclass(frozen=True)
class Assumptions:
    """What is not measured here."""

    price: float = 2.5  # of an accelerator-hour, in any currency
    operations: float = 1e13  # floating-point operations a second that an accelerator sustains in float32
    cores: int = 8  # that decode beside one accelerator
    start: float = 120.0  # seconds before a shard encodes: the queue's answer, imports, weights, the look at all files
    spread: float = 0.25  # standard deviation of the logarithm of a shard's length


def operations(layers: int, width: int, inner: int, tokens: int) -> float:
    return 2 * tokens * layers * (4 * width**2 + 2 * width * inner) + 4 * layers * tokens**2 * width


def rates(dataset: str, encoder: str, megapixels_per_second: float, given: Assumptions) -> tuple[float, float]:
    """Return pairs a second that the cores beside one accelerator decode, and that the accelerator encodes."""
    decoded = given.cores * megapixels_per_second / MEGAPIXELS[dataset]
    return decoded, given.operations / sum(operations(*tower) for tower in TOWERS[encoder])


def simulate(seconds: float, shards: int, machines: int, failing: float, given: Assumptions, rng, chunks: int = 10**9) -> dict:
    """Simulate one extraction, event by event: a free machine takes the next shard; one that failed goes to the end of the queue.

    A failure strikes at a uniform moment of an attempt, with probability ``failing``; whole ``chunks`` encoded before it are kept.
    ``restarts`` are by hand, of shards that failed more often than the profile tries again; ``machine_hours`` are paid.
    """
    queue = [(length, 0) for length in seconds / shards * rng.lognormal(-(given.spread**2) / 2, given.spread, shards)]
    free, busy, restarts, last, grain = [0.0] * machines, 0.0, 0, 0.0, seconds / chunks
    while queue:
        now, (left, failures) = heapq.heappop(free), queue.pop(0)
        spent = given.start + left
        if rng.random() < failing:
            spent *= rng.random()
            restarts += (failures + 1) % (RETRIES + 1) == 0
            queue.append((left - max(0.0, spent - given.start) // grain * grain, failures + 1))
        busy, last = busy + spent, max(last, now + spent)
        heapq.heappush(free, now + spent)
    return {"hours": last / 3600, "machine_hours": busy / 3600, "restarts": restarts}


def table(megapixels_per_second: float, given: Assumptions) -> list[dict]:
    """Return a row for each data set and encoder: rows, rates, what bounds them, hours on one accelerator and on eight."""
    found, rng, of_paper = [], np.random.default_rng(0), datasets().set_index("name")["rows"]
    for dataset, encoder in product(MEGAPIXELS, TOWERS):
        pairs = int(max(of_paper[dataset], ALL_ROWS.get(dataset, 0)) + of_paper[dataset] * (dataset in TWO_TEXTS))
        rate, bound = min(zip(rates(dataset, encoder, megapixels_per_second, given), ("decoding", "encoding"), strict=True))
        one, eight = (simulate(pairs / rate, SHARDS, n, 0.0, given, rng)["hours"] for n in (1, 8))
        row = {"dataset": dataset, "encoder": encoder, "pairs": pairs, "bound": bound, "pairs_per_s": rate, "seconds": pairs / rate}
        found.append({**row, "shards": SHARDS, "hours_one": one, "hours_eight": eight})
    return found


def failures(rows: list[dict], given: Assumptions, runs: int = 200) -> list[dict]:
    """Return what the largest extraction and all of them take on eight accelerators when shards fail."""

    def simulated(row: dict, failing: float, rng) -> dict:
        return simulate(row["seconds"], row["shards"], 8, failing, given, rng, chunks=max(1, row["pairs"] // CHUNK))

    found, largest = [], max(rows, key=lambda row: row["seconds"])
    for failing, rng in ((share, np.random.default_rng(1)) for share in (0.0, 0.01, 0.05)):
        one = [simulated(largest, failing, rng)["hours"] for _ in range(runs)]
        whole = [[simulated(row, failing, rng) for row in rows] for _ in range(runs // 10)]
        hours, paid, restarts = ([sum(r[name] for r in run) for run in whole] for name in ("hours", "machine_hours", "restarts"))
        row = {"failing": failing, "largest_hours": np.median(one), "largest_hours_95": np.quantile(one, 0.95)}
        row |= {"hours": np.median(hours), "machine_hours": np.median(paid), "cost": given.price * np.median(paid)}
        found.append({name: float(value) for name, value in {**row, "restarts": np.mean(restarts)}.items()})
    return found


def measured_megapixels(images: int = 12, width: int = 2000, height: int = 1500) -> float:
    """Return the megapixels a second that one core decodes and resizes to 384 pixels, the median over JPEG images."""
    from extraction import photographs  # the script beside this one

    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for path in photographs(Path(folder), images, width, height):
            began = time.process_time()
            decode(path).resize((384, 384), Image.Resampling.BICUBIC)
            seconds.append(time.process_time() - began)
    return width * height / 1e6 / float(np.median(seconds))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in asdict(Assumptions()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    given, rate = Assumptions(**vars(parser.parse_args())), measured_megapixels()
    found = {"megapixels_per_second": rate, "assumptions": asdict(given), "rows": table(rate, given)}
    print(json.dumps(found | {"failures": failures(found["rows"], given)}, indent=2))
