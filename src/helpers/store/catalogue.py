"""List the stored embedding sets by data set, variant and encoder."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from ..files import project_root
from .disk import PROVENANCE, read_set_record
from .embeddings import EmbeddingSet
from .identity import Identity, as_folder, check_folder, folder_name

SHIPPED = Path("data/embeddings")
OWN = Path("runs/embeddings")
SHIPPED_SETS = [
    (dataset, variant, backbone)
    for dataset, variant in (("flickr8k", "common"), ("ham10000", "clean"), ("ham10000", "authors"))
    for backbone in ("lit-natural", "lit-derm")
]
NAMES = ["dataset", "variant", "backbone"]


def stored(store=None, faulty: dict[str, str] | None = None) -> pd.DataFrame:
    """List every stored embedding set: dataset, variant, backbone, path.

    A set is a folder ``store/<dataset>/<variant>/<backbone>`` with a ``provenance.json``. Hidden folders are excluded, such as
    those of a writer that was killed.

    Args:
        store: folder of sets; the shipped ones and then ``runs/embeddings`` when None.
        faulty: collects the fault of each folder with a name that is not accepted or not that of its record; when None, the first
            such fault raises a ValueError.
    """
    if store is not None and not Path(store).is_dir():
        raise FileNotFoundError(f"store {store} is not a folder; give the folder that holds <dataset>/<variant>/<backbone>")
    rows = []
    for folder in [project_root() / SHIPPED, project_root() / OWN] if store is None else [Path(store)]:
        for path in sorted(folder.glob(f"*/*/*/{PROVENANCE}")):
            parts = path.parent.relative_to(folder).parts
            if any(part.startswith(".") for part in parts):
                continue
            try:
                _check_names(parts, path)
                rows.append((*parts, path.parent))
            except ValueError as error:
                if faulty is None:
                    raise
                faulty["/".join(parts)] = str(error)
    return pd.DataFrame(rows, columns=[*NAMES, "path"]).drop_duplicates(NAMES)


def _check_names(parts: tuple[str, ...], path: Path) -> None:
    """Raise unless the names in folder and record agree; the loader checks the rest of the record."""
    named = dict(zip(NAMES, parts, strict=True))
    try:
        for name, part in named.items():
            check_folder(part, f"{name} folder")
    except ValueError as error:
        raise ValueError(f"{str(path.parent)!r}: {error}") from None
    try:
        record = read_set_record(path.parent)[0]
    except (ValueError, FileNotFoundError):
        return
    for name, part in named.items():
        recorded = str(record.get(name, part))
        if part not in (recorded, as_folder(recorded) if name == "backbone" else None):
            raise ValueError(
                f"{path} records the {name} {recorded[:80]!r} but lies in a folder {part!r}; "
                "move it to <dataset>/<variant>/<backbone> as recorded"
            )


def find_stored(identity: Identity, store=None) -> EmbeddingSet | None:
    """Load the stored set of this identity, or return None; its folders give the names that its record lacks."""
    found = stored(store, faulty={})
    names = [identity.dataset, identity.variant, folder_name(identity.backbone)]
    mine = found[(found[NAMES] == names).all(axis=1)]
    if mine.empty:
        return None
    embeddings = EmbeddingSet.load(mine["path"].iloc[0])
    if set(NAMES) <= set(embeddings.provenance):
        return embeddings
    return replace(embeddings, provenance=dict(zip(NAMES, names, strict=True)) | embeddings.provenance)


def shipped_but_not_stored(variant: str, store=None) -> list[tuple[str, str, str]]:
    """List (dataset, variant, backbone) of the sets that the repository ships in this variant but that are not stored here."""
    present = set(stored(store, faulty={})[NAMES].itertuples(index=False, name=None))
    return [s for s in SHIPPED_SETS if s not in present and s[1] in (variant, "common")]
