"""List the encoders with a name in this project: their source, their terms and their training data."""

import re
from dataclasses import dataclass
from pathlib import Path

DIMENSIONS = {"clip": 512, "siglip": 768, "biomedclip": 512, "medsiglip": 1152}
"""Width of the projected features of the paper's encoders."""

MASKED, TO_CONTEXT, UNMASKED = "masked", "to context", "to context, no mask"
CLIP_PIXELS = "mean (0.481, 0.458, 0.408), deviation (0.269, 0.261, 0.276)"
IMAGENET_PIXELS = "mean (0.485, 0.456, 0.406), deviation (0.229, 0.224, 0.225)"
HALF_PIXELS = "mean 0.5, deviation 0.5"
LIT_PIXELS = "(pixel - 127) / 128 of pixels in [0, 255]"
BY_WEIGHTS, BY_FORMAT, BY_CARD = "its weights", "tiny random weights in its format", "nothing: written from its public card"
PUBMEDBERT = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract"
ACCESS = {
    "open": "downloaded on first use; to work offline, `hf download {0}` beforehand, or give a local folder as weights",
    "gated": "gated: accept the terms at https://huggingface.co/{0}, then `hf auth login` and `hf download {0}`",
    "two repositories": "downloaded on first use; to work offline, `hf download {0} --local-dir FOLDER`, then "
    f"`hf download {PUBMEDBERT} config.json --local-dir FOLDER/text`, and give FOLDER as weights",
    "shipped": "shipped in data/heads; its towers come with the package's dependencies",
    "random": "nothing to get; `random-clip:7` has seed 7",
}


@dataclass(frozen=True)
class Entry:
    """One named encoder; ``normalisation`` and ``padding`` describe what the model's own files decide."""

    title: str
    library: str  # what loads it: "transformers", "open_clip", "lit" or "random"
    source: str  # its id there
    domain: str  # domain of its training data: "natural", "medical" or "none"
    citation: str  # key in book/references.bib
    normalisation: str = CLIP_PIXELS  # of pixels in [0, 1] unless stated otherwise
    padding: str = MASKED  # of texts
    loaded: str = BY_FORMAT  # what the tests load of it
    terms: str = "open"  # key of ACCESS
    text_tower: str = ""  # repository of the text tower's configuration, if it is another one

    @property
    def access(self) -> str:
        """Return how to get the weights, in one sentence."""
        return ACCESS[self.terms].format(self.source.removeprefix("hf-hub:"))


def _hub(title: str, source: str, domain: str, citation: str, **settings) -> Entry:
    return Entry(title, "transformers", source, domain, citation, **settings)


def _open_clip(title: str, source: str, domain: str, citation: str, **settings) -> Entry:
    return Entry(title, "open_clip", f"hf-hub:{source}", domain, citation, **settings)


LIT = {"normalisation": LIT_PIXELS, "loaded": BY_WEIGHTS, "terms": "shipped"}
SIGLIP = {"normalisation": HALF_PIXELS, "padding": UNMASKED}
BIOMEDCLIP = "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"
TWO = {"terms": "two repositories", "text_tower": PUBMEDBERT}
AT_START = {"padding": TO_CONTEXT, "loaded": BY_WEIGHTS, "terms": "random"}
CARD_ALONE = {"padding": TO_CONTEXT, "loaded": BY_CARD}
METACLIP = "facebook/metaclip-2-worldwide-huge-quickgelu"
PUBMEDCLIP = "flaviagiammarino/pubmed-clip-vit-base-patch32"
REGISTRY = {
    "clip": _hub("CLIP ViT-B/32", "openai/clip-vit-base-patch32", "natural", "radford2021clip"),
    "siglip": _hub("SigLIP ViT-B/16, 384 px", "google/siglip-base-patch16-384", "natural", "zhai2023siglip", **SIGLIP),
    "siglip-224": _hub("SigLIP ViT-B/16, 224 px", "google/siglip-base-patch16-224", "natural", "zhai2023siglip", **SIGLIP),
    "biomedclip": _open_clip("BioMedCLIP: PubMedBERT, ViT-B/16", BIOMEDCLIP, "medical", "zhang2023biomedclip", **TWO),
    "medsiglip": _hub("MedSigLIP, 448 px", "google/medsiglip-448", "medical", "sellergren2025medgemma", terms="gated", **SIGLIP),
    "lit-natural": Entry("Test bench, heads trained on Flickr8k", "lit", "lit-natural", "natural", "zhai2022lit", **LIT),
    "lit-derm": Entry("Test bench, heads trained on HAM10000", "lit", "lit-derm", "medical", "zhai2022lit", **LIT),
    "random-clip": Entry("CLIP ViT-B/32 at initialisation", "random", "ViT-B-32", "none", "liang2022mind", **AT_START),
    "siglip2": _hub("SigLIP 2 ViT-B/16, 224 px", "google/siglip2-base-patch16-224", "natural", "tschannen2025siglip2", **SIGLIP),
    "metaclip2": _hub("MetaCLIP 2 ViT-H/14", METACLIP, "natural", "chuang2025metaclip2", loaded=BY_CARD),
    "pe-core": _open_clip(
        "PE-Core ViT-B/16", "timm/PE-Core-B-16", "natural", "bolya2025perception", normalisation=HALF_PIXELS, **CARD_ALONE
    ),
    "pubmedclip": _hub("PubMedCLIP ViT-B/32", PUBMEDCLIP, "medical", "eslami2023pubmedclip"),
    "monet": _hub("MONET ViT-L/14, dermatology", "suinleelab/monet", "medical", "kim2024monet", normalisation=IMAGENET_PIXELS),
    "dermlip": _open_clip("DermLIP ViT-B/16, dermatology", "redlessone/DermLIP_ViT-B-16", "medical", "yan2025derm1m", **CARD_ALONE),
}


def trained() -> list[str]:
    """Return the names of encoders with trained weights."""
    return [name for name, entry in REGISTRY.items() if entry.library != "random"]


def public(name: str) -> str:
    """Return a name or source without paths: a folder by its last part, a weights file by its own name, others as given."""
    path = re.sub("^((transformers|open_clip|local-dir):)*", "", name)
    prefix = name.removesuffix(path)
    architecture, _, tag = path.partition("/")
    if Path(path).is_dir():
        return Path(path).name
    return f"{prefix}{architecture}/{Path(tag).name}" if Path(tag).is_file() else name
