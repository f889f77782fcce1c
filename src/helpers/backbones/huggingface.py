"""Load dual encoders of the transformers library: CLIP, SigLIP, any model with ``get_image_features`` and ``get_text_features``."""

from functools import partial
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoTokenizer, CLIPTokenizer

from .base import Backbone
from .loading import SAFE, all_weights_found, frozen, no_remote_code, quiet, readable_weights, revision
from .registry import MASKED, UNMASKED, public
from .tokenizer import Tokenizer, absent_files_named, from_transformers, with_vocabulary

FOLDER_KEYS = ("_processor_class", "processor_class", "name_or_path")  # of no weight: a copied folder has the same fingerprint
SPECIAL = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}  # open_clip's names, transformers' names


def pixels(processor, image) -> np.ndarray:
    """Turn one RGB image into a float32 array (3, h, w) with the model's own image processor (PIL)."""
    return np.asarray(processor(images=image, return_tensors="np")["pixel_values"][0], dtype=np.float32)


def load_transformers(name: str, source: str, device: str) -> Backbone:
    """Load a transformers dual encoder from an id or a folder, in float32.

    SigLIP texts are padded to the full context and come without an attention mask, as its documentation asks: the text tower
    pools the last position, so a mask or a shorter row gives another vector. All other towers get their mask.
    """
    config = _configuration(name, source)
    with quiet(), no_remote_code(), readable_weights():
        model, info = _load_weights(source, config)
    all_weights_found(name, info)
    missing = [method for method in ("get_image_features", "get_text_features") if not hasattr(model, method)]
    if missing:
        raise ValueError(f"{name} ({type(model).__name__}) has no {missing[0]}; give a dual encoder such as clip or siglip")
    processor = AutoImageProcessor.from_pretrained(source, backend="pil", **SAFE)
    if (keys := set(processor(images=Image.new("RGB", (32, 32)), return_tensors="np"))) != {"pixel_values"}:
        raise ValueError(f"{name} takes {sorted(keys)} for an image; only models that take pixel_values alone are supported")
    settings = {key: value for key, value in processor.to_dict().items() if key not in FOLDER_KEYS}
    tokenizer, padded = transformers_tokenizer(name, source), config.model_type.startswith("siglip")

    def image_features(batch):
        return _features(model.get_image_features(pixel_values=batch))

    def text_features(ids, mask):
        return _features(model.get_text_features(input_ids=ids, **({} if padded else {"attention_mask": mask})))

    commit = None if Path(source).is_dir() else revision(source, "config.json")
    about, padding = {"backbone": name, "source": public(source), "revision": commit}, UNMASKED if padded else MASKED
    return frozen(model, device, partial(pixels, processor), tokenizer, image_features, text_features, padding, about, settings)


def transformers_tokenizer(name: str, source: str) -> Tokenizer:
    """Load the tokenizer from an id or a folder without reading the weights."""
    config = _configuration(name, source)
    with quiet(), absent_files_named():
        tokenizer = AutoTokenizer.from_pretrained(source, **SAFE)
    context = min(config.text_config.max_position_embeddings, tokenizer.model_max_length)
    return with_vocabulary(from_transformers(name, tokenizer, context))


def clip_tokenizer(name: str) -> Tokenizer:
    """Return the tokenizer of ``openai/clip-*`` without a download: open_clip ships its byte-pair vocabulary."""
    shipped = open_clip.get_tokenizer("ViT-B-32")
    vocabulary = {SPECIAL.get(piece, piece): number for piece, number in shipped.encoder.items()}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=list(shipped.bpe_ranks), model_max_length=shipped.context_length)
    return from_transformers(name, tokenizer, shipped.context_length)


def _configuration(name: str, source: str):
    with quiet():
        config = AutoConfig.from_pretrained(source, **SAFE)
    if not hasattr(config, "text_config") or not hasattr(config, "vision_config"):
        raise ValueError(f"{name} is a {config.model_type} model, not a dual encoder such as clip or siglip")
    return config


def _load_weights(source: str, config) -> tuple:
    """Return model and loading report; convert half-precision checkpoints to float32, the precision of all computation."""
    settings = {"config": config, "dtype": torch.float32, "output_loading_info": True, **SAFE}
    config._attn_implementation = "sdpa"  # torch's own kernel for both towers; a config.json could name a kernel of the hub
    try:
        return AutoModel.from_pretrained(source, **settings)
    except ValueError as error:
        if "scaled_dot_product_attention" not in str(error):
            raise
    config._attn_implementation = "eager"
    return AutoModel.from_pretrained(source, **settings)


def _features(output):
    """Return projected features, which transformers 5 wraps as ``pooler_output`` of an object and transformers 4 does not."""
    return getattr(output, "pooler_output", output)
