"""``diversity``: measure how varied the images and texts of a data set are before any encoder."""

from ..datasets import load_dataset
from ..datasets.audit import diversity_table
from .arguments import add_copy, add_output, copy_arguments, write_table


def add_arguments(parser) -> None:
    """Add the arguments of the command."""
    add_copy(parser)
    add_output(parser)


def run(args) -> int:
    """Print and write the diversity of a data set."""
    table = diversity_table(load_dataset(**copy_arguments(args)))
    print(table.to_string(index=False, float_format="{:.4f}".format))
    return write_table(table, args.out)
