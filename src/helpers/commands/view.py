"""``view``: turn an executed notebook into one HTML file with its numbers in the prose."""

from ..book.view import write_html


def add_arguments(parser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("notebook", help="the notebook that papermill wrote")
    parser.add_argument("--out", metavar="FILE", help="HTML file to write; beside the notebook if not given")


def run(args) -> int:
    """Write the file and print its path."""
    print(write_html(args.notebook, args.out))
    return 0
