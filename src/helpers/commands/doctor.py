"""``doctor``: what is ready on this machine, what is missing and how to get it."""

from ..doctor import report


def add_arguments(parser) -> None:
    parser.add_argument("--root", help="folder that holds data sets under their names")


def run(args) -> int:
    rows = report(args.root)
    width = max(len(str(row[0])) for row in rows)
    for what, status, how in rows:
        print(f"{what:<{width}}  {status:<8}  {how}")
    return 0
