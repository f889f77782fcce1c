"""Define the dual encoder, unit-norm float32 vectors of images and texts, and what the loaders of all libraries share."""

import hashlib
import logging
import pickle
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError

from ..arrays import choose, unit_rows
from ..images import as_rgb
from .registry import MASKED, named
from .tokenizer import Tokenizer, settings_hash

PRECISIONS = ("float32", "bfloat16", "float16")
IMAGES_PER_BATCH = 32
TEXTS_PER_BATCH = 64
SAFE = {"trust_remote_code": False}
AS_SAFETENSORS = (
    """python -c "import re, torch; from safetensors.torch import save_file; c = torch.load('FILE', 'cpu', weights_only=False); """
    """c = c if isinstance(c, dict) else c.state_dict(); keys = 'state_dict', 'model_state_dict', 'model'; """
    """c = next((c[k] for k in keys if k in c), c); c = {k: v.clone() for k, v in c.items() if torch.is_tensor(v)}; """
    """save_file({re.sub('^(module|model)[.]', '', k): v.contiguous() for k, v in c.items()}, 'FILE.safetensors')\""""
)


@dataclass(kw_only=True, repr=False, eq=False)
class Backbone:
    """A frozen dual encoder; a vector depends on its own image or text alone, never on the rest of the batch."""

    name: str  # given to ``load_backbone``, such as ``clip``
    dim: int  # d of the shared space
    preprocess: Callable  # of an RGB image to one array, ready to stack; picklable, holds no weights
    tokenizer: Tokenizer
    image_features: Callable  # of a batch of stacked arrays, a tensor on ``device``: (b, d) projected features
    text_features: Callable  # of ids and attention mask, int64 tensors (b, L): (b, d) projected features
    pad_to_context: bool  # every text, for a tower that does not mask padding exactly
    device: str
    logit: tuple[float, float] = (100.0, 0.0)  # scale and bias by which a cosine becomes the model's own score
    fingerprint: dict  # hashes of weights, preprocessing and tokenizer settings; JSON-serialisable

    def __repr__(self) -> str:
        return f"Backbone({self.name}: d={self.dim}, {self.tokenizer.context_length} tokens, {self.device})"

    @property
    def identity(self) -> dict:
        """Return what the vectors depend on: the fingerprint without names, equal for one encoder from the hub or a folder."""
        return {key: value for key, value in self.fingerprint.items() if key not in ("backbone", "source", "revision", "cased")}

    def encode_images(self, images: Iterable) -> np.ndarray:
        """Return the unit vectors of PIL images, float32 (n, d)."""
        pixels = [self.preprocess(as_rgb(image)) for image in images]
        starts = range(0, len(pixels), IMAGES_PER_BATCH)
        return np.concatenate([self.encode_pixels(np.stack(pixels[i : i + IMAGES_PER_BATCH])) for i in starts])

    def encode_texts(self, texts: Iterable[str], precision: str = "float32", done: Callable = lambda n: None) -> np.ndarray:
        """Return the unit vectors of texts, float32 (n, d); ``done`` gets the size of each batch, of texts of similar length."""
        ids = self.tokenizer.ids(list(texts))
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        vectors = np.empty((len(ids), self.dim), dtype=np.float32)
        for start in range(0, len(order), TEXTS_PER_BATCH):
            batch = order[start : start + TEXTS_PER_BATCH]
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
        autocast = torch.autocast(torch.device(self.device).type, getattr(torch, precision), enabled=precision != "float32")
        with torch.inference_mode(), autocast:
            values = features(*(tensor.to(self.device, non_blocking=True) for tensor in inputs)).float().cpu().numpy()
        return unit_rows(values, what)


def encoder(about: dict, weights: str, settings, padding: str, tokenizer: Tokenizer, **parts) -> Backbone:
    """Return an encoder of ``parts`` with its fingerprint; ``weights`` is their hash, ``settings`` are those of preprocessing."""
    how = {"weights": weights, "preprocessing": settings_hash(settings), "tokenizer": tokenizer.hash}
    fingerprint = {**about, **how, "context_length": tokenizer.context_length, "padding": padding, "cased": tokenizer.cased}
    ids = torch.ones((1, tokenizer.context_length), dtype=torch.int64, device=parts["device"])
    with torch.inference_mode():
        known = {"name": about["backbone"], "dim": parts["text_features"](ids, ids).shape[1], "fingerprint": fingerprint}
    return Backbone(tokenizer=tokenizer, pad_to_context=padding != MASKED, **known, **parts)


@contextmanager
def guarded() -> Iterator[None]:
    """Silence a library, and refuse code of a model repository, where transformers would ask, and compiled kernels of the hub."""
    from transformers import dynamic_module_utils as remote  # here, because workers that read images need no transformers
    from transformers.integrations import hub_kernels
    from transformers.utils import logging as hf

    bars, level = hf.is_progress_bar_enabled(), logging.root.manager.disable
    before = remote.TIME_OUT_REMOTE_CODE, hub_kernels.is_kernels_available
    hf.disable_progress_bar()
    logging.disable(logging.WARNING)
    remote.TIME_OUT_REMOTE_CODE, hub_kernels.is_kernels_available = 0, lambda *_, **__: False
    try:
        yield
    finally:
        remote.TIME_OUT_REMOTE_CODE, hub_kernels.is_kernels_available = before
        logging.disable(level)
        if bars:
            hf.enable_progress_bar()


@contextmanager
def reading(name: str, source: str = "") -> Iterator[None]:
    """Guard the block; say in one OSError, with how to get them, that files are absent, damaged or would need unpickling."""
    _refuse_pointers(source)
    try:
        with guarded():
            yield
    except (OSError, RuntimeError, SafetensorError, pickle.UnpicklingError, EOFError) as error:
        entry, said = named(name), " ".join(str(error).split())
        how = entry.access if entry else "check the id, or give a local folder"
        why = str(error).strip().partition("\n")[0] if isinstance(error, OSError | RuntimeError) else type(error).__name__
        if pickled := re.search(r"Unsupported (global|class)|TorchScript archives", said):
            why = "its file holds pickled objects beside tensors, which may run code and are not read"
        elif keys := re.search(r"(Missing key|size mismatch).{,150}", said):
            why = f"its weights are of another architecture, or under other names: {keys[0]}"
        elif not isinstance(error, OSError):
            why = f"its weights are absent, damaged or of another architecture: {why}"
        if pickled or "Missing key" in said:
            how = f"if you trust the file, write its state_dict as safetensors and load that: {AS_SAFETENSORS}"
        raise OSError(f"{name!r} cannot be loaded ({why}); {how}") from error
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        how = "never run here (no trust_remote_code); take a model that transformers or open_clip has itself"
        raise ValueError(f"{name!r} needs custom code of its repository, which is {how}") from None


def _refuse_pointers(source: str) -> None:
    """Refuse files of Git LFS that were not fetched: in a folder, or the file ``architecture/FILE``."""
    path = Path(source.removeprefix("local-dir:"))
    for file in path.iterdir() if path.is_dir() else (path, Path(source.partition("/")[2])):
        if file.is_file() and 100 < file.stat().st_size < 1024 and file.read_bytes().startswith(b"version https://git-lfs"):
            raise OSError(f"{file} is a pointer of Git LFS, not the file itself; run `git lfs pull` there, or `hf download`")


def weights_hash(model) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of a torch module's state, in order of name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def revision(repository: str, *files: str) -> str | None:
    """Return the commit of a model repository from the first of ``files`` in the hub's local cache; None if it holds none."""
    found = (try_to_load_from_cache(repository, name) for name in files)
    return next((Path(path).parent.name for path in found if isinstance(path, str)), None)
