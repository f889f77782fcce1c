"""``import``: embeddings computed elsewhere to an embedding set."""

from pathlib import Path


def add_arguments(commands) -> None:
    parser = commands.add_parser("import", help="bring in embeddings computed elsewhere (.csv, .npz)")
    parser.add_argument("path", help=".csv or .npz")
    parser.add_argument("--dataset", required=True, help="name to give")
    parser.add_argument("--backbone", required=True, help="name to give")
    parser.add_argument("--variant", default="clean")
    parser.add_argument("--labels", help="label column(s) of a CSV, separated by commas")
    parser.add_argument("--out", help="folder of the set; runs/embeddings/<dataset>/<variant>/<backbone> if not given")
    parser.set_defaults(run=run)


def run(args) -> int:
    from ..library import OWN, folder_name, project_root
    from ..store import EmbeddingSet

    readers = {".csv": EmbeddingSet.from_csv, ".npz": EmbeddingSet.from_npz}
    ending = Path(args.path).suffix
    if ending not in readers:
        raise ValueError(f"{args.path} must end in .csv or .npz")
    options = {"labels": args.labels.split(",")} if args.labels and ending == ".csv" else {}
    embeddings = readers[ending](args.path, **options, dataset=args.dataset, variant=args.variant, backbone=args.backbone)
    out = args.out or project_root() / OWN / args.dataset / args.variant / folder_name(args.backbone)
    embeddings.save(out)
    print(f"{embeddings}\n{out}")
    return 0
