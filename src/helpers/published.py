"""Read what the paper and its authors published, and tell which own and contributed results are cells of the paper."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import pandas as pd

from .backbones.registry import DIMENSIONS, REGISTRY
from .datasets import canonical_variant
from .schemas import shipped_table
from .store.embeddings import EmbeddingSet

BACKBONES = {"CLIP": "clip", "SigLIP": "siglip", "BioMedCLIP": "biomedclip", "MedSigLIP": "medsiglip"}
MEDICAL_BACKBONES = tuple(printed for printed, name in BACKBONES.items() if REGISTRY[name].domain == "medical")
NAMES = ["dataset", "variant", "backbone"]
ROUNDING = 0.0005  # half a unit of the third decimal, the last one of Table 1
SEEDS = 5
SCORE_AUC, HARD_AUC = "AUC of scores", "AUC of hard arg-max predictions"
APART = " (not the paper's cell)"


# The eight data sets (``rows_known``: can the authors' choice of rows be repeated), Table 1, means and variances of the authors'
# CLIP embeddings along two principal components, and the 23 places where paper and code differ; columns: data/published/README.md
datasets = partial(shipped_table, "published/datasets")
table1 = partial(shipped_table, "published/table1")
authors_pca = partial(shipped_table, "published/authors_pca")
protocol_differences = partial(shipped_table, "published/protocol_differences")


def authors_sweep(longer: bool = False) -> pd.DataFrame:
    """Return the 16 stored curves behind Fig. 3 with their gains, or the four of BRSET with batch 32 and rate 1e-3 (``longer``)."""
    curves = shipped_table(f"published/authors_lambda_sweep{'_brset_longer' if longer else ''}")
    curves["dataset"] = curves["dataset"].map(paper_name)
    at_zero = curves[curves["lambda"] == 0].set_index(["dataset", "backbone"])["auc_mean"]
    curves["gain"] = curves["auc_mean"] - at_zero.loc[pd.MultiIndex.from_frame(curves[["dataset", "backbone"]])].to_numpy()
    curves["metric"] = np.where(curves["dataset"] == "HAM10000", HARD_AUC, SCORE_AUC)
    return curves


def sweep_gains(sweep: pd.DataFrame, metric: str = "auc") -> pd.DataFrame:
    """Return the mean macro test AUC (or ``auc_hard``) over seeds and its gain over lambda = 0, in the paper's names, of the gap
    alignment; rows are those of ``SweepResult.table``, perhaps with a column ``route``.
    """
    keys = [*NAMES, "protocol", "features", *({"route"} & {*sweep})]
    rows = in_paper_names(sweep).query(
        "lambda_image == lambda_text and `class`.isna() and split == 'test' and alignment == 'lambda'"
    )
    rows = rows[rows["metric"] == metric].rename(columns={"lambda_image": "lambda"})
    auc = rows.groupby([*keys, "lambda"])["value"].mean().rename("auc").reset_index()
    auc = auc.join(auc[auc["lambda"] == 0].set_index(keys)["auc"].rename("gain"), on=keys)
    if len(missing := auc[auc["gain"].isna()]):
        names = " under ".join(missing[["dataset", "backbone"]].iloc[0])
        raise ValueError(f"the sweep of {names} has no row at lambda = 0; run it with lambda 0")
    return auc.assign(gain=auc["auc"] - auc["gain"])


@cache
def paper_name(name: str) -> str:
    """Return the paper's printed name of a data set or encoder, or the name itself if the paper does not use it."""
    sets = {"mimic": "MIMIC-CXR", "mimic_multi_label": "MIMIC-CXR", **datasets().set_index("name")["dataset"]}
    printed = {**sets, **{name.lower(): name for name in sets.values()}, **{key: name for name, key in BACKBONES.items()}}
    return printed.get(name.lower(), name)


def in_paper_names(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the paper's names of its data sets and encoders."""
    return table.assign(dataset=table["dataset"].map(paper_name), backbone=table["backbone"].map(paper_name))


@dataclass(frozen=True)
class SetFacts:
    """Facts that decide whether a set is a cell of the paper."""

    names: tuple[str, str, str]  # data set, variant, encoder
    rows: int
    test_rows: int
    dim: int
    source: str | None  # repository of the encoder, as recorded
    revision: str | None  # its commit
    route: str  # "extracted" by this package, "imported" as vectors, or "unknown"; then by whom, if a report says so


def facts_of(embeddings: EmbeddingSet) -> SetFacts:
    """Return the facts that the record of a set states."""
    about, own, encoder = embeddings.provenance, embeddings.identity, embeddings.provenance.get("encoder") or {}
    extracted = about.get("data_manifest") and encoder.get("weights") and about.get("run")
    route = "imported" if "imported_from" in about else "extracted" if extracted else "unknown"
    sizes = len(embeddings), len(embeddings.rows("test")), embeddings.dim
    return SetFacts((embeddings.dataset, own.variant, own.backbone), *sizes, encoder.get("source"), encoder.get("revision"), route)


def cell_faults(facts: SetFacts) -> list[str] | None:
    """Return why a set named like a cell of the paper is not that cell: none for a true cell, None for other names."""
    if not _is_named_like_a_cell(facts.names):
        return None
    dataset, variant, backbone = facts.names
    paper, encoder = datasets().set_index("name").loc[dataset], REGISTRY[backbone].source.removeprefix("hf-hub:")
    authors, dim, known = canonical_variant(dataset, "authors"), DIMENSIONS[backbone], paper["rows_known"] == "yes"
    sizes = ("pairs", facts.rows, paper["rows"]), ("test pairs", facts.test_rows, paper["test_rows"])
    source = (facts.source or "no source").removeprefix("hf-hub:")
    faults = {
        f"its variant is {variant}, the paper's text is {authors}": variant != authors,
        **{f"it has {has:,} {what}, the paper {of:,.0f}": known and pd.notna(of) and has != of for what, has, of in sizes},
        f"its vectors have {facts.dim} dimensions, the encoder's {dim}": facts.dim != dim,
        f"its record names {source} as the encoder's repository, expected {encoder}": source != encoder,
        "its record has no commit of the encoder's repository": not re.fullmatch(r"[0-9a-f]{40}", facts.revision or ""),
        "its record says neither how it was extracted nor what it was imported from": facts.route.startswith("unknown"),
    }
    return [fault for fault, found in faults.items() if found]


def which_cell(facts: SetFacts) -> str:
    """Return a sentence that says whether a set fills its cells of the paper, and why not."""
    faults = cell_faults(facts)
    if faults is None:
        return "no cell of the paper has these names; the book lists the report apart"
    return f"it fills no cell of the paper: {'; '.join(faults)}" if faults else "it fills its cells of the paper"


def with_routes(table: pd.DataFrame, facts: Iterable[SetFacts]) -> pd.DataFrame:
    """Return a result table with the origin of each row as ``route``; encoders of sets that only have a cell's names are marked."""
    known = {f.names: f for f in facts}
    keys = list(zip(*(table[name] for name in NAMES), strict=True))
    apart = {key for key in set(keys) if (cell_faults(known[key]) if key in known else _is_named_like_a_cell(key))}
    routes = [known[key].route if key in known else "unknown" for key in keys]
    return table.assign(backbone=[key[2] + APART if key in apart else key[2] for key in keys], route=routes)


def is_contributed(routes: pd.Series) -> np.ndarray:
    """Return which rows of a column ``route`` come from a contributed report, (n,) bool."""
    return routes.astype("string").str.contains("contributed by", regex=False, na=False).to_numpy(bool)


def _is_named_like_a_cell(names: tuple[str, str, str]) -> bool:
    return names[0] in set(datasets()["name"]) and names[2] in BACKBONES.values() and names[1] != "clean"  # whose text is our own
