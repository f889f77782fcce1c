"""Flickr8k: photographs with five captions each; the first is the text, and the other four name the objects in the image."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from ..images import index_images, locate
from ..tasks import Task
from .registry import CARDS, WORDS, Draft
from .splits import by_group
from .tables import read_table

FOLDERS = ("Images", "Flicker8k_Dataset", "images")
MIN_TEST_POSITIVES = 20


def captions(root) -> pd.DataFrame:
    """Read all captions in file order, columns ``image`` and ``caption``."""
    path = Path(root) / "captions.txt"
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; {CARDS['flickr8k'].access}")
    return read_table(path, ("image", "caption")).dropna()[["image", "caption"]].reset_index(drop=True)


def names(texts: pd.Series) -> pd.DataFrame:
    """Return whether each text names each object of ``words.toml``, bool (len(texts), n_objects)."""
    patterns = {name: re.compile(rf"\b(?:{'|'.join(words.split())})\b", re.IGNORECASE) for name, words in WORDS["flickr8k"].items()}
    return pd.DataFrame({name: texts.str.contains(pattern) for name, pattern in patterns.items()}, index=texts.index)


def read(root: Path, variant: str, split: str, min_test_positives: int = MIN_TEST_POSITIVES) -> Draft:
    """Read the rows of Flickr8k, one per photograph."""
    said = captions(root)
    first = ~said["image"].duplicated()
    texts = said[first].set_index("image")["caption"]
    seen = names(said["caption"])[~first].groupby(said["image"]).sum().reindex(texts.index, fill_value=0) >= 2
    rows = pd.DataFrame({"pair_id": texts.index, "text": texts.to_numpy(), "group": texts.index})
    rows["image"] = locate(rows["pair_id"], index_images(root, FOLDERS))
    rows["split"] = by_group(rows["group"])
    positives = seen.to_numpy()[rows["split"] == "test"].sum(axis=0)
    classes = [c for c, n in zip(seen, positives, strict=True) if n >= min_test_positives]
    if not classes:
        most = f"the most any has is {positives.max()}"
        raise ValueError(f"{root}: no object is in {min_test_positives} test images ({most}); pass a smaller min_test_positives")
    rows[[f"label_{c}" for c in classes]] = seen[classes].to_numpy().astype(np.int8)
    named = names(texts)[classes]
    report = {"input_caption_names_label": {c: round(float(named.loc[seen[c], c].mean()), 4) for c in classes}}
    return Draft(rows, Task("multilabel", tuple(classes)), report)
