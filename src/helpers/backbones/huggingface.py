"""Load dual encoders of the transformers library: CLIP, SigLIP, any model with ``get_image_features`` and ``get_text_features``."""

import warnings
from functools import partial
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from transformers import MODEL_MAPPING, AutoConfig, AutoImageProcessor, AutoModel, AutoTokenizer, CLIPTokenizer

from .base import SAFE, Backbone, encoder, revision, weights_hash
from .registry import MASKED, UNMASKED, public
from .tokenizer import Tokenizer, from_transformers, with_vocabulary

FOLDER_KEYS = ("_processor_class", "processor_class", "name_or_path")  # of no weight: a copied folder has the same fingerprint
SPECIAL = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}  # open_clip's names, transformers' names


def pixels(processor, image) -> np.ndarray:
    """Turn one RGB image into a float32 array (3, h, w) with the model's own image processor (PIL)."""
    return np.asarray(processor(images=image, return_tensors="np")["pixel_values"][0], dtype=np.float32)


def load(name: str, source: str, device: str) -> Backbone:
    """Load a transformers dual encoder from an id or a folder, in float32."""
    config = AutoConfig.from_pretrained(source, **SAFE)
    if not hasattr(config, "text_config") or not hasattr(config, "vision_config"):
        raise ValueError(f"{name} is a {config.model_type} model, not a dual encoder such as clip or siglip")
    # Torch's own kernels, because a config.json could name a kernel of the hub; float32 also for half-precision checkpoints.
    config._attn_implementation = "sdpa" if getattr(MODEL_MAPPING.get(type(config), None), "_supports_sdpa", False) else "eager"
    how = {"dtype": torch.float32, "output_loading_info": True, "ignore_mismatched_sizes": True}  # refused below, by name
    model, info = AutoModel.from_pretrained(source, config=config, **how, **SAFE)
    if other := sorted(info["mismatched_keys"]):
        key, stored, wanted = other[0]
        shapes = f"first {key}: {tuple(stored)}, not {tuple(wanted)}"
        raise ValueError(f"{name}: {len(other)} weights have another shape than in config.json, {shapes}; get both from one place")
    if missing := sorted(info["missing_keys"]):  # it would be partly random
        held = f", and has {min(info['unexpected_keys'])} instead" if info["unexpected_keys"] else ""
        lacks = f"the checkpoint lacks {len(missing)} weights, first {missing[0]}{held}"
        raise ValueError(f"{name} is of another architecture: {lacks}")
    processor = AutoImageProcessor.from_pretrained(source, backend="pil", **SAFE)
    if (keys := set(processor(images=Image.new("RGB", (32, 32)), return_tensors="np"))) != {"pixel_values"}:
        raise ValueError(f"{name} takes {sorted(keys)} for an image; only models that take pixel_values alone are supported")
    settings = {key: value for key, value in processor.to_dict().items() if key not in FOLDER_KEYS}
    # SigLIP's text tower pools the last position, so a mask or a shorter row gives another vector than its documentation asks for.
    padding = UNMASKED if config.model_type.startswith("siglip") else MASKED
    model = model.eval().requires_grad_(False).to(device)

    def text_features(ids, mask):
        return _pooled(model.get_text_features(input_ids=ids, **({"attention_mask": mask} if padding == MASKED else {})))

    commit = None if Path(source).is_dir() else revision(source, "config.json")
    about, tokenizer = {"backbone": name, "source": public(source), "revision": commit}, load_tokenizer(name, source)
    if padding == UNMASKED and tokenizer.cased:  # as SigLIP 2 came in 2025, whose texts were in lower case in training
        told = "its tokenizer tells upper from lower case, and SigLIP was trained on lower case; give such texts"
        warnings.warn(f"{name}: {told}", stacklevel=2)
    parts = {"preprocess": partial(pixels, processor), "text_features": text_features, "device": device}
    parts["logit"] = float(model.logit_scale.exp()), float(getattr(model, "logit_bias", 0))
    parts["image_features"] = lambda batch: _pooled(model.get_image_features(pixel_values=batch))
    return encoder(about, weights_hash(model), settings, padding, tokenizer, **parts)


def load_tokenizer(name: str, source: str) -> Tokenizer:
    """Load the tokenizer from an id or a folder without reading the weights."""
    longest = AutoConfig.from_pretrained(source, **SAFE).text_config.max_position_embeddings

    def read() -> Tokenizer:
        tokenizer = AutoTokenizer.from_pretrained(source, **SAFE)
        return from_transformers(name, tokenizer, min(longest, tokenizer.model_max_length))

    return with_vocabulary(read)


def clip_tokenizer(name: str) -> Tokenizer:
    """Return the tokenizer of ``openai/clip-*`` without a download: open_clip ships its byte-pair vocabulary."""
    shipped = open_clip.get_tokenizer("ViT-B-32")
    vocabulary = {SPECIAL.get(piece, piece): number for piece, number in shipped.encoder.items()}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=list(shipped.bpe_ranks), model_max_length=shipped.context_length)
    return from_transformers(name, tokenizer, shipped.context_length)


def _pooled(output):
    """Return projected features, which transformers 5 wraps as ``pooler_output`` of an object and transformers 4 does not."""
    return getattr(output, "pooler_output", output)
