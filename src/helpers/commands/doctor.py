"""``doctor``: report what is ready on this machine, what is missing and how to get it."""

from ..doctor import report


def add_arguments(parser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--root", help="folder that holds data sets under their names")


def run(args) -> int:
    """Print what is ready and what is missing."""
    rows = report(args.root)
    width = max(len(str(row[0])) for row in rows)
    for what, status, how in rows:
        print(f"{what:<{width}}  {status:<8}  {how}")
    return 0
