"""``diversity``: how varied the images and texts of a data set are before any encoder."""

from ..datasets import load_dataset
from ..datasets.audit import diversity_table
from .arguments import add_copy, add_output, copy_arguments, write_table


def add_arguments(parser) -> None:
    add_copy(parser)
    add_output(parser)


def run(args) -> int:
    table = diversity_table(load_dataset(**copy_arguments(args)))
    print(table.to_string(index=False, float_format="{:.4f}".format))
    return write_table(table, args.out)
