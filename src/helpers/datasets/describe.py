"""Describe the pairs of a data set for a page: class balance, lengths of texts, texts that name the label."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from ..backbones import REGISTRY, load_tokenizer
from ..backbones.tokenizer import offline
from ..files import read_json
from ..store.disk import PROVENANCE
from ..tasks import SPLITS
from .registry import Draft, PairedDataset

BATCH = 1024
_tokenizer = cache(load_tokenizer)


def class_balance(dataset: PairedDataset | Draft) -> pd.DataFrame:
    """Return the number of positives per class (rows) and split (columns), for splits that have rows."""
    task, rows = dataset.task, dataset.rows
    if not task.classes:  # no labels
        return pd.DataFrame(columns=pd.Index([], name="split"), index=pd.Index([], name="class"), dtype=int)
    if task.kind == "multilabel":
        counts = rows[task.columns].set_axis(task.classes, axis=1).groupby(rows["split"]).sum().T
    else:
        counts = pd.crosstab(rows["label"], rows["split"]).reindex(task.classes, fill_value=0)
    return counts[[split for split in SPLITS if split in counts]].rename_axis("class")


def text_names_label(folders: Iterable) -> pd.DataFrame:
    """Return how often a positive's own text names the class, as counted in stored sets: ``dataset, class, share``."""
    records = [read_json(Path(folder) / PROVENANCE) for folder in folders]
    shares = [(record["dataset"], record.get("data_report", {}).get("input_caption_names_label", {})) for record in records]
    rows = [(dataset, *share) for dataset, of_classes in shares for share in of_classes.items()]
    return pd.DataFrame(rows, columns=["dataset", "class", "share"]).drop_duplicates(["dataset", "class"], ignore_index=True)


def tokenizers_at_hand(names: Iterable[str]) -> tuple[list, dict[str, str]]:
    """Return the tokenizers of named encoders that are here, each once, and how to get the others; download nothing."""
    found, absent = {}, {}
    for name in names:
        try:
            with offline():
                tokenizer = _tokenizer(name)
            found.setdefault((tokenizer.hash, tokenizer.context_length), tokenizer)
        except (OSError, ImportError) as error:
            absent[name] = REGISTRY[name].access if name in REGISTRY else str(error)
    return list(found.values()), absent


def text_lengths(dataset: PairedDataset, tokenizers: Iterable = ()) -> pd.DataFrame:
    """Count pairs and distinct texts by length, in ``unit`` words (``limit`` 0) or tokens of an encoder that sees ``limit``."""
    how_often = dataset.rows["text"].value_counts()
    texts = how_often.index.tolist()
    about = {"dataset": dataset.name, "variant": dataset.variant, "pairs": how_often.to_numpy(), "texts": 1}
    parts = [pd.DataFrame({**about, "unit": "words", "limit": 0, "length": how_often.index.str.split().str.len()})]
    for t in tokenizers:
        tokens = np.concatenate([t.count(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)])
        parts.append(pd.DataFrame({**about, "unit": t.name, "limit": t.context_length, "length": tokens}))
    keys = ["dataset", "variant", "unit", "limit", "length"]
    return pd.concat([part.groupby(keys, as_index=False).sum() for part in parts], ignore_index=True)


def texts_cut(lengths: pd.DataFrame) -> pd.DataFrame:
    """Return how many texts each encoder cuts, from :func:`text_lengths`: ``share_cut`` of pairs, ``texts_cut`` distinct ones."""
    tokens = lengths[lengths["unit"] != "words"]
    over = tokens[["pairs", "texts"]].where(tokens["length"] > tokens["limit"], 0).add_suffix("_cut")
    by = pd.concat([tokens, over], axis=1).groupby(["dataset", "variant", "unit", "limit"], sort=False)
    found = by[["pairs", "pairs_cut", "texts_cut"]].sum().assign(longest=by["length"].max())
    found["share_cut"] = found["pairs_cut"] / found.pop("pairs")
    return found.reset_index().rename(columns={"unit": "encoder"})
