"""Load dual encoders (:func:`load_backbone`) or only their tokenizers (:func:`load_tokenizer`) by name, id or folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..arrays import choose
from .registry import REGISTRY, Entry, public
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
        weights: a folder to read instead of the model hub; for any ``lit-`` name, a head file written by ``heads train``.

    Raises:
        ValueError: an unknown name (with the nearest known one), a model that is not a dual encoder, or an absent device.
        OSError: the weights are absent; says how to get them.
    """
    import torch

    name = str(name)
    library, source = _resolve(name, weights)
    device = str(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device is {device!r}, but torch finds no CUDA device; use device='cpu'")
    if library == "lit":
        from .lit import load_lit

        return load_lit(name, device, weights)
    if library == "random":
        from .openclip import random_clip

        return random_clip(name, source, device, _seed(name))
    with _explaining_os_errors(name):
        if library == "open_clip":
            from .openclip import load_open_clip as load
        else:
            from .huggingface import load_transformers as load
        return load(public(name), source, device)


def load_tokenizer(name: str, weights: str | Path | None = None) -> Tokenizer:
    """Load the tokenizer of an encoder without its weights; arguments and errors as in :func:`load_backbone`.

    The ``lit-`` encoders, ``random-clip`` and ``clip`` need no download: packages ship their vocabularies.
    """
    name = str(name)
    library, source = _resolve(name, weights)
    if library == "lit":
        from .lit import minilm_tokenizer

        return minilm_tokenizer(name)
    if name == "clip" and weights is None:
        from .huggingface import clip_tokenizer

        return clip_tokenizer(name)
    with _explaining_os_errors(name):
        if library in ("open_clip", "random"):
            from .openclip import open_clip_tokenizer as load
        else:
            from .huggingface import transformers_tokenizer as load
        return load(public(name), source)


@contextmanager
def _explaining_os_errors(name: str) -> Iterator[None]:
    """Add to a library's error on absent files how to get them."""
    try:
        yield
    except OSError as error:
        what = (str(error).strip().splitlines() or [type(error).__name__])[0]
        how = REGISTRY[name].access if name in REGISTRY else "check the id, or give a local folder"
        raise OSError(f"the files of {name!r} are not available ({what}); {how}") from error


def _resolve(name: str, weights) -> tuple[str, str]:
    """Return library and source of a name; a folder given as weights decides the source, and its files the library."""
    family, colon, rest = name.partition(":")
    if family in REGISTRY and (not colon or family == "random-clip"):
        entry = REGISTRY[family]
        if weights is not None and entry.library in ("transformers", "open_clip"):
            return _folder(Path(weights))
        return entry.library, entry.source
    if name.startswith("lit-") and weights is not None:
        return "lit", name
    if family in ("hf-hub", "local-dir") and colon:
        return "open_clip", name
    named_library = family in ("transformers", "open_clip") and bool(colon)
    if Path(rest if named_library else name).is_dir():
        return _folder(Path(rest if named_library else name))
    if named_library:
        return family, rest
    if name.count("/") == 1 and not name.startswith((".", "/")):
        return "transformers", name
    if "/" in name:
        raise FileNotFoundError(f"{name} is not a folder; give a folder with config.json or open_clip_config.json, or a model id")
    return "", choose(name, REGISTRY, "backbone")  # raises, with the nearest known name


def _folder(path: Path) -> tuple[str, str]:
    if (path / "open_clip_config.json").is_file():
        from .openclip import require_text_tower

        require_text_tower(path)
        return "open_clip", f"local-dir:{path}"
    if (path / "config.json").is_file():
        return "transformers", str(path)
    raise FileNotFoundError(f"{path} holds neither config.json (transformers) nor open_clip_config.json (open_clip)")


def _seed(name: str) -> int:
    seed = name.partition(":")[2] or "0"
    if not seed.isdigit():
        raise ValueError(f"random-clip takes a whole number as seed, got {seed!r}; write for example random-clip:7")
    return int(seed)
