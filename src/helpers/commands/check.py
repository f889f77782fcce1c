"""``check``: can a copy of a data set be used?"""

from ..backbones.registry import trained
from ..datasets import check
from .arguments import add_copy, copy_arguments


def add_arguments(parser) -> None:
    add_copy(parser)
    parser.add_argument("--no-images", action="store_true", help="do not open the images")


def run(args) -> int:
    report = check(**copy_arguments(args), open_images=not args.no_images, tokenizers=trained())
    print(report)
    return 0 if report.usable else 1
