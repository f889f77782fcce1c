"""Share options and input checks between the commands; a list is divided by commas."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    import pandas as pd

    from ..datasets import PairedDataset
    from ..store import EmbeddingSet

DISTRIBUTION = "modality-gap-book"

Dataset = Annotated[str, typer.Argument(help="Name of the data set; `datasets` lists them.")]
Backbone = Annotated[str, typer.Argument(help="Name of the encoder; `backbones` lists them.")]
Variant = Annotated[str, typer.Option(help="clean or authors.")]
Store = Annotated[str | None, typer.Option(help="Folder <dataset>/<variant>/<backbone>; data/embeddings, then runs/embeddings.")]
Root = Annotated[str | None, typer.Option(help="Folder of the data set, the folder that holds it under its name, or a table.")]
Split = Annotated[str | None, typer.Option(help="One of the splits that the variant offers.")]
Missing = Annotated[Literal["error", "drop"] | None, typer.Option(help="Stop at a missing image, or drop its row.")]
Option = Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Option of the data set; repeatable.")]
Table = Annotated[str | None, typer.Option(help="Write the table as .csv or .parquet.")]
Replicates = Annotated[int, typer.Option(help="Bootstrap replicates; 0 for no intervals.")]
SetFolder = Annotated[str | None, typer.Option(help="Folder of the set; runs/embeddings/<dataset>/<variant>/<backbone>.")]


app = typer.Typer(
    help="Measure, shift and probe image-text embeddings.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(version(DISTRIBUTION))
        except PackageNotFoundError:
            print(f"{DISTRIBUTION} is not installed; it runs from its source folder")
        raise typer.Exit()


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Measure, shift and probe image-text embeddings."""


def listed(text: str) -> list[str]:
    """Return the values of an option, divided by commas or blanks."""
    return [word for word in text.replace(",", " ").split() if word]


def numbers(option: str, text: str, kind: type) -> list:
    """Return the numbers of an option.

    Raises:
        ValueError: a value is not a number; names the option.
    """
    try:
        return [kind(word) for word in listed(text)]
    except ValueError as error:
        expected = {int: "a whole number", float: "a number"}[kind]
        raise ValueError(f"--{option.replace('_', '-')}: {str(error).rsplit(': ', 1)[-1]} is not {expected}") from None


def parsed(settings: str) -> dict:
    """Return the settings of a sweep that are given as JSON; anything but an object is refused with an example."""
    example = 'write for example \'{"protocol": ["converged"]}\''
    try:
        found = json.loads(settings)
    except json.JSONDecodeError as error:
        raise ValueError(f"--settings is not valid JSON ({error}); {example}") from None
    if not isinstance(found, dict):
        raise ValueError(f"--settings is {settings}, not a JSON object; {example}")
    return found


def own_folder(dataset: str, variant: str, backbone: str) -> Path:
    """Return where a set of one's own is stored when no folder is named."""
    from ..files import project_root
    from ..store import Identity
    from ..store.catalogue import OWN

    return project_root() / OWN / Identity(dataset, variant, backbone).folder


def load(out: str | None, *copy) -> "PairedDataset":
    """Return a copy of a data set, once the name of the output is checked."""
    from ..datasets import load_dataset

    check_table(out)
    return load_dataset(**copy_arguments(*copy))


def copy_arguments(dataset: str, root, variant: str, split, missing_images, option) -> dict:
    """Return the arguments of :func:`helpers.datasets.load_dataset` and :func:`helpers.datasets.check`."""
    from ..datasets.registry import dataset_root

    about = {"name": dataset, "root": dataset_root(root, dataset), "variant": variant, "split": split}
    return about | {"missing_images": missing_images} | _dataset_options(dataset, option or [])


def _dataset_options(dataset: str, given: list[str]) -> dict:
    """Return ``NAME=VALUE`` strings as arguments of :func:`helpers.datasets.load_dataset`, which checks the values.

    Raises:
        ValueError: an unknown data set or option (with the nearest), a missing ``=``, or a value of another type.
    """
    from ..arrays import choose
    from ..datasets import DATASETS

    entry = DATASETS[choose(dataset, DATASETS, "data set")]
    if given and not entry.options:
        raise ValueError(f"--option {given[0]}: {dataset} takes no options; leave it out")
    options = {}
    for item in given:
        name, equals, value = item.partition("=")
        read, expected = VALUES.get(entry.options[choose(name, entry.options, f"option of {dataset}")], (str, "a text"))
        message = f"--option {item}: write {name}=VALUE, {expected}"
        if not equals:
            raise ValueError(message)
        try:
            options[name] = read(value)
        except (ValueError, KeyError):
            raise ValueError(message) from None
    return options


VALUES: dict[object, tuple[Callable[[str], object], str]] = {
    int: (int, "a value of type int"),
    float | None: (float, "a value of type float"),
    bool: ({"true": True, "false": False}.__getitem__, "true or false"),
}


def check_table(out: str | None) -> None:
    """Refuse the name of a table in another format before any work."""
    if out is not None and Path(out).suffix not in (".csv", ".parquet"):
        raise ValueError(f"--out {out} must end in .csv or .parquet")


def write_table(table: "pd.DataFrame", out: str | None) -> None:
    """Write a table in the format of its file name, if one is given."""
    from ..files import replacing

    if out is not None:
        with replacing(Path(out)) as temporary:
            table.to_csv(temporary, index=False) if out.endswith(".csv") else table.to_parquet(temporary, index=False)
        print(f"written: {out}")


def warn_of_suspicion(embeddings: "EmbeddingSet", most: int = 1000) -> None:
    """Print one sentence, which names no row, if up to ``most`` random pairs look like those of a dead or swapped encoder."""
    import numpy as np

    from ..retrieval import sanity_check

    rows = np.sort(np.random.default_rng(0).permutation(len(embeddings))[:most])
    suspicion = sanity_check(embeddings.image_of(rows), embeddings.text_of(rows))["suspicion"]
    if suspicion is not None:
        print(f"warning: {suspicion}")
