"""What a sweep runs over: the one place that knows its settings and their defaults.

The notebook, the command line, the Snakefile and the configurations all read them from here.
"""

from dataclasses import asdict, dataclass, fields

from ..alignment import ALIGNMENTS
from ..checks import choose

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
    alignments: tuple[str, ...] = ALIGNMENTS[1:]
    alignment_lambdas: tuple[float, ...] = (0.0, 1.0)

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, (value,) if isinstance(value, str | int | float) else tuple(value))

    @classmethod
    def of(cls, settings: dict) -> "Grid":
        """Return the grid with these settings and the defaults for the others.

        Raises:
            ValueError: an unknown setting; names the nearest.
        """
        for name in settings:
            choose(name, [field.name for field in fields(cls)], "setting of a sweep")
        return cls(**settings)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts that are swept and stored apart: ``lambda``, and ``alignments`` unless there are none."""
        return PARTS if self.alignments and self.alignment_lambdas else PARTS[:1]

    def arguments(self, part: str) -> dict:
        """Return the arguments of :func:`helpers.sweep` for one part, lists as JSON has them."""
        if choose(part, PARTS, "part of a sweep") == "lambda":
            lambdas, features, alignments = self.lambdas, self.features, ["lambda"]
        else:
            lambdas, features, alignments = self.alignment_lambdas, ["joint"], ["lambda", *self.alignments]
        return {name: list(value) for name, value in
                {"lambdas": lambdas, "seeds": self.seeds, "features": features, "alignments": alignments}.items()}  # fmt: skip

    def as_dict(self) -> dict[str, list]:
        """Return the settings as lists, for JSON and YAML."""
        return {name: list(value) for name, value in asdict(self).items()}
