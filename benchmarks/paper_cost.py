"""What the extraction of the full paper costs, in hours and currency, and a simulation of its shards on several accelerators.

    python benchmarks/paper_cost.py --price 2.5 --json benchmarks/results/paper_cost.json

Measured here: how many megapixels of a synthetic photograph a core decodes and resizes in a second. Stated, not measured: what an
accelerator sustains, how large the images of a data set are, how long a shard takes to start, and how unequal shards are. Each is
an option or a field below.
"""

import argparse
import heapq
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from helpers.images import decode

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from resources import expected_rows  # noqa: E402

MEGAPIXELS = {  # of a typical image, rounded up
    **{"mimic_cxr": 7.8, "ham10000": 0.27, "brset": 4.0, "mbrset": 2.0},
    **{"coco_qa": 0.31, "fakeddit": 0.5, "recipes5k": 0.3, "daquar": 0.31},
}
TWO_TEXTS = {"mimic_cxr", "ham10000", "brset", "mbrset", "fakeddit", "daquar"}  # their images are encoded with each text
SHARDS, CHUNK, RETRIES = 16, 256, 2  # config/paper.yml, helpers.extraction.encoding, workflow/profiles/slurm


@dataclass(frozen=True)
class Tower:
    """A transformer: layers, width, width of its feed-forward part, and tokens of one input."""

    layers: int
    width: int
    inner: int
    tokens: int

    @property
    def operations(self) -> float:
        """Return the floating-point operations of one input: projections, feed-forward part, attention."""
        dense = 2 * self.tokens * self.layers * (4 * self.width**2 + 2 * self.width * self.inner)
        return dense + 4 * self.layers * self.tokens**2 * self.width


ENCODERS = {
    "clip": (Tower(12, 768, 3072, 50), Tower(12, 512, 2048, 77)),
    "siglip": (Tower(12, 768, 3072, 576), Tower(12, 768, 3072, 64)),
    "biomedclip": (Tower(12, 768, 3072, 197), Tower(12, 768, 3072, 256)),
    "medsiglip": (Tower(27, 1152, 4304, 1024), Tower(27, 1152, 4304, 64)),
}


@dataclass(frozen=True)
class Assumptions:
    """What is not measured here.

    Args:
        price: of an accelerator-hour, in any currency.
        operations: floating-point operations a second that an accelerator sustains in float32.
        cores: processor cores that decode beside one accelerator.
        start: seconds before a shard encodes: the queue's answer, imports, weights, the look at all files.
        spread: standard deviation of the logarithm of a shard's length.
    """

    price: float = 2.5
    operations: float = 1e13
    cores: int = 8
    start: float = 120.0
    spread: float = 0.25


def rates(dataset: str, encoder: str, megapixels_per_second: float, given: Assumptions) -> tuple[float, float]:
    """Return pairs a second that the cores beside one accelerator decode, and that the accelerator encodes."""
    decoded = given.cores * megapixels_per_second / MEGAPIXELS[dataset]
    return decoded, given.operations / sum(tower.operations for tower in ENCODERS[encoder])


def simulate(seconds: float, shards: int, machines: int, failing: float, given: Assumptions, rng, chunks: int = 10**9) -> dict:
    """Simulate one extraction, event by event: a free machine takes the next shard; one that failed goes to the end of the queue.

    A failure strikes at a uniform moment of an attempt. Whole chunks that were encoded before it are kept.

    Args:
        seconds: of encoding, all shards together.
        failing: probability that an attempt of a shard fails.
        chunks: into which the whole is cut.

    Returns:
        ``hours`` until the last shard is done, ``machine_hours`` paid, and ``restarts`` by hand, of shards that failed more often
        than the profile tries again.
    """
    queue = [(length, 0) for length in seconds / shards * rng.lognormal(-(given.spread**2) / 2, given.spread, shards)]
    free, busy, restarts, last = [0.0] * machines, 0.0, 0, 0.0
    grain = seconds / chunks
    while queue:
        now = heapq.heappop(free)
        left, failures = queue.pop(0)
        spent = given.start + left
        if rng.random() < failing:
            spent *= rng.random()
            done = max(0.0, spent - given.start)
            restarts += (failures + 1) % (RETRIES + 1) == 0
            queue.append((left - done // grain * grain, failures + 1))
        busy += spent
        last = max(last, now + spent)
        heapq.heappush(free, now + spent)
    return {"hours": last / 3600, "machine_hours": busy / 3600, "restarts": restarts}


def table(megapixels_per_second: float, given: Assumptions) -> list[dict]:
    """Return a row for each data set and encoder: rows, rates, what bounds them, hours on one accelerator and on eight."""
    rows, rng = [], np.random.default_rng(0)
    for dataset in MEGAPIXELS:
        pairs = expected_rows(dataset, "clean") + (expected_rows(dataset, "authors") if dataset in TWO_TEXTS else 0)
        for encoder in ENCODERS:
            decoded, encoded = rates(dataset, encoder, megapixels_per_second, given)
            seconds = pairs / min(decoded, encoded)
            hours = {n: simulate(seconds, SHARDS, n, 0.0, given, rng)["hours"] for n in (1, 8)}
            bound = "decoding" if decoded < encoded else "encoding"
            rows.append(
                {"dataset": dataset, "encoder": encoder, "pairs": pairs, "bound": bound, "pairs_per_s": min(decoded, encoded)}
                | {"seconds": seconds, "shards": SHARDS, "hours_one": hours[1], "hours_eight": hours[8]}
            )
    return rows


def failures(rows: list[dict], given: Assumptions, runs: int = 200) -> list[dict]:
    """Return what the largest extraction and all of them take on eight accelerators when shards fail."""
    found, largest = [], max(rows, key=lambda row: row["seconds"])
    for failing in (0.0, 0.01, 0.05):
        rng = np.random.default_rng(1)
        one = [_simulated(largest, failing, given, rng) for _ in range(runs)]
        whole = [[_simulated(row, failing, given, rng) for row in rows] for _ in range(runs // 10)]
        hours, paid = ([sum(r[name] for r in run) for run in whole] for name in ("hours", "machine_hours"))
        found.append(
            {"failing": failing, "largest_hours": float(np.median([r["hours"] for r in one]))}
            | {"largest_hours_95": float(np.quantile([r["hours"] for r in one], 0.95)), "hours": float(np.median(hours))}
            | {"machine_hours": float(np.median(paid)), "cost": given.price * float(np.median(paid))}
            | {"restarts": float(np.mean([sum(r["restarts"] for r in run) for run in whole]))}
        )
    return found


def _simulated(row: dict, failing: float, given: Assumptions, rng) -> dict:
    return simulate(row["seconds"], row["shards"], 8, failing, given, rng, chunks=max(1, row["pairs"] // CHUNK))


def measured_megapixels(images: int = 12, width: int = 2000, height: int = 1500) -> float:
    """Return the megapixels a second that one core decodes and resizes to 384 pixels, the median over JPEG images."""
    from extraction import photographs  # the script beside this one
    from PIL import Image

    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for path in photographs(Path(folder), images, width, height):
            began = time.process_time()
            decode(path).resize((384, 384), Image.Resampling.BICUBIC)
            seconds.append(time.process_time() - began)
    return width * height / 1e6 / float(np.median(seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    defaults = Assumptions()
    for name, value in asdict(defaults).items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    given = Assumptions(**{name: getattr(args, name) for name in asdict(defaults)})
    rate = measured_megapixels()
    rows = table(rate, given)
    found = {"megapixels_per_second": rate, "assumptions": asdict(given), "rows": rows, "failures": failures(rows, given)}
    text = json.dumps(found, indent=2)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
