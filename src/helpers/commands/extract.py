"""``extract``: encode the images and texts of a data set as an embedding set."""

import shlex

from ..backbones import load_backbone
from ..datasets import load_dataset
from ..datasets.registry import dataset_root
from ..extraction.extract import extract
from ..files import project_root
from ..store.catalogue import OWN
from ..store.identity import Identity
from .arguments import add_options, dataset_options, warn_of_suspicion

FOLDERS = ("root", "weights", "image_from")
OF_THE_RUN = ("out", "shard", "workers", "overwrite")  # options that change place and speed, not the result


def add_arguments(parser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("dataset", help="name of the data set; `datasets` lists them")
    parser.add_argument("--backbone", required=True, help="name, id or folder of the encoder; `backbones` lists them")
    parser.add_argument("--variant", default="clean", help="clean or authors")
    parser.add_argument("--root", help="folder of the data set, the folder that holds it under its name, or a table")
    parser.add_argument("--out", help="folder of the set; runs/embeddings/<dataset>/<variant>/<backbone> if not given")
    parser.add_argument("--split", help="one of the splits the variant offers")
    parser.add_argument("--missing-images", choices=("error", "drop"), help="stop at a missing image, or drop its row")
    add_options(parser)
    parser.add_argument("--shard", help="k/n: only the k-th of n parts; a call without it joins them")
    parser.add_argument("--batch-size", type=int, help="images encoded at a time")
    parser.add_argument("--device", help="cpu or cuda")
    parser.add_argument("--weights", help="local folder or file of weights")
    parser.add_argument("--precision", default="float32", help="float32, bfloat16 or float16")
    parser.add_argument("--dtype", default="float32", help="of the stored vectors: float32 or float16")
    parser.add_argument("--workers", type=int, help="processes that decode images")
    parser.add_argument("--on-error", default="fail", help="fail, or skip rows that cannot be encoded")
    parser.add_argument("--max-skipped", type=float, default=0.05, help="largest share of rows that skip may exclude")
    parser.add_argument("--image-from", help="folder of a set with the same image vectors, to refer to")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a set that is damaged, or made from other data or by another encoder"
    )


def run(args) -> int:
    """Extract the set, print it and warn if pairs look wrong."""
    root = dataset_root(args.root, args.dataset)
    options = dataset_options(args.dataset, args.option)
    dataset = load_dataset(args.dataset, root, args.variant, args.split, args.missing_images, **options)
    backbone = load_backbone(args.backbone, args.device, args.weights)
    out = args.out or project_root() / OWN / Identity(dataset.name, dataset.variant, backbone.name).folder
    embeddings = extract(
        dataset,
        backbone,
        out,
        args.batch_size,
        args.shard,
        precision=args.precision,
        dtype=args.dtype,
        workers=args.workers,
        on_error=args.on_error,
        max_skipped=args.max_skipped,
        overwrite=args.overwrite,
        image_from=args.image_from,
        command=command_line(args, backbone.name),
    )
    if embeddings is None:
        print(f"part {args.shard} is done")
        return 0
    print(f"{embeddings}\n{out}")
    warn_of_suspicion(embeddings)
    return 0


def command_line(args, backbone: str) -> str:
    """Return the command that makes the set again, with defaults; ROOT, WEIGHTS, IMAGE_FROM replace folders of this machine.

    Args:
        args: parsed arguments.
        backbone: the encoder's public name; the last part of a folder.
    """
    words = ["python", "-m", "helpers", "extract", args.dataset, "--backbone", backbone]
    for name, value in vars(args).items():
        if value is None or name in ("command", "run", "debug", "dataset", "backbone", *OF_THE_RUN):
            continue
        for each in value if isinstance(value, list) else [value]:
            words += [f"--{name.replace('_', '-')}", name.upper() if name in FOLDERS else str(each)]
    return shlex.join(words)
