"""Turn evidence into a verdict by one rule for all claims, which the book prints from here."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd

from ...statistics import holm
from .evidence import AVERAGE, CONTRADICTED, HOLDS, SUGGESTED, UNRESOLVED, UNTESTABLE, VERDICTS, Part

LEVEL = 0.05


@dataclass(frozen=True)
class Weighed:
    """One part of a claim with its p-value after Holm's correction over all claims."""

    part: Part
    adjusted: float

    @property
    def exact(self) -> bool:
        return not self.part.effects and len(self.part.cases) > 0

    @property
    def against(self) -> bool:
        return self.part.against > 0

    @property
    def clear(self) -> bool:
        return self.adjusted < LEVEL


@dataclass(frozen=True)
class Rule:
    """A line of the decision table: a condition and the verdict that follows from it."""

    found: str
    verdict: str
    applies: Callable[[Weighed], bool]


RULES = (
    Rule("No published number measures the quantity.", UNTESTABLE, lambda w: not w.exact and not w.part.effects),
    Rule(
        "The claim follows or fails by arithmetic on published values (bounds, no sampling), and at least one case is against it.",
        CONTRADICTED,
        lambda w: w.exact and w.against,
    ),
    Rule(
        "By arithmetic: no case is against the claim and at least one is for it. The verdict covers the cases that are decided.",
        HOLDS,
        lambda w: w.exact and w.part.supporting > 0,
    ),
    Rule(
        f"The mean effect over data sets has the sign opposite to the claim, with p < {LEVEL} after Holm in every analysis.",
        CONTRADICTED,
        lambda w: w.clear and w.part.sign < 0,
    ),
    Rule(
        f"The mean effect has the claimed sign with p < {LEVEL} after Holm in every analysis, but the claim speaks of every case "
        "and at least one case counts against it.",
        AVERAGE,
        lambda w: w.clear and w.part.sign > 0 and w.part.universal and w.against,
    ),
    Rule(
        f"The mean effect has the claimed sign with p < {LEVEL} after Holm in every analysis, and no case counts against a claim "
        "about every case.",
        HOLDS,
        lambda w: w.clear and w.part.sign > 0,
    ),
    Rule(
        f"The mean effect has the claimed sign with p < {LEVEL} in every analysis before Holm's correction, but not after it.",
        SUGGESTED,
        lambda w: w.part.p < LEVEL and w.part.sign > 0,
    ),
    Rule("Anything else: what was published cannot tell the effect from none.", UNRESOLVED, lambda w: True),
)


def verdict_of(part: Part, adjusted: float) -> str:
    """Return the verdict of the first line of ``RULES`` that applies to a part of a claim."""
    weighed = Weighed(part, adjusted)
    return next(rule.verdict for rule in RULES if rule.applies(weighed))


def combined(parts: Iterable[Part], verdicts: Iterable[str]) -> tuple[str, str]:
    """Return the verdict of a claim and the parts to which it is limited ("" if none), from the verdicts of its parts.

    If all parts agree, their verdict is the claim's. Otherwise the strongest verdict holds, limited to the parts that reach it.
    """
    reached = dict(zip((part.name for part in parts), verdicts, strict=True))
    best = min(reached.values(), key=VERDICTS.index)
    if set(reached.values()) == {best}:
        return best, ""
    return best, " and ".join(name for name, verdict in reached.items() if verdict == best)


def adjusted(p_values: Iterable[float]) -> dict[float, float]:
    """Return p -> p adjusted by Holm's method over the distinct tests; a test that serves two claims counts once."""
    distinct = sorted({p for p in p_values if p == p})
    return dict(zip(distinct, holm(distinct).tolist(), strict=True))


def decision_table() -> pd.DataFrame:
    """Return the rule as a table: order, what is found, verdict. The first line that applies decides."""
    rows = [(number, rule.found, rule.verdict) for number, rule in enumerate(RULES, start=1)]
    return pd.DataFrame(rows, columns=["order", "what is found", "verdict"])
