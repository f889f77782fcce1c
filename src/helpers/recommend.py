"""Recommend an alignment, or none: validation rows choose, test rows judge, and ``none`` is the default."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from . import metrics
from .alignment.estimator import StoredAlignment
from .alignment.registry import COMPARED
from .comparison import CHANGES, compare_tasks, fit_alignment, moved_by, rows_of, with_none
from .extraction.prompts import prompts_of
from .probing.protocol import Protocol
from .probing.result import SweepResult
from .probing.sweep import sweep
from .retrieval import recall_both_ways
from .separation import relative_modality_gap
from .statistics import bootstrap_counts, percentile_interval
from .store.embeddings import EmbeddingSet
from .tasks import NO_LABELS

SIDE_EFFECTS = ("log_loss", "recall@10_image_to_text", "recall@10_text_to_image", "relative_gap")


@dataclass(frozen=True)
class Recommendation:
    """Result of :func:`recommend`.

    Args:
        table: one row per alignment: alignment, validation_auc, test_auc, difference (from none), low, high, and side effects on
            the test rows: log_loss, recall@10 both ways, relative_gap.
        chosen: the alignment of the highest validation AUC.
        recommended: the same if its test gain is clear of zero, else ``none``.
        fitted: the recommended alignment, fitted on the training rows.
        impossible: why an alignment could not be fitted or applied, by name.
        elsewhere: what the chosen alignment changes in other tasks, with intervals; rows of :func:`compare_tasks`.
    """

    table: pd.DataFrame
    chosen: str
    recommended: str
    fitted: StoredAlignment
    impossible: dict[str, str]
    elsewhere: pd.DataFrame

    def sentences(self) -> str:
        """Return sentences on the recommendation, its uncertainty and its side effects."""
        rows = self.table.set_index("alignment")
        if self.chosen == "none":
            return "Do nothing: no alignment has a higher validation AUC than unaligned vectors."
        row, base = rows.loc[self.chosen], rows.loc["none"]
        gain = "changes test AUC by {difference:+.4f} (95 % bootstrap interval {low:+.4f} to {high:+.4f})".format(**row)
        use = self.recommended == self.chosen
        verdict, ending = ("Use", "") if use else ("Do nothing: validation chooses", ", which is not a gain clear of zero")
        costs = "; ".join(f"{m.replace('_', ' ')} {base[m]:.3f} to {row[m]:.3f}" for m in SIDE_EFFECTS)
        return f"{verdict} {self.chosen}: it {gain}{ending}. Elsewhere on the test rows: {costs}. {self._clear_changes()}"

    def _clear_changes(self) -> str:
        """Name the measures of other tasks that the chosen alignment changes beyond their interval."""
        moved = self.elsewhere[(self.elsewhere["change_low"] > 0) | (self.elsewhere["change_high"] < 0)]
        if moved.empty:
            return f"None of {len(self.elsewhere)} measures of other tasks changes clearly."
        one = "{} by {:+.3f} ({:+.3f} to {:+.3f})"
        columns = ["measure", "change", "change_low", "change_high"]
        named = (one.format(m.replace("_", " "), *rest) for m, *rest in moved[columns].itertuples(index=False))
        return f"Of {len(self.elsewhere)} measures of other tasks it clearly changes {'; '.join(named)}."

    def save(self, path) -> Path:
        """Save the fitted alignment as safetensors."""
        return self.fitted.save(path)


def snippet(path) -> str:
    """Return the three lines that apply a saved alignment to new vectors."""
    return (
        "from helpers.alignment.registry import load_alignment\n"
        f"alignment = load_alignment({str(path)!r})\n"
        "image, text = alignment.transform(image, text)"
    )


def recommend(
    embeddings: EmbeddingSet,
    alignments: Sequence[str] = COMPARED,
    protocol: str | Protocol = "converged",
    seeds: Sequence[int] = (42,),
    n_boot: int = 1000,
) -> Recommendation:
    """Train a probe on both modalities under every alignment, let validation choose and test rows judge.

    Alignments are fitted on the training rows and renormalise. Intervals resample test rows by group. The result also
    measures what the chosen alignment does to transfer between modalities, calibration, subgroups and, if prompts are stored for
    the data set and encoder, zero-shot classification.

    Args:
        embeddings: a labelled set with training and test rows; without validation rows, each seed chooses some.
        alignments: names of the registry; ``none`` is always among them.
    """
    if not embeddings.labelled:
        raise ValueError(NO_LABELS)
    names = with_none(alignments)
    test, _ = rows_of(embeddings, "test"), rows_of(embeddings, "train")
    results, facts, fitted, impossible = {}, [], {}, {}
    for name in names:
        try:
            alignment = fit_alignment(embeddings, name)
            moved = moved_by(embeddings, alignment)
        except ValueError as error:
            impossible[name] = str(error)
            continue
        result = sweep(moved, [0.0], seeds, protocol, ["joint"], progress=False)
        results[name], fitted[name] = result, alignment
        validation, loss = (result.summary(m, split)["mean"].iloc[0] for m, split in ((None, "val"), ("log_loss", "test")))
        facts.append({"alignment": name, "validation_auc": validation, "log_loss": loss, **_side_effects(moved, test)})
    table = pd.DataFrame(facts).merge(_differences(results, n_boot), on="alignment")
    chosen = table.loc[table["validation_auc"].idxmax(), "alignment"]  # the first of equals, and "none" comes first
    clear = table.set_index("alignment").loc[chosen, "low"] > 0
    recommended = chosen if chosen != "none" and clear else "none"
    elsewhere = pd.DataFrame(columns=["alignment", "measure", *CHANGES, "reason"])
    if chosen != "none":
        tasks = compare_tasks(embeddings, [chosen], prompts_of(embeddings), protocol, n_boot=n_boot)
        elsewhere = tasks[(tasks["alignment"] == chosen) & (tasks["measure"] != "probe_auc")].reset_index(drop=True)
    return Recommendation(table, chosen, recommended, fitted[recommended], impossible, elsewhere)


def _side_effects(embeddings: EmbeddingSet, rows: np.ndarray) -> dict[str, float]:
    """Return recall and relative gap of the test rows; NaN where retrieval is undefined."""
    image, text = embeddings.image_of(rows), embeddings.text_of(rows)
    try:
        recalls = recall_both_ways(image, text, 10)
    except ValueError:
        recalls = np.nan, np.nan
    return dict(zip(SIDE_EFFECTS[1:], (*recalls, relative_modality_gap(image, text)), strict=True))


def _differences(results: dict[str, SweepResult], n_boot: int) -> pd.DataFrame:
    """Return the test AUC of each alignment, its difference from none, and the paired bootstrap interval of the difference."""
    base = results["none"]
    weights = bootstrap_counts(len(base.targets), n_boot, groups=base.groups)
    drawn = {n: metrics.macro_auc(r.headline_scores, r.targets, weights).mean(axis=0) for n, r in results.items()}
    auc = {n: float(metrics.macro_auc(r.headline_scores, r.targets).mean()) for n, r in results.items()}
    rows = [(n, auc[n], auc[n] - auc["none"], *percentile_interval(drawn[n] - drawn["none"])) for n in results]
    return pd.DataFrame(rows, columns=["alignment", "test_auc", "difference", "low", "high"])
