"""Two costlier studies of page 03 on the shipped sets: the channels as a factorial design, and descents of matched length.

    python benchmarks/parts.py factorial
    python benchmarks/parts.py matched

Writes ``data/measured/channel_factorial.csv`` or ``data/measured/matched_updates.csv``.
"""

import argparse

import pandas as pd

from helpers import sweep
from helpers.alignment.channels import FACTORIAL
from helpers.extraction.find import select
from helpers.files import project_root, replacing
from helpers.probing.factorial import channel_effects
from helpers.probing.grid import SEEDS
from helpers.probing.protocol import BRSET_UPDATES

OUT = project_root() / "data/measured"
SWEPT = {"factorial": ("paper", "authors-code", "converged"), "matched": ("paper-matched", "authors-code-matched")}
FILES = {"factorial": "channel_factorial.csv", "matched": "matched_updates.csv"}


def factorial(result) -> pd.DataFrame:
    """Return what each channel gives alone, without the others and on average."""
    return channel_effects(result)


def matched(result) -> pd.DataFrame:
    """Return AUC(0) and what lambda = 1 adds to it after as many updates as the authors' probe has on BRSET."""
    effects = result.effects()
    at_zero = effects.loc[effects["lambda_image"] == 0, "auc"].item()
    found = effects.loc[effects["lambda_image"] == 1, ["auc", "difference", "low", "high", "seed_sd"]]
    best_is_last = (result.runs["epochs"] == result.runs["trained"]).mean()
    return found.assign(auc_at_zero=at_zero, updates=BRSET_UPDATES, best_epoch_is_last=best_is_last)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=tuple(SWEPT))
    parser.add_argument("--datasets", nargs="*", default=["ham10000", "flickr8k"])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    given = parser.parse_args()
    alignments = FACTORIAL if given.study == "factorial" else ("lambda",)
    tables = []
    for embeddings in select(given.datasets, variant="clean"):
        for protocol in SWEPT[given.study]:
            result = sweep(embeddings, [0.0, 1.0], given.seeds, protocol, alignments=alignments, progress=False)
            names = {name: result.provenance[name] for name in ("dataset", "backbone", "protocol")}
            tables.append({"factorial": factorial, "matched": matched}[given.study](result).assign(**names))
            print(*names.values(), flush=True)
    table = pd.concat(tables, ignore_index=True)
    with replacing(OUT / FILES[given.study]) as temporary:
        table[[*names, *table.columns.drop(list(names))]].to_csv(temporary, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
