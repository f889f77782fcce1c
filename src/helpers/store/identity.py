"""Identify an embedding set by data set, variant and encoder, as names of folders and as columns of tables."""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = re.compile(r"[A-Za-z0-9_][\w.+-]*")
LONGEST = 200  # bytes; file systems accept 255, and temporaries add an ending
SYNTHETIC = " (synthetic miniature)"


def check_folder(name: str, what: str) -> str:
    """Return ``name`` if it may name a folder of a data set, variant or encoder."""
    if FOLDER.fullmatch(name) and len(name.encode()) <= LONGEST:
        return name
    raise ValueError(
        f"{what} {name[:80]!r} cannot name a folder; use letters, digits, '_', '.', '+' and '-', start with a letter, digit or "
        f"'_', and take at most {LONGEST} bytes"
    )


def as_folder(backbone: str) -> str:
    """Return an encoder's name with the signs replaced that a folder name may not hold; it is not checked."""
    return backbone.strip("/").replace("/", "--").replace(":", "-")


def folder_name(backbone: str) -> str:
    """Return an encoder's name as one folder name: ``openai/clip`` becomes ``openai--clip``."""
    return check_folder(as_folder(backbone), "encoder")


@dataclass(frozen=True)
class Identity:
    """Data set, variant and backbone of an embedding set, ``own`` if not recorded; ``synthetic`` when the data are a miniature."""

    dataset: str = "own"
    variant: str = "own"
    backbone: str = "own"
    synthetic: bool = False

    @classmethod
    def of(cls, provenance: dict) -> "Identity":
        """Read the names from a provenance record."""
        dataset, variant, backbone = (str(provenance.get(name, "own")) for name in ("dataset", "variant", "backbone"))
        return cls(dataset, variant, backbone, bool((provenance.get("data_report") or {}).get("synthetic")))

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
