"""``recommend``: recommend an alignment, or none, for a stored set and its task."""

from pathlib import Path

from ..extraction.find import embeddings_for
from ..files import project_root
from ..probing.protocol import PROTOCOLS
from ..recommend import recommend, snippet
from ..store.catalogue import folder_name
from .arguments import add_set, write_table


def add_arguments(parser) -> None:
    """Add the arguments of the command."""
    add_set(parser)
    parser.add_argument("--alignments", nargs="+", default=[], metavar="NAME", help="alignments to try; all when not given")
    parser.add_argument("--protocol", default="converged", choices=list(PROTOCOLS), help="of the probe")
    parser.add_argument("--n-boot", type=int, default=1000, help="bootstrap replicates over test rows")
    parser.add_argument("--save", help="file of the fitted alignment; runs/alignments/<set>.safetensors if not given")
    parser.add_argument("--out", help="write the table as .csv or .parquet")


def run(args) -> int:
    """Print the table and the recommendation, save the alignment and print how to apply it."""
    embeddings = embeddings_for(args.dataset, args.backbone, args.variant, args.store)
    tried = {"alignments": args.alignments} if args.alignments else {}
    found = recommend(embeddings, protocol=args.protocol, n_boot=args.n_boot, **tried)
    print(found.table.to_string(index=False, float_format="{:.4f}".format))
    for name, reason in found.impossible.items():
        print(f"not tried: {name} ({reason})")
    print(found.sentences())
    name = "--".join(folder_name(str(embeddings.provenance.get(k, "own"))) for k in ("dataset", "variant", "backbone"))
    path = found.save(Path(args.save) if args.save else project_root() / "runs/alignments" / f"{name}.safetensors")
    print(f"saved: {path}\n\n{snippet(path)}")
    return write_table(found.table, args.out)
