"""Check the configuration of the workflow, and decide which embedding sets the book shows, skips or excludes."""

import math
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from declarations import NOTEBOOKS
from huggingface_hub import try_to_load_from_cache
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationError, model_validator

from helpers.arrays import choose, place
from helpers.backbones.registry import REGISTRY
from helpers.datasets.registry import DATASETS, canonical_variant
from helpers.files import read_json, write_json
from helpers.page import NOT_SHOWN, first_problem, notebook_defaults
from helpers.probing.protocol import Grid
from helpers.store.catalogue import folder_name, stored
from helpers.store.disk import Record, UnusableRecord, read_parquet, read_record
from helpers.tasks import UNLABELLED

LINKS = Path("runs/book/embeddings")  # to the sets that the book shows, where some of the store are excluded
NAME = re.compile(r"[A-Za-z0-9_][\w.+-]*")
PATH = r"^[^{}*?\x00-\x1f]+$"
PATTERN = re.compile(r"[{}]")  # what makes a file name a pattern in Snakemake
LONGEST = 80
HUB_FILES = {"transformers": "config.json", "open_clip": "open_clip_config.json"}
RECORD = "provenance.json"
SetName = tuple[str, str, str]


def _truth(value):
    """Return true or false for the words, as ``--config strict=true`` on the command line passes text."""
    return {"true": True, "false": False}.get(str(value), value)


class _UniqueKeys(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        keys = [str(self.construct_object(key, deep=True)) for key, _ in node.value]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                line = node.value[number][0].start_mark.line + 1
                raise ValueError(f"{self.name}: the key {key!r} stands twice (line {line}); keep one of them")
        return super().construct_mapping(node, deep=True)


def refuse_duplicate_keys(configurations: Iterable[str | Path]) -> None:
    """Raise ValueError for a file in which a key stands twice, with its line; YAML itself takes the last one."""
    for path in configurations:
        with open(path, encoding="utf-8") as file:
            yaml.load(file, _UniqueKeys)  # noqa: S506 - a SafeLoader


def check_name(name: str) -> str:
    """Return ``name`` if it, or the folder name of an encoder, can be a folder and a word of a command, else raise ValueError."""
    if not NAME.fullmatch(name) or len(name.encode()) > LONGEST:
        allowed = f"letters, digits, '_', '.', '+' and '-', a letter, digit or '_' first, at most {LONGEST} bytes"
        raise ValueError(f"the name {name[:LONGEST]!r} is not accepted; use {allowed}")
    return name


def _encoder(name: str) -> str:
    check_name(folder_name(name))
    return name


class Sweep(BaseModel, extra="allow"):
    """Settings of the sweeps: the threads of one, the texts to sweep, and fields of ``helpers.probing.protocol.Grid``."""

    threads: Annotated[int, Field(ge=1, le=1024, strict=True)] = 1
    variant: Literal["clean", "authors"] | list[Literal["clean", "authors"]] = ["clean"]

    @model_validator(mode="after")
    def _grid(self):
        Grid.of(self.model_extra or {})
        return self


class Configuration(BaseModel):
    """One configuration of the workflow, such as ``config/demo.yml``, which says what each key means."""

    store: Annotated[str, Field(pattern=PATH)]
    data_root: Annotated[str, Field(pattern=PATH)] | None = None
    datasets: list[Annotated[str, AfterValidator(check_name)]] = []
    backbones: list[Annotated[str, AfterValidator(_encoder)]] = []
    variants: list[Literal["clean", "authors"]] = ["clean", "authors"]
    shards: Annotated[int, Field(ge=1, le=1000, strict=True)] = 1
    accelerators: Annotated[int, Field(ge=0, le=8, strict=True)] = 1
    strict: Annotated[StrictBool, BeforeValidator(_truth)] = False
    sweep: Sweep
    notebooks: dict[str, dict[str, Any]] = {}


def read_configuration(config: dict, settable: dict[str, list[str]]) -> Configuration:
    """Return the checked configuration that Snakemake read; ``settable`` lists the parameters that it may set, by page."""
    for key in config:
        choose(key, Configuration.model_fields, "key of the configuration")
    try:
        checked = Configuration(**config)
    except ValidationError as error:
        raise ValueError(f"configuration {place(error.errors()[0]['loc'])!r}: {first_problem(error)}") from None
    for dataset in checked.datasets:
        choose(dataset, [*DATASETS, *(name[0] for name in _stored(checked))], "data set in the configuration")
    for page, parameters in checked.notebooks.items():
        choose(page, settable, "notebook in the configuration")
        for name in parameters:
            choose(name, settable[page], f"parameter of {page} in the configuration")
        defaults = notebook_defaults(NOTEBOOKS / f"{page}.ipynb")
        for name in (name for name, value in parameters.items() if not _alike(value, defaults[name])):
            told = f"got {str(parameters[name])[:LONGEST]!r}, expected something like its default {defaults[name]!r}"
            raise ValueError(f"configuration 'notebooks.{page}.{name}': {told}")
    return checked


def _alike(value, default) -> bool:
    """Return whether a value is no object and, where the default is numbers, numbers or words of them; the page checks more."""
    if isinstance(default, bool) or isinstance(value, bool | dict):
        return isinstance(default, bool | None) and isinstance(value, bool)
    if not isinstance(default, int | float) and not (isinstance(default, list) and default and isinstance(default[0], int | float)):
        return True
    words = value if isinstance(value, list) else str(value).strip("[] ").split(",")
    try:
        return all(math.isfinite(float(word)) for word in words)
    except (TypeError, ValueError, OverflowError):
        return False


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
    if configuration.data_root is None:
        return []
    named = product(configuration.datasets, configuration.variants, configuration.backbones)
    return [(dataset, canonical_variant(dataset, variant), folder_name(backbone)) for dataset, variant, backbone in named]


def set_fault(folder: Path) -> str | None:
    """Return why a stored set cannot be shown: its name or its splits; None for a good set or one that is not there yet."""
    try:
        for part in folder.parts[-3:]:
            check_name(part)
        if not (folder / RECORD).is_file():
            return None
        if (read_json(folder / RECORD).get("task") or {}).get("kind") == UNLABELLED:
            return "it has no labels, which the probes of the book need; make it again with labels"
        splits = set(read_parquet(folder / "pairs.parquet", "restore it")["split"])
    except (ValueError, OSError, LookupError) as error:
        return " ".join(str(error).split())
    absent = [split for split in ("train", "test") if split not in splits]
    return f"it has no {' and no '.join(absent)} rows; give it a split" if absent else None


def unreachable(configuration: Configuration) -> dict[str, str]:
    """Return why each set that is to be extracted cannot be made here; refuse any if ``strict``, or if nothing else is shown."""
    encoders = {folder_name(name): _encoder_fault(name) for name in configuration.backbones}
    absent = [s for s in sets_to_extract(configuration) if not Path(configuration.store, *s, RECORD).is_file()]
    wanting = {
        d for d in configuration.datasets if not DATASETS[d].card.package and not Path(str(configuration.data_root), d).is_dir()
    }
    raw = {d: f"no folder {d} under the data root; {DATASETS[d].card.access}" for d in wanting}
    faults = {"/".join(s): why for s in absent if (why := raw.get(s[0]) or encoders[s[2]])}
    first = next((f"{name} ({why})" for name, why in faults.items()), "")
    if faults and configuration.strict:
        raise ValueError(f"strict: {len(faults)} sets cannot be made, first {first}; supply them or set strict=false")
    if faults and not any("/".join(s) not in faults for s in shown_sets(configuration)[0]):
        raise ValueError(f"none of the {len(faults)} sets of the configuration can be made, first {first}")
    return faults


def _encoder_fault(name: str) -> str | None:
    """Return download instructions if the weights of an encoder are not cached and the hub is offline."""
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


def clear_links(folder: Path) -> None:
    """Remove the links and the list that an earlier run left; refuse a folder that holds anything else."""
    found = [folder] if folder.is_symlink() else sorted(folder.rglob("*"), reverse=True)
    links = [path for path in found if path.is_symlink() or path == folder / NOT_SHOWN]
    if strange := [path for path in found if path == folder or path not in links and not path.is_dir()]:
        raise ValueError(f"{strange[0]} is none of the links that the workflow keeps there; move it elsewhere")
    for path in found:
        path.unlink() if path in links else path.rmdir()


def shown_store(store: str, shown: Iterable[SetName], excluded: dict[str, str], write: bool, folder: Path = LINKS) -> str:
    """Return the store that the pages read: the configured one, or where some sets are excluded, a folder of links to the others.

    Beside the links lies a file of what is excluded and why, which the pages show. Only the main process of a real run writes.
    """
    if not excluded:
        return store
    if write:
        clear_links(folder)
        for name in shown:
            folder.joinpath(*name).parent.mkdir(parents=True, exist_ok=True)
            folder.joinpath(*name).symlink_to(Path(store).joinpath(*name).absolute())
        write_json(folder / NOT_SHOWN, excluded, part_of_result=True)
    return str(folder)


class _AnyRecord(Record):
    model_config = ConfigDict(extra="allow")


def damaged(executed: Iterable[Path], sweeps: Iterable[str]) -> dict[Path, str]:
    """Return what is wrong with executed notebooks and cached sweeps; Snakemake goes by dates and would take them for made."""
    found = {path: "is cut off or failed" for path in sorted(executed) if not _is_executed(path)}
    for path in filter(Path.is_file, map(Path, sweeps)):
        try:
            read_record(path, _AnyRecord, "")
        except UnusableRecord:
            found[path] = "is damaged or of an older format"
    return found


def of_other_settings(sweeps: dict[str, dict]) -> list[str]:
    """Return the records of cached sweeps with other settings than given, as the command ``sweep`` may store; no damaged one."""
    found = []
    for path, wanted in sweeps.items():
        with suppress(OSError, ValueError, LookupError, TypeError):
            if read_json(Path(path))["settings"] != wanted:
                found.append(path)
    return found


def _is_executed(notebook: Path) -> bool:
    try:
        last = [c for c in read_json(notebook)["cells"] if c["cell_type"] == "code"][-1]
        return last["execution_count"] is not None and all(o["output_type"] != "error" for o in last["outputs"])
    except (ValueError, LookupError, TypeError, OSError):
        return False
