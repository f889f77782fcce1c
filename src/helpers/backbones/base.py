"""Define the dual encoder: preprocessing that a worker process can run, and unit-norm float32 vectors of images and texts."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from ..arrays import choose, unit_rows
from .tokenizer import Tokenizer

PRECISIONS = ("float32", "bfloat16", "float16")
IMAGES_PER_BATCH = 32
TEXTS_PER_BATCH = 64


@dataclass(kw_only=True, repr=False, eq=False)
class Backbone:
    """A frozen dual encoder.

    A vector depends on its own image or text alone, never on the rest of the batch.

    Args:
        name, dim: name given to ``load_backbone``, such as ``clip``; dimension d of the shared space.
        preprocess: function from an RGB image to one array, ready to stack; picklable, holds no weights.
        image_features: function from a batch of stacked arrays, a tensor on ``device``, to (b, d) projected features.
        text_features: function from ids and attention mask, int64 tensors (b, L), to (b, d) projected features.
        pad_to_context: pad every text to the full context, for a tower that does not mask padding exactly.
        fingerprint: hashes of weights, preprocessing and tokenizer settings; JSON-serialisable.

    Example:
        Any two functions make an encoder. Here they compute a mean colour and counts of words; the bytes of a text are its token
        ids, which the second function decodes.

        >>> def colours(batch):
        ...     return batch.float().mean((1, 2))
        >>> def lengths(ids, mask):
        ...     words = [bytes(row[seen == 1].tolist()).decode().split() for row, seen in zip(ids, mask)]
        ...     return torch.tensor([[len(w), len("".join(w)), 1.0] for w in words])
        >>> def utf8(texts):
        ...     return [list(text.encode()) for text in texts]
        >>> tokens = Tokenizer("mine", 10_000, 0, ids=utf8, lengths=lambda texts: [len(t) for t in utf8(texts)], hash="utf-8")
        >>> mine = Backbone(
        ...     name="mine", dim=3, preprocess=np.asarray, tokenizer=tokens, image_features=colours, text_features=lengths,
        ...     pad_to_context=False, device="cpu", fingerprint={"backbone": "mine", "weights": "version 1"},
        ... )
        >>> mine.encode_texts(["two words"]).shape
        (1, 3)
    """

    name: str
    dim: int
    preprocess: Callable
    tokenizer: Tokenizer
    image_features: Callable
    text_features: Callable
    pad_to_context: bool
    device: str
    fingerprint: dict

    def __repr__(self) -> str:
        return f"Backbone({self.name}: d={self.dim}, {self.tokenizer.context_length} tokens, {self.device})"

    @property
    def identity(self) -> dict:
        """Return what the vectors depend on: the fingerprint without names, equal for one encoder from the hub or a folder."""
        return {key: value for key, value in self.fingerprint.items() if key not in ("backbone", "source", "revision")}

    def encode_images(self, images: Iterable) -> np.ndarray:
        """Return the unit vectors of PIL images, float32 (n, d)."""
        batches = _batches([self.preprocess(image.convert("RGB")) for image in images], IMAGES_PER_BATCH, "images")
        return np.concatenate([self.encode_pixels(np.stack(batch)) for batch in batches])

    def encode_texts(self, texts: Iterable[str], precision: str = "float32", done: Callable = lambda n: None) -> np.ndarray:
        """Return the unit vectors of texts, float32 (n, d).

        Texts of similar length share a batch, which saves padding; ``done`` is called with the size of each finished batch.
        """
        ids = self.tokenizer.ids(list(texts))
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        vectors = np.empty((len(ids), self.dim), dtype=np.float32)
        for batch in _batches(order, TEXTS_PER_BATCH, "texts"):
            vectors[batch] = self.encode_tokens([ids[i] for i in batch], precision)
            done(len(batch))
        return vectors

    def encode_pixels(self, pixels, precision: str = "float32") -> np.ndarray:
        """Return the unit vectors of preprocessed images, stacked (b, ...), as float32 (b, d)."""
        return self._unit(self.image_features, (torch.as_tensor(pixels),), precision, "image vectors")

    def encode_tokens(self, ids: list[list[int]], precision: str = "float32") -> np.ndarray:
        """Return the unit vectors of token id lists, float32 (b, d)."""
        length = self.tokenizer.context_length if self.pad_to_context else max(map(len, ids))
        padded = torch.full((len(ids), length), self.tokenizer.pad_id, dtype=torch.int64)
        mask = torch.zeros((len(ids), length), dtype=torch.int64)
        for row, tokens in enumerate(ids):
            padded[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        return self._unit(self.text_features, (padded, mask), precision, "text vectors")

    def _unit(self, features: Callable, inputs: tuple, precision: str, what: str) -> np.ndarray:
        choose(precision, PRECISIONS, "precision")
        lower = precision != "float32"
        autocast = torch.autocast(torch.device(self.device).type, getattr(torch, precision)) if lower else nullcontext()
        with torch.inference_mode(), autocast:
            values = features(*(tensor.to(self.device, non_blocking=True) for tensor in inputs)).float().cpu().numpy()
        return unit_rows(values, what)


def _batches(items: list, size: int, what: str) -> list[list]:
    if not items:
        raise ValueError(f"no {what} to encode; give at least one")
    return [items[i : i + size] for i in range(0, len(items), size)]
