"""Load dual encoders of the open_clip library: by architecture and tag, from the hub, from a folder, or with random weights."""

import warnings
from functools import partial
from pathlib import Path

import numpy as np
import open_clip
import torch

from ..arrays import choose
from ..files import read_json
from .base import Backbone, encoder, guarded, revision, weights_hash
from .registry import MASKED, TO_CONTEXT, public
from .tokenizer import Tokenizer, tokenizer_hash, with_vocabulary

ELSEWHERE = ("hf-hub:", "local-dir:")  # sources that hold their own configuration


def pixels(transform, image) -> np.ndarray:
    """Turn one RGB image into a float32 array (3, h, w) with open_clip's own evaluation transform."""
    return transform(image).numpy()


def load(name: str, source: str, device: str) -> Backbone:
    """Load an open_clip dual encoder.

    ``source`` is ``hf-hub:<id>``, ``local-dir:<folder>`` or ``<architecture>/`` and a pretrained tag, a file or ``random:<seed>``.
    BioMedCLIP takes its text tower from another repository; a folder needs that tower's configuration as ``text/config.json``.
    """
    model_name, tag = (source, None) if source.startswith(ELSEWHERE) else source.partition("/")[::2]
    if tag == "":
        raise ValueError(f"{name} has no pretrained tag; write for example open_clip:ViT-B-32/openai")
    if tag is not None and tag.startswith("random:"):
        if not (seed := tag.removeprefix("random:")).isdigit():
            raise ValueError(f"random-clip takes a whole number as seed, got {seed!r}; write for example random-clip:7")
        return random_clip(name, model_name, device, int(seed))
    folder, options = Path(source.removeprefix("local-dir:")), {}
    if source.startswith("local-dir:") and (folder / "text" / "config.json").is_file():  # in place of the hub's
        text_cfg = read_json(folder / "open_clip_config.json")["model_cfg"]["text_cfg"]
        options = {"text_cfg": {**text_cfg, "hf_model_name": str(folder / "text"), "hf_model_pretrained": False}}
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="QuickGELU mismatch")
        try:
            model, _, transform = open_clip.create_model_and_transforms(
                model_name, pretrained=tag, require_pretrained=True, pretrained_text=False, weights_only=True, **options
            )
        except UserWarning as mismatch:
            raise ValueError(f"{name}: {mismatch}; name the -quickgelu architecture for these weights") from None
    about = {"backbone": name, "source": public(source), "revision": _commit(source)}
    return _wrap(about, model, transform, load_tokenizer(name, source), device)


def random_clip(name: str, architecture: str, device: str, seed: int) -> Backbone:
    """Return an open_clip architecture at initialisation, which shows the cone before any training."""
    with guarded(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, _, transform = open_clip.create_model_and_transforms(architecture, pretrained=None)
    about = {"backbone": name, "source": f"{architecture}, random weights, seed {seed}", "revision": None}
    return _wrap(about, model, transform, load_tokenizer(name, architecture), device)


def load_tokenizer(name: str, source: str) -> Tokenizer:
    """Load the tokenizer of a source of :func:`load` without reading the weights."""
    model_name = source if source.startswith(ELSEWHERE) else source.partition("/")[0]
    if open_clip.get_model_config(model_name) is None:  # get_tokenizer would return CLIP's own
        choose(model_name, open_clip.list_models(), "open_clip architecture")

    def read() -> Tokenizer:
        tokenizer = open_clip.get_tokenizer(model_name)
        inner = getattr(tokenizer, "tokenizer", tokenizer)
        pad_id = getattr(inner, "pad_token_id", 0)

        def ids(texts: list[str]) -> list[list[int]]:
            rows = tokenizer(texts).numpy()
            return [row[: max(1, len(np.trim_zeros(row != pad_id, "b")))].tolist() for row in rows]  # without padding

        def lengths(texts: list[str]) -> list[int]:
            if hasattr(tokenizer, "encode"):
                return [len(tokenizer.encode(text)) + 2 for text in texts]
            return [len(row) for row in inner([tokenizer.clean_fn(text) for text in texts], verbose=False)["input_ids"]]

        return Tokenizer(name, int(tokenizer.context_length), pad_id, ids, lengths, tokenizer_hash(inner))

    return with_vocabulary(read)


def _wrap(about: dict, model, transform, tokenizer: Tokenizer, device: str) -> Backbone:
    # Towers from transformers mask padding, so rows can be short; open_clip's own towers need rows of full length.
    masked = hasattr(getattr(model, "text", None), "transformer") and hasattr(model.text.transformer, "config")
    padding, settings = MASKED if masked else TO_CONTEXT, open_clip.get_model_preprocess_cfg(model)
    about["activation"] = "QuickGELU" if "QuickGELU" in {type(module).__name__ for module in model.modules()} else "GELU"
    model = model.float().eval().requires_grad_(False).to(device)
    parts = {"preprocess": partial(pixels, transform), "image_features": model.encode_image, "device": device}
    return encoder(
        about, weights_hash(model), settings, padding, tokenizer, text_features=lambda ids, mask: model.encode_text(ids), **parts
    )


def _commit(source: str) -> str | None:
    """Return the commit of the hub's repository that a source names; None for a folder or a file."""
    if source.startswith("local-dir:"):
        return None
    if source.startswith("hf-hub:"):
        return revision(source.removeprefix("hf-hub:"), "open_clip_config.json")
    repository, _, file = open_clip.get_pretrained_cfg(*source.split("/", 1)).get("hf_hub", "").rpartition("/")
    return revision(repository, file or "open_clip_model.safetensors", "open_clip_pytorch_model.bin") if repository else None
