"""Gains of lambda = 1 over redrawn splits of the shipped sets: ``data/measured/repeated_splits.csv``.

    python benchmarks/repeated_splits.py                 20 splits of every shipped set, and the fixed split
    python benchmarks/repeated_splits.py --splits 40     more; splits that the file has are not computed again

Heads of an encoder that was trained on the data set are trained anew on each redrawn training part. The row of the fixed split has
a bootstrap interval over its test rows.
"""

import argparse

import pandas as pd

from helpers import sweep
from helpers.files import project_root, read_json, replacing
from helpers.probing.repeated import NAMES, gain_of, repeated_gains
from helpers.store.catalogue import SHIPPED, stored
from helpers.store.embeddings import EmbeddingSet
from helpers.testbench.features import shipped_features

OUT = project_root() / "data/measured/repeated_splits.csv"
COLUMNS = [*NAMES, "heads", "split", "train", "test", "gap", "auc_at_zero", "auc", "gain", "low", "high"]


def fixed(embeddings: EmbeddingSet) -> pd.DataFrame:
    """Return the gain on the set's own split, with its bootstrap interval."""
    effects = sweep(embeddings, [0.0, 1.0], seeds=[0], workers=1, progress=False).effects(n_boot=1000)
    one = effects[effects["lambda_image"] == 1].iloc[0]
    about = {"split": "fixed", "heads": "as shipped", "low": one["low"], "high": one["high"]}
    return pd.DataFrame([{**about, **gain_of(embeddings)}])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=20, help="redrawn splits of each set")
    n_splits = parser.parse_args().splits
    found = pd.read_csv(OUT, dtype={"split": str}) if OUT.is_file() else pd.DataFrame(columns=COLUMNS)
    for state in ["fixed", *range(n_splits)]:
        for row in stored(project_root() / SHIPPED).itertuples():
            identity = (row.dataset, row.variant, row.backbone)
            if ((found[NAMES] == list(identity)).all(axis=1) & (found["split"] == str(state))).any():
                continue
            embeddings = EmbeddingSet.load(row.path)
            if state == "fixed":
                table = fixed(embeddings)
            else:
                trained = read_json(project_root() / f"data/heads/{row.backbone}.json")["trained_on"]
                own = shipped_features(row.dataset) if trained["dataset"] == row.dataset else None
                table = repeated_gains(embeddings, [state], features=own, trained_on=trained["variant"])
            table = table.assign(**dict(zip(NAMES, identity, strict=True)), split=str(state)).reindex(columns=COLUMNS)
            found = pd.concat([found, table], ignore_index=True) if len(found) else table
            with replacing(OUT) as temporary:
                found.to_csv(temporary, index=False, float_format="%.6g")
            print(f"measured: {' '.join(identity)}, split {state}", flush=True)
    print(f"written: {OUT}")


if __name__ == "__main__":
    main()
