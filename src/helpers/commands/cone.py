"""``cone``: measure the geometry of a stored embedding set."""

from ..cones import cone_table
from ..extraction.find import embeddings_for
from .arguments import add_set, write_table


def add_arguments(parser) -> None:
    """Add the arguments of the command."""
    add_set(parser)
    parser.add_argument("--n-boot", type=int, default=1000, help="bootstrap replicates; 0 for no intervals")
    parser.add_argument("--out", help="write the table as .csv or .parquet")


def run(args) -> int:
    """Print and write the geometry of a stored set."""
    embeddings = embeddings_for(args.dataset, args.backbone, args.variant, args.store)
    table = cone_table(embeddings, args.n_boot)
    print(embeddings)
    print(table[["modality", "quantity", "value", "low", "high"]].to_string(index=False, float_format="{:.4f}".format, na_rep=""))
    return write_table(table, args.out)
