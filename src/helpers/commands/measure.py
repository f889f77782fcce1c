"""``measure``: measure the geometry of real encoders on vectors that others published."""

from ..testbench.public_encoders import measure_folder
from .arguments import add_output, write_table


def add_arguments(parser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("folder", help="holds clip.npy, convirt.npy, ... of shape (2, n, d)")
    add_output(parser)


def run(args) -> int:
    """Print and write the measures of every encoder in a folder."""
    table = measure_folder(args.folder)
    print(table.drop(columns=["source", "commit"]).to_string(index=False, float_format="{:.4f}".format))
    return write_table(table, args.out)
