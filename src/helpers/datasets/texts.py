"""Count the lengths of a data set's texts in words and in each encoder's tokens; results hold no text."""

from collections.abc import Iterable
from functools import cache

import numpy as np
import pandas as pd
from tqdm import tqdm

from ..backbones import REGISTRY, load_tokenizer
from ..backbones.tokenizer import offline
from .audit import text_words
from .base import PairedDataset

BATCH = 1024
COLUMNS = ("dataset", "variant", "unit", "limit", "length", "pairs", "texts")


def tokenizers_at_hand(names: Iterable[str]) -> tuple[list, dict[str, str]]:
    """Return the available tokenizers of named encoders, one for encoders that share it, and how to get the others.

    The search downloads no file.
    """
    found, absent = {}, {}
    for name in names:
        try:
            with offline():
                tokenizer = _tokenizer(name)
            found.setdefault((tokenizer.hash, tokenizer.context_length), tokenizer)
        except (OSError, ImportError) as error:
            absent[name] = REGISTRY[name].access if name in REGISTRY else str(error)
    return list(found.values()), absent


@cache
def _tokenizer(name: str):
    return load_tokenizer(name)


def text_lengths(dataset: PairedDataset, tokenizers: Iterable = ()) -> pd.DataFrame:
    """Return a histogram of text lengths: one row per unit (``words``, or an encoder) and length.

    Returns:
        ``dataset, variant, unit, limit`` (tokens the encoder sees, special ones included; 0 for words), ``length, pairs, texts``
        (numbers of pairs and of distinct texts of that length).
    """
    how_often = dataset.rows["text"].value_counts()
    texts = how_often.index.tolist()
    units = {"words": (0, text_words(dataset).groupby(dataset.rows["text"]).first()[texts].to_numpy())}
    units |= {t.name: (t.context_length, _counted(t, texts)) for t in tokenizers}
    parts = []
    for unit, (limit, lengths) in units.items():
        counts = pd.DataFrame({"length": lengths, "pairs": how_often.to_numpy(), "texts": 1}).groupby("length").sum().reset_index()
        parts.append(counts.assign(dataset=dataset.name, variant=dataset.variant, unit=unit, limit=limit))
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def _counted(tokenizer, texts: list[str]) -> np.ndarray:
    starts = tqdm(range(0, len(texts), BATCH), desc=f"{tokenizer.name} tokens", unit="batch", leave=False, delay=2)
    return np.concatenate([tokenizer.count(texts[i : i + BATCH]) for i in starts])


def texts_cut(lengths: pd.DataFrame) -> pd.DataFrame:
    """Count the texts that each encoder cuts, from :func:`text_lengths`: one row per data set, variant and encoder.

    Returns:
        ``dataset, variant, encoder, limit, longest, pairs_cut, share_cut`` (of pairs, in [0, 1]), ``texts_cut`` (distinct ones).
    """
    tokens = lengths[lengths["unit"] != "words"]
    over = tokens[["pairs", "texts"]].where(tokens["length"] > tokens["limit"], 0).add_suffix("_cut")
    by = pd.concat([tokens, over], axis=1).groupby(["dataset", "variant", "unit", "limit"], sort=False)
    found = by[["pairs", "pairs_cut", "texts_cut"]].sum().assign(longest=by["length"].max())
    found["share_cut"] = found["pairs_cut"] / found.pop("pairs")
    return found.reset_index().rename(columns={"unit": "encoder"})
