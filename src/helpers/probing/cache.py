"""Sweeps kept on disk, one folder per embedding set and protocol, and refused when the embeddings have changed since."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ..checks import choose
from ..files import project_root, read_json, write_json
from ..store.catalogue import folder_name, stored
from ..store.embeddings import EmbeddingSet
from ..store.identity import Identity
from . import FEATURES, LAMBDAS, PROTOCOLS, SEEDS, SweepResult, sweep

FOLDER = Path("runs/sweeps")
RECORD = "settings.json"
PARTS = ("lambda", "channels")
CODE = ("checks.py", "tasks.py", "geometry.py", "resampling.py", "metrics.py", "alignment/*.py", "probing/*.py")


def sweep_folder(dataset: str, variant: str, backbone: str, protocol: str, part: str, sweeps=None) -> Path:
    """Where a sweep is kept: ``runs/sweeps/<dataset>/<variant>/<backbone>/<protocol>/<part>``."""
    root = project_root() / FOLDER if sweeps is None else Path(sweeps)
    return root / Identity(dataset, variant, backbone).folder / protocol / part


def complete_settings(given: dict) -> dict:
    """Settings of a sweep with the paper's grid for what is not given.

    Raises:
        ValueError: an unknown setting.
    """
    known = {
        "protocol": list(PROTOCOLS), "lambdas": list(LAMBDAS), "seeds": list(SEEDS), "features": list(FEATURES),
        "channels": [], "channel_lambdas": [0.0, 1.0],
    }  # fmt: skip
    for name in given:
        choose(name, [*known, "variant"], "setting of a sweep")
    return known | {name: value if isinstance(value, list) else [value] for name, value in given.items() if name in known}


def sweep_settings(part: str, lambdas, seeds, features, channels=(), channel_lambdas=()) -> dict:
    """Arguments of :func:`helpers.sweep` for one part: ``lambda`` is Eq. 5, ``channels`` each channel alone on joint features."""
    if part == "lambda":
        return {"lambdas": list(lambdas), "seeds": list(seeds), "features": list(features), "kinds": ["lambda"]}
    return {"lambdas": list(channel_lambdas), "seeds": list(seeds), "features": ["joint"], "kinds": ["lambda", *channels]}


def run_sweep(embeddings: EmbeddingSet, protocol: str, settings: dict, folder=None, workers: int | None = None):
    """Run a sweep and, where ``folder`` is given, keep it there with a record of all that it depends on."""
    result = sweep(embeddings, protocol=protocol, workers=workers, **_tuples(settings))
    if folder is not None:
        result.save(folder)
        write_json(Path(folder) / RECORD, _record(embeddings, settings))
    return result


def is_up_to_date(folder, embeddings: EmbeddingSet, settings: dict) -> bool:
    """Was the kept sweep made from these embeddings with these settings by this state of the code, here or on another machine?

    Raises:
        ValueError: it was made from other embeddings, so it could not be made again here.
    """
    record = Path(folder) / RECORD
    if not record.is_file():
        return False
    kept = read_json(record)
    made_from = str(kept.get("embeddings"))
    if made_from != embeddings.fingerprint:
        identity = " / ".join(str(embeddings.provenance.get(k, "own")) for k in ("dataset", "variant", "backbone"))
        raise ValueError(
            f"{folder} is stale: made from embeddings {made_from[:16]}, but {identity} is now {embeddings.fingerprint[:16]}; "
            "remove the folder to train it again, or put those embeddings back"
        )
    return kept == _record(embeddings, settings)


def _record(embeddings: EmbeddingSet, settings: dict) -> dict:
    return {**settings, "code": probing_code(), "embeddings": embeddings.fingerprint}


def probing_code() -> str:
    """Return the SHA-256 over the modules that a sweep runs: ``CODE``, the rooms it may import from."""
    package = Path(__file__).parents[1]
    files = [path for name in CODE for path in sorted(package.glob(name))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def kept_or_new(embeddings: EmbeddingSet, protocol: str, part: str, settings: dict, sweeps=None):
    """The kept sweep if it is up to date, or a new one that is not kept.

    Raises:
        ValueError: the kept sweep was made from other embeddings than these.
    """
    identity = [str(embeddings.provenance.get(k, "own")) for k in ("dataset", "variant", "backbone")]
    folder = sweep_folder(*identity, protocol, part, sweeps)
    return SweepResult.load(folder) if is_up_to_date(folder, embeddings, settings) else run_sweep(embeddings, protocol, settings)


def kept_alone(grids: dict, protocols: Sequence[str], datasets=(), backbones=(), variant="clean", store=None, sweeps=None):
    """Kept sweeps whose embeddings are not stored here, such as results from another machine, in the order of their folders.

    Args:
        grids: settings by part; a sweep kept with other settings is passed over.
        datasets, backbones: names; empty lists stand for all.

    Returns:
        the sweeps by part, and a sentence for each set that was found this way or passed over.
    """
    root = project_root() / FOLDER if sweeps is None else Path(sweeps)
    there = set(stored(store)[["dataset", "variant", "backbone"]].itertuples(index=False, name=None))
    encoders, found, notes = {folder_name(b) for b in backbones}, {part: [] for part in grids}, []
    for record in sorted(root.glob(f"*/*/*/*/*/{RECORD}")):
        dataset, of_variant, encoder, protocol, part = record.parent.relative_to(root).parts
        named = (not datasets or dataset in datasets) and (not backbones or encoder in encoders)
        asked = of_variant in (variant, "common") and protocol in protocols and part in grids
        if not (named and asked) or (dataset, of_variant, encoder) in there:
            continue
        name = f"{dataset} ({of_variant}) under {encoder}"
        if _settings(record.parent) == grids[part]:
            found[part].append(SweepResult.load(record.parent))
            made_from = found[part][-1].provenance["embeddings"][:16]
            notes.append(f"{name}: kept sweeps of embeddings `{made_from}` that are not stored here, marked with an asterisk.")
        else:
            notes.append(f"{name}: a kept sweep ({protocol}, {part}) has other settings than this page and is not shown.")
    return found, list(dict.fromkeys(notes))


def _settings(folder: Path) -> dict:
    return {name: value for name, value in read_json(folder / RECORD).items() if name not in ("code", "embeddings")}


def _tuples(settings: dict) -> dict[str, Sequence]:
    return {name: tuple(values) for name, values in settings.items()}
