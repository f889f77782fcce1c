"""``cone``: geometry of a stored embedding set."""

from .arguments import add_set, write_table


def add_arguments(commands) -> None:
    parser = commands.add_parser("cone", help="mean resultant length, gap, directions and ranks of an embedding set")
    add_set(parser)
    parser.add_argument("--n-boot", type=int, default=1000, help="bootstrap replicates; 0 for no intervals")
    parser.add_argument("--out", help="write the table as .csv or .parquet")
    parser.set_defaults(run=run)


def run(args) -> int:
    from ..cone import cone_table
    from ..library import embeddings_for

    table = cone_table(embeddings_for(args.dataset, args.backbone, args.variant, args.store), args.n_boot)
    print(table[["modality", "quantity", "value", "low", "high"]].to_string(index=False, float_format="{:.4f}".format, na_rep=""))
    return write_table(table, args.out)
