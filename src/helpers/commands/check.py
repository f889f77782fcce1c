"""``check``: report whether a copy of a data set is usable."""

from ..backbones.registry import trained
from ..datasets import check
from .arguments import add_copy, copy_arguments


def add_arguments(parser) -> None:
    """Add the arguments of the command."""
    add_copy(parser)
    parser.add_argument("--no-images", action="store_true", help="do not open the images")


def run(args) -> int:
    """Print the report on a copy; return 1 if it is not usable."""
    report = check(**copy_arguments(args), open_images=not args.no_images, tokenizers=trained())
    print(report)
    return 0 if report.usable else 1
