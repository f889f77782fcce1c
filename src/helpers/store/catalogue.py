"""Which embedding sets are stored, by data set, variant and encoder."""

from pathlib import Path

import pandas as pd

from ..files import project_root
from .embeddings import PROVENANCE

SHIPPED = Path("data/embeddings")
OWN = Path("runs/embeddings")
SHIPPED_SETS = [
    (dataset, variant, backbone)
    for dataset, variant in (("flickr8k", "common"), ("ham10000", "clean"), ("ham10000", "authors"))
    for backbone in ("lit-natural", "lit-derm")
]


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


def shipped_but_not_stored(variant: str, store=None) -> list[tuple[str, str, str]]:
    """(dataset, variant, backbone) of the sets that the repository ships in this variant and that are not stored here."""
    found = stored(store)
    there = set(zip(found["dataset"], found["variant"], found["backbone"], strict=True))
    return [s for s in SHIPPED_SETS if s not in there and s[1] in (variant, "common")]
