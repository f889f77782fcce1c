"""Run one step of the workflow by hand: ``python -m helpers COMMAND``.

A call imports only its own command's module, so that ``--help`` answers at once. Exit codes: 0 success, 1 unusable data, 2 bad
input, 130 interrupted. An error is one sentence; ``--debug`` adds the traceback.
"""

import argparse
import os
import sys
import warnings
from importlib import import_module

DISTRIBUTION = "modality-gap-book"
COMMANDS = {
    "doctor": "say what is ready, what is missing and how to get it",
    "datasets": "list the data sets, their variants and how to get them",
    "backbones": "list the encoders and how to get them",
    "check": "check a copy of a data set; exit code 1 if it is unusable",
    "extract": "encode a data set; resume where an earlier run was cut off",
    "import": "import embeddings computed elsewhere (.csv, .tsv, .parquet, .npz, .npy)",
    "cone": "measure the cones and the gap of an embedding set",
    "sweep": "train probes over lambda and seeds, and store the results",
    "report": "write the numbers of an embedding set as one small file, to contribute its cells to the book",
    "recommend": "say which alignment, if any, is worth using on an embedding set, and save it",
    "view": "turn an executed notebook into one HTML file with its numbers in the prose",
    "heads": "store tower features, or train the projection heads of a lit-* encoder",
    "diversity": "measure pixel variance and the share of distinct texts, before any encoder",
    "lengths": "count text lengths in words and in the tokens of each available encoder",
    "miniature": "write a small synthetic copy of a data set in the layout of its release",
}


class _Parser(argparse.ArgumentParser):
    """Parser whose errors are one sentence."""

    def error(self, message: str):
        self.exit(2, f"error: {message}; `{self.prog} --help` lists the arguments\n")


class _Version(argparse.Action):
    """Option that prints the distribution's version and looks it up only when used."""

    def __call__(self, parser, *_) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(version(DISTRIBUTION))
        except PackageNotFoundError:
            print(f"{DISTRIBUTION} is not installed; it runs from its source folder")
        parser.exit()


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of all commands, with the arguments of ``command`` filled in."""
    root = _Parser(prog="python -m helpers", description="Measure, shift and probe image-text embeddings.")
    root.add_argument("--debug", action="store_true", help="show the traceback of an error")
    root.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, help_text in COMMANDS.items():
        one = commands.add_parser(name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".")
        if name == command:
            module = import_module(f".commands.{'import_' if name == 'import' else name}", __package__)
            module.add_arguments(one)
            one.set_defaults(run=module.run, options=list(one._option_string_actions))
    return root


def _refuse(word: str, command: str | None, options: list[str]) -> None:
    """Raise a ValueError for a word that no argument takes; names the nearest option."""
    from .arrays import choose

    choose(word.partition("=")[0], [name for name in options if name.startswith("--")], f"argument of {command}")


def _warn(message, *_, **__) -> None:
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    command = next((word for word in arguments if not word.startswith("-")), None)
    try:
        if command is not None and command not in COMMANDS:
            from .arrays import choose  # imported here so that --help does not wait for numpy

            choose(command, COMMANDS, "command")
        args, unknown = parser(command).parse_known_args(arguments)
        options = vars(args).pop("options")
        if unknown:
            _refuse(unknown[0], command, options)
        warnings.showwarning = _warn
        return args.run(args)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        if "--debug" in arguments:
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
