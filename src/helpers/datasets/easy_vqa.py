"""easy-VQA: synthetic pictures of shapes, a question and a one-word answer; the Python package ships images and questions."""

import json
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from ..images import index_images, locate
from ..tasks import Task
from .registry import Draft
from .splits import by_row_in_file_order


def default_root() -> Path:
    """Return the folder of the installed package's data."""
    package = find_spec("easy_vqa")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("package easy_vqa is not installed; run `pip install easy-vqa`")
    return Path(package.origin).parent / "data"


def read(root: Path, variant: str, split: str) -> Draft:
    """Read the rows of easy-VQA, one per question; the group is the image."""
    parts = []
    for part in ("train", "test"):
        path = root / part / "questions.json"
        table = pd.DataFrame(json.loads(path.read_text(encoding="utf-8")), columns=["text", "label", "number"])
        table["split"] = part
        table["image"] = locate(table["number"], index_images(root, (f"{part}/images",)))
        table["group"] = f"{part}-" + table["number"].astype(str)
        table["pair_id"] = table["group"] + "-q" + table.groupby("number").cumcount().astype(str)
        parts.append(table.drop(columns="number"))
    rows = pd.concat(parts, ignore_index=True)
    classes = tuple(sorted((root / "answers.txt").read_text(encoding="utf-8").split()))
    if split == "by-question":
        rows["split"] = by_row_in_file_order(rows["label"])
    return Draft(rows, Task("multiclass", classes))
