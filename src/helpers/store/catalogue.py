"""List the stored embedding sets by data set, variant and encoder."""

from pathlib import Path

import pandas as pd

from ..files import project_root
from .embeddings import EmbeddingSet
from .identity import Identity, check_folder, folder_name
from .record import PROVENANCE, read_record

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
        faulty: a dictionary that collects the fault of each faulty set by its folder; when None, the first fault raises.

    Raises:
        FileNotFoundError: ``store`` is given and is not a folder.
        ValueError: a folder has a name that this project does not accept, or its record names another set.
    """
    rows = []
    for folder in _stores(store):
        for path in sorted(folder.glob(f"*/*/*/{PROVENANCE}")):
            parts = path.parent.relative_to(folder).parts
            if not any(part.startswith(".") for part in parts):
                try:
                    _check_names(parts, path)
                except ValueError as error:
                    if faulty is None:
                        raise
                    faulty["/".join(parts)] = str(error)
                else:
                    rows.append((*parts, path.parent))
    table = pd.DataFrame(rows, columns=[*NAMES, "path"])
    return table.drop_duplicates(NAMES)


def _stores(store) -> list[Path]:
    if store is None:
        return [project_root() / SHIPPED, project_root() / OWN]
    if not Path(store).is_dir():
        raise FileNotFoundError(f"store {store} is not a folder; give the folder that holds <dataset>/<variant>/<backbone>")
    return [Path(store)]


def _check_names(parts: tuple[str, ...], path: Path) -> None:
    """Raise unless the names in folder and record agree; the loader checks the rest of the record."""
    for name, part in zip(NAMES, parts, strict=True):
        try:
            check_folder(part, f"{name} folder")
        except ValueError as error:
            raise ValueError(f"{str(path.parent)!r}: {error}") from None
    try:
        record = read_record(path.parent)[0]
    except (ValueError, FileNotFoundError):
        return
    for name, part in zip(NAMES, parts, strict=True):
        recorded = str(record.get(name, part))
        try:
            agrees = recorded == part or name == "backbone" and folder_name(recorded) == part
        except ValueError:
            agrees = False
        if not agrees:
            raise ValueError(
                f"{path} records the {name} {recorded[:80]!r} but lies in a folder {part!r}; "
                "move it to <dataset>/<variant>/<backbone> as recorded"
            )


def load_stored(path: Path) -> EmbeddingSet:
    """Load a set of a store; its folders give the names that its record lacks."""
    embeddings = EmbeddingSet.load(path)
    names = dict(zip(NAMES, Path(path).resolve().parts[-3:], strict=True))
    if all(name in embeddings.provenance for name in NAMES):
        return embeddings
    return EmbeddingSet(embeddings.image, embeddings.text, embeddings.pairs, embeddings.task, names | embeddings.provenance)


def find_stored(identity: Identity, store=None) -> EmbeddingSet | None:
    """Load the stored set of this identity, or return None."""
    found = stored(store, faulty={})
    names = (identity.dataset, identity.variant, folder_name(identity.backbone))
    mine = found[(found[NAMES] == list(names)).all(axis=1)]
    return load_stored(mine["path"].iloc[0]) if len(mine) else None


def shipped_but_not_stored(variant: str, store=None) -> list[tuple[str, str, str]]:
    """List (dataset, variant, backbone) of the sets that the repository ships in this variant but that are not stored here."""
    found = stored(store, faulty={})
    present = set(zip(found["dataset"], found["variant"], found["backbone"], strict=True))
    return [s for s in SHIPPED_SETS if s not in present and s[1] in (variant, "common")]
