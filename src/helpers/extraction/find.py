"""Find a stored embedding set by name, or extract it."""

from functools import partial
from pathlib import Path

import pandas as pd

from ..arrays import choose
from ..backbones import REGISTRY, load_backbone
from ..datasets import DATASETS, canonical_variant, load_dataset
from ..datasets.registry import dataset_root, domain
from ..files import project_root
from ..store.catalogue import OWN, SHIPPED, find_stored, folder_name, stored
from ..store.embeddings import EmbeddingSet
from ..store.identity import Identity


def embeddings_for(dataset: str, backbone: str, variant: str = "clean", store=None, data_root=None) -> EmbeddingSet:
    """Return the stored embeddings if there are any, else extract them.

    Args:
        variant: ``clean`` or ``authors``; a data set with one variant takes either.
        store: folder of ``<dataset>/<variant>/<backbone>``; the shipped ``data/embeddings`` and then ``runs/embeddings`` when None.
        data_root: folder with the raw data (``data_root/<dataset>`` if that exists), read only if the set is not stored. New sets
            go to ``store``, or ``runs/embeddings``.
    """
    faulty: dict[str, str] = {}
    found = stored(store, faulty)
    if dataset in DATASETS or dataset in set(found["dataset"]):
        variant = _variant_of(dataset, variant, found)
    if fault := faulty.get(f"{dataset}/{variant}/{folder_name(backbone)}"):
        raise ValueError(fault)
    identity = Identity(dataset, variant, backbone)
    if (embeddings := find_stored(identity, store)) is not None:
        return embeddings
    choose(dataset, [*DATASETS, *found["dataset"].unique()], "data set")
    if data_root is None and (dataset not in DATASETS or not DATASETS[dataset].card.package):
        raise FileNotFoundError(_nothing_stored(identity, found))
    return extract_missing(identity, store, data_root)


def select(datasets=(), backbones=(), variant: str = "clean", store=None, data_root=None, excluded=()) -> list[EmbeddingSet]:
    """Return the sets of every data set with every backbone; an empty list means all that are stored in this variant.

    ``excluded`` are (dataset, backbone) pairs to skip because their results already exist; the result may then be empty.
    """
    found = stored(store)
    wanted, skipped = [], {(d, folder_name(b)) for d, b in excluded}
    for dataset in datasets or dict.fromkeys(found["dataset"]):
        of_dataset = found[found["dataset"] == dataset]
        asked = [b for b in backbones if (dataset, folder_name(b)) not in skipped]
        nothing_else = not asked if backbones else not of_dataset["variant"].isin([variant, "common"]).any()
        if nothing_else and dataset in {d for d, _ in skipped}:
            continue
        mine = list(of_dataset.loc[of_dataset["variant"] == _variant_of(dataset, variant, found), "backbone"])
        if datasets and not (asked or mine):
            raise FileNotFoundError(_nothing_stored(Identity(dataset, variant, ""), found))
        wanted += [(dataset, b) for b in (asked if backbones else mine) if datasets or folder_name(b) in mine]
    if not wanted and not skipped:
        if backbones and len(found):
            choose(folder_name(backbones[0]), sorted(found["backbone"].unique()), "stored backbone")
        where = str(store) if store is not None else f"{SHIPPED} or {OWN}"
        raise FileNotFoundError(f"no embeddings of variant {variant!r} in {where}; make them with `python -m helpers extract`")
    return [embeddings_for(d, b, variant, store, data_root) for d, b in _in_book_order(wanted)]


def in_both_variants(datasets=(), backbones=(), store=None, data_root=None) -> list[tuple[EmbeddingSet, EmbeddingSet]]:
    """Return (authors, clean) for every data set and backbone with both variants, stored or, with ``data_root``, extracted."""
    found = stored(store)
    names = [set(found.loc[found["variant"] == v, ["dataset", "backbone"]].itertuples(False, None)) for v in ("authors", "clean")]
    both = names[0] & names[1]
    if data_root is not None:
        two = [d for d in datasets if canonical_variant(d, "authors") != canonical_variant(d, "clean")]
        both |= {(d, folder_name(b)) for d in two for b in backbones}
    given = {folder_name(b): b for b in backbones}
    wanted = [(d, given.get(b, b)) for d, b in both if (not datasets or d in datasets) and (not backbones or b in given)]
    if datasets and not wanted:
        named = ", ".join(datasets)
        raise ValueError(f"none of {named} is stored in the variants `authors` and `clean`; name one that is, such as ham10000")
    both_of = partial(embeddings_for, store=store, data_root=data_root)
    return [(both_of(d, b, "authors"), both_of(d, b, "clean")) for d, b in _in_book_order(wanted)]


def extract_missing(identity: Identity, store=None, data_root=None) -> EmbeddingSet:
    """Extract a set that is not stored into ``store`` or ``runs/embeddings``."""
    from .extract import extract  # here, because it needs torch and reading a stored set does not

    root = dataset_root(data_root, identity.dataset)
    out = (project_root() / OWN if store is None else Path(store)) / identity.folder
    dataset, backbone = load_dataset(identity.dataset, root, identity.variant), load_backbone(identity.backbone)
    embeddings = extract(dataset, backbone, out, command=_command(identity, " --root ROOT" * bool(root)))
    assert embeddings is not None  # only a shard returns None
    return embeddings


def _in_book_order(names: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Sort (dataset, backbone) pairs: natural data first, and encoders in the order of their registry."""
    order = list(REGISTRY)
    return sorted(names, key=lambda n: (domain(n[0]) != "natural", n[0], order.index(n[1]) if n[1] in order else len(order), n[1]))


def _variant_of(dataset: str, variant: str, found: pd.DataFrame) -> str:
    if dataset in DATASETS:
        return canonical_variant(dataset, variant)
    variants = sorted(found.loc[found["dataset"] == dataset, "variant"].unique())
    if not variants:
        choose(dataset, sorted({*DATASETS, *found["dataset"]}), "data set")
    return variants[0] if len(variants) == 1 else choose(variant, variants, f"variant of {dataset}")


def _nothing_stored(identity: Identity, found: pd.DataFrame) -> str:
    """Name the missing set, the stored ones, and the command; an empty backbone means any."""
    mine = found[found["dataset"] == identity.dataset]
    others = ", ".join(mine["variant"] + "/" + mine["backbone"]) or "nothing"
    under = f" under {identity.backbone}" if identity.backbone else ""
    missing = f"no embeddings of {identity.dataset} {identity.variant}{under} ({others} stored)"
    if identity.dataset not in DATASETS:
        where = f"--dataset {identity.dataset} --backbone {identity.backbone or 'ENCODER'} --variant {identity.variant}"
        return f"{missing}; import them with `python -m helpers import FILE {where}`"
    return f"{missing}; make them with `{_command(identity, ' --root FOLDER')}`; a notebook also makes them from its data_root"


def _command(identity: Identity, root: str) -> str:
    encoder = identity.backbone or "ENCODER"
    return f"python -m helpers extract {identity.dataset} --backbone {encoder} --variant {identity.variant}{root}"
