"""Commands on raw data and on vectors of others: from files to embedding sets."""

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .options import Dataset, Missing, Option, Root, SetFolder, Split, Variant, announce, app, copy_arguments, listed, own_folder

FOLDERS = ("root", "weights", "image_from")
OF_THE_RUN = ("out", "shard", "workers", "overwrite")  # options that change place and speed, not the result
IMPORTED = """Table of columns img_emb_*, text_emb_*, or of two columns of vectors (CSV, TSV, Parquet, Arrow, JSON, JSON lines);
arrays (NPZ, safetensors, torch.save; NPY (2, n, d), or of images with --text); clip-retrieval's or Hugging Face's folder."""
SPLIT_COLUMN = "Column of train, val, test; `split` if there is one, else a random one by group."


@app.command(epilog="Example: modality-gap doctor --root /data")
def doctor(
    root: Annotated[str | None, typer.Option(help="Folder that holds data sets under their names.")] = None,
    encoder: Annotated[str | None, typer.Option(help="Load this encoder and prove it.")] = None,
    image: Annotated[str | None, typer.Option(help="File of which outputs of the encoder are known.")] = None,
    weights: Annotated[str | None, typer.Option(help="Local folder or file of weights.")] = None,
) -> int:
    """Say what is ready here, what is missing and how to get it; or prove an encoder, exit code 1 if it is wrong."""
    from ..doctor import WRONG, examine, report

    if encoder is None and (image or weights) or encoder and root:
        raise ValueError("--image and --weights belong to --encoder, and --root does not; give them apart")
    if image and not Path(image).is_file():
        raise FileNotFoundError(f"--image {image} is no file; give an image of which outputs of the encoder are known")
    if encoder is None:
        rows = report(root)
    else:
        from ..backbones import load_backbone

        rows = examine(load_backbone(encoder, weights=weights), image)
    for row in rows:
        print("{:<36}  {:<8}  {}".format(*row))
    return int(any(status == WRONG for _, status, _ in rows))


@app.command(epilog="Example: modality-gap datasets")
def datasets() -> None:
    """List the data sets, their variants and how to get them."""
    from ..datasets import DATASETS

    for name, entry in DATASETS.items():
        card, marked = entry.card, " (credentialed)" if entry.card.credentialed else ""
        print(f"{name:<12} {card.domain:<8} {card.title}{marked}: {', '.join(entry.variants)}\n{'':<13}{card.access}")


@app.command(epilog="Example: modality-gap backbones")
def backbones() -> None:
    """List the encoders and how to get them."""
    from ..backbones.registry import REGISTRY

    for name, entry in REGISTRY.items():
        print(f"{name:<12} {entry.domain:<8} {entry.title}\n{'':<13}{entry.access}")
    print("any other: transformers:<id>, open_clip:<architecture>/<tag>, open_clip:hf-hub:<id>, <owner>/<name>, or a folder")


@app.command(epilog="Example: modality-gap check manifest --root pairs.csv --option label=diagnosis --option group=patient")
def check(
    dataset: Dataset, root: Root = None, variant: Variant = "clean", split: Split = None, missing_images: Missing = None,
    option: Option = None, no_images: Annotated[bool, typer.Option("--no-images", help="Do not open the images.")] = False,
) -> int:  # fmt: skip
    """Check a copy of a data set; exit code 1 if it is unusable."""
    from ..backbones.registry import trained
    from ..datasets import check as check_copy

    where = copy_arguments(dataset, root, variant, split, missing_images, option)
    report = check_copy(**where, open_images=not no_images, tokenizers=trained())
    print(report)
    return 0 if report.usable else 1


@app.command(epilog="Example: modality-gap extract ham10000 --backbone clip --root /data/ham10000")
def extract(
    context: typer.Context, dataset: Dataset,
    backbone: Annotated[str, typer.Option(help="Name, id or folder of the encoder; `backbones` lists them.")],
    variant: Variant = "clean", root: Root = None, out: SetFolder = None, split: Split = None, missing_images: Missing = None,
    option: Option = None,
    shard: Annotated[str | None, typer.Option(help="k/n: only the k-th of n parts; a call without it joins them.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images encoded at a time; 256 on CUDA, else 32.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; cuda if there is one.")] = None,
    weights: Annotated[str | None, typer.Option(help="Local folder or file of weights; else the model hub.")] = None,
    precision: Annotated[Literal["float32", "bfloat16", "float16"], typer.Option(help="Of the encoder.")] = "float32",
    dtype: Annotated[Literal["float32", "float16"], typer.Option(help="Of the stored vectors.")] = "float32",
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that decode images; by the number of cores.")] = None,
    on_error: Annotated[Literal["fail", "skip"], typer.Option(help="Fail on rows that cannot be encoded, or skip them.")] = "fail",
    max_skipped: Annotated[float | None, typer.Option(min=0, max=1, help="Largest share of rows to skip; 0.05.")] = None,
    image_from: Annotated[str | None, typer.Option(help="Folder of a set with the same image vectors, to refer to.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a set that is damaged or made from other data.")] = False,
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


@app.command("import", epilog="Example: modality-gap import vectors.npz --dataset mine --backbone clip")
def import_(
    path: Annotated[str, typer.Argument(help=IMPORTED)],
    dataset: Annotated[str, typer.Option(help="Name to give.")],
    backbone: Annotated[str, typer.Option(help="Name to give.")],
    source: Annotated[str | None, typer.Option(help="Repository of the encoder, openai/clip-vit-base-patch32; recorded.")] = None,
    revision: Annotated[str | None, typer.Option(help="Commit of that repository, 40 hexadecimal digits; recorded.")] = None,
    variant: Annotated[str, typer.Option(help="clean, authors, common or a name of your own.")] = "clean",
    text: Annotated[str | None, typer.Option(help="File of text vectors, if PATH holds those of images.")] = None,
    table: Annotated[str | None, typer.Option(help="Table of labels, splits and groups, for arrays.")] = None,
    label: Annotated[str | None, typer.Option(help="Label column, or 0/1 columns; `label` if there is one.")] = None,
    split: Annotated[str | None, typer.Option(help=SPLIT_COLUMN)] = None,
    group: Annotated[str | None, typer.Option(help="Column of rows that belong together, such as one patient's.")] = None,
    ids: Annotated[str | None, typer.Option(help="Column of unique names; else row numbers.")] = None,
    classes: Annotated[str | None, typer.Option(help="Class names in order, by commas; needed if one is None or NA.")] = None,
    kind: Annotated[Literal["binary", "multiclass", "multilabel"] | None, typer.Option(help="Of the task.")] = None,
    image_prefix: Annotated[str, typer.Option(help="Of the coordinate columns, or the column or array, of images.")] = "img_emb_",
    text_prefix: Annotated[str, typer.Option(help="The same of texts.")] = "text_emb_",
    duplicates: Annotated[Literal["fail", "drop"], typer.Option(help="Fail on a pair that occurs twice, or drop it.")] = "fail",
    missing_labels: Annotated[Literal["fail", "drop"], typer.Option(help="Fail on a missing label, or drop its row.")] = "fail",
    out: SetFolder = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing set.")] = False,
) -> None:
    """Import embeddings computed elsewhere, from a table, arrays or a folder."""
    import pandas as pd

    from ..datasets.audit import find_split_problems, find_warnings
    from ..datasets.registry import Draft
    from ..datasets.splits import by_group, resplit, seen_in_train
    from ..store import EmbeddingSet
    from ..store.disk import PROVENANCE
    from ..store.foreign import naming, read_vectors

    folder = Path(out) if out else own_folder(dataset, variant, backbone)
    if (folder / PROVENANCE).is_file() and not overwrite:
        raise FileExistsError(f"{folder} holds an embedding set; pass --overwrite to replace it, or give another --out")
    with naming(table or path, path):
        found = read_vectors(
            path, listed(label) if label and "," in label else label, text, table, split=split, group=group, ids=ids,
            kind=kind, classes=classes.split(",") if classes else None, image_prefix=image_prefix, text_prefix=text_prefix,
            duplicates=duplicates, missing_labels=missing_labels, dataset=dataset, variant=variant, backbone=backbone,
            source=source, revision=revision,
        )  # fmt: skip
        embeddings = EmbeddingSet.from_arrays(**found)
        del found["image"], found["text"]  # the set has its own
    split_is_missing, grouped = found["split"] is None, found["groups"] is not None
    if split_is_missing:  # where each row has one class, every class is divided in proportion
        embeddings = resplit(embeddings, by_group(pd.Series(embeddings.tied_groups), embeddings.pairs.get("label")))
    embeddings.save(folder)
    announce(embeddings, folder)
    if dropped := embeddings.provenance["imported_from"].get("rows_without_label"):
        print(f"{dropped} rows with a missing label were dropped")
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
