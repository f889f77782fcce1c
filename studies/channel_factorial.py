"""Measure the four channels of lambda = 1 in a factorial design on the shipped sets, for page 03.

    python studies/channel_factorial.py
"""

import pandas as pd
from common import shipped_sets

from helpers import sweep
from helpers.alignment.channels import FACTORIAL
from helpers.files import project_root, replacing
from helpers.probing.factorial import channel_effects

INPUTS = ["data/embeddings/**/*"]
OUT = "data/measured/channel_factorial.csv"
PROTOCOLS = ("paper", "authors-code", "converged")
SEEDS = (42,)
NAMES = ["dataset", "backbone", "protocol"]


def main() -> None:
    tables = []
    for embeddings in (s for s in shipped_sets() if s.identity.variant != "authors"):
        for protocol in PROTOCOLS:
            result = sweep(embeddings, [0.0, 1.0], SEEDS, protocol, alignments=FACTORIAL, progress=False)
            names = {name: result.provenance[name] for name in NAMES}
            found = channel_effects(result).assign(**names, n_seeds=len(SEEDS))
            tables.append(found[[*NAMES, *found.columns.drop(NAMES)]])
            print(*names.values(), flush=True)
    with replacing(project_root() / OUT) as temporary:
        pd.concat(tables, ignore_index=True).to_csv(temporary, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
