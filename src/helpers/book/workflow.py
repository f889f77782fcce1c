"""Provide the Snakefile with the configuration, the sets the book shows, and the tables each notebook reads and writes."""

import ast
import json
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

from ..arrays import choose, place
from ..backbones.registry import REGISTRY
from ..datasets.registry import DATASETS, canonical_variant
from ..files import read_json, write_json
from ..page import NOT_SHOWN, assigned_literals, first_problem, parameters_fingerprint
from ..store.catalogue import folder_name, stored
from ..store.record import Record, UnusableRecord, read_record
from . import TABLES as TABLES

SHOWN = Path("runs/book/embeddings")
"""Links to the sets that the book shows, where some of the store are excluded."""
NAME = re.compile(r"[A-Za-z0-9_][\w.+-]*")
LONGEST = 80
HUB_FILES = {"transformers": "config.json", "open_clip": "open_clip_config.json"}
SET_FILES = ("provenance.json", "pairs.parquet", "image.safetensors", "text.safetensors")
MEASURED = {"alignments_shipped": [], "alignments_galleries_shipped": ["--galleries"], "alignments_tasks": ["--tasks"]}
"""Tables in ``data/measured`` that ``benchmarks/alignments.py`` makes from the shipped sets, and its options."""
PACKAGE = Path("src/helpers")
EXTRACTION = ("checks.py", "files.py", "tasks.py", "images.py", "store/*.py", "backbones/*.py", "datasets/*.py", "extraction/*.py")
SetName = tuple[str, str, str]


def check_name(name: str) -> str:
    """Return ``name`` if it can be a folder and a word of a command.

    Raises:
        ValueError: the name holds anything but letters, digits and ``_ . + -``, starts with ``. + -`` or is too long.
    """
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
    """One configuration of the workflow, such as ``config/demo.yml``."""

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


def read_configuration(config: dict, notebooks: Path = Path("notebooks")) -> Configuration:
    """Return the checked configuration.

    Args:
        config: configuration that Snakemake read from files and the command line.
        notebooks: folder of the notebooks whose parameters the configuration may set.

    Raises:
        ValueError: an unknown key, data set, notebook or parameter (with the nearest valid one), or a value that is not accepted.
    """
    for key in config:
        choose(key, Configuration.model_fields, "key of the configuration")
    try:
        checked = Configuration(**config)
    except ValidationError as error:
        key = place(error.errors()[0]["loc"])
        raise ValueError(f"configuration {key!r}: {first_problem(error)}") from None
    available = stored(checked.store, faulty={})["dataset"] if Path(checked.store).is_dir() else []
    for dataset in checked.datasets:
        choose(dataset, dict.fromkeys([*DATASETS, *available]), "data set in the configuration")
    for notebook, parameters in checked.notebooks.items():
        choose(notebook, notebook_names(notebooks), "notebook in the configuration")
        for name in parameters:
            choose(name, default_parameters(notebooks / f"{notebook}.ipynb"), f"parameter of {notebook} in the configuration")
    return checked


def notebook_names(folder: Path = Path("notebooks")) -> list[str]:
    """Return the names of the notebooks without ending, in the order of the book."""
    return sorted(check_name(path.stem) for path in folder.glob("*.ipynb"))


def code_cells(notebook: Path) -> list[str]:
    """Return the sources of a notebook's code cells."""
    return ["".join(c["source"]) for c in read_json(notebook)["cells"] if c["cell_type"] == "code"]


def default_parameters(notebook: Path) -> dict[str, object]:
    """Return the parameters of a notebook and their defaults, from its first code cell."""
    return assigned_literals(code_cells(notebook)[:1])


def tables_written(notebook: Path) -> list[str]:
    """Return the names of the result tables that a notebook writes with ``page.save_table(table, "name")``.

    Raises:
        ValueError: a name is computed, so the workflow cannot know it.
    """
    return _table_names(notebook, "save_table", 1)


def tables_read(notebook: Path) -> list[str]:
    """Return the names of the result tables that a notebook reads with ``page.read_table("name", "notebook")``."""
    return _table_names(notebook, "read_table", 0)


def _table_names(notebook: Path, method: str, position: int) -> list[str]:
    found: dict[str, None] = {}
    for node in (node for source in code_cells(notebook) for node in ast.walk(ast.parse(source))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method:
            name = node.args[position] if len(node.args) > position else None
            if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
                raise ValueError(f"{notebook} gives {method} a computed name (cell line {node.lineno}); write it as a string")
            found[name.value] = None
    return list(found)


def injected_parameters(notebook: Path, configuration: Configuration, settings: dict) -> dict:
    """Return the parameters that papermill injects: settings and configuration, if they differ from the notebook's defaults."""
    defaults = default_parameters(notebook)
    given = {k: v for k, v in settings.items() if k in defaults} | configuration.notebooks.get(notebook.stem, {})
    return {name: value for name, value in given.items() if value != defaults[name]}


def run_fingerprint(notebook: Path, injected: dict) -> str:
    """Return the fingerprint that the tables of a run with these injected parameters carry."""
    return parameters_fingerprint(default_parameters(notebook) | (yaml.safe_load(json.dumps(injected)) or {}))


def shown_sets(configuration: Configuration) -> tuple[list[SetName], dict[str, str]]:
    """Return (dataset, variant, backbone) of the sets the book is about, and why each faulty set of the store is excluded.

    Stored sets count where ``datasets`` and ``backbones`` name them or are empty; with ``data_root`` those to be extracted too.
    """
    shown: list[SetName] = []
    excluded: dict[str, str] = {}
    if Path(configuration.store).is_dir():
        stored(configuration.store, excluded)
    for name in dict.fromkeys([*stored_sets(configuration), *sets_to_extract(configuration)]):
        fault = set_fault(Path(configuration.store), name)
        if fault is None:
            shown.append(name)
        else:
            excluded["/".join(name)] = fault
    return shown, excluded


def stored_sets(configuration: Configuration) -> list[SetName]:
    """Return the stored sets that ``datasets`` and ``backbones`` name; an empty list names all."""
    if not Path(configuration.store).is_dir():
        return []
    found = stored(configuration.store, faulty={})
    encoders = {folder_name(name) for name in configuration.backbones}
    named = found["dataset"].isin(configuration.datasets or found["dataset"])
    kept = found[named & found["backbone"].isin(encoders or found["backbone"])]
    return list(zip(kept["dataset"], kept["variant"], kept["backbone"], strict=True))


def sets_to_extract(configuration: Configuration) -> list[SetName]:
    """Return the sets that the configuration has made from raw data: none without a ``data_root``."""
    if configuration.data_root is None:
        return []
    return [
        (dataset, canonical_variant(dataset, variant), folder_name(backbone))
        for dataset in configuration.datasets
        for variant in configuration.variants
        for backbone in configuration.backbones
    ]


def unreachable(configuration: Configuration) -> dict[str, str]:
    """Return why each set that is to be extracted and not stored cannot be made here: no raw data, or no weights.

    Raises:
        ValueError: there are some, and the configuration is ``strict``.
    """
    encoders = {folder_name(name): why for name in configuration.backbones if (why := _encoder_fault(name))}
    faults = {}
    for dataset, variant, backbone in dict.fromkeys(sets_to_extract(configuration)):
        if Path(configuration.store, dataset, variant, backbone, SET_FILES[0]).is_file():
            continue
        if why := _raw_data_fault(configuration, dataset) or encoders.get(backbone):
            faults[f"{dataset}/{variant}/{backbone}"] = why
    if faults and configuration.strict:
        name, why = next(iter(faults.items()))
        raise ValueError(f"strict: {len(faults)} sets cannot be made, first {name} ({why}); supply them or set strict=false")
    return faults


def without_skipped(shown: list[SetName], skipped: dict[str, str]) -> list[SetName]:
    """Return the sets that are not skipped.

    Raises:
        ValueError: all of them are.
    """
    found = [name for name in shown if "/".join(name) not in skipped]
    if skipped and not found:
        name, why = next(iter(skipped.items()))
        raise ValueError(f"none of the {len(skipped)} sets of the configuration can be made, first {name}: {why}")
    return found


def _raw_data_fault(configuration: Configuration, dataset: str) -> str | None:
    folder = Path(str(configuration.data_root), dataset)
    if folder.is_dir() or hasattr(DATASETS[dataset].module, "default_root"):
        return None
    return f"no folder {dataset} under the data root; {DATASETS[dataset].card.access}"


def _encoder_fault(name: str) -> str | None:
    """Return how to get the weights of an encoder that is not in the local cache while downloads are switched off."""
    entry = REGISTRY.get(name)
    if entry is None or entry.library not in HUB_FILES or os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("0", "", "false", "no"):
        return None
    found = try_to_load_from_cache(entry.source.removeprefix("hf-hub:"), HUB_FILES[entry.library])
    return None if isinstance(found, str) else f"no weights of {name} in the local cache; {entry.access}"


def set_fault(store: Path, name: SetName) -> str | None:
    """Return why a stored set cannot be shown: its name, record or splits; None for a good set or one not there yet."""
    folder = store.joinpath(*name)
    try:
        for part in name:
            check_name(part)
        if not (folder / "provenance.json").is_file():
            return None
        record = read_json(folder / "provenance.json")
        recorded = (record.get("dataset"), record.get("variant"), folder_name(str(record.get("backbone"))))
        if recorded != name:
            return f"its record names {'/'.join(map(str, recorded))}; import or extract it again under the folder's name"
        splits = set(pq.read_table(folder / "pairs.parquet", columns=["split"])["split"].to_pylist())
    except (ValueError, AttributeError, OSError, pa.ArrowException) as error:
        return " ".join(str(error).split())
    absent = [split for split in ("train", "test") if split not in splits]
    return f"it has no {' and no '.join(absent)} rows; give it a split" if absent else None


def shown_store(
    configuration: Configuration, shown: Iterable[SetName], excluded: dict, folder: Path = SHOWN, write: bool = True
) -> str:
    """Return the store that the notebooks read: the configured one, or links to the shown sets where some are excluded.

    Beside the links lies a file of what is excluded and why, from which the pages say so.

    Args:
        write: whether the links are made anew; a job of a cluster finds them made.
    """
    if not excluded:
        return configuration.store
    if not write:
        return str(folder)
    shutil.rmtree(folder, ignore_errors=True)
    for name in shown:
        link = folder.joinpath(*name)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path(configuration.store).joinpath(*name).absolute())
    write_json(folder / NOT_SHOWN, excluded)
    return str(folder)


def extraction_code(package: Path = PACKAGE) -> list[str]:
    """Return the modules that check and extract a data set."""
    return [str(path) for pattern in EXTRACTION for path in sorted(package.glob(pattern))]


def set_files(store: str, dataset: str, variant: str, backbone: str) -> list[str]:
    """Return the files of one embedding set, or its record alone where it is not there yet."""
    folder = Path(store) / dataset / variant / folder_name(backbone)
    return [str(folder / name) for name in SET_FILES if (folder / name).is_file()] or [str(folder / SET_FILES[0])]


def remove_damaged(folder: Path) -> list[str]:
    """Remove executed notebooks that are cut off or did not finish, so that they run again; return their names."""
    damaged = [path for path in sorted(folder.glob("*.ipynb")) if not is_executed(path)]
    for path in damaged:
        path.unlink()
    return [path.name for path in damaged]


class _AnyRecord(Record):
    model_config = ConfigDict(extra="allow")


def remove_unusable_records(records: Iterable[str]) -> list[str]:
    """Remove the records of cached sweeps that are damaged or of an older format, so that they are made again; return them.

    The workflow goes by dates and would take such a sweep for made.
    """
    removed = []
    for path in (path for path in map(Path, records) if path.is_file()):
        try:
            read_record(path, _AnyRecord, "")
        except UnusableRecord:
            path.unlink()
            removed.append(str(path))
    return removed


def is_executed(notebook: Path) -> bool:
    """Return whether a notebook is whole and its last code cell ran without an error."""
    try:
        last = [c for c in read_json(notebook)["cells"] if c["cell_type"] == "code"][-1]
        return last["execution_count"] is not None and all(o["output_type"] != "error" for o in last["outputs"])
    except (ValueError, KeyError, IndexError, TypeError, OSError):
        return False
