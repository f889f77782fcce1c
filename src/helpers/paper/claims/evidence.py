"""Define a claim, its parts and a finding, and the small-sample tests behind them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest, ttest_1samp, ttest_ind

from ...statistics import permutation_p
from .runs import Runs

VERDICTS = ("holds", "contradicted", "holds on average only", "suggested", "not resolved", "not testable here")
HOLDS, CONTRADICTED, AVERAGE, SUGGESTED, UNRESOLVED, UNTESTABLE = VERDICTS

CLEAR = 2  # one curve counts beyond this number of standard errors over seeds
FEWEST = 3  # with fewer data sets in a group, the exact permutation test replaces Welch's interval


class Effect(NamedTuple):
    """A mean effect over independent units with its 95 % interval and two-sided p-value; ``how`` names the analysis."""

    value: float
    low: float
    high: float
    p: float
    n: int
    how: str = ""

    def __str__(self) -> str:
        interval = "" if np.isnan(self.low) else f" [{self.low:+.4f}, {self.high:+.4f}]"
        return f"{self.how}{': ' * bool(self.how)}{self.value:+.4f}{interval}"


@dataclass(frozen=True)
class Part:
    """Test of a claim, or of one of its subjects.

    Args:
        effects: mean effects, positive if the claim is right, one per defensible analysis; empty for a claim of arithmetic.
        cases: (m, 2) lowest and highest possible value of each single case, positive if the claim is right.
        universal: the claim is about every case ("all", "always", "consistently").
        name: the subject, if a claim has several.
    """

    effects: tuple[Effect, ...] = ()
    cases: np.ndarray = field(default_factory=lambda: np.empty((0, 2)))
    universal: bool = False
    name: str = ""

    @property
    def weakest(self) -> Effect:
        """Return the analysis with the largest p-value, which decides."""
        return max(self.effects, key=lambda effect: effect.p)

    @property
    def p(self) -> float:
        return self.weakest.p if self.effects else np.nan

    @property
    def sign(self) -> int:
        """Return the sign that all analyses share, or 0 if they differ."""
        signs = {int(np.sign(effect.value)) for effect in self.effects}
        return signs.pop() if len(signs) == 1 else 0

    @property
    def against(self) -> int:
        """Return the number of cases that lie below zero within their uncertainty."""
        return int((self.cases[:, 1] < 0).sum())

    @property
    def supporting(self) -> int:
        """Return the number of cases that lie above zero within their uncertainty."""
        return int((self.cases[:, 0] > 0).sum())

    @property
    def decisive(self) -> float:
        """Return the bound that decides a claim of arithmetic: of the case most clearly against it, else least clearly for it."""
        return float(self.cases[:, 1].min() if self.against else self.cases[self.cases[:, 0] > 0, 0].min(initial=np.inf))


@dataclass(frozen=True)
class Finding:
    """Result of the test of a claim; without parts, the numbers do not test it.

    Args:
        evidence: the numbers, in a sentence.
        why: the basis of the verdict.
        parts: the tests; see :class:`Part`.
        scope: what the numbers cover, if that is less than the claim.
    """

    evidence: str
    why: str
    parts: tuple[Part, ...] = ()
    scope: str = ""


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, its place, the test that answers it, and the functions that run the test.

    ``recomputed`` runs the test on our tables if published numbers cannot; it returns None without the paper's encoders and data.
    """

    statement: str
    where: str
    test: str
    published: Callable[[], Finding]
    own_runs: Callable[[Runs], str | None]
    recomputed: Callable[[Runs], Finding | None] = lambda runs: None


def intervals(values, margin=0.0) -> np.ndarray:
    """Return (m, 2) the lowest and highest value of cases known to within ``margin``."""
    values = np.asarray(values, dtype=np.float64)
    return np.column_stack([values - margin, values + margin])


def mean_effect(values, how: str = "") -> Effect:
    """Return the mean of independent values (n,) with Student's 95 % interval and p-value against zero."""
    values = np.asarray(values, dtype=np.float64)
    test = ttest_1samp(values, 0.0)
    interval = test.confidence_interval(0.95)
    return Effect(float(values.mean()), float(interval.low), float(interval.high), float(test.pvalue), len(values), how)


def difference_effect(a, b, how: str = "") -> Effect:
    """Return the difference of the means of two independent samples.

    Interval and p-value are Welch's. A group of fewer than ``FEWEST`` values does not determine its spread: then the p-value
    is that of the exact permutation test, and there is no interval.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    difference, n = float(a.mean() - b.mean()), len(a) + len(b)
    if min(len(a), len(b)) < FEWEST:
        return Effect(difference, np.nan, np.nan, min(1.0, 2 * min(permutation_p(a, b), permutation_p(b, a))), n, how)
    test = ttest_ind(a, b, equal_var=False)
    interval = test.confidence_interval(0.95)
    return Effect(difference, float(interval.low), float(interval.high), float(test.pvalue), n, how)


def sign_p(values) -> float:
    """Return the one-sided exact sign test of "more often positive than not"; zeros count against."""
    values = np.asarray(values)
    return float(binomtest(int((values > 0).sum()), len(values), alternative="greater").pvalue)
