"""Estimate what a step of the workflow needs from a scheduler: accelerators, memory and minutes, by rows and dimension."""

from typing import NamedTuple

from helpers import published
from helpers.backbones.registry import DIMENSIONS

CLEAN_ROWS = {"mimic_cxr": 380_000, "fakeddit": 700_000}  # upper bounds; the paper uses a part, the variant clean all
UNKNOWN_ROWS = 100_000


class Need(NamedTuple):
    """Megabytes and minutes at any size, float32 copies of all vectors, rows a minute at dimension 512."""

    memory: int
    copies: float
    minutes: int
    rows_per_minute: int
    encodes: bool = False


NEEDS = {
    "check": Need(4000, 0, 20, 5000),
    "extract": Need(10_000, 1, 30, 600, encodes=True),
    "gather": Need(10_000, 3, 30, 20_000, encodes=True),
    "cone": Need(3000, 6, 15, 20_000),
    "sweep": Need(4000, 6, 60, 1000),
    "notebook": Need(8000, 6, 60, 10_000),
    "html": Need(6000, 0, 60, 10_000),
}


def resources(step: str, rows: int = 0, dimension: int = 512, *, parts: int = 1, accelerators: int = 1, attempt: int = 1) -> dict:
    """Return ``mem_mb``, ``runtime`` in minutes and ``gpu`` of a step whose rows ``parts`` jobs share; an attempt asks for more."""
    need, own = NEEDS[step], -(-rows // parts)
    memory = need.memory + need.copies * 2 * 4 * own * dimension / 1e6
    minutes = need.minutes + own * max(1, dimension / 512) / need.rows_per_minute
    return {"mem_mb": int(attempt * memory), "runtime": int(attempt * minutes), "gpu": accelerators if need.encodes else 0}


def expected_rows(dataset: str, variant: str) -> int:
    """Return how many rows a data set has at most, before it is read; a data set that the paper does not use counts 100,000."""
    of_paper = int(published.datasets().set_index("name")["rows"].get(dataset, UNKNOWN_ROWS))
    return max(of_paper, CLEAN_ROWS.get(dataset, 0)) if variant != "authors" else of_paper


def expected_dimension(backbone: str) -> int:
    """Return the dimension of an encoder's vectors; the largest known one for an encoder that is not listed."""
    return DIMENSIONS.get(backbone, max(DIMENSIONS.values()))
