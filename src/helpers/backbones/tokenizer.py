"""Tokenise texts as an encoder does, without its weights: token ids, their number before the cut, the cut, and its hash."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from huggingface_hub import constants


@dataclass(frozen=True)
class Tokenizer:
    """The tokenizer of a named encoder; lengths count the special tokens."""

    name: str
    context_length: int  # longest text its text tower sees, in tokens
    pad_id: int  # fills short rows
    ids: Callable[[list[str]], list[list[int]]]  # token ids of texts, cut at ``context_length``, not padded
    lengths: Callable[[list[str]], list[int]]  # of texts, before the cut
    hash: str  # of vocabulary and rules

    @property
    def cased(self) -> bool:
        """Return whether upper and lower case give different tokens."""
        return self.ids(["No pleural effusion"]) != self.ids(["no pleural effusion"])

    def count(self, texts: Iterable[str]) -> list[int]:
        """Return the length of each text in tokens, before it is cut at ``context_length``."""
        texts = list(texts)
        return self.lengths(texts) if texts else []

    def cut(self, texts: Iterable[str]) -> np.ndarray:
        """Return whether the encoder sees only the beginning of each text, bool (n,)."""
        return np.array(self.count(texts), dtype=int) > self.context_length


def settings_hash(settings) -> str:
    """Return the SHA-256 of JSON-serialisable settings, independent of key order."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, ensure_ascii=False, default=str).encode()).hexdigest()


def tokenizer_hash(tokenizer) -> str:
    """Return the SHA-256 of a tokenizer's vocabulary and rules, without padding and truncation, which belong to a call."""
    kind = type(tokenizer).__name__
    if hasattr(tokenizer, "sp_model"):  # a sentencepiece model; its file holds the scores that decide between segmentations
        return settings_hash([kind, hashlib.sha256(tokenizer.sp_model.serialized_model_proto()).hexdigest()])
    if hasattr(tokenizer, "backend_tokenizer"):
        rules = json.loads(tokenizer.backend_tokenizer.to_str())
        return settings_hash({key: value for key, value in rules.items() if key not in ("padding", "truncation")})
    return settings_hash([kind, tokenizer.get_vocab() if hasattr(tokenizer, "get_vocab") else tokenizer.encoder])


def with_vocabulary(make: Callable[[], Tokenizer]) -> Tokenizer:
    """Return a tokenizer, or raise FileNotFoundError: without its files transformers raises, or makes one that knows no word."""
    try:
        tokenizer = make()
    except ValueError as error:
        raise FileNotFoundError(f"its tokenizer cannot be read: {error}") from error
    if tokenizer.ids(["dog"]) == tokenizer.ids(["cat"]):
        raise FileNotFoundError("the files of its tokenizer are missing, such as tokenizer.json, vocab.txt or spiece.model")
    return tokenizer


def from_transformers(name: str, tokenizer, context_length: int) -> Tokenizer:
    """Wrap a tokenizer of the transformers library."""
    if tokenizer.padding_side != "right" or tokenizer.pad_token_id is None:
        raise ValueError(f"the tokenizer of {name} must pad on the right with a padding token; see its tokenizer_config.json")
    return Tokenizer(
        name,
        context_length,
        tokenizer.pad_token_id,
        ids=lambda texts: tokenizer(texts, truncation=True, max_length=context_length)["input_ids"],
        lengths=lambda texts: [len(ids) for ids in tokenizer(texts, verbose=False)["input_ids"]],
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
