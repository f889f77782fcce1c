"""What a claim, a finding and a verdict are, and the small-sample intervals they rest on."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest, ttest_1samp, ttest_ind

from ...checks import choose

HOLDS, AVERAGE, NOISE, CONTRADICTED, UNTESTABLE = VERDICTS = (
    "holds",
    "holds on average only",
    "within noise",
    "contradicted",
    "not testable here",
)

CLEAR = 2  # standard errors over seeds beyond which one curve counts by itself


@dataclass(frozen=True)
class Finding:
    """What published numbers say of a claim.

    Args:
        evidence: the numbers, in a sentence.
        verdict: one of ``VERDICTS``.
        why: how the verdict follows.
        effect, low, high: effect size and its 95 % interval; NaN where there is none.
        n: number of independent units behind the interval.

    Raises:
        ValueError: unknown verdict.
    """

    evidence: str
    verdict: str
    why: str
    effect: float = np.nan
    low: float = np.nan
    high: float = np.nan
    n: int = 0

    def __post_init__(self):
        choose(self.verdict, VERDICTS, "verdict")


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, where it stands, the test that answers it, and the functions that run the test.

    ``decided`` runs it on our tables where published numbers cannot; None unless they hold the paper's encoders and data sets.
    """

    statement: str
    where: str
    test: str
    published: Callable[[], Finding]
    ours: Callable[[pd.DataFrame | None, pd.DataFrame | None], str | None]
    decided: Callable[[pd.DataFrame | None, pd.DataFrame | None], Finding | None] = lambda geometry, sweep: None


def verdict_of(cases, low: float, high: float) -> str:
    """Verdict on "greater than zero in every case", given the single cases and the interval of their mean effect.

    All cases positive and the interval above zero: holds. The interval above zero: holds on average only. The interval below zero:
    contradicted. Otherwise: within noise.
    """
    if low > 0:
        return HOLDS if (np.asarray(cases) > 0).all() else AVERAGE
    return CONTRADICTED if high < 0 else NOISE


def mean_interval(values) -> tuple[float, float, float]:
    """Mean of independent values (n,), with Student's 95 % interval: mean, low, high."""
    values = np.asarray(values, dtype=np.float64)
    interval = ttest_1samp(values, 0.0).confidence_interval(0.95)
    return float(values.mean()), float(interval.low), float(interval.high)


def difference_interval(a, b) -> tuple[float, float, float]:
    """Difference of the means of two independent samples, with Welch's 95 % interval: difference, low, high."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    interval = ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    return float(a.mean() - b.mean()), float(interval.low), float(interval.high)


def sign_p(values) -> float:
    """One-sided exact sign test of "more often positive than not"; zeros count against."""
    values = np.asarray(values)
    return float(binomtest(int((values > 0).sum()), len(values), alternative="greater").pvalue)
