"""Eq. 2 and information against lambda on every shipped set: ``data/measured/information.csv``.

python benchmarks/information.py

``study`` says what a row is of: ``label`` (helpers.information.label), ``modality``, ``forces`` or ``critic``. The file is
written anew after each set.
"""

import pandas as pd

from helpers.files import project_root, replacing
from helpers.information.study import STUDIES, measured_information
from helpers.store.catalogue import SHIPPED, stored
from helpers.store.embeddings import EmbeddingSet

OUT = project_root() / "data/measured/information.csv"


def main() -> None:
    frames = []
    for row in stored(project_root() / SHIPPED).itertuples():
        embeddings = EmbeddingSet.load(row.path)
        frames += [measured_information(embeddings, study) for study in STUDIES]
        with replacing(OUT) as temporary:
            pd.concat(frames, ignore_index=True).to_csv(temporary, index=False, float_format="%.5g")
        print(f"measured: {row.dataset} {row.variant} {row.backbone}", flush=True)
    print(f"written: {OUT}")


if __name__ == "__main__":
    main()
