"""The claims ledger: what the paper says, the test that answers it, and what the numbers give. Nothing in it is typed in."""

import pandas as pd

from . import downstream, geometry
from .evidence import CLEAR, UNTESTABLE, VERDICTS, Claim, Finding

__all__ = ["CLAIMS", "CLEAR", "VERDICTS", "Claim", "Finding", "as_markdown", "counted", "ledger"]
CLAIMS = (*geometry.CLAIMS, *downstream.CLAIMS)


def ledger(ours_geometry: pd.DataFrame | None = None, ours_sweep: pd.DataFrame | None = None) -> pd.DataFrame:
    """Every claim of the paper with its test, evidence and verdict; one row a claim, in the paper's order.

    Verdicts rest on published numbers. Where these cannot decide, our runs of the paper's own encoders on its data sets may, and
    ``why`` says so; what other encoders show stands in ``our_evidence`` and never decides.

    Args:
        ours_geometry: tidy rows of dataset, variant, backbone, domain, modality (image, text, joint), quantity, value, low, high.
        ours_sweep: tidy rows as in :func:`helpers.paper.published.sweep_gains`.

    Returns:
        claim, where, test, published_evidence, effect, low, high (95 % interval), n, our_evidence (None without runs),
        verdict, why.

    Raises:
        ValueError: a table of ours lacks a column.
    """
    rows = []
    for claim in CLAIMS:
        found = published = claim.published()
        if published.verdict == UNTESTABLE:
            found = claim.decided(ours_geometry, ours_sweep) or published
        rows.append(
            {
                "claim": claim.statement,
                "where": claim.where,
                "test": claim.test,
                "published_evidence": published.evidence,
                "effect": found.effect,
                "low": found.low,
                "high": found.high,
                "n": found.n,
                "our_evidence": claim.ours(ours_geometry, ours_sweep),
                "verdict": found.verdict,
                "why": found.why,
            }
        )
    return pd.DataFrame(rows)


def counted(claims: pd.DataFrame) -> str:
    """How often each verdict of a :func:`ledger` is given, in the order of ``VERDICTS``."""
    counts = claims["verdict"].value_counts()
    return "; ".join(f"{verdict}: {counts[verdict]}" for verdict in VERDICTS if verdict in counts)


def as_markdown(claims: pd.DataFrame) -> str:
    """The evidence of a :func:`ledger` as one block a claim: statement, verdict, test, published and own evidence, effect size.

    Evidence of ours that was given under an earlier claim is referred to.
    """
    blocks, given = [], {}
    for number, row in enumerate(claims.itertuples(), start=1):
        lines = [f"**{number}. {row.claim}** ({row.where}): *{row.verdict}*, {row.why}", "", f"- Test: {row.test}"]
        lines.append(f"- Published: {row.published_evidence}")
        if pd.notna(row.effect):
            interval = f" [{row.low:.4f}, {row.high:.4f}]" if pd.notna(row.low) else ""
            lines.append(f"- Effect: {row.effect:.4f}{interval}, n = {row.n}")
        if pd.notna(row.our_evidence):
            first = given.setdefault(row.our_evidence, number)
            lines.append(f"- Our runs: {row.our_evidence if first == number else f'as under claim {first}'}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
