"""Recommend an alignment, or none: validation rows choose, test rows judge, and ``none`` is the default."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from . import metrics
from .alignment.estimator import StoredAlignment
from .alignment.registry import COMPARED, make_alignment, with_none
from .probing.protocol import Protocol, resolve_protocol
from .probing.result import Caution, SweepResult, edge_caution
from .probing.sweep import sweep
from .retrieval import recall_both_ways
from .separation import relative_modality_gap
from .statistics import bootstrap_counts, percentile_interval
from .store.embeddings import EmbeddingSet
from .tasks import NO_LABELS, text_decides

SIDE_EFFECTS = ("log_loss", "recall@10_image_to_text", "recall@10_text_to_image", "relative_gap")


@dataclass(frozen=True)
class Recommendation:
    """Result of :func:`recommend`.

    ``table`` has one row per alignment: alignment, validation_auc, test_auc, difference (from none), low, high, and side effects on
    the test rows: log_loss, recall@10 both ways, relative_gap.
    """

    table: pd.DataFrame
    chosen: str  # of the highest validation AUC
    recommended: str  # the same if its test gain is clear of zero and probes are converged, else "none"
    fitted: StoredAlignment  # the recommended one, on the training rows
    impossible: dict[str, str]  # why an alignment could not be fitted or applied, by name
    protocol: Protocol  # of the probes; unless they are minimisers nothing is recommended
    cautions: tuple[str, ...] = ()  # why validation rows may have chosen badly, one sentence each

    def sentences(self) -> str:
        """Return sentences on the recommendation, its uncertainty and its side effects, and the cautions."""
        return " ".join([self._verdict(), *(f"Caution: {caution}." for caution in self.cautions)])

    def _verdict(self) -> str:
        rows, ending = self.table.set_index("alignment"), ""
        if self.protocol.optimizer != "minimiser":
            verdict = (
                f"No advice: probes of protocol {self.protocol.name} are not trained to convergence, so a gain may be one of "
                "faster training; protocol converged gives advice. Validation chooses"
            )
        elif self.chosen == "none":
            return "Do nothing: no alignment has a higher validation AUC than unaligned vectors."
        elif self.recommended == self.chosen:
            verdict = "Use"
        else:
            verdict, ending = "Do nothing: validation chooses", ", which is not a gain clear of zero"
        if self.chosen == "none":
            return f"{verdict} none."
        row, base = rows.loc[self.chosen], rows.loc["none"]
        gain = "changes test AUC by {difference:+.4f} (95 % bootstrap interval {low:+.4f} to {high:+.4f})".format(**row)
        costs = "; ".join(f"{m.replace('_', ' ')} {base[m]:.3f} to {row[m]:.3f}" for m in SIDE_EFFECTS)
        return f"{verdict} {self.chosen}: it {gain}{ending}. Elsewhere on the test rows: {costs}."

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
    progress: bool = True,
) -> Recommendation:
    """Train a probe on both modalities under every alignment, let validation choose and test rows judge.

    Alignments are fitted on the training rows and renormalise; ``none`` is always among them. Without validation rows, each seed
    chooses some. Intervals resample test rows by group. Only probes trained to convergence lead to a recommendation.
    """
    names, protocol = with_none(alignments), resolve_protocol(protocol)
    bootstrap_counts(1, n_boot)  # refuses too few replicates before anything is trained
    if not embeddings.labelled:
        raise ValueError(NO_LABELS)
    for split in ("train", "test"):
        if not len(embeddings.rows(split)):
            raise ValueError(
                f"{embeddings.dataset} has no {split} rows; alignments are fitted on train rows and judged on test rows"
            )
    if decided := text_decides(embeddings.task, embeddings.pairs):
        warnings.warn(decided, stacklevel=2)  # before the work
    results, facts, fitted, impossible = {}, [], {}, {}
    for name in tqdm(names, desc="alignments", disable=not progress):
        try:
            alignment, moved = aligned(embeddings, name)
        except ValueError as error:
            impossible[name] = str(error)
            continue
        with naming_warnings(f"alignment {name}"):
            result = sweep(moved, [0.0], seeds, protocol, ["joint"], progress=False)
        results[name], fitted[name] = result, alignment
        validation, loss = (result.summary(m, split)["mean"].iloc[0] for m, split in ((None, "val"), ("log_loss", "test")))
        facts.append({"alignment": name, "validation_auc": validation, "log_loss": loss, **_side_effects(moved)})
    table = pd.DataFrame(facts).merge(_differences(results, n_boot), on="alignment")
    chosen = table.loc[table["validation_auc"].idxmax(), "alignment"]  # the first of equals, and "none" comes first
    clear = table.set_index("alignment").loc[chosen, "low"] > 0
    recommended = chosen if chosen != "none" and clear and protocol.optimizer == "minimiser" else "none"
    edge = edge_caution(pd.concat([result.runs.assign(alignment=name) for name, result in results.items()]))
    cautions = tuple(filter(None, (edge, results["none"].provenance["few_validation"], decided)))
    return Recommendation(table, chosen, recommended, fitted[recommended], impossible, protocol, cautions)


@contextmanager
def naming_warnings(what: str) -> Iterator[None]:
    """Put ``what`` before the warnings of the block; leave out cautions, which are said once for all alignments."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for found in caught:
        if not issubclass(found.category, Caution):
            warnings.warn(f"{what}: {found.message}", found.category, stacklevel=4)


def aligned(embeddings: EmbeddingSet, name: str) -> tuple[StoredAlignment, EmbeddingSet]:
    """Return an alignment fitted on the training rows and the set moved by it; a ValueError says why the rows do not allow it."""
    train = embeddings.rows("train")
    fitted = make_alignment(name).fit(embeddings.image_of(train), embeddings.text_of(train))
    image, text = fitted.transform(embeddings.image, embeddings.text)
    return fitted, replace(embeddings, image=image, text=text)


def _side_effects(embeddings: EmbeddingSet) -> dict[str, float]:
    """Return recall and relative gap of the test rows; NaN where retrieval is undefined."""
    image, text = embeddings.image_of(embeddings.rows("test")), embeddings.text_of(embeddings.rows("test"))
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
