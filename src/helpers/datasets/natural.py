"""The natural-image data sets: questions and answers, posts, recipes and captions, one row per text."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

from ..images import existing, index_images, locate
from ..tasks import SPLITS, Task
from .registry import DATASETS, WORDS, Draft
from .splits import SEED, by_group, by_row
from .tables import classes_of, first_file, in_parts, parallel_lines, read_lines, read_table, refuse, released

PARTS = ("train", "test")
COUNTED_IN = {"authors": "test", "clean": "train"}  # part of DAQUAR in which an answer must be frequent
NUMBER = re.compile(r"image\s*(\d+)")
MENTION = re.compile(r"\s*\b(?:(?:in|on|of|at|from)\s+)?(?:(?:the|this)\s+)?image\s*\d+")
FILES = {"train": "multimodal_train.tsv", "val": "multimodal_validate.tsv", "test": "multimodal_test_public.tsv"}  # of Fakeddit
POSTS = {"id": "pair_id", "clean_title": "text", "2_way_label": "label", "hasImage": "pictured"}
SHARE = {"authors": 0.2, "clean": 1.0}


def coco_qa(root: Path, variant: str, split: str) -> Draft:
    """Read the rows of COCO-QA: questions made from captions of COCO photographs, one-word answers; the group is the image."""
    files = {"text": "questions.txt", "label": "answers.txt", "group": "img_ids.txt"}
    rows = in_parts(PARTS, lambda part: parallel_lines({column: root / part / name for column, name in files.items()}))
    rows, report = _numbered(rows, digits=6)
    # The last twelve digits of a stem are the image's number in the names of 2014 and of 2017.
    by_number = {Path(path).stem[-12:]: path for path in index_images(root, DATASETS["coco_qa"].card.folders).values()}
    rows["image"] = locate(rows["group"].str.zfill(12), by_number)
    return Draft(rows, Task("multiclass", tuple(sorted(set(rows["label"])))), report)


def daquar(root: Path, variant: str, split: str, min_count: int = 100) -> Draft:
    """Read the questions of DAQUAR about indoor photographs that have a frequent answer; the group is the image."""

    def questions(part: str) -> pd.DataFrame:
        path = root / f"qa.894.raw.{part}.txt"
        lines = read_lines(path)
        if len(lines) % 2:
            raise ValueError(f"{path} has {len(lines)} lines, expected questions and answers in turn; the last has no answer")
        table = pd.DataFrame({"text": lines[::2], "answer": lines[1::2]})
        number = table["text"].str.extract(NUMBER, expand=False)
        if number.isna().any():
            line = 2 * number.isna().idxmax() + 1
            raise ValueError(f"{path} line {line}: expected a question that names its image ('... in the image3 ?')")
        return table.assign(group="image" + number)

    rows, report = _numbered(in_parts(PARTS, questions), digits=5)
    if variant == "clean":
        rows["text"] = rows["text"].str.replace(MENTION, "", regex=True)
    answers = rows.pop("answer").str.split(",").map(lambda words: {word.strip() for word in words})
    counts = answers[rows["split"] == COUNTED_IN[variant]].explode().value_counts()
    classes = _frequent(counts, min_count, f"{root}: answers of {COUNTED_IN[variant]}", "min_count")
    for name in classes:
        rows[f"label_{name}"] = answers.map(lambda given, name=name: int(name in given))
    frequent = rows[[f"label_{name}" for name in classes]].any(axis=1)
    rows["image"] = locate(rows["group"], index_images(root, DATASETS["daquar"].card.folders))
    report["rows_without_frequent_answer"] = int((~frequent).sum())
    return Draft(rows[frequent], Task("multilabel", classes), report)


def _numbered(rows: pd.DataFrame, digits: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the first of each question on an image, with its number in its part as ``pair_id``, and the number of the others."""
    rows["pair_id"] = rows["split"] + "-" + rows.groupby("split").cumcount().astype(str).str.zfill(digits)
    again = rows.duplicated(["group", "text"])
    return rows[~again].reset_index(drop=True), {"repeated_questions": int(again.sum())}


def _frequent(counts: pd.Series, least: int, where: str, option: str) -> tuple[str, ...]:
    """Return the names that occur often enough to be classes, in alphabetical order."""
    classes = tuple(sorted(counts.index[counts >= least]))
    if not classes:
        raise ValueError(f"{where}: none occurs {least} times, the most frequent {counts.max()} times; pass a smaller {option}")
    return classes


def easy_vqa(root: Path, variant: str, split: str) -> Draft:
    """Read the rows of easy-VQA: questions about synthetic pictures of shapes, one-word answers; the group is the image."""

    def questions(part: str) -> pd.DataFrame:
        asked = json.loads((root / part / "questions.json").read_text(encoding="utf-8"))
        table = pd.DataFrame(asked, columns=["text", "label", "number"])
        table["image"] = locate(table["number"], index_images(root, (f"{part}/images",)))
        table["group"] = f"{part}-" + table["number"].astype(str)
        table["pair_id"] = table["group"] + "-q" + table.groupby("number").cumcount().astype(str)
        return table.drop(columns="number")

    rows = in_parts(PARTS, questions)
    if split == "by-question":
        rows["split"] = by_row(rows["label"])
    return Draft(rows, Task("multiclass", tuple(sorted(read_lines(root / "answers.txt")))))


def fakeddit(root: Path, variant: str, split: str, share: float | None = None) -> Draft:
    """Read the posts of Fakeddit, of each part a stratified ``share``; the group is the title, which reposts share."""
    from sklearn.model_selection import train_test_split  # as in splits.by_row

    share = SHARE[variant] if share is None else float(share)
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}, expected a number above 0 and at most 1")
    textual, classes = 0, ("0", "1")

    def posts(part: str) -> pd.DataFrame:
        nonlocal textual
        table, path = released(root, (FILES[part],), tuple(name for name in POSTS if name != "2_way_label"), na_words=False)
        if "2_way_label" not in table:
            how = "read the labels it has as a table of your own (check manifest --option label=6_way_label)"
            raise ValueError(f"{path} has no column '2_way_label', the paper's task; {how}")
        classes_of(table["2_way_label"], classes, path)
        pictured = table["hasImage"].str.lower() != "false"
        textual += int((~pictured).sum())
        found = table.loc[pictured, list(POSTS)].rename(columns=POSTS).drop(columns="pictured")
        return found if share == 1 else train_test_split(found, train_size=share, stratify=found["label"], random_state=SEED)[0]

    rows = in_parts(FILES, posts)
    rows["group"] = rows["text"].str.strip().str.lower().fillna(rows["pair_id"])
    report = {"rows_marked_as_text_only": textual}
    if variant == "clean":
        part = rows["split"].map(SPLITS.index)
        first = part == part.groupby(rows["group"]).transform("min")
        rows, report = rows[first], {**report, "rows_with_a_title_of_an_earlier_part": int((~first).sum())}
    return Draft(rows, Task("binary", classes), report)


def recipes5k(root: Path, variant: str, split: str) -> Draft:
    """Read the dishes of Recipes5k: the text is the recipe's raw ingredient list, the label the dish, the folder of the image."""
    path = first_file(root, ("annotations/ingredients_Recipes5k.txt", "ingredients_Recipes5k.txt"))
    ingredients = read_lines(path)

    def photographs(part: str) -> pd.DataFrame:
        files = {column: root / "annotations" / f"{part}_{column}.txt" for column in ("images", "labels")}
        table = parallel_lines(files)
        unknown = ~table["labels"].isin([str(i) for i in range(len(ingredients))])
        refuse(unknown, table["labels"], files["labels"], f"is not the number of a line of {path.name}, counted from 0", first=1)
        return table

    table = in_parts(SPLITS, photographs)
    rows = pd.DataFrame({"pair_id": table["images"], "split": table["split"], "group": "recipe-" + table["labels"]})
    rows["text"] = [ingredients[int(recipe)] for recipe in table["labels"]]
    rows["label"] = table["images"].str.split("/").str[0]
    rows["image"] = existing(root, "images/" + table["images"])
    return Draft(rows, Task("multiclass", tuple(sorted(set(rows["label"])))))


def captions(root) -> pd.DataFrame:
    """Return all captions of Flickr8k in file order, columns ``image`` and ``caption``."""
    path = first_file(Path(root), ("captions.txt",))
    return read_table(path, ("image", "caption")).dropna()[["image", "caption"]].reset_index(drop=True)


def flickr8k(root: Path, variant: str, split: str, min_test_positives: int = 20) -> Draft:
    """Read the photographs of Flickr8k: the first caption is the text, and the other four name the objects in the image."""
    said = captions(root)
    first = ~said["image"].duplicated()
    texts = said[first].set_index("image")["caption"]
    patterns = {name: re.compile(rf"\b(?:{'|'.join(words.split())})\b", re.IGNORECASE) for name, words in WORDS["flickr8k"].items()}
    named = pd.DataFrame({name: said["caption"].str.contains(pattern) for name, pattern in patterns.items()})
    seen = named[~first].groupby(said["image"]).sum().reindex(texts.index, fill_value=0) >= 2
    rows = pd.DataFrame({"pair_id": texts.index, "text": texts.to_numpy(), "group": texts.index})
    rows["split"] = by_group(rows["group"])
    positives = seen[(rows["split"] == "test").to_numpy()].sum()
    classes = _frequent(positives, min_test_positives, f"{root}: objects in test images", "min_test_positives")
    rows[[f"label_{c}" for c in classes]] = seen[list(classes)].to_numpy().astype(np.int8)
    of_text = named[first].set_axis(texts.index)
    report = {"input_caption_names_label": {c: round(float(of_text.loc[seen[c], c].mean()), 4) for c in classes}}
    return Draft(rows, Task("multilabel", classes), report)
