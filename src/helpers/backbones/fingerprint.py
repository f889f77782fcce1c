"""Identify an encoder without its weights: hashes of its preprocessing and tokenizer, and its public name."""

import hashlib
import json
import re
from pathlib import Path


def settings_hash(settings) -> str:
    """Return the SHA-256 of JSON-serialisable settings, independent of key order."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, ensure_ascii=False, default=str).encode()).hexdigest()


def tokenizer_hash(tokenizer) -> str:
    """Return the SHA-256 of a tokenizer's vocabulary and rules, without padding and truncation, which belong to a call."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if hasattr(tokenizer, "sp_model"):  # a sentencepiece model; its file holds the scores that decide between segmentations
        return settings_hash([type(tokenizer).__name__, hashlib.sha256(tokenizer.sp_model.serialized_model_proto()).hexdigest()])
    if backend is None:
        vocabulary = tokenizer.get_vocab() if hasattr(tokenizer, "get_vocab") else tokenizer.encoder
        return settings_hash([type(tokenizer).__name__, vocabulary])
    rules = json.loads(backend.to_str())
    return settings_hash({key: value for key, value in rules.items() if key not in ("padding", "truncation")})


def public(name: str) -> str:
    """Return a name or source without paths: a folder by its last part, a weights file by its own name, others as given."""
    path = re.sub("^((transformers|open_clip|local-dir):)*", "", name)
    prefix = name.removesuffix(path)
    architecture, _, tag = path.partition("/")
    if Path(path).is_dir():
        return Path(path).name
    return f"{prefix}{architecture}/{Path(tag).name}" if Path(tag).is_file() else name
