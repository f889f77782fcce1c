"""``lengths``: count the lengths of a data set's texts in words and in tokens."""

from ..backbones.registry import trained
from ..datasets import load_dataset
from ..datasets.audit import text_lengths, texts_cut, tokenizers_at_hand
from .arguments import add_copy, add_output, copy_arguments, write_table


def add_arguments(parser) -> None:
    """Add the arguments of the command."""
    add_copy(parser)
    add_output(parser)


def run(args) -> int:
    """Print how many texts each encoder cuts, and write the text lengths."""
    table = text_lengths(load_dataset(**copy_arguments(args)), tokenizers_at_hand(trained())[0])
    print(texts_cut(table).to_string(index=False))
    return write_table(table, args.out)
