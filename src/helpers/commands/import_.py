"""``import``: turn embeddings computed elsewhere into an embedding set."""

from pathlib import Path

import pandas as pd

from ..datasets.base import Draft
from ..datasets.check import find_split_problems, find_warnings
from ..datasets.splits import by_group
from ..files import project_root
from ..store.catalogue import OWN
from ..store.disk import PROVENANCE
from ..store.embeddings import EmbeddingSet
from ..store.foreign import DUPLICATES, naming, read_arrays, read_csv
from ..store.identity import Identity
from ..store.tables import TABLES, ending
from .arguments import warn_of_suspicion

ARRAYS = (".npz", ".npy")


def add_arguments(parser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "path",
        help="CSV, TSV or Parquet of img_emb_*, text_emb_* columns; NPZ; NPY (2, n, d); NPY of image vectors, with --text; "
        "or a folder with img_emb/*.npy and text_emb/*.npy",
    )
    parser.add_argument("--dataset", required=True, help="name to give")
    parser.add_argument("--backbone", required=True, help="name to give")
    parser.add_argument("--source", help="repository of the encoder, such as openai/clip-vit-base-patch32; recorded as given")
    parser.add_argument("--revision", help="commit of that repository, 40 hexadecimal digits; recorded as given")
    parser.add_argument("--variant", default="clean", help="clean, authors, common or a name of your own; clean if not given")
    parser.add_argument("--text", help="NPY of text vectors")
    parser.add_argument("--table", help="CSV, TSV or Parquet of labels, splits and groups, for arrays")
    parser.add_argument("--label", help="label column, or 0/1 columns separated by commas; `label` if there is one")
    parser.add_argument(
        "--split", help="column of train, val, test; `split` if there is one, else a random one by group for labelled rows"
    )
    parser.add_argument("--group", help="column of rows that belong together, such as one patient's")
    parser.add_argument("--ids", help="column of unique names")
    parser.add_argument("--image-prefix", default="img_emb_", help="of the coordinate columns of images")
    parser.add_argument("--text-prefix", default="text_emb_", help="of the coordinate columns of texts")
    parser.add_argument("--duplicates", choices=DUPLICATES, default="fail", help="fail on a pair that occurs twice, or drop it")
    parser.add_argument("--out", help="folder of the set; runs/embeddings/<dataset>/<variant>/<backbone> if not given")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing set")


def run(args) -> int:
    """Import the vectors, print the set and warn of what it lacks."""
    identity = Identity(args.dataset, args.variant, args.backbone)
    out = Path(args.out) if args.out else project_root() / OWN / identity.folder
    if (out / PROVENANCE).is_file() and not args.overwrite:
        raise FileExistsError(f"{out} holds an embedding set; pass --overwrite to replace it, or give another --out")
    with naming(args.table or args.path, args.path):
        arguments = _read(args)
        split_is_missing = arguments["split"] is None and arguments["labels"] is not None
        if split_is_missing:
            arguments["split"] = _split_by_group(arguments)
        embeddings = EmbeddingSet.from_arrays(**arguments)
    embeddings.save(out)
    print(f"{embeddings}\n{out}")
    warn_of_suspicion(embeddings)
    if split_is_missing:
        print("no split was given: whole groups were split at random into 70 % train, 20 % test and 10 % val")
    if embeddings.labelled:
        about = Draft(embeddings.pairs, embeddings.task)
        for sentence in [*find_split_problems(about), *find_warnings(about)]:
            print(f"warning: {sentence}")
    return 0


def _read(args) -> dict:
    """Read the vectors as the path's ending says, and return the arguments of ``EmbeddingSet.from_arrays``."""
    options = {name: getattr(args, name) for name in ("split", "group", "ids", "dataset", "variant", "backbone")}
    encoder = {name: getattr(args, name) for name in ("source", "revision") if getattr(args, name)}
    options |= {"encoder": encoder} if encoder else {}
    options["label"] = args.label.split(",") if args.label and "," in args.label else args.label
    path = Path(args.path)
    if ending(path) in TABLES:
        prefixes = {"image_prefix": args.image_prefix, "text_prefix": args.text_prefix}
        return read_csv(path, duplicates=args.duplicates, **prefixes, **options)
    if path.is_dir() or ending(path) in ARRAYS:
        return read_arrays(path, text=args.text, table=args.table, **options)
    raise ValueError(f"{path} must end in {', '.join((*TABLES, *ARRAYS))}, or be a folder with img_emb and text_emb")


def _split_by_group(arguments: dict):
    """Return a random split by group; if each row has one class, every class is divided in proportion."""
    labels, groups = arguments["labels"], arguments["groups"]
    groups = pd.Series(range(len(labels)) if groups is None else groups)
    return by_group(groups, pd.Series(labels.astype(str)) if labels.ndim == 1 else None)
