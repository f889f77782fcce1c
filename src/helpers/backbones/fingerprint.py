"""Hashes that identify an encoder: its weights, its preprocessing and its tokenizer."""

import hashlib
import json
import re
from pathlib import Path

import torch
from huggingface_hub import try_to_load_from_cache


def weights_hash(model) -> str:
    """SHA-256 over names, types, shapes and bytes of a torch module's state, in order of name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(_bytes(tensor)).numpy().data)
    return digest.hexdigest()


def settings_hash(settings) -> str:
    """SHA-256 of JSON-serialisable settings, independent of key order."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, ensure_ascii=False, default=str).encode()).hexdigest()


def tokenizer_hash(tokenizer) -> str:
    """SHA-256 of a tokenizer's vocabulary and rules; padding and truncation, which belong to a call, are left out."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if hasattr(tokenizer, "sp_model"):  # a sentencepiece model; its file holds the scores that decide between segmentations
        return settings_hash([type(tokenizer).__name__, hashlib.sha256(tokenizer.sp_model.serialized_model_proto()).hexdigest()])
    if backend is None:
        vocabulary = tokenizer.get_vocab() if hasattr(tokenizer, "get_vocab") else tokenizer.encoder
        return settings_hash([type(tokenizer).__name__, vocabulary])
    rules = json.loads(backend.to_str())
    return settings_hash({key: value for key, value in rules.items() if key not in ("padding", "truncation")})


def revision(repository: str, *files: str) -> str | None:
    """Commit of a model repository, from the first of ``files`` that the hub's local cache holds; None if it holds none."""
    found = (try_to_load_from_cache(repository, name) for name in files)
    return next((Path(path).parent.name for path in found if isinstance(path, str)), None)


def public(name: str) -> str:
    """A name or source as given; of a folder its last part and of a weights file its own name, since results carry no path."""
    path = re.sub("^((transformers|open_clip|local-dir):)*", "", name)
    prefix = name.removesuffix(path)
    architecture, _, tag = path.partition("/")
    if Path(path).is_dir():
        return Path(path).name
    return f"{prefix}{architecture}/{Path(tag).name}" if Path(tag).is_file() else name


def _bytes(tensor):
    return torch.uint8 if tensor.dtype != torch.bool else torch.bool
