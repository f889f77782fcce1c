"""Sweeps kept on disk, one folder per embedding set and protocol, and refused when the embeddings have changed since."""

from collections.abc import Sequence
from pathlib import Path

from .checks import choose
from .files import read_json, write_json
from .library import folder_name, project_root
from .store import EmbeddingSet

FOLDER = Path("runs/sweeps")
RECORD = "settings.json"
PARTS = ("lambda", "channels")


def sweep_folder(dataset: str, variant: str, backbone: str, protocol: str, part: str, sweeps=None) -> Path:
    """Where a sweep is kept: ``runs/sweeps/<dataset>/<variant>/<backbone>/<protocol>/<part>``."""
    root = project_root() / FOLDER if sweeps is None else Path(sweeps)
    return root / dataset / variant / folder_name(backbone) / protocol / part


def complete_settings(given: dict) -> dict:
    """Settings of a sweep with the paper's grid for what is not given.

    Raises:
        ValueError: an unknown setting.
    """
    from .probing import FEATURES, LAMBDAS, PROTOCOLS, SEEDS

    known = {
        "protocol": list(PROTOCOLS), "lambdas": list(LAMBDAS), "seeds": list(SEEDS), "features": list(FEATURES),
        "channels": [], "channel_lambdas": [0.0, 1.0],
    }  # fmt: skip
    for name in given:
        choose(name, [*known, "variant"], "setting of a sweep")
    return known | {name: value for name, value in given.items() if name in known}


def sweep_settings(part: str, lambdas, seeds, features, channels=(), channel_lambdas=()) -> dict:
    """Arguments of :func:`helpers.sweep` for one part: ``lambda`` is Eq. 5, ``channels`` each channel alone on joint features."""
    if part == "lambda":
        return {"lambdas": list(lambdas), "seeds": list(seeds), "features": list(features), "kinds": ["lambda"]}
    return {"lambdas": list(channel_lambdas), "seeds": list(seeds), "features": ["joint"], "kinds": ["lambda", *channels]}


def run_sweep(embeddings: EmbeddingSet, protocol: str, settings: dict, folder=None, workers: int | None = None):
    """Run a sweep and, where ``folder`` is given, keep it there with its settings."""
    from .probing import sweep

    result = sweep(embeddings, protocol=protocol, workers=workers, **_tuples(settings))
    if folder is not None:
        result.save(folder)
        write_json(Path(folder) / RECORD, settings)
    return result


def kept_or_new(embeddings: EmbeddingSet, protocol: str, part: str, settings: dict, sweeps=None):
    """The kept sweep of these settings, or a new one that is not kept.

    Raises:
        ValueError: the kept sweep was made from other embeddings than these.
    """
    from .probing import SweepResult

    identity = [str(embeddings.provenance.get(k, "own")) for k in ("dataset", "variant", "backbone")]
    folder = sweep_folder(*identity, protocol, part, sweeps)
    if not (folder / RECORD).is_file():
        return run_sweep(embeddings, protocol, settings)
    kept = SweepResult.load(folder)
    if kept.provenance["embeddings"] != embeddings.fingerprint:
        raise ValueError(
            f"{folder} is stale: made from embeddings {kept.provenance['embeddings'][:16]}, but {' / '.join(identity)} is now "
            f"{embeddings.fingerprint[:16]}; remove the folder or run `python -m helpers sweep` again"
        )
    return kept if read_json(folder / RECORD) == settings else run_sweep(embeddings, protocol, settings)


def _tuples(settings: dict) -> dict[str, Sequence]:
    return {name: tuple(values) for name, values in settings.items()}
