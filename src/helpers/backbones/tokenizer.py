"""Tokenise texts as an encoder does, without its weights: token ids, their number before the cut, and the cut."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from huggingface_hub import constants

from .fingerprint import tokenizer_hash


@dataclass(frozen=True)
class Tokenizer:
    """The tokenizer of a named encoder.

    Args:
        name: name of the encoder.
        context_length: longest text its text tower sees, in tokens, special tokens included.
        pad_id: token id that fills short rows.
        ids: function from texts to lists of token ids, special tokens included, cut at ``context_length``, not padded.
        lengths: function from texts to their lengths before the cut.
        hash: hash of vocabulary and rules.
    """

    name: str
    context_length: int
    pad_id: int
    ids: Callable[[list[str]], list[list[int]]]
    lengths: Callable[[list[str]], list[int]]
    hash: str

    def count(self, texts: Iterable[str]) -> list[int]:
        """Return the length of each text in tokens, special tokens included, before it is cut at ``context_length``."""
        texts = list(texts)
        return self.lengths(texts) if texts else []

    def cut(self, texts: Iterable[str]) -> np.ndarray:
        """Return whether the encoder sees only the beginning of each text, bool (n,)."""
        return np.array(self.count(texts), dtype=int) > self.context_length


@contextmanager
def absent_files_named() -> Iterator[None]:
    """Turn the ValueError that transformers raises for absent tokenizer files, in many wordings, into one error.

    Raises:
        FileNotFoundError: the files of the tokenizer are absent.
    """
    try:
        yield
    except ValueError as error:
        raise FileNotFoundError(f"its tokenizer cannot be read: {error}") from error


def with_vocabulary(tokenizer: Tokenizer) -> Tokenizer:
    """Return the tokenizer if it knows any word; without its files transformers makes an empty one.

    Raises:
        FileNotFoundError: the tokenizer has no vocabulary.
    """
    if tokenizer.ids(["dog"]) == tokenizer.ids(["cat"]):
        raise FileNotFoundError("the files of its tokenizer are missing, such as tokenizer.json, vocab.txt or spiece.model")
    return tokenizer


def from_transformers(name: str, tokenizer, context_length: int) -> Tokenizer:
    """Wrap a tokenizer of the transformers library.

    Raises:
        ValueError: it does not pad on the right with a padding token.
    """
    if tokenizer.padding_side != "right" or tokenizer.pad_token_id is None:
        raise ValueError(
            f"the tokenizer of {name} does not pad on the right with a padding token; set both in its tokenizer_config.json"
        )
    return Tokenizer(
        name,
        context_length,
        tokenizer.pad_token_id,
        ids=lambda texts: tokenizer(texts, truncation=True, max_length=context_length, padding=False)["input_ids"],
        lengths=lambda texts: [len(ids) for ids in tokenizer(texts, truncation=False, padding=False, verbose=False)["input_ids"]],
        hash=tokenizer_hash(tokenizer),
    )


@contextmanager
def offline() -> Iterator[None]:
    """Restrict the model hub's client to its local cache inside the block."""
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
