"""The larger study of notebook 10: where the gap comes from, and whether the gain of lambda = 1 follows it.

    python benchmarks/gap_study.py study flickr8k --epochs 400
    python benchmarks/gap_study.py dials flickr8k

Writes ``data/measured/gap_study.csv``, or ``gap_dials.csv`` and ``gap_dials_tests.csv``; rows of other data sets there stay.
"""

import argparse

import numpy as np
import pandas as pd

from helpers import sweep
from helpers.datasets import canonical_variant
from helpers.extraction.find import embeddings_for
from helpers.files import project_root, replacing
from helpers.geometry import gap_norm, mean_resultant_length
from helpers.testbench.dials import dialled, permuted_within
from helpers.testbench.features import shipped_features
from helpers.testbench.study import embeddings_under, gap_study, head_measures
from helpers.testbench.training import Settings, training_path

OUT = project_root() / "data/measured"
EPOCHS = (0, 1, 3, 10, 30, 60, 100, 200, 400)
PROTOCOLS = ("paper", "authors-code", "converged")
CONES = {(0.75, 0.75): (0.02, 0.4, 0.75, 1.2), (0.9, 0.5): (0.42, 0.75, 1.2), (0.5, 0.9): (0.42, 0.75, 1.2)}


def store(table: pd.DataFrame, name: str, dataset: str) -> None:
    """Write a table in place of the rows of this data set."""
    path = OUT / name
    if path.is_file():
        old = pd.read_csv(path)
        table = pd.concat([old[old["dataset"] != dataset], table], ignore_index=True)
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.5g")


def gains(embeddings, about: dict, seeds: tuple[int, ...]) -> list[dict]:
    """Gain of lambda = 1 under each protocol, with its interval, beside the geometry of all pairs."""
    image, text = embeddings.image_of(), embeddings.text_of()
    geometry = {"R_image": mean_resultant_length(image), "R_text": mean_resultant_length(text), "gap": gap_norm(image, text)}
    rows = []
    for protocol in PROTOCOLS:
        effects = sweep(embeddings, [0.0, 1.0], seeds, protocol, progress=False, workers=1).effects(n_boot=500)
        at = effects.set_index("lambda_image")
        one = at.loc[1.0]
        found = {"auc_at_zero": at.loc[0.0, "auc"], "gain": one["difference"], "low": one["low"], "high": one["high"]}
        rows.append({**about, **geometry, "protocol": protocol, **found})
    return rows


def dials(dataset: str, seeds: tuple[int, ...], states: range, temperatures: tuple) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both dials on one data set, and the tests of whether gains follow the gap."""
    stored = embeddings_for(dataset, "lit-natural" if dataset == "flickr8k" else "lit-derm")
    rows = []
    for (image, text), gaps in CONES.items():
        for gap in gaps:
            about = {"dataset": dataset, "dial": "exact", "block": f"{image}/{text}", "setting": gap}
            rows += gains(dialled(stored, image, text, gap), about, seeds)
    features, variant = shipped_features(dataset), canonical_variant(dataset, "clean")
    for state in states:
        for temperature in temperatures:
            *_, heads = training_path(features.pairs(variant, "train"), Settings(temperature, random_state=state))
            measured = head_measures(heads, features.pairs(variant, "test"))
            about = {"dataset": dataset, "dial": "temperature", "block": f"seed {state}", "setting": temperature}
            about |= {name: measured[name] for name in ("rank_image", "rank_text", "recall")}
            rows += gains(embeddings_under(heads, features, stored), about, seeds)
    table = pd.DataFrame(rows)
    return table, follow(table)


def follow(table: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of the gain with the gap and with the inequality of the cones, and its permutation p."""
    table = table.assign(inequality=(table["R_image"] - table["R_text"]).abs())
    rows = []
    for (dataset, dial, protocol), part in table.groupby(["dataset", "dial", "protocol"], sort=False):
        for cause, within in (("gap", "block"), ("inequality", None if dial == "exact" else "block")):
            correlation, p = permuted_within(part, cause, "gain", within)
            named = {"gap": "gap", "inequality": "unequal cones"}[cause]
            rows.append({"dataset": dataset, "dial": dial, "protocol": protocol, "cause": named, "n": len(part),
                         "largest gain": np.abs(part["gain"]).max(), "correlation": correlation, "p": p})  # fmt: skip
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("study", "dials"))
    parser.add_argument("dataset", choices=("flickr8k", "ham10000"))
    parser.add_argument("--epochs", type=int, default=400, help="study: the last epoch measured")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.005, 0.01, 0.02, 0.07])
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-4, 1e-3])
    parser.add_argument("--heads", type=int, default=3, help="random states of the heads, from 0 on")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44], help="dials: seeds of the probes")
    args = parser.parse_args()
    if args.what == "study":
        variant, epochs = canonical_variant(args.dataset, "clean"), [e for e in EPOCHS if e <= args.epochs]
        table = gap_study(shipped_features(args.dataset), variant, args.temperatures, args.rates, epochs, range(args.heads))
        store(table, "gap_study.csv", args.dataset)
        return
    table, tests = dials(args.dataset, tuple(args.seeds), range(args.heads), tuple(args.temperatures))
    store(table, "gap_dials.csv", args.dataset)
    store(tests, "gap_dials_tests.csv", args.dataset)


if __name__ == "__main__":
    main()
