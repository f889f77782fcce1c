"""Fakeddit: Reddit posts with an image and a title, true or fake."""

from pathlib import Path

import pandas as pd

from ..images import index_images, locate
from ..tasks import Task
from .registry import Draft
from .splits import SEED, first_seen
from .tables import classes_of, first_file, read_table, unique

FILES = {"train": "multimodal_train.tsv", "val": "multimodal_validate.tsv", "test": "multimodal_test_public.tsv"}
FOLDERS = ("images", "public_image_set")
SHARE = {"authors": 0.2, "clean": 1.0}
CLASSES = ("0", "1")


def read(root: Path, variant: str, split: str, share: float | None = None) -> Draft:
    """Read the rows of Fakeddit; the group is the title, which reposts share.

    Args:
        share: share of each official part to sample, stratified and seeded; the variant's own when None.
    """
    share = SHARE[variant] if share is None else float(share)
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}, expected a number above 0 and at most 1")
    parts, textual = [], 0
    for part, name in FILES.items():
        path = first_file(root, (name,))
        table = read_table(path, ("id", "clean_title", "hasImage", "2_way_label"))
        unique(table["id"], path)
        classes_of(table["2_way_label"], CLASSES, path)
        table["split"] = part
        pictured = table["hasImage"].str.lower() != "false"
        textual += int((~pictured).sum())
        parts.append(_sample(table[pictured], share))
    table = pd.concat(parts, ignore_index=True)
    rows = table[["id", "clean_title", "split", "2_way_label"]].set_axis(["pair_id", "text", "split", "label"], axis=1)
    rows["image"] = locate(rows["pair_id"], index_images(root, FOLDERS))
    rows["group"] = rows["text"].str.strip().str.lower().fillna(rows["pair_id"])
    report = {"rows_marked_as_text_only": textual}
    if variant == "clean":
        first = first_seen(rows, "group")
        rows, report = rows[first], {**report, "rows_with_a_title_of_an_earlier_part": int((~first).sum())}
    return Draft(rows, Task("binary", CLASSES), report)


def _sample(table: pd.DataFrame, share: float) -> pd.DataFrame:
    if share == 1:
        return table
    from sklearn.model_selection import train_test_split  # as in splits.by_row

    return train_test_split(table, train_size=share, stratify=table["2_way_label"], random_state=SEED)[0]
