"""The encoders this project knows by name: where they come from, under which terms, and what they were trained on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One named encoder.

    ``library`` says who loads it: ``transformers``, ``open_clip``, ``lit`` or ``random``; ``source`` is that library's own id.
    """

    title: str
    library: str
    source: str
    domain: str  # what it was trained on: "natural", "medical" or "none"
    access: str  # how to get the weights, in one sentence
    gated: bool = False
    citation: str = ""  # key in book/references.bib


def _hub(repository: str) -> str:
    return f"downloaded on first use; offline: `hf download {repository}` beforehand, or give a local folder with weights="


REGISTRY = {
    "clip": Entry(
        "CLIP ViT-B/32", "transformers", "openai/clip-vit-base-patch32", "natural", _hub("openai/clip-vit-base-patch32"), citation="radford2021clip"
    ),
    "siglip": Entry(
        "SigLIP ViT-B/16, 384 px", "transformers", "google/siglip-base-patch16-384", "natural", _hub("google/siglip-base-patch16-384"),
        citation="zhai2023siglip",
    ),
    "siglip-224": Entry(
        "SigLIP ViT-B/16, 224 px", "transformers", "google/siglip-base-patch16-224", "natural", _hub("google/siglip-base-patch16-224"),
        citation="zhai2023siglip",
    ),
    "biomedclip": Entry(
        "BioMedCLIP (PubMedBERT, ViT-B/16)", "open_clip", "hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224", "medical",
        _hub("microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"), citation="zhang2023biomedclip",
    ),
    "medsiglip": Entry(
        "MedSigLIP, 448 px", "transformers", "google/medsiglip-448", "medical",
        "gated: accept the terms at https://huggingface.co/google/medsiglip-448, then `hf auth login` and `hf download google/medsiglip-448`",
        gated=True, citation="sellergren2025medgemma",
    ),
    "lit-natural": Entry(
        "EfficientNet-Lite0 + MiniLM, heads trained on Flickr8k", "lit", "lit-natural", "natural", "shipped in data/heads; towers from the package index"
    ),
    "lit-derm": Entry(
        "EfficientNet-Lite0 + MiniLM, heads trained on HAM10000", "lit", "lit-derm", "medical", "shipped in data/heads; towers from the package index"
    ),
    "random-clip": Entry(
        "CLIP ViT-B/32 at initialisation", "random", "ViT-B-32", "none", "nothing to get: random weights, seed 0 (`random-clip:7` for seed 7)",
        citation="liang2022mind",
    ),
}  # fmt: skip
