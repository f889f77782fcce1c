"""Gains of lambda = 1 over redrawn splits of the shipped sets: ``data/measured/repeated_splits.csv``.

    python benchmarks/repeated_splits.py                 20 splits of every shipped set, and the fixed split
    python benchmarks/repeated_splits.py --splits 40     more; splits that the file has are not computed again
    python benchmarks/repeated_splits.py --only flickr8k/common/lit-derm

Heads of an encoder that was trained on the data set are trained anew on each redrawn training part. The row of the fixed split has
a bootstrap interval over its test rows.
"""

import argparse

import pandas as pd

from helpers import sweep
from helpers.files import project_root, replacing
from helpers.probing.repeated import NAMES, gain_of, heads_to_retrain, repeated_gains
from helpers.store.catalogue import SHIPPED, stored
from helpers.store.embeddings import EmbeddingSet

OUT = project_root() / "data/measured/repeated_splits.csv"
COLUMNS = [*NAMES, "heads", "split", "train", "test", "gap", "auc_at_zero", "auc", "gain", "low", "high"]


def fixed(embeddings: EmbeddingSet) -> pd.DataFrame:
    """Return the gain on the set's own split, with its bootstrap interval."""
    effects = sweep(embeddings, [0.0, 1.0], seeds=[0], workers=1, progress=False).effects(n_boot=1000)
    one = effects[effects["lambda_image"] == 1].iloc[0]
    about = {"split": "fixed", "heads": "as shipped", "low": one["low"], "high": one["high"]}
    return pd.DataFrame([{**about, **gain_of(embeddings)}])


def of_split(identity: tuple[str, str, str], embeddings: EmbeddingSet, state) -> pd.DataFrame:
    """Return the row of one split of one set; ``state`` is a random state or ``fixed``."""
    if state == "fixed":
        table = fixed(embeddings)
    else:
        table = repeated_gains(embeddings, [state], 1.0, *heads_to_retrain(embeddings))
    return table.assign(**dict(zip(NAMES, identity, strict=True)), split=str(state)).reindex(columns=COLUMNS)


def stored_gains() -> pd.DataFrame:
    """Return the rows that the file has."""
    return pd.read_csv(OUT, dtype={"split": str}) if OUT.is_file() else pd.DataFrame(columns=COLUMNS)


def measured(identity: tuple[str, str, str], state) -> bool:
    """Return whether the file has this split of this set."""
    found = stored_gains()
    return bool(((found[NAMES] == list(identity)).all(axis=1) & (found["split"] == str(state))).any())


def add(table: pd.DataFrame) -> None:
    """Append rows to the file, which another run may have changed meanwhile."""
    found = stored_gains()
    with replacing(OUT) as temporary:
        pd.concat([found, table] if len(found) else [table]).to_csv(temporary, index=False, float_format="%.6g")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=20, help="redrawn splits of each set")
    parser.add_argument("--only", help="one set, as DATASET/VARIANT/ENCODER")
    args = parser.parse_args()
    for row in stored(project_root() / SHIPPED).itertuples():
        identity = (row.dataset, row.variant, row.backbone)
        if args.only in (None, "/".join(identity)):
            for state in ["fixed", *range(args.splits)]:
                if not measured(identity, state):
                    add(of_split(identity, EmbeddingSet.load(row.path), state))
                    print(f"measured: {' '.join(identity)}, split {state}", flush=True)
    print(f"written: {OUT}")


if __name__ == "__main__":
    main()
