"""Build the claims ledger: what the paper says, the test that answers it, and its result, all computed from tables."""

import numpy as np
import pandas as pd

from . import downstream, geometry
from .evidence import CLEAR, UNTESTABLE, VERDICTS, Claim, Finding
from .rule import adjusted, combined, decision_table, verdict_of
from .runs import Runs

__all__ = ["CLAIMS", "CLEAR", "VERDICTS", "Claim", "Finding", "as_markdown", "counted", "decision_table", "ledger"]
CLAIMS = (*geometry.CLAIMS, *downstream.CLAIMS)


def ledger(
    geometry: pd.DataFrame | None = None, sweep: pd.DataFrame | None = None, selected: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return every claim of the paper with its test, evidence and verdict; one row a claim, in the paper's order.

    Verdicts rest on published numbers and follow :func:`decision_table`. Where published numbers cannot decide, our runs of the
    paper's own encoders on its data sets may, and ``why`` says so. Runs of other encoders stand in ``our_evidence`` and never
    decide.

    Args:
        geometry: our rows of dataset, variant, backbone, domain, modality (image, text, joint), quantity, value, low, high.
        sweep: our rows as in :func:`helpers.published.sweep_gains`.
        selected: our rows of dataset, variant, backbone, protocol, features, lambda_image, difference, low, high.

    Returns:
        claim, where, test, published_evidence, effect, low, high (95 % interval), n (independent units), p, p_holm, our_evidence
        (None without runs), verdict, scope (what the verdict is limited to), why.

    Raises:
        ValueError: a table of ours lacks a column.
    """
    runs = Runs(geometry, sweep, selected)
    published = [claim.published() for claim in CLAIMS]
    found = [f if f.parts else claim.recomputed(runs) or f for claim, f in zip(CLAIMS, published, strict=True)]
    p_adjusted = adjusted(part.p for finding in found for part in finding.parts)
    rows = []
    for claim, before, finding in zip(CLAIMS, published, found, strict=True):
        rows.append(
            {
                "claim": claim.statement,
                "where": claim.where,
                "test": claim.test,
                "published_evidence": before.evidence,
                **_decided(finding, p_adjusted),
                "our_evidence": claim.own_runs(runs),
            }
        )
    return pd.DataFrame(rows)


def counted(claims: pd.DataFrame) -> str:
    """Return how often each verdict of a :func:`ledger` is given, in the order of ``VERDICTS``."""
    counts = claims["verdict"].value_counts()
    return "; ".join(f"{verdict}: {counts[verdict]}" for verdict in VERDICTS if verdict in counts)


def as_markdown(claims: pd.DataFrame) -> str:
    """Return the evidence of a :func:`ledger` as one block a claim: statement, verdict, test, published and own evidence, effect.

    Own evidence that already stands under an earlier claim becomes a reference to it.
    """
    blocks, given = [], {}
    for number, row in enumerate(claims.itertuples(), start=1):
        scope = f" ({row.scope})" * bool(row.scope)
        lines = [
            f"**{number}. {row.claim}** ({row.where}): *{row.verdict}*{scope}. {row.why[0].upper()}{row.why[1:]}",
            "",
            f"- Test: {row.test}",
        ]
        lines.append(f"- Published: {row.published_evidence}")
        if pd.notna(row.effect):
            lines.append(f"- Effect: {_effect_in_words(row)}")
        if pd.notna(row.our_evidence):
            first = given.setdefault(row.our_evidence, number)
            lines.append(f"- Our runs: {row.our_evidence if first == number else f'as under claim {first}'}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _decided(finding: Finding, adjusted: dict[float, float]) -> dict:
    """Return verdict, scope, reason and the effect that decides: that of the part with the smallest p-value."""
    if not finding.parts:
        empty = dict.fromkeys(("effect", "low", "high", "p", "p_holm"), np.nan)
        return {**empty, "n": 0, "verdict": UNTESTABLE, "scope": "", "why": finding.why}
    verdicts = [verdict_of(part, adjusted.get(part.p, np.nan)) for part in finding.parts]
    verdict, limited = combined(finding.parts, verdicts)
    tested = [part for part in finding.parts if part.effects]
    shown = min(tested, key=lambda part: part.p) if tested else finding.parts[0]
    value, low, high, p, n, _ = shown.weakest if tested else (shown.decisive, np.nan, np.nan, np.nan, len(shown.cases), "")
    scope = ", ".join(filter(None, [f"{limited} only" * bool(limited), finding.scope]))
    numbers = {"effect": value, "low": low, "high": high, "n": n, "p": p, "p_holm": adjusted.get(p, np.nan)}
    return {**numbers, "verdict": verdict, "scope": scope, "why": finding.why}


def _effect_in_words(row) -> str:
    interval = f" [{row.low:.4f}, {row.high:.4f}]" if pd.notna(row.low) else ""
    tested = f", p = {row.p:.2g}, after Holm {row.p_holm:.2g}" if pd.notna(row.p) else ""
    return f"{row.effect:.4f}{interval}, n = {row.n}{tested}"
