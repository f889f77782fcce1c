"""Share options and input checks between the commands; a list is divided by commas or blanks."""

import os
import tomllib
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from ..probing.protocol import PROTOCOLS


def _output(out: str | None) -> str | None:
    """Refuse an output that is no file or is an input, before anything is computed."""
    if out is not None:
        from ..files import check_output

        check_output(out)
    return out


def _table_name(out: str | None) -> str | None:
    if out is not None and Path(out).suffix not in (".csv", ".parquet"):
        raise ValueError(f"--out {out} must end in .csv or .parquet")
    return _output(out)


HELP = tomllib.loads(Path(__file__).with_name("help.toml").read_text("utf-8"))
File = Annotated[str | None, typer.Option(callback=_output)]  # a file to write
Table = Annotated[str | None, typer.Option(callback=_table_name)]
Argument = Annotated[str, typer.Argument()]
Required = Annotated[str, typer.Option()]
Missing = Literal["error", "drop"] | None
Option = Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE")]
Replicates = Annotated[int, typer.Option(min=2)]

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def command(function: Callable) -> Callable:
    """Add a function to the program as the command of its name, with the example and the help of ``help.toml``."""
    name = function.__name__.rstrip("_")
    texts = HELP["every"] | HELP[name]
    for option, kind in function.__annotations__.items():
        if option in texts:
            plain, about = get_args(kind) if get_origin(kind) is Annotated else (kind, typer.Option())
            about = copy(about)
            about.help = texts[option].format(protocols=", ".join(PROTOCOLS))
            about.param_decls = (f"--{option.replace('_', '-')}",) if plain is bool else ()  # without a --no-... beside it
            function.__annotations__[option] = Annotated[plain, about]
    return app.command(name, epilog=f"Example: modality-gap {texts['example']}")(function)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(version("modality-gap-book"))
        raise typer.Exit()


def _memory(gigabytes: float | None) -> None:
    if gigabytes is not None:
        from ..files import MEMORY, memory_limit

        os.environ[MEMORY] = str(gigabytes)  # decoding processes inherit it
        memory_limit()  # refuses one that is no number above 0


@app.callback(help="Measure, shift and probe image-text embeddings.")
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    memory: Annotated[float | None, typer.Option(callback=_memory, help="GB that reading one file may take; usually 4.")] = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None: ...


def listed(text: str) -> list[str]:
    """Return the values of an option, divided by commas or blanks."""
    return text.replace(",", " ").split()


def own_folder(dataset: str, variant: str, backbone: str) -> Path:
    """Return where a set of one's own is stored when no folder is named."""
    from ..files import project_root
    from ..store import Identity
    from ..store.catalogue import OWN

    return project_root() / OWN / Identity(dataset, variant, backbone).folder


def copy_arguments(dataset: str, root, variant: str, split, missing_images, given: list[str] | None) -> dict:
    """Return the arguments of :func:`helpers.datasets.load_dataset`; ``given`` holds its options as ``NAME=VALUE``."""
    from pydantic import TypeAdapter, ValidationError

    from ..arrays import choose
    from ..datasets import DATASETS
    from ..datasets.registry import dataset_root

    entry = DATASETS[choose(dataset, DATASETS, "data set")]
    options: dict[str, Any] = {}
    for name, equals, value in (item.partition("=") for item in given or ()):
        if not entry.options:
            raise ValueError(f"--option {name}: {dataset} takes no options; leave it out")
        kind: Any = entry.options[choose(name, entry.options, f"option of {dataset}")]
        with suppress(ValidationError):
            options[name] = TypeAdapter(kind).validate_strings(value)
        if not equals or name not in options:
            expected = getattr(kind, "__name__", kind)
            raise ValueError(f"--option {name}{equals}{value}: write {name}=VALUE, a value of type {expected}")
    about = {"name": dataset, "root": dataset_root(root, dataset), "variant": variant, "split": split}
    return about | {"missing_images": missing_images} | options


def show_table(table, out: str | None, columns: list[str]) -> None:
    """Print some columns of a table, and write all of it in the format of the file name ``out``, if one is given."""
    from ..store.disk import write_table

    print(table[columns].to_string(index=False, float_format="{:.4f}".format, na_rep=""))
    if out is not None:
        print(f"written: {write_table(table, out)}")


def announce(embeddings, folder, most: int = 1000) -> None:
    """Print a set and its folder, and warn if up to ``most`` random pairs look like those of a dead or swapped encoder."""
    import numpy as np

    from ..retrieval import sanity_check

    print(f"{embeddings}\n{folder}")
    rows = np.sort(np.random.default_rng(0).permutation(len(embeddings))[:most])
    suspicion = sanity_check(embeddings.image_of(rows), embeddings.text_of(rows))["suspicion"]
    if suspicion is not None:
        print(f"warning: {suspicion}")
