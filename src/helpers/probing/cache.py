"""Cache sweeps in one folder per embedding set, protocol and part; refuse damaged ones and those of other embeddings.

A cached sweep is used again as long as embeddings, settings and ``ENGINE``, the version of the arithmetic, are the same.
"""

from pathlib import Path

from pydantic import JsonValue

from ..files import project_root, refuse_other_content, replacing_folder
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


def sweep_folder(dataset: str, variant: str, backbone: str, protocol: str, part: str, sweeps=None) -> Path:
    """Return where a sweep is stored: ``runs/sweeps/<dataset>/<variant>/<backbone>/<protocol>/<part>``."""
    place = Identity(dataset, variant, backbone).folder / check_folder(protocol, "protocol") / part
    return (project_root() / FOLDER if sweeps is None else Path(sweeps)) / place


def run_sweep(embeddings: EmbeddingSet, protocol: str, arguments: dict, folder=None, workers: int | None = None) -> SweepResult:
    """Run a sweep with the :meth:`Grid.arguments` of one part; store it in ``folder``, if given, with all that it depends on."""
    if folder is not None:
        refuse_other_content(Path(folder), PROVENANCE, (RECORD, *FILES), "a cached sweep")
    result = sweep(embeddings, protocol=protocol, workers=workers, **arguments)
    if folder is not None:
        with replacing_folder(Path(folder)) as temporary:
            result.write(temporary)
            write_record(temporary / RECORD, _record(Path(folder), embeddings, arguments), (*FILES, PROVENANCE))
    return result


def is_up_to_date(folder, embeddings: EmbeddingSet, arguments: dict) -> bool:
    """Return whether the cached sweep is intact and made from these settings by this version of the engine.

    A sweep of other embeddings is refused, because it cannot be made again here.
    """
    try:
        record = _read_record(Path(folder))
    except (FileNotFoundError, UnusableRecord):
        return False
    if (made_from := record.embeddings) != embeddings.fingerprint:
        own = embeddings.identity
        raise ValueError(
            f"{folder} is stale: made from embeddings {made_from[:16]}, but {own.dataset} / {own.variant} / {own.backbone} "
            f"is now {embeddings.fingerprint[:16]}; remove the folder to train it again, or put those embeddings back"
        )
    return record.model_copy(update={"files": {}}) == _record(Path(folder), embeddings, arguments)


def load_cached(folder) -> SweepResult:
    """Return a cached sweep; an :class:`UnusableRecord` if it is damaged, of an older format, or stored under another name."""
    folder = Path(folder)
    _read_record(folder)
    result = SweepResult.load(folder, _remake(folder))
    if result.provenance["protocol"] != folder.parts[-2]:
        raise UnusableRecord(f"{folder} holds a sweep of protocol {result.provenance['protocol']!r}; {_remake(folder)}")
    return result


def cached_or_new(embeddings: EmbeddingSet, protocol: str, part: str, arguments: dict, sweeps=None) -> SweepResult:
    """Return the cached sweep if it is up to date, else run a new one without storing it; raise if the cached one is damaged."""
    folder = _folder(embeddings.identity, protocol, part, sweeps)
    if (folder / RECORD).is_file():
        _read_record(folder)
        if is_up_to_date(folder, embeddings, arguments):
            return load_cached(folder)
    return run_sweep(embeddings, protocol, arguments)


def stored_or_run(
    embeddings: EmbeddingSet, protocol: str, part: str, arguments: dict, sweeps=None, workers: int | None = None
) -> tuple[SweepResult, str]:
    """Return the cached sweep if it is up to date, else run and store it; and a line that says which.

    The record of a sweep that is up to date is touched, so that a workflow sees it as made anew.
    """
    folder = _folder(embeddings.identity, protocol, part, sweeps)
    if is_up_to_date(folder, embeddings, arguments):
        (folder / RECORD).touch()
        return load_cached(folder), f"up to date: {folder}"
    return run_sweep(embeddings, protocol, arguments, folder, workers), f"stored: {folder}"


def cached_sweeps(identity: Identity, sweeps=None) -> list[SweepResult]:
    """Return the cached sweeps over lambda of one embedding set, in the order of ``PROTOCOLS``."""
    folders = (_folder(identity, protocol, "lambda", sweeps) for protocol in PROTOCOLS)
    return [load_cached(folder) for folder in folders if (folder / RECORD).is_file()]


def _folder(own: Identity, protocol: str, part: str, sweeps) -> Path:
    return sweep_folder(own.dataset, own.variant, own.backbone, protocol, part, sweeps)


def _place(folder: Path) -> list[str]:
    return list(folder.absolute().parts[-5:])


def _record(folder: Path, embeddings: EmbeddingSet, arguments: dict) -> CacheRecord:
    return CacheRecord(place=_place(folder), settings=arguments, engine=ENGINE, embeddings=embeddings.fingerprint)


def _read_record(folder: Path) -> CacheRecord:
    """Return the record of an intact cached sweep, once it is checked to lie where it was stored."""
    record = read_record(folder / RECORD, CacheRecord, _remake(folder))
    if record.place != _place(folder):
        raise UnusableRecord(f"{folder} holds the sweep of {'/'.join(record.place)}; move it back there, or {_remake(folder)}")
    return record


def _remake(folder: Path) -> str:
    dataset, variant, backbone = _place(folder)[:3]
    return f"make it anew with `python -m helpers sweep {dataset} {backbone} --variant {variant}`"
