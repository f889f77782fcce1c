"""Read the numbers that the paper and its authors published, and compare ours with them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from .backbones.registry import DIMENSIONS, REGISTRY
from .datasets import canonical_variant
from .store.embeddings import EmbeddingSet

FOLDER = Path(__file__).resolve().parents[2] / "data" / "published"
BACKBONES = {"CLIP": "clip", "SigLIP": "siglip", "BioMedCLIP": "biomedclip", "MedSigLIP": "medsiglip"}
MEDICAL_BACKBONES = tuple(printed for printed, name in BACKBONES.items() if REGISTRY[name].domain == "medical")
COUNTERPARTS = {"CLIP": "BioMedCLIP", "SigLIP": "MedSigLIP"}  # generalist and medical encoder of one family of training objective
ROUNDING = 0.0005  # half a unit of the third decimal, the last one of Table 1
NUMERIC = 0.0005  # largest change of R by image decoding and 32-bit arithmetic on other hardware
FIG3, LONGER = "Fig. 3", "longer-trained"  # the two probes whose curves the authors stored
SEEDS = 5
NOT_RECOMPUTED, WEIGHTS = "not recomputed: ", "the weights of "
SCORE_AUC, HARD_AUC = "AUC of scores", "AUC of hard arg-max predictions"
_STORED_NAMES = {
    "brset": "BRSET",
    "ham10000": "HAM10000",
    "mbrset": "mBRSET",
    "mimic": "MIMIC-CXR",
    "mimic_multi_label": "MIMIC-CXR",
}


def datasets() -> pd.DataFrame:
    """Return the paper's eight data sets, one row each.

    ``name`` is the name for ``load_dataset``; ``rows`` and ``test_rows`` are the authors' numbers. ``rows_known`` says whether
    their choice of rows can be repeated.
    """
    return _read("datasets.csv").copy()


def table1() -> pd.DataFrame:
    """Return Table 1: 64 rows of domain, dataset, modality, backbone, R (three decimals)."""
    return _read("table1.csv").copy()


def authors_sweep() -> pd.DataFrame:
    """Return the 16 stored curves behind Fig. 3, 176 rows.

    Columns dataset, backbone, lambda, auc_mean, auc_std (over 5 seeds), gain, metric. ``gain`` is AUC(lambda) - AUC(0). HAM10000's
    AUC is that of hard arg-max predictions, so only gains are comparable with ours.
    """
    return _curves("authors_lambda_sweep.csv")


def authors_longer_sweep() -> pd.DataFrame:
    """Return the authors' four BRSET curves with batch 32 and learning rate 1e-3, 44 rows, columns as in :func:`authors_sweep`."""
    return _curves("authors_lambda_sweep_brset_longer.csv")


def authors_curves() -> pd.DataFrame:
    """Return all 20 stored curves: the 16 behind Fig. 3 and the four longer-trained ones, with their names in column ``probe``.

    Columns as in :func:`authors_sweep`, and ``headroom``: 1 - AUC(0), the largest possible gain.
    """
    curves = pd.concat([authors_sweep().assign(probe=FIG3), authors_longer_sweep().assign(probe=LONGER)], ignore_index=True)
    return curves.assign(headroom=1 - (curves["auc_mean"] - curves["gain"]))


def authors_pca() -> pd.DataFrame:
    """Return the authors' CLIP embeddings in two dimensions: means and variances per data set, lambda and modality, 50 rows.

    Columns dataset, backbone, lambda, modality, n, mean_pc1, mean_pc2, var_pc1, var_pc2; components of both modalities together,
    fitted separately at every lambda.
    """
    return _read("authors_pca.csv").copy()


def protocol_differences() -> pd.DataFrame:
    """Return the 23 places where paper and code differ: number, topic, paper, code, kind, consequence."""
    return _read("protocol_differences.csv").copy()


def compare_table1(ours: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return Table 1 together with our R for each recomputed cell, 64 rows.

    Args:
        ours: tidy rows of dataset, variant, backbone, modality, quantity, value, low, high; rows other than R, and those of the
            variant ``clean``, whose text is not the paper's, are passed over. A column ``route`` says where a row comes from; see
            :func:`helpers.published.with_routes`. None when nothing was recomputed.

    Returns:
        domain, dataset, modality, backbone, published, ours, difference, low, high, route, status. The same rows under the same
        encoder have no sampling error, so a recomputed cell agrees where it differs by at most rounding and numerics
        (``ROUNDING + NUMERIC``). Where the authors' rows cannot be had (``rows_known`` of :func:`datasets`), it agrees where the
        printed value, give or take its rounding, lies in our interval. ``status`` says so, or names what is missing.

    Raises:
        ValueError: a column is missing, or a cell is given twice.
    """
    table = table1().rename(columns={"R": "published"})
    mine = _recomputed_rows(ours, ["dataset", "variant", "backbone", "modality", "quantity", "value", "low", "high"])
    kept = mine[(mine["quantity"] == "R") & (mine["variant"] != "clean")]
    cells = kept.set_index(["dataset", "backbone", "modality"]).reindex(columns=["value", "low", "high", "route"])
    if repeated := cells.index[cells.index.duplicated()].tolist():
        raise ValueError(
            f"R is given more than once for {', '.join(repeated[0])}; keep one row per data set, backbone and modality"
        )
    table = table.join(cells.rename(columns={"value": "ours"}), on=["dataset", "backbone", "modality"])
    table["difference"] = table["ours"] - table["published"]
    known = datasets().set_index("dataset")["rows_known"] == "yes"
    table["status"] = [_cell_status(row, mine, known[row.dataset]) for row in table.itertuples()]
    columns = ["domain", "dataset", "modality", "backbone", "published", "ours", "difference", "low", "high", "route", "status"]
    return table[columns]


def compare_sweep(ours: pd.DataFrame | None = None, protocol: str = "authors-code") -> pd.DataFrame:
    """Return the authors' gains AUC(lambda) - AUC(0) together with ours, 176 rows in the order of the paper's Table 1.

    Args:
        ours: tidy sweep table (see :func:`sweep_gains`); None when nothing was recomputed.
        protocol: protocol whose rows of ``ours`` are compared.

    Returns:
        dataset, backbone, metric, lambda, published_gain, auc_std (published), our_gain, difference, route, status. The
        metric of our gain is that of the published curve.
    """
    order = {name: i for i, name in enumerate([*datasets()["dataset"], *BACKBONES])}
    table = authors_sweep().rename(columns={"gain": "published_gain"})
    table = table.sort_values(["dataset", "backbone", "lambda"], key=lambda c: c.map(order).fillna(c), ignore_index=True)
    hard = set(table.loc[table["metric"] == HARD_AUC, "dataset"])
    scores, labels = sweep_gains(ours), sweep_gains(ours, "auc_hard")
    gains = pd.concat([scores[~scores["dataset"].isin(hard)], labels[labels["dataset"].isin(hard)]])
    kept = gains[(gains["protocol"] == protocol) & (gains["features"] == "joint") & (gains["variant"] != "clean")]
    kept = kept.assign(**{"lambda": kept["lambda"].round(6)}).set_index(["dataset", "backbone", "lambda"])
    table = table.join(
        kept.reindex(columns=["gain", "route"]).rename(columns={"gain": "our_gain"}), on=["dataset", "backbone", "lambda"]
    )
    table["difference"] = table["our_gain"] - table["published_gain"]
    table["status"] = [
        "recomputed" if np.isfinite(row.our_gain) else NOT_RECOMPUTED + _missing(row.dataset, row.backbone, scores)
        for row in table.itertuples()
    ]
    columns = ["dataset", "backbone", "metric", "lambda", "published_gain", "auc_std", "our_gain", "difference", "route", "status"]
    return table[columns]


def missing_by_dataset(comparison: pd.DataFrame) -> pd.DataFrame:
    """Return the cells that were not recomputed and what they need, from :func:`compare_table1` rows: dataset, cells, missing."""
    rows = []
    for dataset, cells in comparison[comparison["status"].str.startswith(NOT_RECOMPUTED)].groupby("dataset", sort=False):
        parts = [p for status in cells["status"] for p in status.removeprefix(NOT_RECOMPUTED).split(" and ")]
        weights = dict.fromkeys(p.removeprefix(WEIGHTS) for p in parts if p.startswith(WEIGHTS))
        others = dict.fromkeys(p for p in parts if not p.startswith(WEIGHTS))
        rows.append((dataset, len(cells), "; ".join([*others, *[WEIGHTS + ", ".join(weights)] * bool(weights)])))
    return pd.DataFrame(rows, columns=["dataset", "cells", "missing"])


def sweep_gains(sweep: pd.DataFrame | None, metric: str = "auc") -> pd.DataFrame:
    """Return the gain in macro test AUC (``auc`` of scores or ``auc_hard``) of the gap alignment over lambda = 0, mean over seeds.

    Args:
        sweep: tidy rows of dataset, variant, backbone, protocol, alignment, features, lambda_image, lambda_text, seed, split,
            metric, class, value. Only test rows of macro AUC count (class missing or ``macro``), under the paper's
            alignment with equal lambdas. A column ``route`` is passed on.

    Returns:
        dataset, variant, backbone, protocol, features, lambda, auc, gain; names as the paper prints them where it has them.

    Raises:
        ValueError: a column is missing, or a curve has no row at lambda = 0.
    """
    keys = ["dataset", "variant", "backbone", "protocol", "features"]
    needed = [*keys, "alignment", "lambda_image", "lambda_text", "seed", "split", "metric", "class", "value"]
    rows = _recomputed_rows(sweep, needed)
    keys += ["route"] * ("route" in rows)
    macro = rows["class"].isna() | (rows["class"] == "macro")
    same = rows["lambda_image"] == rows["lambda_text"]
    rows = rows[macro & same & (rows["split"] == "test") & (rows["metric"] == metric) & (rows["alignment"] == "lambda")]
    auc = rows.rename(columns={"lambda_image": "lambda"}).groupby([*keys, "lambda"])["value"].mean().rename("auc").reset_index()
    at_zero = auc[auc["lambda"] == 0].set_index(keys)["auc"].rename("auc_0")
    auc = auc.join(at_zero, on=keys)
    if auc["auc_0"].isna().any():
        first = auc[auc["auc_0"].isna()].iloc[0]
        raise ValueError(
            f"the sweep of {first['dataset']} under {first['backbone']} has no row at lambda = 0; run it with lambda 0"
        )
    auc["gain"] = auc["auc"] - auc["auc_0"]
    return auc.drop(columns="auc_0")


def paper_name(name: str) -> str:
    """Return the paper's printed name of a data set or backbone, or the name itself if the paper does not use it."""
    return _paper_names().get(name.lower(), name)


def _cell_status(row, ours: pd.DataFrame, same_rows: bool) -> str:
    if not np.isfinite(row.ours):
        return NOT_RECOMPUTED + _missing(row.dataset, row.backbone, ours)
    if same_rows:
        tolerance = ROUNDING + NUMERIC
        return f"{'agrees' if abs(row.difference) <= tolerance else 'differs'} (same rows, tolerance {tolerance:.3f})"
    if not np.isfinite(row.low):
        return "recomputed, no interval"
    inside = row.low - ROUNDING <= row.published <= row.high + ROUNDING
    return f"{'agrees' if inside else 'differs'} (other rows, 95 % interval)"


def _missing(dataset: str, backbone: str, ours: pd.DataFrame) -> str:
    """Return what a cell needs, judged by the content of our table."""
    has_data, has_weights = (ours["dataset"] == dataset).any(), (ours["backbone"] == backbone).any()
    both = ours[(ours["dataset"] == dataset) & (ours["backbone"] == backbone)]
    if len(both):
        return f"no such row for {dataset} under {backbone} (there is {', '.join(sorted(set(both['variant'])))})"
    wanted = [f"the data of {dataset}"] * (not has_data) + [WEIGHTS + backbone] * (not has_weights)
    return " and ".join(wanted) or f"{dataset} was not embedded with {backbone}"


def _recomputed_rows(table: pd.DataFrame | None, columns: list[str]) -> pd.DataFrame:
    if table is None:
        table = pd.DataFrame(columns=columns)
    missing = [c for c in columns if c not in table]
    if missing:
        raise ValueError(
            f"our table lacks the column {missing[0]!r}; it needs {', '.join(columns)} and has {', '.join(map(str, table))}"
        )
    return table.assign(dataset=table["dataset"].map(paper_name), backbone=table["backbone"].map(paper_name))


def _curves(file: str) -> pd.DataFrame:
    curves = _read(file).assign(dataset=lambda t: t["dataset"].map(_STORED_NAMES))
    at_zero = curves[curves["lambda"] == 0].set_index(["dataset", "backbone"])["auc_mean"]
    curves["gain"] = curves["auc_mean"] - at_zero.loc[pd.MultiIndex.from_frame(curves[["dataset", "backbone"]])].to_numpy()
    curves["metric"] = np.where(curves["dataset"] == "HAM10000", HARD_AUC, SCORE_AUC)
    return curves


@cache
def _paper_names() -> dict[str, str]:
    sets = _read("datasets.csv")
    names = {name: printed for printed, name in zip(sets["dataset"], sets["name"], strict=True)}
    return names | {n.lower(): n for n in sets["dataset"]} | {key: printed for printed, key in BACKBONES.items()}


@cache
def _read(file: str) -> pd.DataFrame:
    path = FOLDER / file
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; run from a checkout of the repository, which ships it under data/published")
    return pd.read_csv(path)


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
