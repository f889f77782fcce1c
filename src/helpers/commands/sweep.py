"""``sweep``: probes over the grid of alignments and seeds, kept under ``runs/sweeps`` where notebook 03 finds them."""

import json

from ..extraction.find import embeddings_for
from ..probing.cache import PARTS, RECORD, complete_settings, is_up_to_date, run_sweep, sweep_folder, sweep_settings
from .arguments import add_set


def add_arguments(parser) -> None:
    add_set(parser)
    parser.add_argument("--settings", default="{}", help="JSON: protocol, lambdas, seeds, features, channels, channel_lambdas")
    parser.add_argument("--sweeps", help="folder for the results; runs/sweeps if not given")
    parser.add_argument("--workers", type=int, help="threads")


def run(args) -> int:

    settings = complete_settings(_parsed(args.settings))
    embeddings = embeddings_for(args.dataset, args.backbone, args.variant, args.store)
    identity = [str(embeddings.provenance.get(k, given)) for k, given in _identity(args)]
    for protocol in settings.pop("protocol"):
        for part in PARTS:
            grid = sweep_settings(part, **settings)
            if part == "lambda" or len(grid["kinds"]) > 1:
                folder = sweep_folder(*identity, protocol, part, args.sweeps)
                if is_up_to_date(folder, embeddings, grid):
                    (folder / RECORD).touch()
                    print(f"up to date: {folder}")
                else:
                    run_sweep(embeddings, protocol, grid, folder, args.workers)
                    print(f"kept: {folder}")
    return 0


def _identity(args):
    return (("dataset", args.dataset), ("variant", args.variant), ("backbone", args.backbone))


def _parsed(settings: str) -> dict:
    try:
        return json.loads(settings)
    except json.JSONDecodeError as error:
        raise ValueError(f'--settings is not valid JSON ({error}); write for example \'{{"protocol": ["converged"]}}\'') from None
