"""Run one step, ``modality-gap COMMAND``; exits with 0, 1 for unusable data, 2 for bad input, 130 if interrupted."""

import sys
import warnings
from functools import partial
from pathlib import Path

import typer
from typer.exceptions import TyperException

from .arrays import shortened
from .commands import data, sets  # noqa: F401 (they add their commands to the app)
from .commands.options import HELP, app


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    program = "modality-gap" if Path(sys.argv[0]).stem == "modality-gap" else "python -m helpers"
    warnings.showwarning = partial(_say, "warning")  # type: ignore[assignment]
    try:
        return app(arguments, prog_name=program, standalone_mode=False) or 0
    except TyperException as error:
        command = " ".join([program, *(word for word in arguments[:1] if word in HELP), "--help"])
        return _say("error", f"{error.format_message().rstrip('.')}; `{command}` lists the arguments")
    except (ValueError, OSError, ImportError, RuntimeError, MemoryError, ArithmeticError) as error:
        if "--debug" in arguments:
            raise
        return _say("error", error)
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        return 130


def _say(kind: str, message, *_, **__) -> int:
    print(f"{kind}: {shortened(' '.join(str(message).split()))}", file=sys.stderr)
    return 2
