"""``miniature``: write a small synthetic copy of a data set for trials."""

from ..datasets import miniatures


def add_arguments(parser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("dataset", help="name of the data set to imitate")
    parser.add_argument("--out", required=True, help="a new folder")
    parser.add_argument("--n", type=int, help="number of images")
    parser.add_argument("--random-state", "--seed", type=int, default=0, help="equal numbers give equal files")


def run(args) -> int:
    """Write the miniature and print its folder."""
    print(f"synthetic, nothing in it is real: {miniatures.write(args.dataset, args.out, args.n, args.random_state)}")
    return 0
