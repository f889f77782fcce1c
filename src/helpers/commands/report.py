"""``report``: write the numbers of one embedding set as one small file that others can add to their book."""

from pathlib import Path

from ..contributed import make_report, save_report
from ..extraction.find import embeddings_for
from ..probing.cache import RECORD, load_cached, sweep_folder
from ..probing.protocol import PROTOCOLS
from ..published import cell_faults, is_named_like_a_cell
from ..store.catalogue import folder_name
from .arguments import add_set


def add_arguments(parser) -> None:
    """Add the arguments of the command."""
    add_set(parser)
    parser.set_defaults(variant="authors")
    parser.add_argument("--by", required=True, metavar="NAME", help="who contributes the numbers, as the book will print it")
    parser.add_argument("--how", required=True, metavar="SENTENCE", help="one sentence on data, machine and anything unusual")
    parser.add_argument("--sweeps", help="folder of stored sweeps; runs/sweeps if not given")
    parser.add_argument("--n-boot", type=int, default=1000, help="bootstrap replicates of the intervals")
    parser.add_argument("--out", help="file to write; <dataset>--<variant>--<encoder>.json if not given")


def run(args) -> int:
    """Write the report, and say which cell of the paper it fills or why it fills none."""
    embeddings = embeddings_for(args.dataset, args.backbone, args.variant, args.store)
    own = embeddings.identity
    names = own.dataset, own.variant, own.backbone
    folders = [sweep_folder(*names, protocol, "lambda", args.sweeps) for protocol in PROTOCOLS]
    sweeps = [load_cached(folder) for folder in folders if (folder / RECORD).is_file()]
    report = make_report(embeddings, sweeps, args.by, args.how, args.n_boot)
    path = save_report(report, args.out or Path(f"{own.dataset}--{own.variant}--{folder_name(own.backbone)}.json"))
    print(f"{embeddings}\nwritten: {path}, {path.stat().st_size:,} bytes of numbers; sweeps: {_protocols(sweeps)}")
    if not sweeps:
        command = f"python -m helpers sweep {own.dataset} {own.backbone} --variant {own.variant}"
        print(f"the paper's Fig. 3 needs a sweep: run `{command}` first")
    print(_which_cell(report.facts))
    return 0


def _protocols(sweeps) -> str:
    return ", ".join(result.provenance["protocol"] for result in sweeps) or "none stored"


def _which_cell(facts) -> str:
    if not is_named_like_a_cell(facts.dataset, facts.variant, facts.backbone):
        return "no cell of the paper has these names; the book lists the report apart"
    faults = cell_faults(facts)
    return f"it fills no cell of the paper: {'; '.join(faults)}" if faults else "it fills its cells of the paper"
