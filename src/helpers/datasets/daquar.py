"""DAQUAR: questions about indoor photographs (NYU Depth v2), answers of one or more words."""

import re
from pathlib import Path

import pandas as pd

from ..images import index_images, locate
from ..tasks import Task
from .registry import CARDS, Draft
from .tables import read_lines

FOLDERS = ("nyu_depth_images", "images")
FILES = {"train": "qa.894.raw.train.txt", "test": "qa.894.raw.test.txt"}
COUNTED_IN = {"authors": "test", "clean": "train"}  # part in which an answer must be frequent
MIN_COUNT = 100
NUMBER = re.compile(r"image\s*(\d+)")
MENTION = re.compile(r"\s*\b(?:(?:in|on|of|at|from)\s+)?(?:(?:the|this)\s+)?image\s*\d+")


def read(root: Path, variant: str, split: str, min_count: int = MIN_COUNT) -> Draft:
    """Read the rows of DAQUAR that have a frequent answer; the group is the image."""
    rows = pd.concat([_questions(root / name, part) for part, name in FILES.items()], ignore_index=True)
    again = rows.duplicated(["group", "text"])
    rows = rows[~again].reset_index(drop=True)
    if variant == "clean":
        rows["text"] = rows["text"].str.replace(MENTION, "", regex=True)
    answers = rows.pop("answer").str.split(",").map(lambda words: {word.strip() for word in words})
    counts = answers[rows["split"] == COUNTED_IN[variant]].explode().value_counts()
    classes = tuple(sorted(counts.index[counts >= min_count]))
    if not classes:
        most = f"the most frequent occurs {counts.max()} times"
        raise ValueError(f"{root}: no answer occurs {min_count} times in {COUNTED_IN[variant]} ({most}); pass a smaller min_count")
    for name in classes:
        rows[f"label_{name}"] = answers.map(lambda given, name=name: int(name in given))
    frequent = rows[[f"label_{name}" for name in classes]].any(axis=1)
    rows["image"] = locate(rows["group"], index_images(root, FOLDERS))
    report = {"repeated_questions": int(again.sum()), "rows_without_frequent_answer": int((~frequent).sum())}
    return Draft(rows[frequent], Task("multilabel", classes), report)


def _questions(path: Path, part: str) -> pd.DataFrame:
    """Return the questions and answers of one part, from alternating lines."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; {CARDS['daquar'].access}")
    lines = read_lines(path)
    if len(lines) % 2:
        raise ValueError(f"{path} has {len(lines)} lines, expected questions and answers in turn; line {len(lines)} has no answer")
    table = pd.DataFrame({"text": lines[::2], "answer": lines[1::2]})
    number = table["text"].str.extract(NUMBER, expand=False)
    if number.isna().any():
        row = number.isna().to_numpy().argmax()
        raise ValueError(f"{path} line {2 * row + 1}: expected a question that names its image ('... in the image3 ?')")
    table["group"] = "image" + number
    table["pair_id"] = [f"{part}-{i:05d}" for i in range(len(table))]
    table["split"] = part
    return table
