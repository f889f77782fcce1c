"""COCO-QA: questions made from captions of COCO photographs, one-word answers."""

from pathlib import Path

import pandas as pd

from ..images import index_images
from ..tasks import Task
from .base import Card, Draft
from .tables import parallel_lines

FOLDERS = ("images", "train2017", "val2017", "train2014", "val2014")
SPLITS = {"common": ("official",)}
CARD = Card(
    title="COCO-QA",
    domain="natural",
    source="University of Toronto; photographs from MS-COCO",
    licence="Questions for research; photographs under their Flickr licences (COCO terms of use)",
    citation="ren2015cocoqa",
    access=(
        "Unpack cocoqa-2015-05-17.zip (folders train/ and test/) from "
        "https://www.cs.toronto.edu/~mren/research/imageqa/data/cocoqa/ and the COCO images, 2014 or 2017 naming, from "
        "https://cocodataset.org into one folder."
    ),
    size="117,684 questions",
    notes=(
        "A repeated question on one image counts once, which gives the authors' 116,238.",
        "The official split has no validation part. An image is repeated once per question.",
    ),
)


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
