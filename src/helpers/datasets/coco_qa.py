"""COCO-QA: questions made from captions of COCO photographs, one-word answers."""

from pathlib import Path

import pandas as pd

from ..images import index_images
from ..tasks import Task
from .registry import Draft
from .tables import parallel_lines

FOLDERS = ("images", "train2017", "val2017", "train2014", "val2014")


def read(root: Path, variant: str, split: str) -> Draft:
    """Read the rows of COCO-QA, one per question; the group is the image."""
    parts = []
    for part in ("train", "test"):
        files = {"text": "questions.txt", "label": "answers.txt", "number": "img_ids.txt"}
        table = parallel_lines({column: root / part / name for column, name in files.items()})
        table["pair_id"] = [f"{part}-{i:06d}" for i in range(len(table))]
        table["split"] = part
        parts.append(table)
    rows = pd.concat(parts, ignore_index=True)
    again = rows.duplicated(["number", "text"])
    rows = rows[~again].reset_index(drop=True)
    # The last twelve digits of a stem are the image's number in the names of 2014 and of 2017.
    by_number = {Path(path).stem[-12:]: path for path in index_images(root, FOLDERS).values()}
    rows["image"] = pd.Series([by_number.get(number.zfill(12)) for number in rows["number"]], dtype=object)
    rows = rows.rename(columns={"number": "group"})
    return Draft(rows, Task("multiclass", tuple(sorted(set(rows["label"])))), {"repeated_questions": int(again.sum())})
