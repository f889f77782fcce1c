"""Commands on raw data and on vectors of others: from files to embedding sets."""

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .options import Argument, Missing, Option, Required, announce, command, copy_arguments, listed, own_folder

FOLDERS = ("root", "weights", "image_from")
OF_THE_RUN = ("out", "shard", "workers", "overwrite")  # options that change place and speed, not the result


@command
def doctor(root: str | None = None, encoder: str | None = None, image: str | None = None, weights: str | None = None) -> int:
    """Say what is ready here, what is missing and how to get it; or prove an encoder, exit code 1 if it is wrong."""
    from ..backbones import load_backbone
    from ..doctor import WRONG, examine, report

    if encoder is None and (image or weights) or encoder and root:
        raise ValueError("--image and --weights belong to --encoder, and --root does not; give them apart")
    if image and not Path(image).is_file():
        raise FileNotFoundError(f"--image {image} is no file; give an image of which outputs of the encoder are known")
    rows = report(root) if encoder is None else examine(load_backbone(encoder, weights=weights), image)
    for row in rows:
        print("{:<36}  {:<8}  {}".format(*row))
    return int(any(status == WRONG for _, status, _ in rows))


@command
def datasets() -> None:
    """List the data sets, their variants and how to get them."""
    from ..datasets import DATASETS

    for name, entry in DATASETS.items():
        card, marked = entry.card, " (credentialed)" if entry.card.credentialed else ""
        print(f"{name:<12} {card.domain:<8} {card.title}{marked}: {', '.join(entry.variants)}\n{'':<13}{card.access}")


@command
def backbones() -> None:
    """List the encoders and how to get them."""
    from ..backbones.registry import REGISTRY

    for name, entry in REGISTRY.items():
        print(f"{name:<12} {entry.domain:<8} {entry.title}\n{'':<13}{entry.access}")
    print("any other: transformers:<id>, open_clip:<architecture>/<tag>, open_clip:hf-hub:<id>, <owner>/<name>, or a folder")


@command
def check(
    dataset: Argument, root: str | None = None, variant: str = "clean", split: str | None = None, missing_images: Missing = None,
    option: Option = None, no_images: bool = False,
) -> int:  # fmt: skip
    """Check a copy of a data set; exit code 1 if it is unusable."""
    from ..backbones.registry import trained
    from ..datasets import check as check_copy

    where = copy_arguments(dataset, root, variant, split, missing_images, option)
    report = check_copy(**where, open_images=not no_images, tokenizers=trained())
    print(report)
    return 0 if report.usable else 1


@command
def extract(
    context: typer.Context, dataset: Argument, backbone: Required, variant: str = "clean", root: str | None = None,
    out: str | None = None, split: str | None = None, missing_images: Missing = None, option: Option = None,
    shard: str | None = None, batch_size: Annotated[int | None, typer.Option(min=1)] = None, device: str | None = None,
    weights: str | None = None, precision: Literal["float32", "bfloat16", "float16"] = "float32",
    dtype: Literal["float32", "float16"] = "float32", workers: Annotated[int | None, typer.Option(min=0)] = None,
    on_error: Literal["fail", "skip"] = "fail", max_skipped: Annotated[float | None, typer.Option(min=0, max=1)] = None,
    image_from: str | None = None, overwrite: bool = False,
) -> None:  # fmt: skip
    """Encode a data set as an embedding set; resume where an earlier run was cut off."""
    from ..backbones import load_backbone
    from ..datasets import load_dataset
    from ..extraction.extract import extract as encode
    from ..extraction.extract import parse_shard
    from ..files import refuse_other_content
    from ..store.disk import FILES, PROVENANCE

    of_the_copy = copy_arguments(dataset, root, variant, split, missing_images, option)
    parse_shard(shard)
    if out:
        refuse_other_content(Path(out), PROVENANCE, FILES.values(), "an embedding set")
    encoder = load_backbone(backbone, device, weights)  # before the rows, which may take minutes to read
    rows = load_dataset(**of_the_copy)
    for note in rows.report.get("notes", ()):
        print(f"warning: {note}")
    folder = out or own_folder(rows.name, rows.variant, encoder.name)
    embeddings = encode(
        rows, encoder, folder, batch_size, shard, precision=precision, dtype=dtype, workers=workers, on_error=on_error,
        max_skipped=max_skipped, overwrite=overwrite, image_from=image_from, command=_extract_command(context.params, encoder.name),
    )  # fmt: skip
    if embeddings is None:
        print(f"part {shard} is done")
    else:
        announce(embeddings, folder)


def _extract_command(given: dict[str, Any], backbone: str) -> str:
    """Return the command that makes the set again, with defaults; ROOT, WEIGHTS, IMAGE_FROM replace folders of this machine."""
    words = ["python", "-m", "helpers", "extract", given["dataset"], "--backbone", backbone]
    for name, value in given.items():
        if value is None or name in ("dataset", "backbone", *OF_THE_RUN):
            continue
        for each in value if isinstance(value, list | tuple) else [value]:
            words += [f"--{name.replace('_', '-')}", name.upper() if name in FOLDERS else str(each)]
    return shlex.join(words)


@command
def import_(
    context: typer.Context, path: Argument, dataset: Required, backbone: Required, source: str | None = None,
    revision: str | None = None, variant: str = "clean", text: str | None = None, table: str | None = None,
    label: str | None = None, split: str | None = None, group: str | None = None, ids: str | None = None,
    classes: str | None = None, kind: Literal["binary", "multiclass", "multilabel"] | None = None,
    image_prefix: str = "img_emb_", text_prefix: str = "text_emb_", duplicates: Literal["fail", "drop"] = "fail",
    missing_labels: Literal["fail", "drop", "zero"] = "fail", uncertain: Literal["drop", "zero", "one"] | None = None,
    out: str | None = None, overwrite: bool = False,
) -> None:  # fmt: skip
    """Import embeddings computed elsewhere, from a table, arrays or a folder."""
    import pandas as pd

    from ..datasets.audit import find_split_problems, find_warnings
    from ..datasets.registry import Draft
    from ..datasets.splits import by_group, resplit, seen_in_train
    from ..store import EmbeddingSet
    from ..store.disk import PROVENANCE
    from ..store.foreign import naming, read_vectors

    own = own_folder(dataset, variant, backbone)  # which checks the names
    folder = Path(out) if out else own
    if any(Path(file).resolve().is_relative_to(folder.resolve()) for file in (path, text, table) if file):
        raise ValueError(f"the output {folder} holds an input of the import; give a folder apart from it")
    if (folder / PROVENANCE).is_file() and not overwrite:
        raise FileExistsError(f"{folder} holds an embedding set; pass --overwrite to replace it, or give another --out")
    with naming(table or path, path):
        given = {name: value for name, value in context.params.items() if name not in ("path", "out", "overwrite")}
        given |= {"label": listed(label) if label and "," in label else label, "classes": classes.split(",") if classes else None}
        found = read_vectors(path, **given)
        embeddings = EmbeddingSet.from_arrays(**found)
    split_is_missing, grouped = found["split"] is None, found["groups"] is not None
    if split_is_missing:  # where each row has one class, every class is divided in proportion
        embeddings = resplit(embeddings, by_group(pd.Series(embeddings.tied_groups), embeddings.pairs.get("label")))
    embeddings.save(folder)
    announce(embeddings, folder)
    for note in embeddings.provenance.get("data_report", {}).get("notes", ()):
        print(note)
    if split_is_missing:
        print(f"no split was given: {'whole groups' if grouped else 'rows'} were split at random, 70 % train, 20 % test, 10 % val")
        if tied := (embeddings.pairs.groupby("image")["group"].transform("nunique") > 1).sum():
            print(f"{tied} rows share their image vector with a row of another group, and were kept in one split with it")
    elif seen := seen_in_train(embeddings.pairs)["image"].sum():
        print(f"warning: {seen} test rows have an image vector that also occurs in train; test scores are too high for new images")
    if not grouped:
        print("warning: no groups were given (--group): rows of one patient may be on both sides of the split")
    if embeddings.labelled:
        about = Draft(embeddings.pairs, embeddings.task)
        for sentence in (*find_split_problems(about), *find_warnings(about)):
            print(f"warning: {sentence}")
