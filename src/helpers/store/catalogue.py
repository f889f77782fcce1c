"""Identify embedding sets by data set, variant and encoder, and list the stored ones."""

import re
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..files import UNFINISHED, project_root, remove_stale
from .disk import PROVENANCE, UnusableRecord, read_set_record

SIGNS = str.maketrans({"/": "--", ":": "-"})  # of an encoder's name that a folder name may not hold
FOLDER = re.compile(r"[A-Za-z0-9_][\w.+-]*")
LONGEST = 200  # bytes; file systems accept 255, and temporaries add an ending
SYNTHETIC = " (synthetic miniature)"
SHIPPED = Path("data/embeddings")
OWN = Path("runs/embeddings")
VARIANTS = (("flickr8k", "common"), ("ham10000", "clean"), ("ham10000", "authors"))
SHIPPED_SETS = [(*variant, backbone) for variant in VARIANTS for backbone in ("lit-natural", "lit-derm")]
NAMES = ["dataset", "variant", "backbone"]


def check_folder(name: str, what: str) -> str:
    """Return ``name`` if it may name a folder of a data set, variant or encoder."""
    if FOLDER.fullmatch(name) and len(name.encode()) <= LONGEST:
        return name
    how = f"letters, digits, '_', '.', '+' and '-', a letter, digit or '_' first, at most {LONGEST} bytes"
    raise ValueError(f"{what} {name[:80]!r} cannot name a folder; use {how}")


def folder_name(backbone: str) -> str:
    """Return an encoder's name as one folder name: ``openai/clip`` becomes ``openai--clip``."""
    return check_folder(backbone.strip("/").translate(SIGNS), "encoder")


@dataclass(frozen=True)
class Identity:
    """Data set, variant and backbone of an embedding set, ``own`` if not recorded; ``synthetic`` when the data are a miniature."""

    dataset: str = "own"
    variant: str = "own"
    backbone: str = "own"
    synthetic: bool = False

    @property
    def title(self) -> str:
        """Return the data set's name in tables, in which a miniature is marked as synthetic."""
        return self.dataset + SYNTHETIC * self.synthetic

    @property
    def columns(self) -> dict[str, str]:
        """Return the columns dataset, variant and backbone of a result table."""
        return {"dataset": self.title, "variant": self.variant, "backbone": self.backbone}

    @property
    def folder(self) -> Path:
        """Return the path ``<dataset>/<variant>/<backbone>`` below a store or a folder of results, once each is checked."""
        return Path(check_folder(self.dataset, "data set"), check_folder(self.variant, "variant"), folder_name(self.backbone))

    def __str__(self) -> str:
        return f"{self.title} / {self.variant} / {self.backbone}"


def stored(store=None, faulty: dict[str, str] | None = None) -> pd.DataFrame:
    """List every stored embedding set (dataset, variant, backbone, path): folders with a ``provenance.json``, unless hidden.

    Args:
        store: folder of ``<dataset>/<variant>/<backbone>``; the shipped sets and then ``runs/embeddings`` when None.
        faulty: collects the fault of each folder whose name is not accepted or not that of its record; None warns of each.
    """
    if store is not None and not Path(store).is_dir():
        raise FileNotFoundError(f"store {store} is not a folder; give the folder that holds <dataset>/<variant>/<backbone>")
    rows = []
    for folder in [project_root() / SHIPPED, project_root() / OWN] if store is None else [Path(store)]:
        for left in folder.glob(f"*/*/.*{UNFINISHED}"):
            remove_stale(left.parent)  # puts a set back that a killed writer had moved aside
        for path in sorted(folder.glob(f"*/*/*/{PROVENANCE}")):
            parts = path.parent.relative_to(folder).parts
            if any(part.startswith(".") for part in parts):
                continue
            try:
                _check_names(path, parts)
                rows.append((*parts, path.parent))
            except ValueError as error:
                if faulty is None:
                    warnings.warn(f"excluded: {error}", stacklevel=2)
                else:
                    faulty["/".join(parts)] = str(error)
    return pd.DataFrame(rows, columns=[*NAMES, "path"]).drop_duplicates(NAMES)


def _check_names(path: Path, parts: tuple[str, ...]) -> None:
    record = {}
    with suppress(UnusableRecord, FileNotFoundError):  # the loader names what is wrong with a record
        record = read_set_record(path.parent)
    for name, part in zip(NAMES, parts, strict=True):
        recorded = str(record.get(name, check_folder(part, f"{str(path.parent)!r}: {name} folder")))
        if part not in (recorded, recorded.strip("/").translate(SIGNS) if name == "backbone" else None):
            fault = f"records the {name} {recorded[:80]!r} but lies in a folder {part!r}"
            raise ValueError(f"{path} {fault}; move it to <dataset>/<variant>/<backbone> as recorded")


def shipped_but_not_stored(variant: str, store=None) -> list[tuple[str, str, str]]:
    """List (dataset, variant, backbone) of the sets that the repository ships in this variant but that are not stored here."""
    present = set(stored(store, faulty={})[NAMES].itertuples(index=False, name=None))
    return [s for s in SHIPPED_SETS if s not in present and s[1] in (variant, "common")]
