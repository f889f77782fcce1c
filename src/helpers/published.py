"""Read the numbers that the paper and its authors published, and compare own results with them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from .arrays import choose_column
from .backbones.registry import DIMENSIONS, REGISTRY
from .datasets import canonical_variant
from .files import project_root
from .store.embeddings import EmbeddingSet

FOLDER = "data/published"
BACKBONES = {"CLIP": "clip", "SigLIP": "siglip", "BioMedCLIP": "biomedclip", "MedSigLIP": "medsiglip"}
MEDICAL_BACKBONES = tuple(printed for printed, name in BACKBONES.items() if REGISTRY[name].domain == "medical")
NAMES = ["dataset", "variant", "backbone"]
ROUNDING = 0.0005  # half a unit of the third decimal, the last one of Table 1
SEEDS = 5
SCORE_AUC, HARD_AUC = "AUC of scores", "AUC of hard arg-max predictions"
EXTRACTED, IMPORTED, UNKNOWN = "extracted", "imported", "unknown"
APART = " (not the paper's cell)"
COMMIT = re.compile(r"[0-9a-f]{40}")
STORED_NAMES = {"brset": "BRSET", "ham10000": "HAM10000", "mbrset": "mBRSET", "mimic": "MIMIC-CXR"}
STORED_NAMES["mimic_multi_label"] = "MIMIC-CXR"  # one task under two names


def datasets() -> pd.DataFrame:
    """Return the paper's eight data sets: ``name`` for ``load_dataset``, task, the authors' ``rows`` and ``test_rows``, and
    ``rows_known``, whether their choice of rows can be repeated."""
    return _read("datasets.csv")


def table1() -> pd.DataFrame:
    """Return Table 1: 64 rows of domain, dataset, modality, backbone, R (three decimals)."""
    return _read("table1.csv")


def authors_sweep() -> pd.DataFrame:
    """Return the 16 stored curves behind Fig. 3: dataset, backbone, lambda, auc_mean, auc_std (over 5 seeds), gain, metric.

    ``gain`` is AUC(lambda) - AUC(0). HAM10000's AUC is that of hard arg-max predictions, so only gains are comparable with others.
    """
    return _curves("authors_lambda_sweep.csv")


def authors_longer_sweep() -> pd.DataFrame:
    """Return the authors' four BRSET curves with batch 32 and learning rate 1e-3, columns as in :func:`authors_sweep`."""
    return _curves("authors_lambda_sweep_brset_longer.csv")


def authors_pca() -> pd.DataFrame:
    """Return means and variances of the authors' CLIP embeddings along two principal components, by data set and lambda."""
    return _read("authors_pca.csv")


def protocol_differences() -> pd.DataFrame:
    """Return the 23 places where paper and code differ: number, topic, paper, code, kind, consequence."""
    return _read("protocol_differences.csv")


def compare_sweep(own: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the authors' gains AUC(lambda) - AUC(0) together with own ones under ``authors-code``, 176 rows in Table 1's order.

    Args:
        own: rows as for :func:`sweep_gains`.

    Returns:
        dataset, backbone, metric, lambda, published_gain, auc_std (published), our_gain (in that metric), route.
    """
    order = {name: i for i, name in enumerate([*datasets()["dataset"], *BACKBONES])}
    table = authors_sweep().rename(columns={"gain": "published_gain"})
    table = table.sort_values(["dataset", "backbone", "lambda"], key=lambda c: c.map(order).fillna(c), ignore_index=True)
    hard = set(table.loc[table["metric"] == HARD_AUC, "dataset"])
    scores, labels = sweep_gains(own), sweep_gains(own, "auc_hard")
    gains = pd.concat([scores[~scores["dataset"].isin(hard)], labels[labels["dataset"].isin(hard)]])
    gains = gains[(gains["protocol"] == "authors-code") & (gains["features"] == "joint") & (gains["variant"] != "clean")]
    key = ["dataset", "backbone", "lambda"]
    cells = gains.assign(**{"lambda": gains["lambda"].round(6)}).set_index(key).reindex(columns=["gain", "route"])
    table = table.join(cells.rename(columns={"gain": "our_gain"}), on=key)
    return table[["dataset", "backbone", "metric", "lambda", "published_gain", "auc_std", "our_gain", "route"]]


def sweep_gains(sweep: pd.DataFrame | None, metric: str = "auc") -> pd.DataFrame:
    """Return the gain in macro test AUC (``auc`` of scores or ``auc_hard``) of the gap alignment over lambda = 0, mean over seeds.

    Args:
        sweep: rows of ``SweepResult.table``, perhaps with a column ``route``, which is passed on.

    Returns:
        dataset, variant, backbone, protocol, features, lambda, auc, gain; names as the paper prints them where it has them.

    Raises:
        ValueError: a column is missing, or a curve has no row at lambda = 0.
    """
    keys = [*NAMES, "protocol", "features"]
    needed = [*keys, "alignment", "lambda_image", "lambda_text", "seed", "split", "metric", "class", "value"]
    rows = pd.DataFrame(columns=needed) if sweep is None else in_paper_names(sweep)
    for column in needed:
        choose_column(column, rows, "the table of sweeps")
    keys += ["route"] * ("route" in rows)
    macro = rows["class"].isna() | (rows["class"] == "macro")
    same = rows["lambda_image"] == rows["lambda_text"]
    rows = rows[macro & same & (rows["split"] == "test") & (rows["metric"] == metric) & (rows["alignment"] == "lambda")]
    auc = rows.rename(columns={"lambda_image": "lambda"}).groupby([*keys, "lambda"])["value"].mean().rename("auc").reset_index()
    auc = auc.join(auc[auc["lambda"] == 0].set_index(keys)["auc"].rename("auc_0"), on=keys)
    if auc["auc_0"].isna().any():
        first = auc[auc["auc_0"].isna()].iloc[0]
        names = f"{first['dataset']} under {first['backbone']}"
        raise ValueError(f"the sweep of {names} has no row at lambda = 0; run it with lambda 0")
    return auc.assign(gain=auc["auc"] - auc["auc_0"]).drop(columns="auc_0")


def paper_name(name: str) -> str:
    """Return the paper's printed name of a data set or encoder, or the name itself if the paper does not use it."""
    return _paper_names().get(name.lower(), name)


def in_paper_names(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the paper's names of its data sets and encoders."""
    return table.assign(dataset=table["dataset"].map(paper_name), backbone=table["backbone"].map(paper_name))


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
    about, own = embeddings.provenance, embeddings.identity
    encoder = about.get("encoder") or {}
    extracted = bool(about.get("data_manifest") and encoder.get("weights") and about.get("run"))
    route = IMPORTED if "imported_from" in about else EXTRACTED if extracted else UNKNOWN
    sizes = len(embeddings), len(embeddings.rows("test")), embeddings.dim
    return SetFacts(embeddings.dataset, own.variant, own.backbone, *sizes, encoder.get("source"), encoder.get("revision"), route)


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


def is_cell(facts: SetFacts) -> bool:
    """Return whether a set is a cell of the paper."""
    return is_named_like_a_cell(facts.dataset, facts.variant, facts.backbone) and not cell_faults(facts)


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


def join_contributed(own: pd.DataFrame, contributed: pd.DataFrame, by: Iterable[str] = ("dataset", "backbone")) -> pd.DataFrame:
    """Return own rows and those of contributed reports, both from :func:`with_routes`; own rows of a cell, named ``by``, stand."""
    if contributed.empty:
        return own
    theirs, mine = (pd.MultiIndex.from_frame(rows[list(by)]) for rows in (contributed, own))
    return pd.concat([own, contributed[~theirs.isin(mine)]], ignore_index=True)


def is_contributed(routes: pd.Series) -> np.ndarray:
    """Return which rows of a column ``route`` come from a contributed report, (n,) bool."""
    return routes.astype("string").str.contains("contributed by", regex=False).fillna(False).to_numpy(bool)


def _curves(file: str) -> pd.DataFrame:
    curves = _read(file).assign(dataset=lambda t: t["dataset"].map(STORED_NAMES))
    at_zero = curves[curves["lambda"] == 0].set_index(["dataset", "backbone"])["auc_mean"]
    curves["gain"] = curves["auc_mean"] - at_zero.loc[pd.MultiIndex.from_frame(curves[["dataset", "backbone"]])].to_numpy()
    curves["metric"] = np.where(curves["dataset"] == "HAM10000", HARD_AUC, SCORE_AUC)
    return curves


@cache
def _paper_names() -> dict[str, str]:
    sets = datasets()
    names = {name: printed for printed, name in zip(sets["dataset"], sets["name"], strict=True)}
    return names | {n.lower(): n for n in sets["dataset"]} | {key: printed for printed, key in BACKBONES.items()}


def _read(file: str) -> pd.DataFrame:
    path = project_root() / FOLDER / file
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; run from a checkout of the repository, which has it")
    return pd.read_csv(path)
