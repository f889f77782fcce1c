"""``python -m helpers``: the steps of the workflow by hand. Errors are one line; exit code 2 for bad input, 1 for unusable data."""

import argparse
import os
import sys

from .commands import bring, cone, extract, heads, look, sweep

COMMANDS = (look, extract, cone, sweep, bring, heads)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    root = argparse.ArgumentParser(prog="python -m helpers", description="Measure, shift and probe image-text embeddings.")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add_arguments(commands)
    return root


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    args = parser().parse_args(arguments)
    try:
        return args.run(args)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
