"""Find a stored embedding set by name, or extract it."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import pandas as pd

from ..arrays import choose
from ..backbones import REGISTRY, load_backbone
from ..datasets.registry import DATASETS, canonical_variant, dataset_root, domain, load_dataset
from ..files import project_root
from ..store.catalogue import NAMES, OWN, SHIPPED, SHIPPED_SETS, Identity, folder_name, stored
from ..store.embeddings import EmbeddingSet


def embeddings_for(dataset: str, backbone: str, variant: str = "clean", store=None, data_root=None) -> EmbeddingSet:
    """Return the stored embeddings, else those extracted from ``data_root`` into ``store``; ``runs/embeddings`` when None."""
    faulty: dict[str, str] = {}
    found = stored(store, faulty)
    variant = _variant_of(dataset, variant, found)
    if fault := faulty.get(f"{dataset}/{variant}/{folder_name(backbone)}"):
        raise ValueError(fault)
    identity = Identity(dataset, variant, backbone)
    mine = found.loc[(found[NAMES] == [dataset, variant, folder_name(backbone)]).all(axis=1), "path"]
    if len(mine):
        embeddings = EmbeddingSet.load(mine.iloc[0])
        named = {**identity.columns, **embeddings.provenance}  # its folders give the names that its record lacks
        return embeddings if named == embeddings.provenance else replace(embeddings, provenance=named)
    if data_root is None and (dataset not in DATASETS or not DATASETS[dataset].card.package):
        raise FileNotFoundError(_nothing_stored(identity, found, store))
    from .extract import extract  # here, because it needs torch and reading a stored set does not

    root = dataset_root(data_root, dataset)
    out = (project_root() / OWN if store is None else Path(store)) / identity.folder
    command = f"python -m helpers extract {dataset} --backbone {backbone} --variant {variant}{' --root ROOT' if root else ''}"
    made = extract(load_dataset(dataset, root, variant), load_backbone(backbone), out, command=command)
    assert made is not None  # only a shard returns None
    return made


def select(datasets=(), backbones=(), variant: str = "clean", store=None, data_root=None, excluded=()) -> list[EmbeddingSet]:
    """Return the sets of all data sets with all backbones but ``excluded`` pairs; an empty list means all of this variant."""
    found, skipped = stored(store), {(d, folder_name(b)) for d, b in excluded}
    here = found[found["dataset"].isin(datasets or found["dataset"])]
    here = here[here["variant"] == here["dataset"].map(lambda d: _variant_of(d, variant, found))]
    if datasets and backbones:
        wanted = list(product(datasets, backbones))
    else:
        given = {folder_name(b) for b in backbones} or set(here["backbone"])
        wanted = list(here.loc[here["backbone"].isin(given), ["dataset", "backbone"]].itertuples(index=False, name=None))
    wanted = [(d, b) for d, b in wanted if (d, folder_name(b)) not in skipped]
    for dataset in set(datasets) - {d for d, _ in (*wanted, *skipped)}:
        raise FileNotFoundError(_nothing_stored(Identity(dataset, _variant_of(dataset, variant, found), ""), found, store))
    if not wanted and not skipped:
        if backbones and len(found):
            choose(folder_name(backbones[0]), sorted(found["backbone"].unique()), "stored backbone")
        where = str(store) if store is not None else f"{SHIPPED} or {OWN}"
        raise FileNotFoundError(f"no embeddings of variant {variant!r} in {where}; make them with `python -m helpers extract`")
    get = partial(embeddings_for, variant=variant, store=store, data_root=data_root)
    return _intact(wanted, {*datasets, *map(folder_name, backbones)}, get)


def in_both_variants(datasets=(), backbones=(), store=None, data_root=None) -> list[tuple[EmbeddingSet, EmbeddingSet]]:
    """Return (authors, clean) for every data set and backbone with both variants, stored or, with ``data_root``, extracted."""
    found, given = stored(store), {folder_name(b): b for b in backbones}
    n_variants = found[found["variant"].isin(["authors", "clean"])].groupby(["dataset", "backbone"]).size()
    both = {(d, b) for d, b in n_variants.index[n_variants == 2] if d in (datasets or [d]) and b in (given or [b])}
    if data_root is not None:
        both |= {(d, b) for d in datasets for b in given if canonical_variant(d, "authors") != canonical_variant(d, "clean")}
    if datasets and not both:
        raise ValueError(f"none of {', '.join(datasets)} is stored in the variants `authors` and `clean`, as ham10000 is")
    get = partial(embeddings_for, store=store, data_root=data_root)
    names = [(d, given.get(b, b)) for d, b in both]
    return _intact(names, {*datasets, *given}, lambda d, b: (get(d, b, "authors"), get(d, b, "clean")))


def _intact(names: list[tuple[str, str]], given: set[str], get: Callable) -> list:
    """Return ``get(dataset, backbone)`` of each name, natural data first; warn of a faulty set that nothing ``given`` names."""
    found, error = [], None
    order = list(REGISTRY)
    names = sorted(names, key=lambda n: (n[0], order.index(n[1]) if n[1] in order else len(order), n[1]))
    for dataset, backbone in sorted(names, key=lambda name: domain(name[0]) != "natural"):
        try:
            found.append(get(dataset, backbone))
        except (ValueError, OSError) as fault:
            if given & {dataset, folder_name(backbone)}:
                raise
            error = fault
            warnings.warn(f"excluded: {fault}", stacklevel=3)
    if error is not None and not found:
        raise error
    return found


def _variant_of(dataset: str, variant: str, found: pd.DataFrame) -> str:
    """Return ``variant``, or the only variant of a data set that has one."""
    if dataset in DATASETS:
        return canonical_variant(dataset, variant)
    variants = sorted(found.loc[found["dataset"] == dataset, "variant"].unique()) or [variant]
    return choose(variant, variants, f"variant of {dataset}") if len(variants) > 1 else variants[0]


def _nothing_stored(identity: Identity, found: pd.DataFrame, store) -> str:
    """Name the missing set, the stored ones, and the command; an empty backbone means any."""
    where = project_root() if store is None else store
    choose(identity.dataset, [*DATASETS, *found["dataset"].unique()], f"data set (none of that name is stored in {where})")
    mine = found[found["dataset"] == identity.dataset]
    others = ", ".join(mine["variant"] + "/" + mine["backbone"]) or "nothing"
    under = f" under {identity.backbone}" if identity.backbone else ""
    missing = f"no embeddings of {identity.dataset} {identity.variant}{under} ({others} stored in {where})"
    names = f"--backbone {identity.backbone or 'ENCODER'} --variant {identity.variant}"
    if identity.dataset not in DATASETS:
        return f"{missing}; import them with `python -m helpers import FILE --dataset {identity.dataset} {names}`"
    make = f"python -m helpers extract {identity.dataset} {names} --root FOLDER"
    shipped = any((identity.dataset, identity.variant, identity.backbone or s[2]) == s for s in SHIPPED_SETS)
    have = "run in a checkout of the repository, which ships them, or set HELPERS_ROOT to one; or " if shipped else ""
    return f"{missing}; {have}make them with `{make}`; a notebook also makes them from its data_root"
