"""Recommend an alignment, or none: validation rows choose, test rows judge, and ``none`` is the default."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from . import metrics
from .alignment.estimator import StoredAlignment
from .alignment.registry import COMPARED, make_alignment, with_none
from .datasets.splits import shared_groups
from .probing.protocol import Protocol, resolve_protocol, split_rows
from .probing.result import Caution, SweepResult, edge_caution
from .probing.sweep import sweep
from .retrieval import recall_both_ways, retrieval_ranks, several_distinct
from .separation import modality_auc, relative_modality_gap
from .statistics import bootstrap_counts, group_codes, joined, percentile_interval
from .store.embeddings import EmbeddingSet
from .tasks import text_decides

SIDE_EFFECTS = ("log_loss", "recall@10_image_to_text", "recall@10_text_to_image", "relative_gap", "modality_auc")
FEWEST_GROUPS = 10  # of test rows; fewer give an interval that is too short
MOST_PAIRS = 1000  # that the classifier of the modality learns from, and is judged on
NO_PROBE = "No labels: judged by retrieval (recall@1, mean of both directions) and by separation of modalities, not by a probe."


@dataclass(frozen=True)
class Recommendation:
    """Result of :func:`recommend`.

    ``table`` has one row per alignment: alignment, validation_auc, test_auc, difference (from none), low, high, and side effects on
    the test rows: log_loss, recall@10 both ways, relative_gap. Without labels recall takes the place of AUC, and the AUC with which
    a classifier tells images from texts, modality_auc, that of log_loss.
    """

    table: pd.DataFrame
    chosen: str  # of the highest validation AUC, or recall; of equal ones the first of the table
    recommended: str  # the same if its test gain is clear of zero and probes are converged, else "none"
    fitted: StoredAlignment  # the recommended one, on the training rows
    impossible: dict[str, str]  # why an alignment could not be fitted or applied, by name
    protocol: Protocol | None  # of the probes, without labels None; unless they are minimisers nothing is recommended
    cautions: tuple[str, ...] = ()  # why the choice or its interval may be poor, one sentence each

    def sentences(self) -> str:
        """Return sentences on the recommendation, its uncertainty and its side effects, and the cautions."""
        said = [self._verdict(), *(f"Caution: {caution}." for caution in self.cautions)]
        return " ".join(said if self.protocol else [NO_PROBE, *said])

    def _verdict(self) -> str:
        rows, ending, judged = self.table.set_index("alignment"), "", "AUC" if self.protocol else "recall@1"
        if self.protocol and self.protocol.optimizer != "minimiser":
            verdict = (
                f"No advice: probes of protocol {self.protocol.name} are not trained to convergence, so a gain may be one of "
                "faster training; protocol converged gives advice. Validation chooses"
            )
        elif self.chosen == "none":
            unaligned = f"unaligned vectors ({rows.loc['none'].iloc[0]:.4f})"
            return f"Do nothing: no alignment has a higher validation {judged} than {unaligned}."
        elif self.recommended == self.chosen:
            verdict = "Use"
        else:
            verdict, ending = "Do nothing. The validation rows choose", ", which is not a gain clear of zero"
        if self.chosen == "none":
            return f"{verdict} none."
        row, base = rows.loc[self.chosen], rows.loc["none"]
        gain = "by {difference:+.4f} (95 % bootstrap interval {low:+.4f} to {high:+.4f})".format(**row)
        costs = "; ".join(f"{m.replace('_', ' ')} {base[m]:.3f} to {row[m]:.3f}" for m in SIDE_EFFECTS if m in row)
        return f"{verdict} {self.chosen}: it changes test {judged} {gain}{ending}. Elsewhere on the test rows: {costs}."

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
    """Judge every alignment by a probe on both modalities, or by retrieval if there are no labels; validation chooses, test judges.

    Alignments are fitted on the training rows and renormalise; ``none`` is always among them. Without validation rows, each seed
    chooses some; retrieval takes those of the first seed and fits on the others. Intervals resample test rows by group, in one
    gallery for all. Only probes trained to convergence lead to a recommendation, and only ``FEWEST_GROUPS`` groups of test rows.
    """
    names, protocol, labelled = with_none(alignments), resolve_protocol(protocol), embeddings.labelled
    split_rows(embeddings, seeds[0])  # refuses a set without train or test rows before the work
    shared = shared_groups(embeddings.pairs)
    embeddings = embeddings if labelled else _for_retrieval(embeddings, protocol, seeds[0])
    groups = {split: embeddings.pairs["group"].to_numpy()[embeddings.rows(split)] for split in ("val", "test")}
    of_test = group_codes(groups["test"]) if labelled else groups["test"]  # drawn in the order in which a sweep draws them
    weights = bootstrap_counts(len(of_test), n_boot, groups=of_test)
    decided = text_decides(embeddings.task, embeddings.pairs) if labelled else None
    if decided:
        warnings.warn(decided, stacklevel=2)  # before the work
    facts, fitted, impossible, drawn = [], {}, {}, {}
    results: dict[str, Any] = {}  # sweeps; without labels None
    for name in tqdm(names, desc="alignments", disable=not progress):
        try:
            fitted[name], moved = aligned(embeddings, name)
        except ValueError as error:
            impossible[name] = str(error)
            continue
        with naming_warnings(f"alignment {name}"):
            measured, score, results[name] = _by_probe(moved, protocol, seeds) if labelled else _by_retrieval(moved)
        drawn[name] = float(score()), score(weights)
        difference, draws = (own - base for own, base in zip(drawn[name], drawn["none"], strict=True))
        gain = dict(zip(("difference", "low", "high"), (difference, *percentile_interval(draws)), strict=True))
        test = {"test_auc" if labelled else "test_recall": drawn[name][0], **gain}
        facts.append({"alignment": name, **measured, **_side_effects(moved), **test})
    table = pd.DataFrame(facts)
    chosen = table.loc[table["validation_auc" if labelled else "validation_recall"].idxmax()]  # of equals the first, as "none" is
    few = [split for split, of in groups.items() if 0 < len(np.unique(of)) < FEWEST_GROUPS]
    clear = "test" not in few and chosen["low"] > 0 and protocol.optimizer == "minimiser"
    recommended = chosen["alignment"] if clear else "none"
    cautions = [f"the {split} rows form fewer than {FEWEST_GROUPS} independent groups, too few to judge by" for split in few]
    if labelled:
        edge = edge_caution(pd.concat([result.runs.assign(alignment=name) for name, result in results.items()]))
        cautions += filter(None, (edge, results["none"].provenance["few_validation"], decided))
    cautions += [shared] if shared else []
    advice = table, chosen["alignment"], recommended, fitted[recommended], impossible
    return Recommendation(*advice, protocol if labelled else None, tuple(cautions))


def _by_probe(moved: EmbeddingSet, protocol: Protocol, seeds: Sequence[int]) -> tuple[dict[str, float], Callable, SweepResult]:
    """Return validation AUC and log loss of moved pairs, a function from bootstrap counts to the test AUC, and the sweep."""
    result = sweep(moved, [0.0], seeds, protocol, ["joint"], progress=False)
    validation, loss = (result.summary(m, split)["mean"].iloc[0] for m, split in ((None, "val"), ("log_loss", "test")))

    def score(weights=None):
        return metrics.macro_auc(result.headline_scores, result.targets, weights).mean(axis=0)

    return {"validation_auc": validation, "log_loss": loss}, score, result


def _for_retrieval(embeddings: EmbeddingSet, protocol: Protocol, seed: int) -> EmbeddingSet:
    """Return the set with validation rows, and with pairs that share an image, a text or a group as one group."""
    if protocol.name != "converged":
        raise ValueError(f"protocol {protocol.name} trains probes, which need labels, and this set has none; leave it out")
    pairs = embeddings.pairs
    tied = joined(group_codes(pairs["group"]), pairs["image"].to_numpy(), pairs["text"].to_numpy())
    embeddings = replace(embeddings, pairs=pairs.assign(group=tied))
    embeddings.pairs.loc[split_rows(embeddings, seed).val, "split"] = "val"
    for rows in map(embeddings.rows, ("val", "test")):
        several_distinct(embeddings.image_of(rows), "image")
        several_distinct(embeddings.text_of(rows), "text")
    return embeddings


def _by_retrieval(moved: EmbeddingSet) -> tuple[dict[str, float], Callable, None]:
    """Return validation recall@1 (mean of both directions) and modality_auc, and a function from counts to the test recall@1."""
    found = []  # of each row: 0, 1/2 or 1 of two directions
    for rows in map(moved.rows, ("val", "test")):
        image, text = moved.image_of(rows), moved.text_of(rows)
        found.append(((retrieval_ranks(image, text) < 1).astype(float) + (retrieval_ranks(text, image) < 1)) / 2)
    fit, test = (np.sort(np.random.default_rng(0).permutation(moved.rows(s))[:MOST_PAIRS]) for s in ("train", "test"))
    learnt, judged = ((moved.image_of(rows), moved.text_of(rows)) for rows in (fit, test))
    try:
        area = modality_auc(*learnt, *judged, moved.pairs["group"].to_numpy()[fit])
    except ValueError:  # too few distinct pairs for three folds
        area = np.nan

    def score(weights=None):
        return found[1].mean() if weights is None else weights @ found[1] / weights.sum(axis=1)

    return {"validation_recall": found[0].mean(), "modality_auc": area}, score, None


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
    return dict(zip(SIDE_EFFECTS[1:4], (*recalls, relative_modality_gap(image, text)), strict=True))
