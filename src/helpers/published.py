"""Read what the paper and its authors published, and tell which own and contributed results are cells of the paper."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

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


def sweep_gains(sweep: pd.DataFrame, metric: str = "auc") -> pd.DataFrame:
    """Return the gain in macro test AUC (``auc`` of scores or ``auc_hard``) of the gap alignment over lambda = 0, mean over seeds.

    Args:
        sweep: rows of ``SweepResult.table``, perhaps with a column ``route``, which is passed on.

    Returns:
        dataset, variant, backbone, protocol, features, lambda, auc, gain; names as the paper prints them where it has them.
    """
    keys = [*NAMES, "protocol", "features", *["route"] * ("route" in sweep)]
    rows = in_paper_names(sweep)
    macro = rows["class"].isna() | (rows["class"] == "macro")
    same = rows["lambda_image"] == rows["lambda_text"]
    rows = rows[macro & same & (rows["split"] == "test") & (rows["metric"] == metric) & (rows["alignment"] == "lambda")]
    auc = rows.rename(columns={"lambda_image": "lambda"}).groupby([*keys, "lambda"])["value"].mean().rename("auc").reset_index()
    auc = auc.join(auc[auc["lambda"] == 0].set_index(keys)["auc"].rename("auc_0"), on=keys)
    if len(missing := auc[auc["auc_0"].isna()]):
        names = " under ".join(missing[["dataset", "backbone"]].iloc[0])
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
    """Facts that decide whether a set is a cell of the paper; ``contributor`` is of a set that is known by its report only."""

    dataset: str
    variant: str
    backbone: str
    rows: int
    test_rows: int
    dim: int
    source: str | None  # repository of the encoder, as recorded
    revision: str | None  # its commit
    route: str  # extracted by this package, imported as vectors, or unknown
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
    paper, encoder = datasets().set_index("name").loc[facts.dataset], REGISTRY[facts.backbone].source.removeprefix("hf-hub:")
    variant, dim = canonical_variant(facts.dataset, "authors"), DIMENSIONS[facts.backbone]
    known = paper["rows_known"] == "yes"
    faults = {
        f"its variant is {facts.variant}, the paper's text is {variant}": facts.variant != variant,
        **{
            f"it has {has:,} {what}, the paper {of:,.0f}": known and pd.notna(of) and has != of
            for what, has, of in (("pairs", facts.rows, paper["rows"]), ("test pairs", facts.test_rows, paper["test_rows"]))
        },
        f"its vectors have {facts.dim} dimensions, the encoder's {dim}": facts.dim != dim,
        f"its record names {facts.source or 'no source'} as the encoder's repository, expected {encoder}":
            (facts.source or "").removeprefix("hf-hub:") != encoder,
        "its record has no commit of the encoder's repository": not COMMIT.fullmatch(facts.revision or ""),
        "its record says neither how it was extracted nor what it was imported from": facts.route == UNKNOWN,
    }  # fmt: skip
    return [fault for fault, found in faults.items() if found]


def is_cell(facts: SetFacts) -> bool:
    """Return whether a set is a cell of the paper."""
    return is_named_like_a_cell(facts.dataset, facts.variant, facts.backbone) and not cell_faults(facts)


def which_cell(facts: SetFacts) -> str:
    """Return a sentence that says whether a set fills its cells of the paper, and why not."""
    if not is_named_like_a_cell(facts.dataset, facts.variant, facts.backbone):
        return "no cell of the paper has these names; the book lists the report apart"
    faults = cell_faults(facts)
    return f"it fills no cell of the paper: {'; '.join(faults)}" if faults else "it fills its cells of the paper"


def with_routes(table: pd.DataFrame, facts: Iterable[SetFacts]) -> pd.DataFrame:
    """Return a result table (with the columns dataset, variant and backbone) with the origin of each row in a column ``route``.

    The encoder of a set that is only named like a cell of the paper is marked, so that nothing takes the set for the cell. A set
    without facts, such as a sweep whose embeddings are not stored here, cannot be checked and is marked too.
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
    return pd.read_csv(project_root() / FOLDER / file)
