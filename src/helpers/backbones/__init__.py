"""Load dual encoders (:func:`load_backbone`) or only their tokenizers (:func:`load_tokenizer`) by name, id or folder."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..arrays import choose
from .registry import HEADS, REGISTRY, Entry, named, public
from .tokenizer import Tokenizer

__all__ = ["REGISTRY", "Entry", "Tokenizer", "load_backbone", "load_tokenizer"]

if TYPE_CHECKING:  # finding and planning import this package and need no torch
    from .base import Backbone


def load_backbone(name: str, device: str | None = None, weights: str | Path | None = None) -> "Backbone":
    """Load a frozen dual encoder, without running code from a model repository and without unpickling.

    Args:
        name: a name of ``REGISTRY``; ``random-clip:<seed>``; ``transformers:<id or folder>``;
            ``open_clip:<architecture>/<pretrained tag>``; ``open_clip:hf-hub:<id>``; a model id ``owner/name`` (transformers); or a
            folder that holds ``config.json`` (transformers) or ``open_clip_config.json``.
        device: torch device; when None, CUDA if available, else the CPU.
        weights: a folder to read instead of the model hub; for any ``lit-`` name, a head file of ``studies/heads.py train``.

    Raises:
        ValueError: an unknown name (with the nearest known one), a model that is not a dual encoder, or an absent device.
        OSError: the weights are absent; says how to get them.
    """
    import torch

    from .base import reading

    library, source = _resolve(str(name), weights)
    device = str(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device is {device!r}, but torch finds no CUDA device; use device='cpu'")
    with reading(str(name), source):
        return _module(library).load(public(str(name)), source, device)


def load_tokenizer(name: str, weights: str | Path | None = None) -> Tokenizer:
    """Load the tokenizer of an encoder without its weights; arguments and errors as in :func:`load_backbone`.

    The ``lit-`` encoders, ``random-clip`` and ``clip`` need no download: packages ship their vocabularies.
    """
    from .base import reading

    library, source = _resolve(str(name), weights)
    with reading(str(name), source):
        if name == "clip" and weights is None:
            return _module(library).clip_tokenizer(name)
        return _module(library).load_tokenizer(public(str(name)), source)


def _module(library: str):
    if library == "lit":
        from . import lit as module
    elif library == "open_clip":
        from . import openclip as module  # type: ignore[no-redef]
    else:
        from . import huggingface as module  # type: ignore[no-redef]
    return module


def _resolve(name: str, weights) -> tuple[str, str]:
    """Return library and source of a name; a folder given as weights decides the source, and its files the library."""
    family, colon, rest = name.partition(":")
    if family == "random-clip":
        return "open_clip", f"{REGISTRY[family].source}/random:{rest or 0}"
    entry = named(name)
    if (entry and entry.library == "lit") or (name.startswith("lit-") and weights is not None):
        return "lit", str(weights or HEADS / f"{name}.safetensors")
    if entry:
        return (entry.library, entry.source) if weights is None else _folder(Path(weights))
    named_library = family in ("transformers", "open_clip") and bool(colon)
    source = rest if named_library else name
    if Path(source).is_dir():
        return _folder(Path(source))
    if named_library:
        return family, source
    from open_clip import list_models  # slow to load

    if (architecture := name.replace("/", "-")) in list_models():
        ours = "clip, or " if architecture == REGISTRY["random-clip"].source else ""
        raise ValueError(f"{name} is an architecture, not weights; write {ours}open_clip:{architecture}/TAG with a pretrained tag")
    if name.count("/") == 1 and not name.startswith((".", "/")):
        return "transformers", name
    if "/" in name:
        raise FileNotFoundError(f"{name} is not a folder; give a folder with config.json or open_clip_config.json, or a model id")
    return "", choose(name, REGISTRY, "backbone")  # raises, with the nearest known name


def _folder(path: Path) -> tuple[str, str]:
    if (path / "open_clip_config.json").is_file():
        return "open_clip", f"local-dir:{path}"
    if (path / "config.json").is_file():
        return "transformers", str(path)
    raise FileNotFoundError(f"{path} holds neither config.json (transformers) nor open_clip_config.json (open_clip)")
