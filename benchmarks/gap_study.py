"""The costly results of notebook 10: heads over training seeds, the gap along training, and both dials for the gap.

    python benchmarks/gap_study.py heads flickr8k
    python benchmarks/gap_study.py study flickr8k --epochs 400
    python benchmarks/gap_study.py dials flickr8k

Each writes tables of its own in ``data/measured`` (``gap_heads.csv``, ``gap_study.csv``, ``gap_dials.csv`` and
``gap_dials_tests.csv``) after every setting; rows of other data sets there stay. Pages read these files.
"""

import argparse
from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np
import pandas as pd

from helpers import sweep
from helpers.datasets import canonical_variant
from helpers.extraction.find import embeddings_for
from helpers.files import project_root, replacing
from helpers.geometry import gap_norm, mean_resultant_length
from helpers.testbench import LEARNED
from helpers.testbench.dials import dialled, dialled_in_span, permuted_within
from helpers.testbench.features import shipped_features
from helpers.testbench.study import embeddings_under, gap_study, head_measures
from helpers.testbench.training import Settings, training_path

OUT = project_root() / "data/measured"
EPOCHS = (0, 1, 3, 10, 30, 60, 100, 200, 400)
PROTOCOLS = ("paper", "authors-code", "converged")
CONES = {(0.75, 0.75): (0.02, 0.4, 0.75, 1.2), (0.9, 0.5): (0.42, 0.75, 1.2), (0.5, 0.9): (0.42, 0.75, 1.2)}
IN_SPAN = {cones: (0.45, 0.75, 1.1) for cones in CONES}
ENCODERS = {"flickr8k": "lit-natural", "ham10000": "lit-derm"}


def store(table: pd.DataFrame, name: str, dataset: str) -> None:
    """Write a table in place of the rows of this data set."""
    path = OUT / name
    if path.is_file():
        old = pd.read_csv(path)
        table = pd.concat([old[old["dataset"] != dataset], table], ignore_index=True)
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.5g")


def store_as_it_grows(tables: Iterable[pd.DataFrame], name: str, dataset: str) -> pd.DataFrame:
    """Write the rows so far after each setting, so that an interruption loses one setting, and return them all."""
    parts: list[pd.DataFrame] = []
    for table in tables:
        parts.append(table)
        store(pd.concat(parts, ignore_index=True), name, dataset)
        print(f"{name}: {dataset}, {len(parts)} settings", flush=True)
    return pd.concat(parts, ignore_index=True)


def heads(dataset: str, rates: list[float], states: range) -> Iterator[pd.DataFrame]:
    """Yield the held-out measures of heads trained as long as the shipped ones, at their temperature and at a learned one."""
    features, variant = shipped_features(dataset), canonical_variant(dataset, "clean")
    pairs, held_out = features.pairs(variant, "train"), features.pairs(variant, "test")
    for rate, temperature, state in product(rates, (Settings.temperature, LEARNED), states):
        settings = Settings(temperature, rate, random_state=state)
        *_, last = training_path(pairs, settings)
        about = {"dataset": dataset, "temperature": str(temperature), "random_state": state, "reached": last.temperature}
        about |= {"rate": settings.rate, "epoch": settings.epochs}
        yield pd.DataFrame([{**about, **head_measures(last, held_out)}])


def study(dataset: str, temperatures: list[float], rates: list[float], epochs: list[int], states: range) -> Iterator[pd.DataFrame]:
    """Yield :func:`gap_study` of one setting after the other."""
    features, variant = shipped_features(dataset), canonical_variant(dataset, "clean")
    for rate in rates:
        for temperature in temperatures:
            for state in states:
                yield gap_study(features, variant, [temperature], [rate], epochs, [state])


def gains(embeddings, about: dict, seeds: tuple[int, ...]) -> pd.DataFrame:
    """Gain of lambda = 1 under each protocol, with its interval, beside the geometry of all pairs."""
    image, text = embeddings.image_of(), embeddings.text_of()
    geometry = {"R_image": mean_resultant_length(image), "R_text": mean_resultant_length(text), "gap": gap_norm(image, text)}
    rows = []
    for protocol in PROTOCOLS:
        effects = sweep(embeddings, [0.0, 1.0], seeds, protocol, progress=False, workers=1).effects(n_boot=500)
        at = effects.set_index("lambda_image")
        one = at.loc[1.0]
        found = {"auc_at_zero": at.loc[0.0, "auc"], "gain": one["difference"], "low": one["low"], "high": one["high"]}
        rows.append({**about, **geometry, "protocol": protocol, "seeds": len(seeds), **found})
    return pd.DataFrame(rows)


def dials(dataset: str, seeds: tuple[int, ...], states: range, temperatures: list[float]) -> Iterator[pd.DataFrame]:
    """Yield the gains at each setting of the dials: exact, exact with the axes in the data's span, and the temperature."""
    stored = embeddings_for(dataset, ENCODERS[dataset])
    for dial, set_gap, blocks in (("exact", dialled, CONES), ("in-span", dialled_in_span, IN_SPAN)):
        for (image, text), gaps in blocks.items():
            for gap in gaps:
                about = {"dataset": dataset, "dial": dial, "block": f"{image}/{text}", "setting": gap}
                yield gains(set_gap(stored, image, text, gap), about, seeds)
    features, variant = shipped_features(dataset), canonical_variant(dataset, "clean")
    for state in states:
        for temperature in temperatures:
            *_, heads = training_path(features.pairs(variant, "train"), Settings(temperature, random_state=state))
            measured = head_measures(heads, features.pairs(variant, "test"))
            about = {"dataset": dataset, "dial": "temperature", "block": f"seed {state}", "setting": temperature}
            about |= {name: measured[name] for name in ("rank_image", "rank_text", "recall")}
            yield gains(embeddings_under(heads, features, stored), about, seeds)


def follow(table: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of the gain with the gap and with the inequality of the cones, and its permutation p."""
    table = table.assign(inequality=(table["R_image"] - table["R_text"]).abs())
    rows = []
    for (dataset, dial, protocol), part in table.groupby(["dataset", "dial", "protocol"], sort=False):
        for cause, within in (("gap", "block"), ("inequality", "block" if dial == "temperature" else None)):
            correlation, p = permuted_within(part, cause, "gain", within)
            named = {"gap": "gap", "inequality": "unequal cones"}[cause]
            rows.append({"dataset": dataset, "dial": dial, "protocol": protocol, "cause": named, "n": len(part),
                         "largest gain": np.abs(part["gain"]).max(), "correlation": correlation, "p": p})  # fmt: skip
    return pd.DataFrame(rows)


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("heads", "study", "dials"))
    parser.add_argument("dataset", choices=tuple(ENCODERS))
    parser.add_argument("--epochs", type=int, default=400, help="study: the last epoch measured")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[0.01, 0.02, 0.07])
    parser.add_argument("--rates", type=float, nargs="+", help="of AdamW; heads: 3e-4 5e-4 1e-3 if not given, study: 3e-4 1e-3")
    parser.add_argument("--heads", type=int, help="random states of the heads, from 0 on; heads: 5 if not given, else 3")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44], help="dials: seeds of the probes")
    args = parser.parse_args()
    states = range(args.heads or (5 if args.what == "heads" else 3))
    if args.what == "heads":
        store_as_it_grows(heads(args.dataset, args.rates or [3e-4, 5e-4, 1e-3], states), "gap_heads.csv", args.dataset)
    elif args.what == "study":
        epochs = [e for e in EPOCHS if e <= args.epochs]
        settings = study(args.dataset, args.temperatures, args.rates or [3e-4, 1e-3], epochs, states)
        store_as_it_grows(settings, "gap_study.csv", args.dataset)
    else:
        settings = dials(args.dataset, tuple(args.seeds), states, args.temperatures)
        store(follow(store_as_it_grows(settings, "gap_dials.csv", args.dataset)), "gap_dials_tests.csv", args.dataset)


if __name__ == "__main__":
    main()
