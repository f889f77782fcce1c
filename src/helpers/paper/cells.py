"""Decide which embedding sets are recomputed cells of the paper, and why other sets with a cell's names are not."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..backbones.registry import DIMENSIONS, REGISTRY
from ..datasets import canonical_variant
from ..store.embeddings import EmbeddingSet
from .published import BACKBONES, datasets

EXTRACTED, IMPORTED, UNKNOWN = "extracted", "imported", "unknown"
APART = " (not the paper's cell)"
COMMIT = re.compile(r"[0-9a-f]{40}")
NAMES = ["dataset", "variant", "backbone"]


@dataclass(frozen=True)
class SetFacts:
    """Facts that decide whether a set is a cell of the paper.

    Args:
        source, revision: repository of the encoder and its commit, as recorded; None where nothing is recorded.
        route: ``extracted`` by this package, ``imported`` as vectors, or ``unknown``.
        contributor: who computed it and when, for a set that is known by its report only.
    """

    dataset: str
    variant: str
    backbone: str
    rows: int
    test_rows: int
    dim: int
    source: str | None
    revision: str | None
    route: str
    contributor: str = ""

    @property
    def origin(self) -> str:
        """Return the route as tables print it."""
        return f"{self.route}, contributed by {self.contributor}" if self.contributor else self.route


def facts_of(embeddings: EmbeddingSet) -> SetFacts:
    """Return the facts that the record of a set states."""
    about, encoder = embeddings.provenance, embeddings.provenance.get("encoder") or {}
    extracted = bool(about.get("data_manifest") and encoder.get("weights") and about.get("run"))
    return SetFacts(
        embeddings.dataset,
        embeddings.identity.variant,
        embeddings.identity.backbone,
        rows=len(embeddings),
        test_rows=len(embeddings.rows("test")),
        dim=embeddings.dim,
        source=encoder.get("source"),
        revision=encoder.get("revision"),
        route=IMPORTED if "imported_from" in about else EXTRACTED if extracted else UNKNOWN,
    )


def is_named_like_a_cell(dataset: str, variant: str, backbone: str) -> bool:
    """Return whether a set has the names of a data set and an encoder of the paper; the text of ``clean`` is not the paper's."""
    return dataset in set(datasets()["name"]) and backbone in BACKBONES.values() and variant != "clean"


def cell_faults(facts: SetFacts) -> list[str]:
    """Return why a set that is named like a cell of the paper is not that cell; an empty list for a set that is."""
    paper, faults = datasets().set_index("name").loc[facts.dataset], []
    hub_id = REGISTRY[facts.backbone].source.removeprefix("hf-hub:")
    variant = canonical_variant(facts.dataset, "authors")
    if facts.variant != variant:
        faults.append(f"its variant is {facts.variant}, the paper's text is {variant}")
    if paper["rows_known"] == "yes":
        counts = {"pairs": (facts.rows, paper["rows"]), "test pairs": (facts.test_rows, paper["test_rows"])}
        differing = {what: (has, of) for what, (has, of) in counts.items() if pd.notna(of) and has != of}
        faults += [f"it has {has:,} {what}, the paper {of:,.0f}" for what, (has, of) in differing.items()]
    if facts.dim != DIMENSIONS[facts.backbone]:
        faults.append(f"its vectors have {facts.dim} dimensions, the encoder's {DIMENSIONS[facts.backbone]}")
    if (facts.source or "").removeprefix("hf-hub:") != hub_id:
        faults.append(f"its record names {facts.source or 'no source'} as the encoder's repository, expected {hub_id}")
    if not COMMIT.fullmatch(facts.revision or ""):
        faults.append("its record has no commit of the encoder's repository")
    if facts.route not in (EXTRACTED, IMPORTED):
        faults.append("its record says neither how it was extracted nor what it was imported from")
    return faults


def with_routes(table: pd.DataFrame, facts: Iterable[SetFacts]) -> pd.DataFrame:
    """Return a result table with the origin of each row in a column ``route``.

    The encoder of a set that is only named like a cell of the paper is marked, so that nothing takes the set for the cell. A set
    without facts, such as a sweep whose embeddings are not stored here, cannot be checked and is marked too.

    Args:
        table: rows with the columns dataset, variant and backbone.
        facts: of every set in the table that can be checked.
    """
    known = {(f.dataset, f.variant, f.backbone): f for f in facts}
    keys = list(zip(*(table[name] for name in NAMES), strict=True))
    apart = {k for k in set(keys) if is_named_like_a_cell(*k) and (k not in known or cell_faults(known[k]))}
    return table.assign(
        backbone=[key[2] + APART * (key in apart) for key in keys],
        route=[known[key].origin if key in known else UNKNOWN for key in keys],
    )


def is_cell(facts: SetFacts) -> bool:
    """Return whether a set is a cell of the paper."""
    return is_named_like_a_cell(facts.dataset, facts.variant, facts.backbone) and not cell_faults(facts)


def sets_apart(facts: Iterable[SetFacts]) -> pd.DataFrame:
    """List the sets that are named like a cell and are not one: dataset, variant, backbone, route, why."""
    named = [f for f in facts if is_named_like_a_cell(f.dataset, f.variant, f.backbone)]
    rows = [(f.dataset, f.variant, f.backbone, f.origin, "; ".join(why)) for f in named if (why := cell_faults(f))]
    return pd.DataFrame(rows, columns=[*NAMES, "route", "why"])


def join_contributed(ours: pd.DataFrame, contributed: pd.DataFrame, by: tuple[str, ...] = ("dataset", "backbone")) -> pd.DataFrame:
    """Return our rows and those of contributed reports, both from :func:`with_routes`; where both have a cell, ours stands.

    Args:
        by: the columns that name a cell.
    """
    if contributed.empty:
        return ours
    cells = [pd.MultiIndex.from_frame(rows[list(by)]) for rows in (contributed, ours)]
    return pd.concat([ours, contributed[~cells[0].isin(cells[1])]], ignore_index=True)


def is_contributed(routes: pd.Series) -> np.ndarray:
    """Return which rows of a column ``route`` come from a contributed report, (n,) bool."""
    return routes.astype("string").str.contains("contributed by", regex=False).fillna(False).to_numpy(bool)
