"""Load the weights of an encoder quietly, without code from its repository, and tell which they are and whether they are whole."""

import hashlib
import logging
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError
from transformers import dynamic_module_utils as transformers_loading
from transformers.integrations import hub_kernels
from transformers.utils import logging as hf

from .base import Backbone
from .registry import MASKED
from .tokenizer import Tokenizer, settings_hash

SAFE = {"trust_remote_code": False}


@contextmanager
def quiet() -> Iterator[None]:
    """Silence progress bars and messages below ERROR inside the block."""
    bars, disabled = hf.is_progress_bar_enabled(), logging.root.manager.disable
    hf.disable_progress_bar()
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)
        if bars:
            hf.enable_progress_bar()


@contextmanager
def no_remote_code() -> Iterator[None]:
    """Refuse code from a model repository, where transformers would ask at the terminal, and compiled kernels of the hub."""
    before = transformers_loading.TIME_OUT_REMOTE_CODE, hub_kernels.is_kernels_available
    transformers_loading.TIME_OUT_REMOTE_CODE, hub_kernels.is_kernels_available = 0, lambda *_, **__: False
    try:
        yield
    finally:
        transformers_loading.TIME_OUT_REMOTE_CODE, hub_kernels.is_kernels_available = before


def weights_hash(model) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of a torch module's state, in order of name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        as_bytes = torch.uint8 if tensor.dtype != torch.bool else torch.bool
        digest.update(tensor.detach().cpu().contiguous().flatten().view(as_bytes).numpy().data)
    return digest.hexdigest()


def frozen(
    model, device: str, preprocess, tokenizer: Tokenizer, image_features, text_features, padding: str, about: dict, settings
) -> Backbone:
    """Return a library's model as a frozen encoder; ``about`` begins its fingerprint, ``settings`` are those of preprocessing."""
    model = model.eval().requires_grad_(False).to(device)
    with torch.inference_mode():
        ids = torch.ones((1, tokenizer.context_length), dtype=torch.int64, device=device)
        dim = text_features(ids, torch.ones_like(ids)).shape[1]
    how = {"weights": weights_hash(model), "preprocessing": settings_hash(settings), "tokenizer": tokenizer.hash}
    return Backbone(
        name=about["backbone"],
        dim=dim,
        preprocess=preprocess,
        tokenizer=tokenizer,
        image_features=image_features,
        text_features=text_features,
        pad_to_context=padding != MASKED,
        device=device,
        fingerprint={**about, **how, "context_length": tokenizer.context_length, "padding": padding},
    )


def revision(repository: str, *files: str) -> str | None:
    """Return the commit of a model repository from the first of ``files`` in the hub's local cache; None if it holds none."""
    found = (try_to_load_from_cache(repository, name) for name in files)
    return next((Path(path).parent.name for path in found if isinstance(path, str)), None)


@contextmanager
def readable_weights() -> Iterator[None]:
    """Turn a library's error on weights that are cut short or damaged, or need unpickling, into one OSError in one sentence."""
    try:
        yield
    except (SafetensorError, pickle.UnpicklingError, EOFError) as error:
        raise OSError(f"its weights are cut short or damaged ({type(error).__name__})") from error
    except RuntimeError as error:
        if "PytorchStreamReader" not in str(error) and "size mismatch" not in str(error):
            raise
        raise OSError("its weights are cut short, damaged or of another architecture") from error


def all_weights_found(name: str, info: dict) -> None:
    """Refuse a checkpoint that lacks a weight, because the encoder would be partly random."""
    if missing := sorted(info["missing_keys"]):
        raise ValueError(f"{name} is of another architecture: the checkpoint lacks {len(missing)} weights, first {missing[0]}")
