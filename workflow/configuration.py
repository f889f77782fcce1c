"""Check the configuration of the workflow, and decide which embedding sets the book shows, skips or excludes."""

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from huggingface_hub import try_to_load_from_cache
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from helpers.arrays import choose, place
from helpers.backbones.registry import REGISTRY
from helpers.datasets.registry import DATASETS, canonical_variant
from helpers.files import read_json, write_json
from helpers.page import NOT_SHOWN, first_problem
from helpers.store.catalogue import folder_name, stored
from helpers.store.disk import Record, UnusableRecord, read_record

LINKS = Path("runs/book/embeddings")
"""Links to the sets that the book shows, where some of the store are excluded."""
NAME = re.compile(r"[A-Za-z0-9_][\w.+-]*")
LONGEST = 80
HUB_FILES = {"transformers": "config.json", "open_clip": "open_clip_config.json"}
RECORD = "provenance.json"
SetName = tuple[str, str, str]


class _UniqueKeys(yaml.SafeLoader):
    """A YAML loader that refuses a key that stands twice; YAML itself takes the last one."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                line = node.value[number][0].start_mark.line + 1
                raise ValueError(f"the key {key!r} stands twice (line {line}); keep one of them")
        return super().construct_mapping(node, deep=True)


def refuse_duplicate_keys(configurations: Iterable[str | Path]) -> None:
    """Raise ValueError for a configuration file in which a key stands twice, with the file, the key and its line."""
    for path in configurations:
        try:
            yaml.load(Path(path).read_text(encoding="utf-8"), _UniqueKeys)  # noqa: S506 - a SafeLoader
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def refuse_unwritable(*folders: str) -> None:
    """Raise OSError for a folder of results that is read-only; Snakemake would find out at the end of the first step."""
    for folder in folders:
        existing = next(path for path in (Path(folder), *Path(folder).absolute().parents) if path.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            raise OSError(f"{existing} is read-only or no folder; make it writable, or run the workflow in a copy of the project")


def check_name(name: str) -> str:
    """Return ``name`` if it can be a folder and a word of a command, else raise ValueError."""
    if not NAME.fullmatch(name) or len(name.encode()) > LONGEST:
        raise ValueError(
            f"the name {name[:LONGEST]!r} is not accepted; use letters, digits, '_', '.', '+' and '-', a letter, digit or '_' "
            f"first, at most {LONGEST} bytes"
        )
    return name


def _encoder(name: str) -> str:
    check_name(folder_name(name))
    return name


def _path(path: str) -> str:
    if not path.strip() or re.search(r"[{}*?\x00-\x1f]", path):
        raise ValueError(f"the path {path!r} is not accepted; use one without braces, '*', '?' and line breaks")
    return path


Name, Encoder, FolderPath = (Annotated[str, AfterValidator(check)] for check in (check_name, _encoder, _path))


class Configuration(BaseModel):
    """One configuration of the workflow, such as ``config/demo.yml``, which says what each key means."""

    model_config = ConfigDict(extra="forbid")
    store: FolderPath  # type: ignore[valid-type]
    data_root: FolderPath | None = None  # type: ignore[valid-type]
    datasets: list[Name] = []  # type: ignore[valid-type]
    backbones: list[Encoder] = []  # type: ignore[valid-type]
    variants: list[Literal["clean", "authors"]] = ["clean", "authors"]
    shards: Annotated[int, Field(ge=1, le=1000)] = 1
    accelerators: Annotated[int, Field(ge=0, le=8)] = 1
    strict: bool = False
    sweep: dict[str, Any]
    notebooks: dict[str, dict[str, Any]] = {}


def read_configuration(config: dict, settable: dict[str, list[str]]) -> Configuration:
    """Return the checked configuration.

    Args:
        config: configuration that Snakemake read from files and the command line.
        settable: parameters that the configuration may set, by page.

    Raises:
        ValueError: an unknown key, data set, page or parameter (with the nearest valid one), or a value that is not accepted.
    """
    for key in config:
        choose(key, Configuration.model_fields, "key of the configuration")
    try:
        checked = Configuration(**config)
    except ValidationError as error:
        raise ValueError(f"configuration {place(error.errors()[0]['loc'])!r}: {first_problem(error)}") from None
    for dataset in checked.datasets:
        choose(dataset, dict.fromkeys([*DATASETS, *(name[0] for name in _stored(checked))]), "data set in the configuration")
    for page, parameters in checked.notebooks.items():
        choose(page, settable, "notebook in the configuration")
        for name in parameters:
            choose(name, settable[page], f"parameter of {page} in the configuration")
    return checked


def _stored(configuration: Configuration, faulty: dict[str, str] | None = None) -> list[SetName]:
    if not Path(configuration.store).is_dir():
        return []
    found = stored(configuration.store, {} if faulty is None else faulty)
    return list(zip(found["dataset"], found["variant"], found["backbone"], strict=True))


def shown_sets(configuration: Configuration) -> tuple[list[SetName], dict[str, str]]:
    """Return (dataset, variant, backbone) of the sets the book is about, and why each faulty set of the store is excluded.

    Stored sets count where ``datasets`` and ``backbones`` name them or are empty; with ``data_root`` those to be extracted too.
    """
    excluded: dict[str, str] = {}
    datasets, encoders = set(configuration.datasets), set(map(folder_name, configuration.backbones))
    named = [s for s in _stored(configuration, excluded) if s[0] in (datasets or s) and s[2] in (encoders or s)]
    names = dict.fromkeys([*named, *sets_to_extract(configuration)])
    faults = {name: set_fault(Path(configuration.store, *name)) for name in names}
    excluded |= {"/".join(name): fault for name, fault in faults.items() if fault}
    return [name for name, fault in faults.items() if fault is None], excluded


def sets_to_extract(configuration: Configuration) -> list[SetName]:
    """Return the sets that the configuration has made from raw data: none without a ``data_root``."""
    return [
        (dataset, canonical_variant(dataset, variant), folder_name(backbone))
        for dataset in configuration.datasets
        for variant in configuration.variants
        for backbone in configuration.backbones
        if configuration.data_root is not None
    ]


def set_fault(folder: Path) -> str | None:
    """Return why a stored set cannot be shown: its name or its splits; None for a good set or one that is not there yet."""
    try:
        for part in folder.parts[-3:]:
            check_name(part)
        if not (folder / RECORD).is_file():
            return None
        read_json(folder / RECORD)
        splits = set(pq.read_table(folder / "pairs.parquet", columns=["split"])["split"].to_pylist())
    except (ValueError, OSError, pa.ArrowException) as error:
        return " ".join(str(error).split())
    absent = [split for split in ("train", "test") if split not in splits]
    return f"it has no {' and no '.join(absent)} rows; give it a split" if absent else None


def unreachable(configuration: Configuration) -> dict[str, str]:
    """Return why each set that is to be extracted and not stored cannot be made here: no raw data, or no weights.

    Raises:
        ValueError: there are some and the configuration is ``strict``, or there is nothing else to show.
    """
    encoders = {folder_name(name): _encoder_fault(name) for name in configuration.backbones}
    absent = [s for s in sets_to_extract(configuration) if not Path(configuration.store, *s, RECORD).is_file()]
    reasons = {"/".join(s): _raw_data_fault(configuration, s[0]) or encoders[s[2]] for s in absent}
    faults = {name: why for name, why in reasons.items() if why}
    first = next((f"{name} ({why})" for name, why in faults.items()), "")
    if faults and configuration.strict:
        raise ValueError(f"strict: {len(faults)} sets cannot be made, first {first}; supply them or set strict=false")
    if faults and not any("/".join(s) not in faults for s in shown_sets(configuration)[0]):
        raise ValueError(f"none of the {len(faults)} sets of the configuration can be made, first {first}")
    return faults


def _raw_data_fault(configuration: Configuration, dataset: str) -> str | None:
    if Path(str(configuration.data_root), dataset).is_dir() or DATASETS[dataset].card.package:
        return None
    return f"no folder {dataset} under the data root; {DATASETS[dataset].card.access}"


def _encoder_fault(name: str) -> str | None:
    """Return how to get the weights of an encoder that is not in the local cache while downloads are switched off."""
    entry = REGISTRY.get(name)
    if entry is None or entry.library not in HUB_FILES or os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("0", "", "false", "no"):
        return None
    found = try_to_load_from_cache(entry.source.removeprefix("hf-hub:"), HUB_FILES[entry.library])
    return None if isinstance(found, str) else f"no weights of {name} in the local cache; {entry.access}"


def set_files(store: str, dataset: str, variant: str, backbone: str) -> list[str]:
    """Return the record of an embedding set and the files that it names, one of which may be another set's image matrix."""
    folder = Path(store) / dataset / variant / folder_name(backbone)
    try:
        named = [str(folder / entry["path"]) for entry in read_json(folder / RECORD)["files"].values()]
    except (ValueError, LookupError, TypeError, AttributeError, OSError):  # not there yet, or of an older format
        named = []
    return [str(folder / RECORD), *map(os.path.normpath, named)]


def shown_store(store: str, shown: Iterable[SetName], excluded: dict[str, str], write: bool, folder: Path = LINKS) -> str:
    """Return the store that the pages read: the configured one, or where some sets are excluded, a folder of links to the others.

    Beside the links lies a file of what is excluded and why, which the pages show. Only the main process of a real run writes.
    """
    if not excluded:
        return store
    if write:
        shutil.rmtree(folder, ignore_errors=True)
        for name in shown:
            folder.joinpath(*name).parent.mkdir(parents=True, exist_ok=True)
            folder.joinpath(*name).symlink_to(Path(store).joinpath(*name).absolute())
        write_json(folder / NOT_SHOWN, excluded)
    return str(folder)


def damaged(executed: Iterable[Path], sweeps: Iterable[str]) -> dict[Path, str]:
    """Return what is wrong with executed notebooks that are cut off, and with records of sweeps that cannot be read.

    Snakemake goes by dates and would take both for made.
    """
    found = {path: "is cut off or failed" for path in sorted(executed) if not is_executed(path)}
    unreadable = [path for path in map(Path, sweeps) if path.is_file() and not is_record(path)]
    return found | dict.fromkeys(unreadable, "is damaged or of an older format")


def is_executed(notebook: Path) -> bool:
    """Return whether a notebook is whole and its last code cell ran without an error."""
    try:
        last = [c for c in read_json(notebook)["cells"] if c["cell_type"] == "code"][-1]
        return last["execution_count"] is not None and all(o["output_type"] != "error" for o in last["outputs"])
    except (ValueError, LookupError, TypeError, OSError):
        return False


class _AnyRecord(Record):
    model_config = ConfigDict(extra="allow")


def is_record(path: Path) -> bool:
    """Return whether the record of a cached sweep and its files can be read by this version."""
    try:
        read_record(path, _AnyRecord, "")
    except UnusableRecord:
        return False
    return True
