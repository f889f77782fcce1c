"""Define what a sweep runs over: the only place with its settings and their defaults.

The notebooks, the command line, the Snakefile and the configurations all read them from here.
"""

import math
from dataclasses import asdict, dataclass, fields

from ..alignment.shift import STORED_AS, SWEPT
from ..arrays import choose
from .protocol import PROTOCOLS

LAMBDAS = tuple(round(0.1 * i, 10) for i in range(11))
SEEDS = (42, 43, 44, 45, 46)
FEATURES = ("joint", "image", "text")
PARTS = ("lambda", "alignments")


@dataclass(frozen=True)
class Grid:
    """Settings of a sweep.

    Args:
        protocol: names of protocols.
        lambdas: strengths of Eq. 5, each for all ``features``.
        seeds: one probe per seed, lambda and kind of features.
        features: any of ``joint``, ``image``, ``text``.
        alignments: other alignments, each swept over ``alignment_lambdas`` on joint features; none when empty.
        alignment_lambdas: their strengths.
    """

    protocol: tuple[str, ...] = ("paper", "authors-code", "converged")
    lambdas: tuple[float, ...] = LAMBDAS
    seeds: tuple[int, ...] = SEEDS
    features: tuple[str, ...] = FEATURES
    alignments: tuple[str, ...] = SWEPT[1:]
    alignment_lambdas: tuple[float, ...] = (0.0, 1.0)

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None or isinstance(value, dict):
                raise ValueError(f"setting {field.name!r} must be a list, got {value!r}")
            object.__setattr__(self, field.name, (value,) if isinstance(value, str | int | float) else tuple(value))
        for name, valid in (("protocol", PROTOCOLS), ("features", FEATURES), ("alignments", (*SWEPT, *STORED_AS))):
            for value in getattr(self, name):
                choose(value, valid, f"value of {name}")
        for name in ("lambdas", "alignment_lambdas"):
            object.__setattr__(self, name, tuple(_finite(value, name) for value in getattr(self, name)))
        for seed in self.seeds:
            if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
                raise ValueError(f"setting 'seeds': {seed!r} is not a whole number of at least 0")
        for name in ("protocol", "lambdas", "seeds", "features"):
            if not getattr(self, name):
                raise ValueError(f"setting {name!r} is empty; give at least one value")

    @classmethod
    def of(cls, settings: dict) -> "Grid":
        """Return the grid with these settings and the defaults for the others; refuse an unknown one."""
        for name in settings:
            choose(name, [field.name for field in fields(cls)], "setting of a sweep")
        return cls(**settings)

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the names of the parts that are swept and stored separately: ``lambda``, and ``alignments`` if there are any."""
        return PARTS if self.alignments and self.alignment_lambdas else PARTS[:1]

    def arguments(self, part: str) -> dict[str, list]:
        """Return the arguments of :func:`helpers.probing.sweep.sweep` for one part, as lists (the form JSON has)."""
        if choose(part, PARTS, "part of a sweep") == "lambda":
            own = {"lambdas": self.lambdas, "features": self.features, "alignments": ("lambda",)}
        else:
            own = {"lambdas": self.alignment_lambdas, "features": ("joint",), "alignments": ("lambda", *self.alignments)}
        return {name: list(values) for name, values in {**own, "seeds": self.seeds}.items()}

    def as_dict(self) -> dict[str, list]:
        """Return the settings as lists, for JSON and YAML."""
        return {name: list(value) for name, value in asdict(self).items()}


def _finite(value, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"setting {name!r}: {value!r} is not a finite number")
    return float(value)
