"""``import``: embeddings computed elsewhere to an embedding set."""

from pathlib import Path

from ..datasets.base import Draft
from ..datasets.check import find_split_problems, find_warnings
from ..files import project_root
from ..store.catalogue import OWN, folder_name
from ..store.embeddings import EmbeddingSet


def add_arguments(parser) -> None:
    parser.add_argument("path", help="CSV of img_emb_*, text_emb_* columns; NPZ; or NPY of image vectors, with --text and --table")
    parser.add_argument("--dataset", required=True, help="name to give")
    parser.add_argument("--backbone", required=True, help="name to give")
    parser.add_argument("--variant", default="clean", help="clean, authors or common")
    parser.add_argument("--text", help="NPY of text vectors")
    parser.add_argument("--table", help="CSV of labels, splits and groups, for arrays")
    parser.add_argument("--label", default="label", help="label column, or 0/1 columns separated by commas")
    parser.add_argument("--split", default="split", help="column of train, val, test")
    parser.add_argument("--group", help="column of rows that belong together, such as one patient's")
    parser.add_argument("--ids", help="column of unique names")
    parser.add_argument("--out", help="folder of the set; runs/embeddings/<dataset>/<variant>/<backbone> if not given")


def run(args) -> int:

    columns = {name: getattr(args, name) for name in ("split", "group", "ids")}
    columns["label"] = args.label.split(",") if "," in args.label else args.label
    names = {name: getattr(args, name) for name in ("dataset", "variant", "backbone")}
    ending = Path(args.path).suffix
    if ending == ".csv":
        embeddings = EmbeddingSet.from_csv(args.path, **columns, **names)
    elif ending in (".npz", ".npy"):
        embeddings = EmbeddingSet.from_npz(args.path, text=args.text, table=args.table, **columns, **names)
    else:
        raise ValueError(f"{args.path} must end in .csv, .npz or .npy")
    out = args.out or project_root() / OWN / args.dataset / args.variant / folder_name(args.backbone)
    embeddings.save(out)
    print(f"{embeddings}\n{out}")
    told = Draft(embeddings.pairs, embeddings.task)
    for sentence in [*find_split_problems(told), *find_warnings(told)]:
        print(f"warning: {sentence}")
    return 0
