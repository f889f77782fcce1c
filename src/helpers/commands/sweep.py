"""``sweep``: train probes over the grid of alignments and seeds, and store them under ``runs/sweeps`` for notebook 03."""

import json
from dataclasses import fields

import pandas as pd

from ..extraction.find import embeddings_for
from ..probing.cache import RECORD, is_up_to_date, load_cached, run_sweep, sweep_folder
from ..probing.export import refuse_ending, refuse_private, score_table, write_scores
from ..probing.grid import Grid
from ..probing.inference import SELECTED
from ..probing.protocol import PROTOCOLS
from .arguments import add_set, count

NUMBERS = {"lambdas": float, "alignment_lambdas": float, "seeds": int}
HELP = {
    "protocol": f"how probes are trained: {', '.join(PROTOCOLS)}",
    "lambdas": "strengths of the shift along the gap",
    "seeds": "one probe per seed, lambda and kind of features",
    "features": "what a probe sees: joint, image, text",
    "alignments": "other alignments, swept on joint features; none when empty",
    "alignment_lambdas": "strengths of these alignments",
}


def add_arguments(parser) -> None:
    """Add the arguments of the command."""
    add_set(parser)
    defaults = Grid()
    for field in fields(Grid):
        explained = f"{HELP[field.name]} (default: {' '.join(map(str, getattr(defaults, field.name)))})"
        option = f"--{field.name.replace('_', '-')}"
        parser.add_argument(option, nargs="*", metavar="VALUE", help=explained)
    parser.add_argument("--settings", default="{}", help="the same as JSON; single options go before it")
    parser.add_argument("--sweeps", help="folder for the results; runs/sweeps if not given")
    parser.add_argument("--export", metavar="FILE", help="write the test scores row by row as .parquet, .csv or .csv.gz")
    parser.add_argument("--workers", type=count, help="probes are trained by as many threads; one per core if not given")


def run(args) -> int:
    """Run or find the sweeps of one embedding set, store them, and print the gain of lambda under each protocol."""
    given = {field.name: _values(args, field.name) for field in fields(Grid) if getattr(args, field.name) is not None}
    grid = Grid.of(_parsed(args.settings) | given)
    embeddings = embeddings_for(args.dataset, args.backbone, args.variant, args.store)
    identity = embeddings.identity
    if args.export:
        refuse_ending(args.export)
        refuse_private(identity.dataset)
    lines, exported = [], []
    for protocol in grid.protocol:
        for part in grid.parts:
            folder = sweep_folder(identity.dataset, identity.variant, identity.backbone, protocol, part, args.sweeps)
            if is_up_to_date(folder, embeddings, grid.arguments(part)):
                (folder / RECORD).touch()
                print(f"up to date: {folder}")
                result = load_cached(folder)
            else:
                result = run_sweep(embeddings, protocol, grid.arguments(part), folder, args.workers)
                print(f"stored: {folder}")
            if args.export:
                exported.append(score_table(result, part))
            if part == "lambda":
                lines.append(_worth(result).assign(protocol=protocol))
    if exported:
        print(f"test scores: {write_scores(exported, args.export)}")
    print(_table(lines))
    return 0


def _values(args, name: str) -> list:
    """Return the values of an option, divided by blanks or commas.

    Raises:
        ValueError: a value is not a number; names the option.
    """
    kind, values = NUMBERS.get(name, str), []
    for value in filter(None, ",".join(getattr(args, name)).split(",")):
        try:
            values.append(kind(value))
        except ValueError:
            expected = {int: "a whole number", float: "a number"}[kind]
            raise ValueError(f"--{name.replace('_', '-')}: {value!r} is not {expected}") from None
    return values


def _worth(result):
    """Return the choice on validation by features, joint features alone where there are some."""
    best = result.best
    return best[best["features"] == "joint"] if (best["features"] == "joint").any() else best


def _table(lines) -> str:
    table = pd.concat(lines).set_index(["protocol", "features"])[["lambda_image", *SELECTED[:-1]]]
    names = {"lambda_image": "lambda", "auc_at_zero": "AUC(0)", "auc": "AUC", "difference": "gain"}
    return (
        f"lambda chosen on validation rows, judged on test rows (95 % bootstrap interval):\n{table.rename(columns=names).round(4)}"
    )


def _parsed(settings: str) -> dict:
    try:
        found = json.loads(settings)
    except json.JSONDecodeError as error:
        raise ValueError(f'--settings is not valid JSON ({error}); write for example \'{{"protocol": ["converged"]}}\'') from None
    if not isinstance(found, dict):
        raise ValueError(f'--settings is {settings}, not a JSON object; write for example \'{{"protocol": ["converged"]}}\'')
    return found
