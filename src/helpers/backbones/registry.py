"""List the encoders with a name in this project: their source, their terms and their training data."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ..files import project_root

DIMENSIONS = {"clip": 512, "siglip": 768, "biomedclip": 512, "medsiglip": 1152}  # projected features of the paper's encoders
MASKED, TO_CONTEXT, UNMASKED = "masked", "to context", "to context, no mask"
HEADS = project_root() / "data" / "heads"
_FILE = tomllib.loads(Path(__file__).with_name("encoders.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One named encoder; ``encoders.toml`` holds all and says what the fields mean."""

    title: str
    library: str  # "transformers", "open_clip", "lit" or "random"
    source: str
    domain: str  # "natural", "medical" or "none"
    citation: str
    normalisation: str
    padding: str
    loaded: str
    terms: str
    text_tower: str = ""

    @property
    def repository(self) -> str:
        return self.source.removeprefix("hf-hub:")

    @property
    def access(self) -> str:
        """Return how to get the weights, in one sentence."""
        return _FILE["access"][self.terms].format(self.repository, self.text_tower)


REGISTRY = {name: Entry(**fields) for name, fields in _FILE["encoders"].items()}


def named(name: str) -> Entry | None:
    """Return the encoder of a name, or of the id of its repository."""
    own = name.removeprefix("hf-hub:")
    return REGISTRY.get(name) or next((entry for entry in REGISTRY.values() if "/" in own and entry.repository == own), None)


def trained() -> list[str]:
    """Return the names of encoders with trained weights."""
    return [name for name, entry in REGISTRY.items() if entry.library != "random"]


def public(name: str) -> str:
    """Return a name or source without paths: a folder by its last part, a weights file by its own name, others as given."""
    path = re.sub("^((transformers|open_clip|local-dir):)*", "", name)
    if Path(path).is_dir():
        return Path(path).name
    architecture, _, tag = path.partition("/")
    return f"{name.removesuffix(path)}{architecture}/{Path(tag).name}" if Path(tag).is_file() else name
