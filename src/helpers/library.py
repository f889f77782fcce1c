"""Embedding sets and results by name: where they are stored, and how a missing one is made."""

from pathlib import Path

import pandas as pd

from .checks import choose
from .store import PROVENANCE, EmbeddingSet

SHIPPED = Path("data/embeddings")
OWN = Path("runs/embeddings")
RESULTS = Path("runs/notebooks")
LANDMARK = Path("src/helpers/__init__.py")
SHIPPED_SETS = [
    (dataset, variant, backbone)
    for dataset, variant in (("flickr8k", "common"), ("ham10000", "clean"), ("ham10000", "authors"))
    for backbone in ("lit-natural", "lit-derm")
]


def project_root() -> Path:
    """The folder of this project: the working directory or the nearest one above that holds it, else where the package lies."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / LANDMARK).is_file():
            return folder
    return Path(__file__).resolve().parents[2]


def results_folder(results=None) -> Path:
    """Folder for result tables, made if absent; ``runs/notebooks`` of the project when None."""
    folder = project_root() / RESULTS if results is None else Path(results)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def folder_name(backbone: str) -> str:
    """A backbone's name as one folder name: ``openai/clip`` becomes ``openai--clip``."""
    return backbone.strip("/").replace("/", "--").replace(":", "-")


def stored(store=None) -> pd.DataFrame:
    """Every embedding set found: dataset, variant, backbone, path; ``store/<dataset>/<variant>/<backbone>/provenance.json``.

    Raises:
        FileNotFoundError: ``store`` is given and is not a folder.
    """
    rows = []
    for folder in _stores(store):
        for path in sorted(folder.glob(f"*/*/*/{PROVENANCE}")):
            rows.append((*path.parent.relative_to(folder).parts, path.parent))
    table = pd.DataFrame(rows, columns=["dataset", "variant", "backbone", "path"])
    return table.drop_duplicates(["dataset", "variant", "backbone"])


def _stores(store) -> list[Path]:
    if store is None:
        return [project_root() / SHIPPED, project_root() / OWN]
    if not Path(store).is_dir():
        raise FileNotFoundError(f"store {store} is not a folder; give the folder that holds <dataset>/<variant>/<backbone>")
    return [Path(store)]


def embeddings_for(dataset: str, backbone: str, variant: str = "clean", store=None, data_root=None) -> EmbeddingSet:
    """Stored embeddings if there are any, else extracted ones.

    Args:
        dataset, backbone: names.
        variant: ``clean`` or ``authors``; a data set with one variant takes either.
        store: folder ``<dataset>/<variant>/<backbone>``; the shipped ``data/embeddings`` and then ``runs/embeddings`` when None.
        data_root: folder with the raw data (``data_root/<dataset>`` where that exists); only read if nothing is stored. New sets
            go to ``store``, or ``runs/embeddings``.

    Raises:
        ValueError: an unknown data set, variant or backbone; names the nearest.
        FileNotFoundError: nothing stored and no raw data; says which command makes them.
    """
    found = stored(store)
    variant = _variant_of(dataset, variant, found)
    here = found[(found["dataset"] == dataset) & (found["variant"] == variant) & (found["backbone"] == folder_name(backbone))]
    if len(here):
        return EmbeddingSet.load(here["path"].iloc[0])
    from .datasets import DATASETS

    choose(dataset, [*DATASETS, *found["dataset"].unique()], "data set")
    if data_root is None and not _needs_no_root(dataset):
        raise FileNotFoundError(_nothing_stored(dataset, variant, backbone, found))
    return _extracted(dataset, variant, backbone, store, data_root)


def select(datasets=(), backbones=(), variant: str = "clean", store=None, data_root=None, but=()) -> list[EmbeddingSet]:
    """Embedding sets of every data set with every backbone; empty lists stand for all that are stored in this variant.

    ``but`` are (dataset, backbone) pairs to do without, such as those of which there are results; with any, the list may be empty.

    Raises:
        ValueError, FileNotFoundError: as :func:`embeddings_for`; also when nothing is stored at all.
    """
    found = stored(store)
    wanted, spared = [], {(d, folder_name(b)) for d, b in but}
    for dataset in datasets or dict.fromkeys(found["dataset"]):
        of_dataset = found[found["dataset"] == dataset]
        asked = [b for b in backbones if (dataset, folder_name(b)) not in spared]
        nothing_else = not asked if backbones else not of_dataset["variant"].isin([variant, "common"]).any()
        if nothing_else and dataset in {d for d, _ in spared}:
            continue
        mine = list(of_dataset.loc[of_dataset["variant"] == _variant_of(dataset, variant, found), "backbone"])
        if datasets and not (asked or mine):
            raise FileNotFoundError(_nothing_stored(dataset, variant, "BACKBONE", found))
        wanted += [(dataset, b) for b in (asked if backbones else mine) if datasets or folder_name(b) in mine]
    if not wanted and spared:
        return []
    if not wanted and backbones and len(found):
        choose(folder_name(backbones[0]), sorted(found["backbone"].unique()), "stored backbone")
    if not wanted:
        where = str(store) if store is not None else f"{SHIPPED} or {OWN}"
        raise FileNotFoundError(f"no embeddings of variant {variant!r} in {where}; make them with `python -m helpers extract`")
    return [embeddings_for(d, b, variant, store, data_root) for d, b in in_book_order(wanted)]


def shipped_but_not_stored(variant: str, store=None) -> list[tuple[str, str, str]]:
    """(dataset, variant, backbone) of the sets that the repository ships in this variant and that are not stored here."""
    found = stored(store)
    there = set(zip(found["dataset"], found["variant"], found["backbone"], strict=True))
    return [s for s in SHIPPED_SETS if s not in there and s[1] in (variant, "common")]


def in_both_variants(datasets=(), backbones=(), store=None, data_root=None) -> list[tuple[EmbeddingSet, EmbeddingSet]]:
    """(authors, clean) for every data set and backbone that has both variants, stored or, with ``data_root``, extracted.

    Raises:
        ValueError: data sets are named and none of them has both.
    """
    found = stored(store)
    rows = list(found[["dataset", "backbone", "variant"]].itertuples(index=False, name=None))
    names = {(d, b) for d, b, v in rows if v == "authors"} & {(d, b) for d, b, v in rows if v == "clean"}
    if data_root is not None:
        names |= {(d, folder_name(b)) for d in datasets for b in backbones if _has_both_variants(d)}
    given = {folder_name(b): b for b in backbones}
    wanted = [(d, given.get(b, b)) for d, b in names if (not datasets or d in datasets) and (not backbones or b in given)]
    if datasets and not wanted:
        raise ValueError(
            f"none of {', '.join(datasets)} is there in the variants `authors` and `clean`; name one that is, such as ham10000"
        )
    return [tuple(embeddings_for(d, b, v, store, data_root) for v in ("authors", "clean")) for d, b in in_book_order(wanted)]


def _has_both_variants(dataset: str) -> bool:
    from .datasets import canonical_variant

    return canonical_variant(dataset, "authors") != canonical_variant(dataset, "clean")


def sets_wanted(datasets, backbones, variants, store=None, extractable: bool = False) -> list[tuple[str, str, str]]:
    """(dataset, variant, backbone) of the sets a workflow is about: those stored, and with ``extractable`` those it is to make.

    Empty lists stand for all that are stored.
    """
    from .datasets import canonical_variant

    found = stored(store) if store is None or Path(store).is_dir() else stored(None).iloc[:0]
    names = {folder_name(b) for b in backbones}
    kept = found[found["dataset"].isin(datasets or found["dataset"]) & found["backbone"].isin(names or found["backbone"])]
    wanted = dict.fromkeys(zip(kept["dataset"], kept["variant"], kept["backbone"], strict=True))
    if extractable:
        wanted |= {(d, canonical_variant(d, v), folder_name(b)): None for d in datasets for v in variants for b in backbones}
    return list(wanted)


def shipped_diversity() -> pd.DataFrame:
    """Diversity of the shipped data sets before any encoder, as ``python -m helpers diversity`` measured it on the raw data."""
    files = sorted((project_root() / "data/diversity").glob("*.csv"))
    return pd.concat([pd.read_csv(path) for path in files], ignore_index=True)


def shipped_straddling() -> pd.DataFrame:
    """By class of HAM10000: test images under the authors' split, and those whose lesion is also in train (public metadata)."""
    return pd.read_csv(project_root() / "data/audit/ham10000_straddling.csv")


def in_book_order(names: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """(dataset, backbone) pairs with natural data first and the generalist encoder first, as far as they are known."""
    from .backbones import REGISTRY

    order = list(REGISTRY)
    return sorted(names, key=lambda n: (domain(n[0]) != "natural", n[0], order.index(n[1]) if n[1] in order else len(order), n[1]))


def domain(dataset: str) -> str:
    """``medical`` or ``natural`` by the data set's card; ``own`` for a data set without one."""
    from .datasets import DATASETS

    return DATASETS[dataset].card.domain if dataset in DATASETS else "own"


def _variant_of(dataset: str, variant: str, found: pd.DataFrame) -> str:
    from .datasets import DATASETS, canonical_variant

    if dataset in DATASETS:
        return canonical_variant(dataset, variant)
    variants = sorted(found.loc[found["dataset"] == dataset, "variant"].unique())
    if not variants:
        choose(dataset, sorted({*DATASETS, *found["dataset"]}), "data set")
    return variants[0] if len(variants) == 1 else choose(variant, variants, f"variant of {dataset}")


def _needs_no_root(dataset: str) -> bool:
    from .datasets import DATASETS

    return dataset in DATASETS and hasattr(DATASETS[dataset].module, "default_root")


def _nothing_stored(dataset: str, variant: str, backbone: str, found: pd.DataFrame) -> str:
    mine = found[found["dataset"] == dataset]
    there = ", ".join(f"{v}/{b}" for v, b in zip(mine["variant"], mine["backbone"], strict=True)) or "nothing"
    command = f"python -m helpers extract {dataset} --backbone {backbone} --variant {variant} --root FOLDER"
    return f"no embeddings of {dataset} {variant} under {backbone} ({there} stored); make them with `{command}` or set data_root"


def dataset_root(data_root, dataset: str) -> Path | None:
    """``data_root/<dataset>`` where there is one, else ``data_root`` itself, which may be a table; None stays None.

    Raises:
        FileNotFoundError: ``data_root`` is not there.
    """
    if data_root is None:
        return None
    if not Path(data_root).exists():
        raise FileNotFoundError(f"data root {data_root} does not exist; give the folder that holds {dataset}")
    inner = Path(data_root) / dataset
    return inner if inner.is_dir() else Path(data_root)


def _extracted(dataset: str, variant: str, backbone: str, store, data_root) -> EmbeddingSet:
    from .backbones import load_backbone
    from .datasets import load_dataset
    from .extraction import extract

    root = dataset_root(data_root, dataset)
    out = (project_root() / OWN if store is None else Path(store)) / dataset / variant / folder_name(backbone)
    command = f"python -m helpers extract {dataset} --backbone {backbone} --variant {variant}" + " --root ROOT" * bool(root)
    return extract(load_dataset(dataset, root, variant), load_backbone(backbone), out, command=command)
