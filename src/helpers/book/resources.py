"""Estimate what a step of the workflow needs from a scheduler: accelerators, memory and minutes, by rows and dimension."""

from dataclasses import dataclass

from .. import published
from ..backbones.registry import DIMENSIONS

CLEAN_ROWS = {"mimic_cxr": 380_000, "fakeddit": 700_000}
"""Upper bounds for releases of which the paper uses a part and the variant ``clean`` all."""
LARGEST_DIMENSION = max(DIMENSIONS.values())
UNKNOWN_ROWS = 100_000


@dataclass(frozen=True)
class Need:
    """Needs of one kind of step.

    Args:
        memory: megabytes at any size.
        copies: number of float32 copies of image and text vectors in memory at once.
        minutes: minutes at any size.
        rows_per_minute: at dimension 512, on the slowest machine to be expected.
        accelerator: whether the step encodes.
    """

    memory: int
    copies: float
    minutes: int
    rows_per_minute: int
    accelerator: bool = False


NEEDS = {
    "check": Need(4000, 0, 20, 5000),
    "extract": Need(10_000, 1, 30, 600, accelerator=True),
    "gather": Need(10_000, 3, 30, 20_000, accelerator=True),
    "cone": Need(3000, 6, 15, 20_000),
    "sweep": Need(4000, 6, 60, 1000),
    "measure": Need(4000, 6, 120, 1000),
    "notebook": Need(8000, 6, 60, 10_000),
    "html": Need(6000, 0, 60, 10_000),
}


def resources(step: str, rows: int = 0, dimension: int = 512, *, parts: int = 1, accelerators: int = 1, attempt: int = 1) -> dict:
    """Return ``mem_mb``, ``runtime`` in minutes and ``gpu`` of a step; a repeated attempt gets as many times the memory and time.

    Args:
        step: a key of ``NEEDS``.
        rows: number of rows of the data set.
        dimension: dimension of the vectors.
        parts: shards that share the rows.
        accelerators: number of accelerators of a step that encodes.

    Raises:
        KeyError: an unknown step.
    """
    need = NEEDS[step]
    own = -(-rows // parts)
    vectors = 2 * 4 * own * dimension / 1e6
    minutes = need.minutes + own * max(1, dimension / 512) / need.rows_per_minute
    return {
        "mem_mb": int(attempt * (need.memory + need.copies * vectors)),
        "runtime": int(attempt * minutes),
        "gpu": accelerators if need.accelerator else 0,
    }


def expected_rows(dataset: str, variant: str) -> int:
    """Return how many rows a data set has at most, before it is read; a data set that the paper does not use counts 100,000."""
    table = published.datasets().set_index("name")["rows"]
    of_paper = int(table.get(dataset, UNKNOWN_ROWS))
    return max(of_paper, CLEAN_ROWS.get(dataset, 0)) if variant != "authors" else of_paper


def expected_dimension(backbone: str) -> int:
    """Return the dimension of an encoder's vectors; the largest known one for an encoder that is not listed."""
    return DIMENSIONS.get(backbone, LARGEST_DIMENSION)
