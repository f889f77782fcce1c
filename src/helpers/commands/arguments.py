"""Share arguments and output between commands."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..arrays import choose
from ..datasets import DATASETS
from ..datasets.registry import dataset_root
from ..files import replacing
from ..retrieval import sanity_check
from ..store.embeddings import EmbeddingSet


def add_set(parser) -> None:
    """Add the arguments that name an embedding set: data set, encoder, variant, store."""
    parser.add_argument("dataset", help="name of the data set; `datasets` lists them")
    parser.add_argument("backbone", help="name of the encoder; `backbones` lists them")
    parser.add_argument("--variant", default="clean", help="clean or authors")
    parser.add_argument("--store", help="folder <dataset>/<variant>/<backbone>; data/embeddings, then runs/embeddings if not given")


def add_options(parser) -> None:
    """Add the options of one data set, such as ``--option uncertain=zero --option min_count=5``."""
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="option of the data set, repeatable")


def add_copy(parser) -> None:
    """Add the arguments that name one copy of one data set; :func:`copy_arguments` reads them."""
    parser.add_argument("dataset", help="name of the data set; `datasets` lists them")
    parser.add_argument("--root", help="folder of the data set, the folder that holds it under its name, or a table")
    parser.add_argument("--variant", default="clean", help="clean or authors")
    parser.add_argument("--split", help="one of the splits the variant offers")
    parser.add_argument("--missing-images", choices=("error", "drop"), help="stop at a missing image, or drop its row")
    add_options(parser)


def copy_arguments(args) -> dict:
    """Return the arguments of :func:`helpers.datasets.load_dataset` and :func:`helpers.datasets.check`."""
    about = {"name": args.dataset, "root": dataset_root(args.root, args.dataset), "variant": args.variant, "split": args.split}
    return about | {"missing_images": args.missing_images} | dataset_options(args.dataset, args.option)


def count(text: str) -> int:
    """Return a whole number of at least 1, the type of an argument.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is not a whole number of at least 1")


def add_output(parser) -> None:
    """Add ``--out``, where :func:`write_table` writes a table."""
    parser.add_argument("--out", help="write the table as .csv or .parquet")


def dataset_options(dataset: str, given: list[str]) -> dict:
    """Return ``NAME=VALUE`` strings as arguments of :func:`helpers.datasets.load_dataset`, which checks the values.

    Raises:
        ValueError: an unknown data set or option (with the nearest), a missing ``=``, or a value of another type.
    """
    kinds = DATASETS[choose(dataset, DATASETS, "data set")].options
    if given and not kinds:
        raise ValueError(f"--option {given[0]}: {dataset} takes no options; leave it out")
    options = {}
    for item in given:
        name, equals, value = item.partition("=")
        read, expected = _READ.get(kinds[choose(name, kinds, f"option of {dataset}")], (str, "a text"))
        message = f"--option {item}: write {name}=VALUE, {expected}"
        if not equals:
            raise ValueError(message)
        try:
            options[name] = read(value)
        except (ValueError, KeyError):
            raise ValueError(message) from None
    return options


_READ: dict[object, tuple[Callable[[str], object], str]] = {
    int: (int, "a value of type int"),
    float | None: (float, "a value of type float"),
    bool: ({"true": True, "false": False}.__getitem__, "true or false"),
}


def write_table(table, out: str | None) -> int:
    """Write a table in the format of its file name, if one is given; return exit code 0.

    Raises:
        ValueError: the ending is neither .csv nor .parquet.
    """
    if out is None:
        return 0
    if Path(out).suffix not in (".csv", ".parquet"):
        raise ValueError(f"--out {out} must end in .csv or .parquet")
    with replacing(Path(out)) as temporary:
        table.to_csv(temporary, index=False) if out.endswith(".csv") else table.to_parquet(temporary, index=False)
    print(f"written: {out}")
    return 0


def warn_of_suspicion(embeddings: EmbeddingSet, most: int = 1000) -> None:
    """Print one sentence, which names no row, if up to ``most`` random pairs look like those of a dead or swapped encoder."""
    rows = np.sort(np.random.default_rng(0).permutation(len(embeddings))[:most])
    suspicion = sanity_check(embeddings.image_of(rows), embeddings.text_of(rows))["suspicion"]
    if suspicion is not None:
        print(f"warning: {suspicion}")
