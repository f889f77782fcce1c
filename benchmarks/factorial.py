"""The four channels of lambda = 1 as a factorial design, on the shipped sets: what page 03 shows beside one channel at a time.

    python benchmarks/factorial.py

Writes ``data/measured/channel_factorial.csv``.
"""

import argparse

import pandas as pd

from helpers import sweep
from helpers.alignment.channels import FACTORIAL
from helpers.extraction.find import select
from helpers.files import project_root, replacing
from helpers.probing.factorial import channel_effects

OUT = project_root() / "data/measured/channel_factorial.csv"
PROTOCOLS = ("paper", "authors-code", "converged")
NAMES = ("dataset", "backbone", "protocol")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="*", default=["ham10000", "flickr8k"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[42])
    parser.add_argument("--workers", type=int, help="threads")
    given = parser.parse_args()
    tables = []
    for embeddings in select(given.datasets, variant="clean"):
        for protocol in PROTOCOLS:
            options = {"alignments": FACTORIAL, "progress": False, "workers": given.workers}
            result = sweep(embeddings, [0.0, 1.0], given.seeds, protocol, **options)
            names = {name: result.provenance[name] for name in NAMES}
            found = channel_effects(result).assign(**names, n_seeds=result.runs["seed"].nunique())
            tables.append(found[[*names, *found.columns.drop(list(names))]])
            print(*names.values(), flush=True)
            with replacing(OUT) as temporary:
                pd.concat(tables, ignore_index=True).to_csv(temporary, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
