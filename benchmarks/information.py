"""Eq. 2 and information against lambda on every shipped set: ``data/measured/information.csv``.

    python benchmarks/information.py                  what the file lacks
    python benchmarks/information.py --only ham10000/clean/lit-derm

``study`` says what a row is of: ``label``, ``modality``, ``forces`` or ``critic`` (modules of helpers.information). The file is
written after each study, and a study that it has is not computed again.
"""

import argparse

import pandas as pd

from helpers.files import project_root, replacing
from helpers.information.study import LAMBDAS, STUDIES, measured_information
from helpers.store.catalogue import SHIPPED, stored
from helpers.store.embeddings import EmbeddingSet

OUT = project_root() / "data/measured/information.csv"
NAMES = ["dataset", "variant", "backbone", "study"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="one set, as DATASET/VARIANT/ENCODER")
    parser.add_argument("--studies", nargs="+", choices=STUDIES, default=STUDIES)
    parser.add_argument("--lambdas", nargs="+", type=float, default=LAMBDAS, help="0 first")
    args = parser.parse_args()
    for row in stored(project_root() / SHIPPED).itertuples():
        identity = (row.dataset, row.variant, row.backbone)
        if args.only not in (None, "/".join(identity)):
            continue
        for study in args.studies:
            found = [pd.read_csv(OUT)] if OUT.is_file() else []
            if any((table[NAMES] == [*identity, study]).all(axis=1).any() for table in found):
                continue
            table = measured_information(EmbeddingSet.load(row.path), study, args.lambdas)
            with replacing(OUT) as temporary:
                pd.concat([*found, table], ignore_index=True).to_csv(temporary, index=False, float_format="%.5g")
            print(f"measured: {' '.join(identity)}, {study}", flush=True)


if __name__ == "__main__":
    main()
