"""Count, by class, the test images of the authors' split of HAM10000 and those whose lesion is also in train.

MEASURED_ROOT=FOLDER python studies/ham10000_straddling.py

FOLDER holds ham10000/HAM10000_metadata.csv of the release; no image is read.
"""

import os
from pathlib import Path

import pandas as pd

from helpers.datasets.splits import by_row, seen_in_train
from helpers.files import project_root, replacing

INPUTS = ["$MEASURED_ROOT/ham10000/HAM10000_metadata.csv"]
OUT = "data/audit/ham10000_straddling.csv"


def straddling(metadata: pd.DataFrame) -> pd.DataFrame:
    """Return one row per class: ``class, test_images, lesion_in_train``."""
    rows = metadata.assign(split=by_row(metadata["dx"]), group=metadata["lesion_id"], image=0, text=0)
    test = rows[rows["split"] == "test"].assign(lesion_in_train=seen_in_train(rows)["group"])
    counts = test.groupby("dx")["lesion_in_train"].agg(test_images="size", lesion_in_train="sum")
    return counts.rename_axis("class").reset_index()


if __name__ == "__main__":
    metadata = pd.read_csv(Path(os.path.expandvars(INPUTS[0])), usecols=["lesion_id", "dx"])
    with replacing(project_root() / OUT) as temporary:
        straddling(metadata).to_csv(temporary, index=False)
