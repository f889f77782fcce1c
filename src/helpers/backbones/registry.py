"""List the encoders with a name in this project: their source, their terms and their training data."""

from dataclasses import dataclass
from typing import Any

GATED = "gated: accept the terms at https://huggingface.co/{0}, then `hf auth login` and `hf download {0}`"
OPEN = "downloaded on first use; to work offline, `hf download {0}` beforehand, or give a local folder as weights"
MASKED, TO_CONTEXT, UNMASKED = "masked", "to context", "to context, no mask"
CLIP_PIXELS = "mean (0.481, 0.458, 0.408), deviation (0.269, 0.261, 0.276)"
IMAGENET_PIXELS = "mean (0.485, 0.456, 0.406), deviation (0.229, 0.224, 0.225)"
HALF_PIXELS = "mean 0.5, deviation 0.5"
BY_WEIGHTS, BY_FORMAT, BY_CARD = "its weights", "tiny random weights in its format", "nothing: written from its public card"
LIT_PIXELS = "(pixel - 127) / 128 of pixels in [0, 255]"
SIGLIP: dict[str, Any] = {"normalisation": HALF_PIXELS, "padding": UNMASKED}
SHIPPED = "shipped in data/heads; its towers come with the package's dependencies"

DIMENSIONS = {"clip": 512, "siglip": 768, "biomedclip": 512, "medsiglip": 1152}
"""Width of the projected features of the paper's encoders."""


@dataclass(frozen=True)
class Entry:
    """One named encoder.

    ``library`` names what loads it: ``transformers``, ``open_clip``, ``lit`` or ``random``; ``source`` is its id there.
    ``padding`` and ``normalisation`` describe what loading applies. The model's own files decide, and the fingerprint records them.
    ``loaded`` says what the tests load of it.
    """

    title: str
    library: str
    source: str
    domain: str  # domain of its training data: "natural", "medical" or "none"
    access: str  # how to get the weights, in one sentence
    citation: str  # key in book/references.bib
    gated: bool = False
    text_tower: str = ""  # repository of the text tower's configuration, if it is another one
    normalisation: str = CLIP_PIXELS  # of pixels in [0, 1] unless stated otherwise
    padding: str = MASKED  # of texts
    loaded: str = BY_FORMAT


def _hub(title: str, repository: str, domain: str, citation: str, *, gated: bool = False, **settings) -> Entry:
    access = (GATED if gated else OPEN).format(repository)
    return Entry(title, "transformers", repository, domain, access, citation, gated, **settings)


def _open_clip(title: str, repository: str, domain: str, citation: str, **settings) -> Entry:
    return Entry(title, "open_clip", f"hf-hub:{repository}", domain, OPEN.format(repository), citation, **settings)


def _lit(title: str, name: str, domain: str) -> Entry:
    return Entry(title, "lit", name, domain, SHIPPED, "zhai2022lit", normalisation=LIT_PIXELS, loaded=BY_WEIGHTS)


BIOMEDCLIP = "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"
PUBMEDBERT = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract"
TWO_REPOSITORIES = (
    f"downloaded on first use; to work offline, `hf download {BIOMEDCLIP} --local-dir FOLDER`, then "
    f"`hf download {PUBMEDBERT} config.json --local-dir FOLDER/text`, and give FOLDER as weights"
)
REGISTRY = {
    "clip": _hub("CLIP ViT-B/32", "openai/clip-vit-base-patch32", "natural", "radford2021clip"),
    "siglip": _hub("SigLIP ViT-B/16, 384 px", "google/siglip-base-patch16-384", "natural", "zhai2023siglip", **SIGLIP),
    "siglip-224": _hub("SigLIP ViT-B/16, 224 px", "google/siglip-base-patch16-224", "natural", "zhai2023siglip", **SIGLIP),
    "biomedclip": Entry(
        "BioMedCLIP: PubMedBERT, ViT-B/16",
        "open_clip",
        f"hf-hub:{BIOMEDCLIP}",
        "medical",
        TWO_REPOSITORIES,
        "zhang2023biomedclip",
        text_tower=PUBMEDBERT,
    ),
    "medsiglip": _hub("MedSigLIP, 448 px", "google/medsiglip-448", "medical", "sellergren2025medgemma", gated=True, **SIGLIP),
    "lit-natural": _lit("Test bench, heads trained on Flickr8k", "lit-natural", "natural"),
    "lit-derm": _lit("Test bench, heads trained on HAM10000", "lit-derm", "medical"),
    "random-clip": Entry(
        "CLIP ViT-B/32 at initialisation",
        "random",
        "ViT-B-32",
        "none",
        "nothing to get; `random-clip:7` has seed 7",
        "liang2022mind",
        padding=TO_CONTEXT,
        loaded=BY_WEIGHTS,
    ),
    "siglip2": _hub("SigLIP 2 ViT-B/16, 224 px", "google/siglip2-base-patch16-224", "natural", "tschannen2025siglip2", **SIGLIP),
    "metaclip2": _hub(
        "MetaCLIP 2 ViT-H/14", "facebook/metaclip-2-worldwide-huge-quickgelu", "natural", "chuang2025metaclip2", loaded=BY_CARD
    ),
    "pe-core": _open_clip(
        "PE-Core ViT-B/16",
        "timm/PE-Core-B-16",
        "natural",
        "bolya2025perception",
        normalisation=HALF_PIXELS,
        padding=TO_CONTEXT,
        loaded=BY_CARD,
    ),
    "pubmedclip": _hub("PubMedCLIP ViT-B/32", "flaviagiammarino/pubmed-clip-vit-base-patch32", "medical", "eslami2023pubmedclip"),
    "monet": _hub("MONET ViT-L/14, dermatology", "suinleelab/monet", "medical", "kim2024monet", normalisation=IMAGENET_PIXELS),
    "dermlip": _open_clip(
        "DermLIP ViT-B/16, dermatology",
        "redlessone/DermLIP_ViT-B-16",
        "medical",
        "yan2025derm1m",
        padding=TO_CONTEXT,
        loaded=BY_CARD,
    ),
}


def title(backbone: str) -> str:
    """Return an encoder's printed name: the title on its card, or the name itself of an encoder without a card."""
    return REGISTRY[backbone].title if backbone in REGISTRY else backbone


def trained() -> list[str]:
    """Return the names of encoders with trained weights."""
    return [name for name, entry in REGISTRY.items() if entry.library != "random"]
