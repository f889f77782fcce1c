"""Save random-weight dual encoders of a few thousand parameters in the formats of real releases, and real image files."""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from helpers.backbones import REGISTRY, Tokenizer
from helpers.backbones.base import Backbone

TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
SENTENCES = [
    "A dog runs across wet grass.",
    "Age: 45 years. Sex: female. Localization: back.",
    "x",
    "Frontal chest radiograph, no focal consolidation, pleural effusion or pneumothorax. " * 12,
    "Naïve café façade, 20 µm",
]


def jpegs(folder: Path, n: int = 6) -> list[Path]:
    """Write smooth colour images of different sizes as JPEG files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for i in range(n):
        small = Image.fromarray(np.random.default_rng(i).integers(0, 256, (5, 4 + i % 3, 3), dtype=np.uint8))
        paths.append(folder / f"photo_{i:03d}.jpg")
        small.resize((60 + 7 * (i % 5), 48 + 11 * (i % 4)), Image.Resampling.BICUBIC).save(paths[-1], quality=90)
    return paths


def clip_folder(folder: Path) -> Path:
    """Save a transformers CLIPModel with its tokenizer and image processor."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    characters = [chr(c) for c in range(33, 127)] + [chr(c) for c in range(161, 324)]
    pieces = characters + [c + "</w>" for c in characters] + ["<|startoftext|>", "<|endoftext|>"]
    vocabulary, size = {piece: i for i, piece in enumerate(pieces)}, len(pieces)
    text = {**TOWER, "vocab_size": size, "max_position_embeddings": 77, "bos_token_id": size - 2, "eos_token_id": size - 1}
    config = CLIPConfig(text_config=text, vision_config={**TOWER, "image_size": 32, "patch_size": 8}, projection_dim=24)
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def siglip_folder(folder: Path, spiece: bool = False, cased: bool = False) -> Path:
    """Save a transformers SiglipModel with its image processor and a unigram tokenizer: ``tokenizer.json`` or ``spiece.model``.

    One that is ``cased`` does not lower the case of texts, as in the files of SigLIP 2 in 2025.
    """
    import sentencepiece
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, SiglipConfig, SiglipImageProcessor, SiglipModel

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((c, -3.0) for c in [*map(chr, range(33, 127)), "▁"])]
    special_ids = {"pad_token_id": 1, "bos_token_id": 1, "eos_token_id": 1}
    text = {**TOWER, "vocab_size": len(pieces), "max_position_embeddings": 64, **special_ids}
    config = SiglipConfig(text_config=text, vision_config={**TOWER, "image_size": 32, "patch_size": 8})
    torch.manual_seed(0)
    SiglipModel(config).save_pretrained(folder)
    SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    tokens = {"pad_token": "</s>", "eos_token": "</s>", "unk_token": "<unk>", "model_max_length": 64}
    if spiece:
        ids, small = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}, {"vocab_size": 90, "hard_vocab_limit": False}
        prefix = {"model_prefix": str(folder / "spiece"), "minloglevel": 2}
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(SENTENCES * 3), **ids, **small, **prefix)
        settings = {"tokenizer_class": "SiglipTokenizer", "do_lower_case": True, "model_input_names": ["input_ids"], **tokens}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        return folder
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.normalizer = normalizers.Sequence([] if cased else [normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, padding_side="right", **tokens).save_pretrained(folder)
    return folder


def biomedclip_folder(folder: Path) -> Path:
    """Save both downloads of a model like BioMedCLIP: weights in a ``.bin`` file and tokenizer, configuration of the BERT tower."""
    import open_clip
    from transformers import BertConfig, BertTokenizer

    (folder / "text").mkdir(parents=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(chr, range(33, 127)), *("##" + chr(c) for c in range(33, 127))]
    vocabulary = {word: i for i, word in enumerate(words)}
    BertTokenizer(vocab=vocabulary, do_lower_case=True, model_max_length=128).save_pretrained(folder)
    BertConfig(vocab_size=len(vocabulary), max_position_embeddings=128, **TOWER).save_pretrained(folder / "text")
    text = {"hf_proj_type": "mlp", "context_length": 128, "hf_pooler_type": "cls_last_hidden_state_pooler"}
    vision = {"timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear", "image_size": 160}
    local = {"hf_model_name": str(folder / "text"), "hf_model_pretrained": False}
    torch.manual_seed(0)
    weights = open_clip.CustomTextCLIP(24, vision, {**text, **local}).state_dict()
    weights["text.transformer.embeddings.position_ids"] = torch.arange(128)[None]  # as transformers once saved it
    torch.save(weights, folder / "open_clip_pytorch_model.bin")
    text |= {name: REGISTRY["biomedclip"].text_tower for name in ("hf_model_name", "hf_tokenizer_name")}
    settings = {
        "model_cfg": {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {"interpolation": "bicubic"},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(settings))
    return folder


def cached(cache: Path, repository: str, files: list[Path], commit: str) -> None:
    """Put files of a model repository into the local cache of the hub's client."""
    snapshot, refs = (cache / f"models--{repository.replace('/', '--')}" / name for name in (f"snapshots/{commit}", "refs"))
    for folder in (snapshot, refs):
        folder.mkdir(parents=True, exist_ok=True)
    for path in files:
        shutil.copy(path, snapshot)
    (refs / "main").write_text(commit)


def eight_by_eight(image) -> np.ndarray:
    """Preprocess an image in a way that a worker process can run: uint8 (8, 8, 3)."""
    return np.array(image.resize((8, 8), Image.Resampling.BILINEAR))


def linear_backbone(name: str = "linear", seed: int = 0):
    """Return a dual encoder of two fixed random projections, cheap to start often; ``seen`` counts its work."""
    generator = torch.Generator().manual_seed(seed)
    pixels, letters = torch.randn(192, 16, generator=generator), torch.randn(256, 16, generator=generator)
    seen = {"images": 0, "texts": 0}

    def image_features(batch):
        seen["images"] += len(batch)
        return (batch.float().flatten(1) / 255 - 0.5) @ pixels

    def text_features(ids, mask):
        seen["texts"] += len(ids)
        return (letters[ids] * mask.unsqueeze(-1)).sum(1)

    ids, lengths = lambda texts: [list(t.encode())[:20] for t in texts], lambda texts: [len(t.encode()) for t in texts]
    tokenizer = Tokenizer(name, context_length=20, pad_id=0, ids=ids, lengths=lengths, hash="bytes")
    how = {"preprocess": eight_by_eight, "image_features": image_features, "text_features": text_features, "pad_to_context": False}
    fingerprint = {"backbone": name, "weights": str(seed)}
    backbone = Backbone(name=name, dim=16, tokenizer=tokenizer, device="cpu", fingerprint=fingerprint, **how)
    backbone.seen = seen
    return backbone
