"""Cache sweeps in one folder per embedding set, protocol and part; refuse damaged ones and those of other embeddings.

A cached sweep is used again as long as embeddings, settings and ``ENGINE``, the version of the arithmetic, are the same.
"""

from contextlib import suppress
from pathlib import Path

from pydantic import JsonValue

from ..files import check_writable, checksum_of, project_root, refuse_other_content, replacing_folder
from ..store.catalogue import Identity, check_folder
from ..store.disk import Record, UnusableRecord, read_record, write_record
from ..store.embeddings import EmbeddingSet
from .protocol import PROTOCOLS
from .result import FILES, PROVENANCE, SweepResult
from .sweep import ENGINE, sweep

FOLDER = Path("runs/sweeps")
RECORD = "settings.json"


class CacheRecord(Record):
    """Record of a cached sweep: its place, and everything the sweep depends on."""

    place: list[str]
    settings: dict[str, JsonValue]
    engine: int
    embeddings: str


def sweep_folder(own: Identity, protocol: str, part: str, sweeps=None) -> Path:
    """Return where a sweep is stored: ``runs/sweeps/<dataset>/<variant>/<backbone>/<protocol>/<part>``."""
    return Path(sweeps or project_root() / FOLDER) / own.folder / check_folder(protocol, "protocol") / check_folder(part, "part")


def run_sweep(embeddings: EmbeddingSet, protocol: str, arguments: dict, folder=None, workers: int | None = None) -> SweepResult:
    """Run a sweep with the :meth:`Grid.arguments` of one part, and store it if a ``folder`` is given."""
    if folder is not None:
        refuse_other_content(check_writable(Path(folder)), PROVENANCE, (RECORD, *FILES), "a cached sweep")
    result = sweep(embeddings, protocol=protocol, workers=workers, **arguments)
    if folder is not None:
        with replacing_folder(Path(folder), PROVENANCE, (RECORD, *FILES), "a cached sweep") as temporary:
            result.write(temporary)
            write_record(temporary / RECORD, _record(Path(folder), embeddings, arguments), (*FILES, PROVENANCE))
    return result


def is_up_to_date(folder, embeddings: EmbeddingSet, arguments: dict) -> bool:
    """Return whether a cached sweep is intact and made from these settings by this engine; refuse one of other embeddings."""
    try:
        record = _read_record(Path(folder))
    except (FileNotFoundError, UnusableRecord):
        return False
    if record.embeddings != embeddings.fingerprint:
        told = f"{folder} is stale: made from embeddings {record.embeddings[:16]}, not from {embeddings.fingerprint[:16]}"
        raise ValueError(f"{told}; remove the folder to train it again, or put those embeddings back")
    return record.model_copy(update={"files": {}}) == _record(Path(folder), embeddings, arguments)


def load_cached(folder) -> SweepResult:
    """Return a cached sweep; an :class:`UnusableRecord` if it is damaged, of an older format, or stored under another name."""
    _read_record(Path(folder))
    return SweepResult.load(folder, _remake(Path(folder)))


def cached_or_new(embeddings: EmbeddingSet, protocol: str, part: str, arguments: dict, sweeps=None, own=None) -> SweepResult:
    """Return the cached sweep if it is up to date, else that of :func:`run_once`; raise if the cached one is damaged."""
    folder = sweep_folder(embeddings.identity, protocol, part, sweeps)
    cached = load_cached(folder) if (folder / RECORD).is_file() else None
    if cached and is_up_to_date(folder, embeddings, arguments):
        return cached.warn()
    return run_once(embeddings, protocol, part, arguments, own)


def run_once(embeddings: EmbeddingSet, protocol: str, part: str, arguments: dict, own) -> SweepResult:
    """Return the sweep from the cache ``own``, by embeddings and settings, or run it and store it there; None for no cache."""
    if own is None:
        return run_sweep(embeddings, protocol, arguments)
    key = checksum_of([ENGINE, embeddings.fingerprint, arguments])[:16]
    return stored_or_run(embeddings, protocol, part, arguments, Path(own) / key)[0]


def stored_or_run(
    embeddings: EmbeddingSet, protocol: str, part: str, arguments: dict, sweeps=None, workers: int | None = None
) -> tuple[SweepResult, str]:
    """Return the cached sweep if it is up to date (and touch its record, for the workflow), else store a new one; say which."""
    folder = sweep_folder(embeddings.identity, protocol, part, sweeps)
    if is_up_to_date(folder, embeddings, arguments):
        with suppress(OSError):  # results of another machine may be read-only
            (folder / RECORD).touch()
        return load_cached(folder).warn(), f"up to date: {folder}"
    replaced = ", in place of another" if (folder / RECORD).exists() else ""
    return run_sweep(embeddings, protocol, arguments, folder, workers), f"stored: {folder}{replaced}"


def cached_sweeps(identity: Identity, sweeps=None) -> list[SweepResult]:
    """Return the cached sweeps over lambda of one embedding set, in the order of ``PROTOCOLS``."""
    folders = (sweep_folder(identity, protocol, "lambda", sweeps) for protocol in PROTOCOLS)
    return [load_cached(folder) for folder in folders if (folder / RECORD).is_file()]


def _record(folder: Path, embeddings: EmbeddingSet, arguments: dict) -> CacheRecord:
    place = list(folder.absolute().parts[-5:])
    return CacheRecord(place=place, settings=arguments, engine=ENGINE, embeddings=embeddings.fingerprint)


def _read_record(folder: Path) -> CacheRecord:
    """Return the record of an intact cached sweep, once it is checked to lie where it was stored."""
    record = read_record(folder / RECORD, CacheRecord, _remake(folder), (*FILES, PROVENANCE))
    if record.place != list(folder.absolute().parts[-5:]):
        raise UnusableRecord(f"{folder} holds the sweep of {'/'.join(record.place)}; move it back there, or {_remake(folder)}")
    return record


def _remake(folder: Path) -> str:
    dataset, variant, backbone = folder.absolute().parts[-5:-2]
    return f"make it anew with `python -m helpers sweep {dataset} {backbone} --variant {variant}`"
